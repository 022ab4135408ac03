"""Profiles as pprof reads them: profile.proto of github.com/google/pprof, packed by gzip.

Of a message each member is a number that says which one it is and how it is written, and the value (the encoding of
Protocol Buffers). Names are places in a table of strings, whose first is empty.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

from bpfctl.probe.named_stacks import called
from bpfctl.views.stacks import NANOSECONDS, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bpfctl.probe.named_stacks import NamedStack
    from bpfctl.symbols.frame import Frame

_NUMBER, _BYTES = 0, 2  # wire types: a varint, and a length with as many bytes
_MASK = (1 << 64) - 1
_KERNEL = "[kernel]"
_SECOND = 10**9


class _Message:
    """A message in the making; zero and nothing are left out, as they are what a reader assumes."""

    def __init__(self) -> None:
        self.data = bytearray()

    def number(self, member: int, value: int) -> None:
        if value:
            self.data += _varint(member << 3 | _NUMBER) + _varint(value)

    def bytes(self, member: int, value: bytes | bytearray) -> None:
        self.data += _varint(member << 3 | _BYTES) + _varint(len(value)) + value

    def numbers(self, member: int, values: Iterable[int]) -> None:
        self.bytes(member, b"".join(map(_varint, values)))


def _varint(value: int) -> bytes:
    value &= _MASK
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


class _Profile:
    """What several samples have in common is written once, and has a number from 1 on."""

    def __init__(self, build_id: Callable[[int, int], str]) -> None:
        self.message = _Message()
        self._strings = {"": 0}
        self._mappings: dict[tuple[str, str], int] = {}
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[tuple[int, str, int], int] = {}
        self._builds: dict[tuple[int, str], str] = {}
        self._build_id = build_id

    def string(self, text: str) -> int:
        return self._strings.setdefault(printable(text), len(self._strings))

    def value_type(self, member: int, type_: str, unit: str) -> None:
        message = _Message()
        message.number(1, self.string(type_))
        message.number(2, self.string(unit))
        self.message.bytes(member, message.data)

    def _build(self, pid: int, address: int, module: str) -> str:
        """Return the build of a file in a process, which is asked for once."""
        if not pid or not module.startswith("/"):
            return ""
        found = self._builds.get((pid, module))
        if found is None:
            found = self._builds[pid, module] = self._build_id(pid, address)
        return found

    def _mapping(self, module: str, build: str) -> int:
        if not module:
            return 0
        number = self._mappings.get((module, build))
        if number is None:
            number = self._mappings[module, build] = len(self._mappings) + 1
            message = _Message()
            message.number(1, number)
            message.number(5, self.string(module))
            message.number(6, self.string(build))
            message.number(7, 1)  # it has the names of functions, so that nobody looks them up again
            self.message.bytes(3, message.data)
        return number

    def _function(self, name: str, module: str) -> int:
        number = self._functions.get((name, module))
        if number is None:
            number = self._functions[name, module] = len(self._functions) + 1
            message = _Message()
            message.number(1, number)
            message.number(2, self.string(name))
            message.number(3, self.string(name))
            self.message.bytes(5, message.data)
        return number

    def location(self, frame: Frame, address: int, module: str, pid: int = 0) -> int:
        name, mapping = called(frame), self._mapping(module, self._build(pid, address, module))
        number = self._locations.get((address, name, mapping))
        if number is None:
            number = self._locations[address, name, mapping] = len(self._locations) + 1
            line = _Message()
            line.number(1, self._function(name, module))
            message = _Message()
            message.number(1, number)
            message.number(2, mapping)
            message.number(3, address)
            message.bytes(4, line.data)
            self.message.bytes(4, message.data)
        return number

    def end(self) -> bytes:
        for text in self._strings:  # in the order of their numbers
            self.message.bytes(6, text.encode())
        return gzip.compress(self.message.data, mtime=0)


def profile(
    rows: Iterable[NamedStack],
    by: Sequence[str],
    unit: str,
    *,
    at: float,
    seconds: float,
    build_id: Callable[[int, int], str] = lambda _pid, _address: "",
) -> bytes:
    """Return the profile of some seconds that began at a time.

    Each sample has its hits, and what was added up; the values by which hits are told apart are its labels.
    ``build_id`` tells the build of the file that a process has at an address, in hexadecimal.
    """
    made = _Profile(build_id)
    made.value_type(1, "hits", "count")
    if unit:
        made.value_type(1, *(("off_cpu", unit) if unit == NANOSECONDS else (unit, "count")))
    for row in rows:
        sample = _Message()
        sample.numbers(1, _locations(made, row))
        sample.numbers(2, (row.hits, row.total) if unit else (row.hits,))
        for name, value in zip(by, row.values, strict=True):
            sample.bytes(3, _label(made, name, value))
        made.message.bytes(2, sample.data)
    made.message.number(9, int(at * _SECOND))
    made.message.number(10, int(seconds * _SECOND))
    return made.end()


def _locations(made: _Profile, row: NamedStack) -> list[int]:
    """Return the calls of a stack, leaf first; in the addresses of all others their call instructions end."""
    numbers = []
    for at, (frame, address) in enumerate(zip(row.kernel, row.addresses[0], strict=True)):
        numbers.append(made.location(frame, address - (at > 0), frame.module or _KERNEL))
    for at, (frame, address) in enumerate(zip(row.user, row.addresses[1], strict=True)):
        numbers.append(made.location(frame, address - (at > 0), frame.module, row.pid))
    return numbers


def _label(made: _Profile, name: str, value: Any) -> bytearray:
    message = _Message()
    message.number(1, made.string(name))
    if isinstance(value, int):
        message.number(3, value)
    else:
        message.number(2, made.string(str(value)))
    return message.data
