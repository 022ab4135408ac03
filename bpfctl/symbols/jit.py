"""Functions that a process has compiled for itself, as it tells of them in /tmp/perf-PID.map.

Format: tools/perf/Documentation/jit-interface.txt of the kernel: lines of start, size (both in hexadecimal) and name.
The process has its own number and its own /tmp. A file that somebody else may have put there is not trusted, no link
is followed, and a file that grows is read on where reading ended.
"""

from __future__ import annotations

import os
import re
import stat
from array import array
from bisect import bisect_right
from typing import NamedTuple

from bpfctl.host.process import sees_as_we_do

_LINE = re.compile(rb"^(?:0x)?([0-9a-fA-F]{1,16}) +(?:0x)?([0-9a-fA-F]{1,16}) +([^\n]+)\n", re.MULTILINE)
_PIECE = 1 << 20  # bytes read at once
_MOST_BYTES = 256 << 20
_MOST = 1 << 20  # functions
_LONGEST = 1 << 12  # bytes of a name
_RUNS = 8  # pieces sorted on their own
_BACK = 16  # functions in front of an address that may reach to it


class Owner(NamedTuple):
    """What is known of a process: its number in its own namespace, its users, and where its root folder is."""

    number: int
    users: frozenset[int]
    root: str


def owner(pid: int) -> Owner | None:
    """Return what is known of a process; None where it has ended."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            status = dict(line.split(b":", 1) for line in file if b":" in line)
        number = int(status.get(b"NSpid", b"%d" % pid).split()[-1])  # Linux 4.1
        users = frozenset({0, *map(int, status[b"Uid"].split()[:2])})
        root = "" if sees_as_we_do(pid) else f"/proc/{pid}/root"  # ours is there when the process has ended
        return Owner(number, users, root)
    except (OSError, KeyError, ValueError, IndexError):
        return None


class _Run(NamedTuple):
    starts: array[int]
    sizes: array[int]
    places: array[int]  # of names in the file
    lengths: array[int]


class Map:
    """The functions of one process; nothing where it tells of none."""

    def __init__(self, of: Owner) -> None:
        self.owner = of
        self._runs: list[_Run] = []
        self._identity: tuple[int, int] | None = None
        self.turn = -1  # when it was last asked to grow
        self._read = 0  # bytes
        self._count = 0

    @property
    def size(self) -> int:
        """How many functions are known."""
        return self._count

    @property
    def is_read(self) -> bool:
        """Whether anything was read."""
        return bool(self._read)

    def grow(self) -> None:
        """Read what has come since the last time."""
        fd = _open(self.owner)
        if fd is None:
            return
        try:
            status = os.fstat(fd)
            identity = status.st_dev, status.st_ino
            if identity != self._identity or status.st_size < self._read:  # another file, or written anew
                self._runs, self._identity, self._read, self._count = [], identity, 0, 0
            while self._read < min(status.st_size, _MOST_BYTES) and self._count < _MOST and self._piece(fd):
                pass
        except OSError:  # a disk that fails
            return
        finally:
            os.close(fd)

    def _piece(self, fd: int) -> bool:
        """Read whole lines of a piece; False where there is none."""
        data = os.pread(fd, _PIECE, self._read)
        whole = data.rfind(b"\n") + 1
        if not whole:
            if len(data) == _PIECE:  # no honest line is that long
                self._read += len(data)
            return len(data) == _PIECE
        found: dict[int, tuple[int, int, int]] = {}
        for line in _LINE.finditer(data, 0, whole):
            size = int(line[2], 16)
            if size:
                first, last = line.span(3)
                found[int(line[1], 16)] = min(size, 0xFFFFFFFF), self._read + first, min(last - first, _LONGEST)
        order = sorted(found)
        columns = [[found[start][column] for start in order] for column in range(3)]
        self._runs.append(
            _Run(array("Q", order), array("I", columns[0]), array("Q", columns[1]), array("H", columns[2]))
        )
        self._read += whole
        self._count += len(order)
        if len(self._runs) > _RUNS:
            self._join()
        return True

    def _join(self) -> None:
        """Make one run of all; of two functions that begin at the same address the later counts."""
        starts, sizes, places, lengths = (array(code) for code in "QIQH")
        for run in self._runs:
            starts += run.starts
            sizes += run.sizes
            places += run.places
            lengths += run.lengths
        order = sorted(range(len(starts)), key=starts.__getitem__)
        last = [
            at for at, after in zip(order, [*order[1:], -1], strict=True) if after < 0 or starts[at] != starts[after]
        ]
        self._runs = [
            _Run(
                array("Q", map(starts.__getitem__, last)),
                array("I", map(sizes.__getitem__, last)),
                array("Q", map(places.__getitem__, last)),
                array("H", map(lengths.__getitem__, last)),
            )
        ]

    def find(self, address: int) -> tuple[str, int] | None:
        """Return the name and the start of the function at an address, the one compiled last; None where none is."""
        for run in reversed(self._runs):
            index = bisect_right(run.starts, address) - 1
            for at in range(index, max(index - _BACK, -1), -1):
                if address - run.starts[at] < run.sizes[at]:
                    name = self._name(run.places[at], run.lengths[at])
                    return (name, run.starts[at]) if name else None
        return None

    def _name(self, place: int, length: int) -> str:
        fd = _open(self.owner)
        if fd is None:
            return ""
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != self._identity:
                return ""
            return os.pread(fd, length, place).decode("utf-8", "surrogateescape").strip()
        except OSError:
            return ""
        finally:
            os.close(fd)


def _open(of: Owner) -> int | None:
    """Open the file of a process; None where there is none, or where it is not the process's own."""
    folders = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    root = folder = found = -1
    try:
        root = os.open(of.root or "/", folders)
        folder = os.open("tmp", folders | os.O_NOFOLLOW, dir_fd=root)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        found = os.open(f"perf-{of.number}.map", flags, dir_fd=folder)
        status = os.fstat(found)
        if stat.S_ISREG(status.st_mode) and status.st_uid in of.users:
            result, found = found, -1
            return result
    except OSError:
        return None
    finally:
        for fd in (root, folder, found):
            if fd >= 0:
                os.close(fd)
    return None
