"""Synopses as people read them: ``[ { any | exist } ]`` as ``[any|exist]``, and values by the names that help has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfctl.cli.synopsis import DEFINITIONS, SYNOPSES

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r"\.\.\.|[\[\]{}|]|[^\s\[\]{}|]+")
_HANDLE = re.compile(r"[A-Z]+_(ID|NAME|TAG|FILE)")
#: What completion tells apart and people need not, or call otherwise.
_CALLED = {
    "PIN": "PATH",
    "EXPLAINED": "WORD",
    "MAP_TYPE": "TYPE",
    "OBJECT_MAP": "NAME",
    "CGROUP_FOLDER": "CGROUP",
}
#: What choices between single words may take without blanks, where a line can be broken.
_SHORT = 40
#: Choices that are shorter than an explanation of their name.
_SPELLED_OUT = frozenset({"FLAG"})
_BEHIND_OPTIONS = " [-- "


def lines(object_: str, word: str) -> list[str]:
    """Return how a command is used: a line for each of its forms."""
    command = f"bpfctl {object_} {word}".rstrip()
    return [_with_options(f"{command} {form}".rstrip()) for form in _forms(SYNOPSES[f"{object_} {word}"])]


def definition(name: str) -> str:
    """Return what a name that has a definition stands for; empty for one that has none."""
    return " | ".join(_forms(DEFINITIONS[name])) if name in DEFINITIONS else ""


def values(text: str) -> list[str]:
    """Return the kinds of values in a synopsis as people read them, each once, in order; and those they are made of."""
    return list(dict.fromkeys(_values(text)))


def _values(text: str) -> Iterator[str]:
    inner = []
    for token in _TOKEN.findall(text):
        if token.isupper() and token not in _SPELLED_OUT:
            yield _called(token)
            if token in DEFINITIONS:
                inner.append(DEFINITIONS[token])
    for one in inner:
        yield from (value for value in _values(one) if value not in ("ID", "NAME", "TAG", "FILE"))


def _with_options(line: str) -> str:
    """Put the options where they are understood: before what another command is given."""
    before, behind, rest = line.partition(_BEHIND_OPTIONS)
    return f"{before} [OPTIONS]{behind}{rest}"


def _forms(synopsis: str) -> list[str]:
    """Return a synopsis, or its alternatives if it is nothing but a choice."""
    tokens = _TOKEN.findall(synopsis)
    if tokens[:1] == ["{"]:
        rest = tokens[1:]
        choices = _choice(rest)
        if not rest:
            return choices if any(" " in choice for choice in choices) else [_joined(choices)]
    return [_sequence(tokens)]


def _sequence(tokens: list[str]) -> str:
    """Return tokens up to a bracket or bar that closes, and take them."""
    pieces: list[str] = []
    while tokens and tokens[0] not in "]}|":
        pieces.append(_one(tokens))
    return " ".join(pieces)


def _one(tokens: list[str]) -> str:
    first = tokens.pop(0)
    if first in "[{":
        text = _joined(_choice(tokens))
        text = f"[{_unwrapped(text)}]" if first == "[" else f"{{{text}}}"
    elif first in _SPELLED_OUT:
        text = _joined(_forms(DEFINITIONS[first]))
    else:
        text = _called(first)
    if tokens[:1] == ["..."]:
        tokens.pop(0)
        text += "..."
    return text


def _choice(tokens: list[str]) -> list[str]:
    choices = [_sequence(tokens)]
    while tokens.pop(0) == "|":
        choices.append(_sequence(tokens))
    return choices


def _joined(choices: list[str]) -> str:
    short = "|".join(choices)
    return short if " " not in short and len(short) <= _SHORT else " | ".join(choices)


def _unwrapped(text: str) -> str:
    """Take off braces that a bracket around them makes needless."""
    inner = text[1:-1]
    return inner if text[:1] == "{" and text[-1:] == "}" and not {"{", "}"} & set(inner) else text


def _called(word: str) -> str:
    if word in DEFINITIONS:
        return word
    handle = _HANDLE.fullmatch(word)
    return handle[1] if handle else _CALLED.get(word, word)
