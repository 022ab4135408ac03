"""Completes a command line for a shell: ``bpfctl __complete WORD...``, the last word being the one that is not whole.

A line for each candidate: the word, a tab, what it is. The line ``:files`` says that files are meant, which the shell
knows best. Nothing else is ever written: who presses TAB wants no error, and what cannot be told is left out.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from bpfctl.cli import candidates, options
from bpfctl.cli.candidates import Asked, Candidate
from bpfctl.cli.global_option import GLOBAL
from bpfctl.cli.table import OBJECTS, object_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from bpfctl.cli.opt import Option
    from bpfctl.cli.table import Command

FILES = ":files"
#: What a shell takes as it is: a name that would have to be quoted is left out.
_HARMLESS = re.compile(r"[\w./:,@+=%^-]+")
_BLANK = re.compile(r"\s+")
_GLOBAL = {option.names[-1]: option.short for option in GLOBAL}
_GLOBAL_FILES = frozenset(
    {"-k", "-i", *(name for option in GLOBAL if option.metavar == "FILE" for name in option.names)}
)
_METAVARS = {
    "DIR": "FILE",
    "FIELD,...": "FIELD",
    "FIELD[=FIELD],...": "FIELD",
    "COLUMN,...": "COLUMN",
    "PROBE": "SPEC",
    "PATH": "CGROUP",
}
#: Kinds of values that have names which do not depend on what is there.
_CLOSED = frozenset({"MAP_TYPE", "PROG_TYPE", "LINK_TYPE"})
#: What a type is of an object.
_TYPES = {"prog": "PROG_TYPE", "map": "MAP_TYPE", "link": "LINK_TYPE"} | dict.fromkeys(
    ("cgroup", "perf", "net"), "LISTED_TYPE"
)


def lines(words: Sequence[str]) -> Iterator[str]:
    """Yield what is written for the words of a command line, without bpfctl itself."""
    *before, prefix = words or [""]
    for found in _found(before, prefix):
        if isinstance(found, str):
            yield found
        elif _HARMLESS.fullmatch(found.word):
            about = "".join(filter(str.isprintable, _BLANK.sub(" ", found.about)))
            yield f"{found.word}\t{about}" if about else found.word


def _found(before: Sequence[str], prefix: str) -> Iterator[Candidate | str]:
    last = before[-1] if before else ""
    if last in _GLOBAL_FILES:
        yield FILES
        return
    if last[:2] == "--" and last[2:] in options.VALUES:
        yield from _beginning(prefix, dict.fromkeys(options.VALUES[last[2:]], ""))
        return
    _, left = options.split(before)
    object_ = object_of(left[0]) if left else None
    if not left:
        yield from _beginning(prefix, _GLOBAL if prefix.startswith("-") else _objects())
    elif object_ is None:
        return
    elif (command := _command(object_, left[1:])) is not None:
        rest = left[1 if not command.word else 2 :]
        yield from _Line(object_, command, rest).found(prefix)
    elif len(left) == 1:
        there = {one.word: one.help for one in OBJECTS[object_] if one.run or one.word == "help"}
        yield from _beginning(prefix, _GLOBAL if prefix.startswith("-") else there)


def meant(object_: str, command: Command, words: Sequence[str]) -> str:
    """Return what somebody meant who wrote a word that cannot stand where it does; empty where nothing is like it."""
    return _Line(object_, command, words).meant()


def _beginning(prefix: str, words: Mapping[str, str]) -> Iterator[Candidate]:
    return (Candidate(word, about) for word, about in words.items() if word.startswith(prefix))


def _choice(option: Option) -> list[str]:
    """Return the values that an option may have, if these are all there are."""
    metavar = option.metavar or ""
    return metavar.split("|") if metavar.islower() and "|" in metavar else []


def _objects() -> dict[str, str]:
    """Return the objects, and their first commands, by which people know them."""
    found = {}
    for name, commands in OBJECTS.items():
        there = [command.word or command.help for command in commands if command.run]
        if there:
            found[name] = ", ".join(dict.fromkeys(there))
    return found | {"help": "show all commands", "version": "show the version"}


def _command(object_: str, words: Sequence[str]) -> Command | None:
    there = [command for command in OBJECTS[object_] if command.run]
    if there and not there[0].word:
        return there[0]
    return next((one for one in OBJECTS[object_] if words and one.word.startswith(words[0]) and one.run), None)


class _Line:
    """The words behind a command."""

    def __init__(self, object_: str, command: Command, rest: Sequence[str]) -> None:
        self._object, self._command = object_, command
        self._name = f"{object_} {command.word}"
        self._given: dict[str, str] = {}
        self._words: list[str] = []
        self._waiting: Option | None = None  # the option whose value comes next
        self._is_behind = False  # behind two dashes
        for word in rest:
            self._read(word)
        if self._waiting is not None and self._waiting.alone is not None:
            self._waiting = None  # words go on: what is completed is no number

    @cached_property
    def _options(self) -> dict[str, tuple[Any, Option]]:
        """The types and options by name: the command's own module knows them, which is loaded where that matters."""
        from bpfctl.cli.app import function
        from bpfctl.cli.parse import options_of

        if self._object == "batch":  # it runs commands, and has no options
            return {}
        there = options_of(function(self._command))
        return {name: (type_, option) for type_, option in there.values() for name in option.names}

    def _read(self, word: str) -> None:
        name, equals, value = word.partition("=")
        waiting, self._waiting = self._waiting, None
        if waiting is not None and waiting.takes(word):
            self._given[waiting.names[0]] = word
        elif word == "--":
            self._is_behind = True
        elif word.startswith("-") and not self._is_behind and name in self._options:
            type_, option = self._options[name]
            self._given[option.names[0]] = value
            if not equals and type_ is not bool:
                self._waiting = option
        else:
            self._words.append(word)

    def found(self, prefix: str) -> Iterator[Candidate | str]:
        """Yield what may come next."""
        name, equals, value = prefix.partition("=")
        if self._is_behind:
            yield FILES
        elif self._waiting is not None:
            yield from self._values(self._waiting, prefix)
        elif prefix.startswith("-") and equals and name in self._options:
            for found in self._values(self._options[name][1], value):
                yield found if isinstance(found, str) else found._replace(word=f"{name}={found.word}")
        elif prefix.startswith("-"):
            yield from self._names(prefix)
        else:
            yield from self._next(prefix)

    def meant(self) -> str:
        """Return what the first word is like that cannot stand where it does, or a value that an option has not.

        A number and a path are told with the word that is missing before them.
        """
        from difflib import get_close_matches

        for word, there in self._choices():
            if word not in there:
                handle = "id" if word.isdecimal() else "pinned" if "/" in word else ""
                if handle in there:
                    return f"{handle} {word}"
                near = next(iter(get_close_matches(word, there, 1)), "")
                return near or (f"name {word}" if "name" in there and self._may_be_name(word) else "")
        return ""

    def _may_be_name(self, word: str) -> bool:
        """Return whether a word stands where a handle does, and what is behind it could go on from there."""
        behind = self._words[self._words.index(word) + 1 :]
        return not word.startswith("-") and (not behind or behind[0].isalpha())

    def _choices(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield words and what may stand there, where that is a choice; a keyword that is cut short is no mistake."""
        from bpfctl.cli.synopsis import DEFINITIONS, SYNOPSES
        from bpfctl.cli.walk import Synopsis, fits

        for _, option in self._options.values():
            given, choice = self._given.get(option.names[0]), _choice(option)
            if given and choice:
                yield given, choice
        synopsis = Synopsis(SYNOPSES[self._name], DEFINITIONS)
        for at, word in enumerate(self._words):
            expected = synopsis.after(self._words[:at])
            if not any(fits(one, word) for one in expected):
                yield word, [one.word for one in expected if one.is_keyword]
                return
            kinds = [one.word for one in expected if not one.is_keyword]
            if kinds and len(kinds) == len(expected) and _CLOSED.issuperset(kinds):
                yield word, [one.word for kind in kinds for one in candidates.of(kind, Asked("", command=self._name))]

    def _names(self, prefix: str) -> Iterator[Candidate]:
        many = {name for name, (type_, _) in self._options.items() if type_ == list[str] | None}
        for name, (_, option) in self._options.items():
            if name.startswith(prefix) and (option.names[0] not in self._given or name in many):
                yield Candidate(name, option.text)
        yield from _beginning(prefix, {name: text for name, text in _GLOBAL.items() if name not in self._options})

    def _values(self, option: Option, prefix: str) -> Iterator[Candidate | str]:
        metavar, choice = option.metavar or "", _choice(option)
        if choice:
            yield from _beginning(prefix, dict.fromkeys(choice, ""))
        else:
            kind = _TYPES.get(self._object, metavar) if metavar == "TYPE" else metavar
            yield from self._of(option.values or _METAVARS.get(kind, kind), prefix)

    def _next(self, prefix: str) -> Iterator[Candidate | str]:
        from bpfctl.cli.synopsis import DEFINITIONS, SYNOPSES
        from bpfctl.cli.walk import Synopsis

        for expected in Synopsis(SYNOPSES[self._name], DEFINITIONS).after(self._words):
            if expected.is_keyword:
                yield from _beginning(prefix, {expected.word: ""})
            else:
                yield from self._of(expected.word, prefix)

    def _of(self, kind: str, prefix: str) -> Iterator[Candidate | str]:
        pid = self._given.get("--pid", "")
        specs = [word for word in self._words if ":" in word]
        asked = Asked(prefix, specs, int(pid) if pid.isdecimal() else None, self._name, self._words)
        yield from candidates.of(kind, asked)
        if kind in candidates.FILES:
            yield FILES
