"""Reads the options of a command.

Those that are written plainly are read here, within a millisecond. Whatever is not, a mistake or ``--help`` say, goes
to Typer, whose word is final, and which takes eighty milliseconds to load: what is read here is what it would read.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from bpfctl.cli import opt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NO_OPTION = frozenset({"ctx", "words", "return"})
_SEVERAL = "Unpack[opt."
_ONE = {str: str, str | None: str, int: int, int | None: int, float: float, float | None: float}
_PLAIN = {
    str: re.compile(r"(?!-).*", re.DOTALL),
    int: re.compile(r"-?[0-9]{1,18}"),
    float: re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?"),
}


def is_option(word: str) -> bool:
    """Return whether a word looks like an option."""
    return word.startswith("-") and len(word) > 1


def options_of(function: Callable[..., None]) -> dict[str, tuple[Any, opt.Option]]:
    """Return the parameters of a command that are options, and their types."""
    found: dict[str, tuple[Any, opt.Option]] = {}
    for name, annotation in function.__annotations__.items():
        if annotation.startswith(_SEVERAL):
            for group in getattr(opt, annotation[len(_SEVERAL) : -1]).__mro__:
                found |= {one: getattr(opt, what) for one, what in getattr(group, "__annotations__", {}).items()}
        elif name not in _NO_OPTION:
            found[name] = getattr(opt, annotation.removeprefix("opt."))
    return found


def default(function: Callable[..., None], name: str, type_: Any) -> Any:
    """Return what an option is that is not given."""
    return (getattr(function, "__kwdefaults__", None) or {}).get(name, False if type_ is bool else None)


def parse(name: str, function: Callable[..., None], words: Sequence[str], literal: int) -> dict[str, Any] | None:
    """Return the arguments of a command, None when help was asked for; UsageError.

    The last ``literal`` words cannot be options.
    """
    end = len(words) - literal
    options = options_of(function)
    ours = _completed([option for _, option in options.values()], words[:end])
    found = _plain(options, ours)
    if found is not None:
        return found | {"words": [*found["words"], *words[end:]]}
    from bpfctl.cli import typed

    return typed.parse(name, function, [*ours, "--", *words[end:]] if literal else ours)


def _completed(options: Sequence[opt.Option], words: Sequence[str]) -> list[str]:
    """Give an option that may stand alone the value that is meant then."""
    alone = {name: option for option in options if option.alone for name in option.names}
    out: list[str] = []
    for word, after in zip_longest(words, words[1:], fillvalue=""):
        out.append(word)
        if word in alone and not alone[word].takes(after):
            out.append(str(alone[word].alone))
    return out


def _plain(options: Mapping[str, tuple[Any, opt.Option]], words: Sequence[str]) -> dict[str, Any] | None:
    """Return what plain words say; None where one is not."""
    named = {name: (parameter, *what) for parameter, what in options.items() for name in what[1].names}
    found: dict[str, Any] = {"words": []}
    left = iter(words)
    for word in left:
        if not is_option(word):
            found["words"].append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in named or (equals and not name.startswith("--")):
            return None
        parameter, type_, option = named[name]
        if type_ is bool:
            if equals:
                return None
            found[parameter] = True
            continue
        many = type_ == list[str] | None
        read = _value(str if many else _ONE.get(type_), option, value if equals else next(left, "-"))
        if read is None:
            return None
        found[parameter] = [*found.get(parameter, ()), read] if many else read
    return found


def _value(type_: type | None, option: opt.Option, word: str) -> Any:
    """Return what a plain word says; None where it is not plain, or not within the bounds."""
    if type_ is None or not _PLAIN[type_].fullmatch(word):
        return None
    value = type_(word)
    if (option.low is not None and value < option.low) or (option.high is not None and value > option.high):
        return None
    return value
