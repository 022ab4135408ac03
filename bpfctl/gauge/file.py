"""Session files: what is to be measured together, in TOML.

::

    duration = 10

    [[count]]
    probes = "tracepoint:syscalls:sys_enter_*"
    by = ["comm"]

    [[hist]]
    name = "what read(2) returns"
    probes = ["tracepoint:syscalls:sys_exit_read"]
    of = "ret"

A mistake is told with its line. tomllib knows lines of what is no TOML alone, so that the others are looked for when
there is something to tell.
"""

from __future__ import annotations

import re
import tomllib
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.errors import KernelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bpfctl.gauge.gauge import Running
    from bpfctl.gauge.session import Session

_LARGEST = 1 << 20  # bytes: more is no file that somebody has written
_AT = re.compile(r" \(at line (\d+), column \d+\)")
_STATEMENT = re.compile(r"\s*(?:(\[\[?)\s*([\w-]+)|([\w-]+)\s*=)", re.ASCII)


class Measurement(NamedTuple):
    """One of the things that are measured: a method of `Session`, and its arguments."""

    action: str
    name: str  # what it is called where it is shown
    probes: tuple[str, ...]
    arguments: dict[str, Any]
    top: int | None
    place: str  # FILE:LINE

    def begin(self, session: Session) -> Running[Any]:
        """Have it measured."""
        running: Running[Any] = getattr(session, self.action)(*self.probes, **self.arguments)
        return running


class Plan(NamedTuple):
    """What a file says."""

    measurements: tuple[Measurement, ...]
    duration: float | None = None
    interval: float | None = None
    pid: int | None = None
    cgroup: str | None = None


class _Wrong(Exception):
    """Something is not what it should be."""


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong("a string")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    values = value.split(",") if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(one, str) and one for one in values):
        raise _Wrong("a string, or a list of strings")
    return tuple(values)


def _probes(value: Any) -> tuple[str, ...]:
    return _texts([value] if isinstance(value, str) else value)


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 32:
        raise _Wrong("a number above 0")
    return value


def _pid(value: Any) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else _number(value)


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1 << 31:
        raise _Wrong("a number of seconds")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("true or false")
    return value


def _scale(value: Any) -> tuple[int, int, int]:
    if not isinstance(value, list) or len(value) != 3 or not all(type(one) is int for one in value):
        raise _Wrong("a list of three numbers: the lowest, the end, the step")
    return value[0], value[1], value[2]


_EVERYWHERE: Mapping[str, Callable[[Any], Any]] = {
    "duration": _seconds,
    "interval": _seconds,
    "pid": _pid,
    "cgroup": _text,
}
_ALL = {"name": _text, "probes": _probes, "top": _number, "where": _text, "way": _text}
_GATHERED = _ALL | {"by": _texts, "max_entries": _number}
_ACTIONS: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "count": _GATHERED,
    "hist": _GATHERED | {"of": _text, "linear": _scale},
    "stacks": _GATHERED
    | {"of": _text, "kernel": _flag, "user": _flag, "depth": _number, "off_cpu": _flag, "over": _seconds},
    "latency": _GATHERED | {"to": _probes, "key": _texts, "linear": _scale, "unit": _text, "max_calls": _number},
    "trace": _ALL | {"fields": _texts, "buffer": _number},
}
_MUST = {"hist": ("of",)}


def read(path: str) -> Plan:
    """Read a session file; UsageError tells what is wrong in it, KernelError why it cannot be read."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise KernelError(f"can't read '{path}'", error.errno or 0) from None
    if len(data) > _LARGEST:
        raise UsageError(f"'{path}' is no session file: it is larger than {_LARGEST} bytes")
    return parse(data, path)


def parse(data: bytes, path: str) -> Plan:
    """Return what the text of a session file says; UsageError tells what is wrong in it."""
    try:
        text = data.decode()
        found = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: this is no UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        raise UsageError(f"{path}:{line}: {_AT.sub('', str(error))}") from None
    except ValueError:  # numbers of thousands of digits
        raise UsageError(f"'{path}' is no session file: a number in it is too large") from None
    except RecursionError:
        raise UsageError(f"'{path}' is no session file: it is nested too deeply") from None
    return _Reader(text, path).plan(found)


class _Reader:
    """Makes a plan of what TOML has in it."""

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path

    def plan(self, found: dict[str, Any]) -> Plan:
        tables = {key: value for key, value in found.items() if key in _ACTIONS}
        plain = self._checked({key: value for key, value in found.items() if key not in tables}, _EVERYWHERE, "", 0)
        for action, rows in tables.items():
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise self._wrong(action, 0, "", f"it should be [[{action}]], which may stand there several times")
        measurements = [
            (self._line(action, at, ""), self._measurement(action, at, row))
            for action, rows in tables.items()
            for at, row in enumerate(rows)
        ]
        if not measurements:
            raise UsageError(f"{self._path}: nothing is to be measured: it needs a table such as [[count]]")
        return Plan(tuple(one for _, one in sorted(measurements, key=lambda pair: pair[0])), **plain)

    def _measurement(self, action: str, at: int, row: dict[str, Any]) -> Measurement:
        for key in ("probes", *_MUST.get(action, ())):
            if key not in row:
                raise self._wrong(action, at, "", f"[[{action}]] needs '{key}'")
        arguments = self._checked(row, _ACTIONS[action], action, at)
        probes = arguments.pop("probes")
        name = arguments.pop("name", ", ".join(probes))
        top = arguments.pop("top", None)
        return Measurement(action, name, probes, arguments, top, f"{self._path}:{self._line(action, at, '')}")

    def _checked(
        self, row: dict[str, Any], kinds: Mapping[str, Callable[[Any], Any]], action: str, at: int
    ) -> dict[str, Any]:
        checked = {}
        for key, value in row.items():
            if key not in kinds:
                from difflib import get_close_matches  # noqa: PLC0415 - needed for mistakes alone

                there = [*kinds, *(() if action else _ACTIONS)]
                near = get_close_matches(key, there, 1)
                hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(there)}"
                raise self._wrong(action, at, key, f"nothing is called '{key}' here; {hint}")
            try:
                checked[key] = kinds[key](value)
            except _Wrong as wrong:
                raise self._wrong(action, at, key, f"'{key}' should be {wrong}") from None
        return checked

    def _wrong(self, action: str, at: int, key: str, sentence: str) -> UsageError:
        return UsageError(f"{self._path}:{self._line(action, at, key)}: {sentence}")

    def _line(self, action: str, at: int, key: str) -> int:
        """Return the line of a key in the table of an action, or of the table, or of a key above all tables."""
        lines = self._lines
        fallback = lines.get((action, at, ""), lines.get(("", 0, action), 1))  # written as a value: count = [{...}]
        return lines.get((action, at, key), fallback)

    @cached_property
    def _lines(self) -> dict[tuple[str, int, str], int]:
        """The lines of all keys, by their table, its number among those of that name, and their own name."""
        lines: dict[tuple[str, int, str], int] = {}
        numbers: dict[str, int] = {}
        table = ""
        for line, opens, name, assigned in self._statements():
            if opens:
                table = name
                numbers[table] = numbers.get(table, -1) + 1
                lines.setdefault(("", 0, table), line)
            lines.setdefault((table, numbers.get(table, 0), assigned), line)
        return lines

    def _statements(self) -> Iterator[tuple[int, str, str, str]]:
        """Yield the lines at which a table or a value begins: those before which the last one is complete."""
        last = ""
        for number, line in enumerate(self._text.split("\n"), 1):
            found = _STATEMENT.match(line)
            if found and _is_whole(last):
                yield number, found[1] or "", found[2] or "", found[3] or ""
                last = ""
            last += f"{line}\n"


def _is_whole(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True
