"""What programs cost: how often they ran and for how long, counted by the kernel while statistics are on."""

from __future__ import annotations

import time
from contextlib import suppress
from errno import EINVAL
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import calls, programs
from bpfctl._sys.fd import Closing
from bpfctl.errors import KernelError, NotSupported
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.prog import Program, ProgramInfo
from bpfctl.uapi.layouts import PROG_INFO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl._sys.fd import FD
    from bpfctl.kernel.select import Select

_SECOND = 10**9
_SWITCH = "/proc/sys/kernel/bpf_stats_enabled"


class _Counters(NamedTuple):
    """A program's counters at one moment; they stand still while statistics are off."""

    at: int  # nanoseconds on the monotonic clock
    info: ProgramInfo  # without its maps
    name: str


class Usage(NamedTuple):
    """What a program did between two moments."""

    info: ProgramInfo  # of the later moment, without its maps
    name: str
    seconds: float
    runs: int
    run_time: int  # nanoseconds
    misses: int | None  # runs that recursion prevented; None before Linux 5.12

    @property
    def id(self) -> int:
        """The program's id."""
        return self.info.id

    @property
    def per_second(self) -> float:
        """The runs each second."""
        return self.runs / self.seconds if self.seconds else 0.0

    @property
    def per_run(self) -> float | None:
        """The nanoseconds that a run took; None without runs."""
        return self.run_time / self.runs if self.runs else None

    @property
    def cpu(self) -> float:
        """The share of one CPU's time, in per cent; more than 100 where several CPUs ran the program."""
        return 100 * self.run_time / (self.seconds * _SECOND) if self.seconds else 0.0


def _counters(which: Select | None, names: dict[int, str]) -> Iterator[_Counters]:
    """Yield the counters of each program that is meant; ``names`` has those of programs met before, by id.

    Programs that are gone meanwhile are left out.
    """
    for program in Program.select(which):
        with program:
            try:
                raw, _ = calls.obj_info(program.fileno(), PROG_INFO.size)
                at = time.monotonic_ns()
            except OSError:  # all that the kernel tells of a program whose offload device is gone
                continue
            info = ProgramInfo.from_raw(raw)
            if info.id not in names:
                names[info.id] = program.full_name(info)
            yield _Counters(at, info, names[info.id])


class Statistics(Closing):
    """Has the kernel count the runs of programs as long as it is open, and tells what they did; close it with ``with``.

    KernelError without CAP_SYS_ADMIN; NotSupported before Linux 5.8, unless the administrator has them turned on.
    """

    def __init__(self, which: Select | None = None) -> None:
        self._which = which
        self._names: dict[int, str] = {}
        self._before: dict[int, _Counters] = {}
        self._switch = _enable()
        try:
            self._take()
        except BaseException:
            self.close()
            raise

    def _take(self) -> None:
        self._at = time.monotonic_ns()
        self._before = {each.info.id: each for each in _counters(self._which, self._names)}
        self._names = {id_: self._names[id_] for id_ in self._before}

    def look(self) -> list[Usage]:
        """Return what each program that is meant did since the last look, or since this was opened; by their ids.

        Programs that were loaded meanwhile are told too, those that are gone are not.
        """
        before, since = self._before, self._at
        self._take()
        return [_usage(before.get(id_), since, after) for id_, after in self._before.items()]

    def close(self) -> None:
        """Have the kernel count no more, unless others want it to; a second call does nothing."""
        if self._switch is not None:
            self._switch.close()


def _enable() -> FD | None:
    """Return the descriptor that keeps statistics turned on; None where they are, and there is no such descriptor."""
    try:
        return programs.enable_stats()
    except OSError as error:
        number = error.errno or 0
        if number != EINVAL:
            raise KernelError("can't turn statistics of programs on", number, hint=privilege_hint(number)) from None
    with suppress(OSError), open(_SWITCH, encoding="ascii") as file:
        if file.read().strip() == "1":
            return None
    missing = NotSupported("this kernel has no switch for statistics of programs that ends with us, Linux 5.8 has one")
    missing.hint = "sysctl kernel.bpf_stats_enabled=1 turns them on for good"
    raise missing


def _usage(before: _Counters | None, since: int, after: _Counters) -> Usage:
    """Return what happened between two moments; ``since`` counts for a program that was loaded in between."""
    info = after.info
    if before is not None and before.info.load_time == info.load_time:  # else its id was given out again
        since, old = before.at, before.info
        runs, run_time, misses = old.run_cnt or 0, old.run_time_ns or 0, old.recursion_misses or 0
    else:
        runs = run_time = misses = 0
    return Usage(
        info,
        after.name,
        (after.at - since) / _SECOND,
        (info.run_cnt or 0) - runs,
        (info.run_time_ns or 0) - run_time,
        None if info.recursion_misses is None else info.recursion_misses - misses,
    )
