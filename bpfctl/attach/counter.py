"""Perf events that only count: no program, and nothing interrupts a CPU.

Kernel: perf_read() in kernel/events/core.c, enum perf_event_read_format in include/uapi/linux/perf_event.h.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from errno import EINVAL, ENODEV, ENOENT, ENOSYS, ENXIO, EOPNOTSUPP
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import perf
from bpfctl._sys.fd import Closing
from bpfctl.errors import KernelError
from bpfctl.uapi.perf import ReadFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl._sys.fd import FD
    from bpfctl.attach.perf_event import Event

#: What the kernel answers where an event cannot be counted here, whoever asks.
ABSENT = frozenset({EINVAL, ENODEV, ENOENT, ENOSYS, ENXIO, EOPNOTSUPP})

_TIMES = ReadFormat.TOTAL_TIME_ENABLED | ReadFormat.TOTAL_TIME_RUNNING
#: What a mode leaves out, by its letters: user mode, the kernel.
MODES = {"": 0, "u": perf.EXCLUDE_KERNEL | perf.EXCLUDE_HV, "k": perf.EXCLUDE_USER | perf.EXCLUDE_HV, "uk": 0}


class Counter(NamedTuple):
    """What is counted, and what a step of it is worth: ``scale`` of ``unit``."""

    name: str  # the spec that a user writes, without the mode
    event: Event  # whose period is 0
    mode: str = ""  # "u": only in user mode, "k": only in the kernel
    unit: str = ""
    scale: float = 1.0
    is_level: bool = False  # whether it tells how much there is, and not how much has come
    #: Why it cannot be counted here, by the kernel's errno.
    reason: Callable[[int], str] = lambda _errno: "this machine cannot count it"

    def __str__(self) -> str:
        """Return the spec with its mode."""
        return f"{self.name}:{self.mode}" if self.mode else self.name

    def refusal(self) -> int:
        """Return 0 where it can be counted on a CPU, and otherwise the kernel's errno."""
        return self.event.refusal()


class Reading(NamedTuple):
    """What a counter says: steps, and for how many nanoseconds it was wanted, and counted."""

    value: int = 0
    enabled: int = 0
    running: int = 0

    def since(self, before: Reading) -> Reading:
        """Return what has come since another reading."""
        return Reading(*(now - then for now, then in zip(self, before, strict=True)))


class Place(NamedTuple):
    """Where is counted: in a thread, on all CPUs or on one; or on a CPU, whoever runs there, or who is in a cgroup."""

    pid: int = -1  # of a cgroup the descriptor of its folder
    cpu: int = -1
    is_cgroup: bool = False
    starts_at_exec: bool = False  # the thread waits, and will run another program

    @property
    def is_task(self) -> bool:
        """Whether it is a thread, with all that it starts."""
        return self.pid >= 0 and not self.is_cgroup


class Counting(Closing):
    """A group of counters at one place, which count at the same times or not at all; they begin with enable().

    OSError where the kernel refuses one, and then nothing stays open.
    """

    def __init__(self, counters: Sequence[Counter], place: Place) -> None:
        self.place = place
        self._format = _TIMES | (ReadFormat.GROUP if len(counters) > 1 else 0)
        self._layout = Struct(f"={'Q' * (2 + len(counters) + (len(counters) > 1))}")
        self._fds: list[FD] = []
        with ExitStack() as held:
            for counter in counters:
                self._fds.append(held.enter_context(self._open(counter)))
            self._held = held.pop_all()

    def _open(self, counter: Counter) -> FD:
        place, flags = self.place, MODES[counter.mode]
        if place.is_task:
            flags |= perf.INHERIT
        if not self._fds:  # the others follow it
            flags |= perf.DISABLED | (perf.ENABLE_ON_EXEC if place.starts_at_exec else 0)
        open_flags = perf.FLAG_FD_CLOEXEC | (perf.FLAG_PID_CGROUP if place.is_cgroup else 0)
        leader = self._fds[0].fileno() if self._fds else -1

        return counter.event.open(
            place.cpu, flags, pid=place.pid, group_fd=leader, open_flags=open_flags, read_format=self._format
        )

    def enable(self) -> None:
        """Begin to count, also in all threads that were started meanwhile; KernelError."""
        self._tell(perf.IOC_ENABLE)

    def disable(self) -> None:
        """Count no more; KernelError."""
        self._tell(perf.IOC_DISABLE)

    def _tell(self, request: int) -> None:
        try:
            perf.ioctl(self._fds[0].fileno(), request)
        except OSError as error:
            raise KernelError("can't switch the counters", error.errno or 0) from None

    def read(self) -> list[Reading]:
        """Return what each counter says; zeros of one that the kernel has given up. KernelError."""
        try:
            raw = os.read(self._fds[0].fileno(), self._layout.size)
        except OSError as error:
            raise KernelError("can't read the counters", error.errno or 0) from None
        if len(raw) < self._layout.size:
            return [Reading()] * len(self._fds)
        words = self._layout.unpack(raw)
        if len(self._fds) == 1:
            return [Reading(*words)]
        _, enabled, running, *values = words
        return [Reading(value, enabled, running) for value in values]

    def close(self) -> None:
        """Let the counters go."""
        self._held.close()
