"""Follows what all processes map, fork and execute: the kernel's side band of perf events.

Format: include/uapi/linux/perf_event.h, PERF_RECORD_MMAP2, COMM, FORK, EXIT and LOST. There is an event that never
fires for each CPU, since only the buffers of those can be mapped. Records of several CPUs are put in order by time.
"""

from __future__ import annotations

import mmap
import os
import time
from bisect import bisect_right
from contextlib import ExitStack
from struct import Struct, error
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import perf
from bpfctl._sys.fd import Closing
from bpfctl._sys.ring import PerfRing
from bpfctl.host import cpus
from bpfctl.symbols.space import Mapping, device
from bpfctl.uapi.perf import PerfType, Record, Sample, Software

if TYPE_CHECKING:
    from collections.abc import Callable

# Bits of struct perf_event_attr's bit field.
_MMAP, _COMM, _TASK = 1 << 8, 1 << 9, 1 << 13
_ALL_HAVE_TIMES, _MMAP2, _COMM_EXEC, _USE_CLOCKID = 1 << 18, 1 << 23, 1 << 24, 1 << 25

_IS_EXEC = 1 << 13  # PERF_RECORD_MISC_COMM_EXEC
_NOBODY = 1 << 31  # from here on are no numbers of processes: those outside of our namespace have none
_SIZES = (512 << 10, 128 << 10, 32 << 10)  # bytes of a buffer: kernel.perf_event_mlock_kb allows 512 KiB by default

_HEAD = Struct("=IHH")
_TASKS = Struct("=8xIIII")
_MAPPED = Struct("=8xIIQQQIIQQII")
_NAMED = Struct("=8xII")
_LOST = Struct("=8xQQ")
_TIME = Struct("=Q")


class Born(NamedTuple):
    """A process has forked."""

    pid: int
    parent: int


class Executed(NamedTuple):
    """A process is another program from now on."""

    pid: int


class Ended(NamedTuple):
    """A process has ended."""

    pid: int


class Mapped(NamedTuple):
    """A process has mapped something that can be executed."""

    pid: int
    mapping: Mapping


Event = Born | Executed | Ended | Mapped


class SideBand(Closing):
    """What the kernel tells of all processes since this was opened; OSError where it refuses."""

    def __init__(self) -> None:
        self.lost = 0  # records for which there was no room
        self._rings: list[PerfRing] = []
        self._early: list[tuple[int, Event]] = []  # what happened while another buffer was read
        with ExitStack() as opening:
            for cpu in cpus.online():
                self._open(opening, cpu)
            self._opened = opening.pop_all()

    def _open(self, opening: ExitStack, cpu: int) -> None:
        event = opening.enter_context(
            perf.open_event(
                PerfType.SOFTWARE,
                Software.DUMMY,
                cpu=cpu,
                flags=_MMAP | _COMM | _TASK | _ALL_HAVE_TIMES | _MMAP2 | _COMM_EXEC | _USE_CLOCKID,
                clockid=time.CLOCK_MONOTONIC,
                sample_type=Sample.TIME,
            )
        )
        for size in _SIZES:
            try:
                self._rings.append(opening.enter_context(PerfRing(event.fileno(), max(size, mmap.PAGESIZE))))
            except PermissionError:  # more than may be locked
                if size == _SIZES[-1]:
                    raise
            else:
                return

    def take(self) -> list[Event]:
        """Return what has happened since the last time until now, in order."""
        now = time.monotonic_ns()
        told, self._early = self._early, []
        for ring in self._rings:
            while records := self._taken(ring):
                for record in records:
                    event = self._event(record)
                    if event is not None and 0 < event.pid < _NOBODY:
                        told.append((_time(record), event))
                if _time(records[-1]) > now:  # processes may do more than anybody can read meanwhile
                    break
        told.sort(key=_when)
        until = bisect_right(told, now, key=_when)
        self._early = told[until:]
        return [event for _, event in told[:until]]

    def _taken(self, ring: PerfRing) -> list[bytes]:
        try:
            return ring.take()
        except OSError:  # it contradicts itself
            self.lost += 1
            return []

    def _event(self, record: bytes) -> Event | None:
        try:
            kind, misc, _ = _HEAD.unpack_from(record)
            if kind == Record.LOST:
                self.lost += _LOST.unpack_from(record)[1]
                return None
            decode = _EVENTS.get(kind)
            return decode(record, misc) if decode is not None else None
        except error:  # cut off
            self.lost += 1
            return None

    def close(self) -> None:
        """Stop following."""
        self._rings = []
        self._opened.close()


def _time(record: bytes) -> int:
    found: int = _TIME.unpack_from(record, len(record) - _TIME.size)[0]
    return found


def _when(told: tuple[int, Event]) -> int:
    return told[0]


def _mapped(record: bytes, _: int) -> Event | None:
    pid, _, start, size, offset, major, minor, inode = _MAPPED.unpack_from(record)[:8]
    end = record.find(b"\0", _MAPPED.size)
    path = os.fsdecode(record[_MAPPED.size : max(end, _MAPPED.size)])
    return Mapped(pid, Mapping(start, start + size, offset, device(major, minor), inode, path))


def _named(record: bytes, misc: int) -> Event | None:
    return Executed(_NAMED.unpack_from(record)[0]) if misc & _IS_EXEC else None


def _forked(record: bytes, _: int) -> Event | None:
    pid, parent, _, _ = _TASKS.unpack_from(record)
    return Born(pid, parent) if pid != parent else None


def _exited(record: bytes, _: int) -> Event | None:
    pid, _, thread, _ = _TASKS.unpack_from(record)
    return Ended(pid) if pid == thread else None


_EVENTS: dict[int, Callable[[bytes, int], Event | None]] = {
    Record.MMAP2: _mapped,
    Record.COMM: _named,
    Record.FORK: _forked,
    Record.EXIT: _exited,
}
