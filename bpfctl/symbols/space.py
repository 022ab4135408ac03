"""Which files, and which code without a file, lie where in the memory of a process.

Source: /proc/PID/maps (Documentation/filesystems/proc.rst), of which lines of executable memory count.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.symbols.frame import Frame

_LINE = re.compile(
    rb"^([0-9a-f]{1,16})-([0-9a-f]{1,16}) ..x\S* ([0-9a-f]{1,16}) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)", re.MULTILINE
)
_MINOR_BITS = 20
_DELETED = " (deleted)"
_MOST = 1 << 14  # mappings of a process, more than which are no honest ones
_OLDER = 4  # programs that a process was before it executed the last


class Mapping(NamedTuple):
    """A piece of executable memory; ``path`` is what the kernel calls it, and may be no path."""

    start: int
    end: int
    offset: int  # of its first byte in the file
    device: int  # as device() makes it of both numbers
    inode: int
    path: str

    @property
    def name(self) -> str:
        """What to call the file."""
        return self.path.removesuffix(_DELETED)

    @property
    def is_file(self) -> bool:
        """Whether there is a file behind it, which may hold anything."""
        return bool(self.inode) and self.path.startswith("/") and not self.path.startswith("//")


def device(major: int, minor: int) -> int:
    """Return one number for a device."""
    return major << _MINOR_BITS | minor


def parse(text: bytes, root: str = "") -> Iterator[Mapping]:
    """Yield the executable mappings of a maps file, with paths behind a process's own root folder where it has one."""
    for first, last, offset, major, minor, inode, path in _LINE.findall(text):
        name = os.fsdecode(path.replace(rb"\012", b"\n"))
        if root and name.startswith(f"{root}/"):
            name = name.removeprefix(root)
        where = device(int(major, 16), int(minor, 16))
        yield Mapping(int(first, 16), int(last, 16), int(offset, 16), where, int(inode[:20]), name)


class _Program:
    """The mappings of one program that a process is or was: of two at an address the later counts."""

    def __init__(self, other: _Program | None = None) -> None:
        self.starts: list[int] = [*other.starts] if other else []
        self.mappings: list[Mapping] = [*other.mappings] if other else []

    def add(self, new: Mapping) -> None:
        first = bisect_right(self.starts, new.start)
        if first and self.mappings[first - 1].end > new.start:
            first -= 1
        last = first
        while last < len(self.starts) and self.starts[last] < new.end:
            last += 1
        kept = [new]
        if last > first:
            before, behind = self.mappings[first], self.mappings[last - 1]
            if before.start < new.start:
                kept.insert(0, before._replace(end=new.start))
            if behind.end > new.end:
                kept.append(behind._replace(start=new.end, offset=behind.offset + new.end - behind.start))
        if len(self.starts) + len(kept) <= _MOST:
            self.mappings[first:last] = kept
            self.starts[first:last] = [one.start for one in kept]

    def at(self, address: int) -> Mapping | None:
        index = bisect_right(self.starts, address) - 1
        if index >= 0 and address < self.mappings[index].end:
            return self.mappings[index]
        return None


class Space:
    """The memory of a process, and of the programs that it was before; ``parent`` is who it comes from."""

    def __init__(self, parent: int = 0, of: Space | None = None) -> None:
        self.parent = parent
        self.ended = False
        self.looked = -1  # when its maps file was last read, in turns
        self.leaves: dict[int, Frame] = {}  # what was found, by innermost address
        self.callers: dict[int, Frame] = {}  # and by addresses that calls return to
        self._programs = [_Program(of.program if of else None)]

    @property
    def program(self) -> _Program:
        """The last program."""
        return self._programs[0]

    @property
    def size(self) -> int:
        """How many mappings are kept."""
        return sum(len(program.starts) for program in self._programs)

    def add(self, mapping: Mapping) -> None:
        """Take a mapping in."""
        if mapping.start < mapping.end:
            self._programs[0].add(mapping)
            self.forget()

    def execute(self) -> None:
        """Begin another program."""
        if self._programs[0].starts:
            self._programs.insert(0, _Program())
            del self._programs[_OLDER:]
        self.forget()

    def forget(self) -> None:
        """Find everything anew."""
        if self.leaves:
            self.leaves.clear()
        if self.callers:
            self.callers.clear()

    def at(self, address: int) -> Mapping | None:
        """Return what lies at an address, or lay there in an earlier program; None where nothing is known to."""
        for program in self._programs:
            found = program.at(address)
            if found is not None:
                return found
        return None
