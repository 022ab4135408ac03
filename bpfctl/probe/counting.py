"""Counters at work, as `bpfctl.probe.session` has programs at work: opened everywhere, begun, read and added up."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from errno import EACCES, EAGAIN, EBADF, EINVAL, ENODEV, ENOENT, EPERM
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys.fd import Closing, ManyFiles
from bpfctl.attach.counter import ABSENT, Counter, Counting, Place, Reading
from bpfctl.attach.perf_event import Event, event_hint
from bpfctl.errors import KernelError, NotFound, NotSupported, UsageError
from bpfctl.host import cpus
from bpfctl.uapi.perf import PerfType, Software

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl._sys.fd import FD
    from bpfctl.host.process import Process
    from bpfctl.probe.countable import Group

_TRIES = 100


class Scope(NamedTuple):
    """Whose events are counted: all of this machine, unless one of the first three is given."""

    process: Process | None = None  # all its threads, and what they start
    command: int | None = None  # a process that waits, and will run another program
    cgroup: FD | None = None
    cpus: Sequence[int] | None = None  # only there
    each_cpu: bool = False  # whether it has to be told apart on which CPU they were counted

    @property
    def is_task(self) -> bool:
        """Whether it is about certain threads."""
        return self.process is not None or self.command is not None


class Tally(NamedTuple):
    """What a counter came to, on one CPU or on all."""

    counter: Counter
    cpu: int | None
    steps: float  # as many as there would have been if it had counted all the time, where that is wanted
    enabled: int  # nanoseconds
    running: int
    refusal: int = 0  # the kernel's errno, where this machine cannot count it

    @property
    def is_counted(self) -> bool:
        """Whether it had its turn."""
        return not self.refusal and bool(self.running or not self.enabled)

    @property
    def value(self) -> float:
        """The count in the counter's unit."""
        return self.steps * self.counter.scale

    @property
    def share(self) -> float:
        """How much of the time it counted, where others had the CPU's counters for the rest."""
        return self.running / self.enabled if self.enabled else 1.0


class Counters(Closing):
    """Counters that are open, until they are closed; they count between begin() and end().

    NotSupported where a group cannot be had, KernelError where one may not be; NotFound where the process has ended.
    What stands alone and cannot be counted here is told as such.
    """

    def __init__(self, groups: Sequence[Group], scope: Scope, *, scaled: bool = True) -> None:
        self.groups = list(groups)
        self.refused: dict[Counter, int] = {}
        self.of_machine: list[Counter] = []  # which no thread has for itself
        self._scope, self._scaled = scope, scaled
        self._open: list[tuple[int, Counting]] = []  # with the group's place among all
        self._before: list[list[Reading]] = []
        if scope.cgroup is not None:
            _check(scope.cgroup)
        with ExitStack() as held:
            held.enter_context(ManyFiles())
            for at in range(len(self.groups)):
                for counting in self._opened(at):
                    held.enter_context(counting)
                    self._open.append((at, counting))
            self._held = held.pop_all()

    def begin(self) -> None:
        """Count, but for what begins by itself when the command runs."""
        for _, counting in self._open:
            if not counting.place.starts_at_exec:
                counting.enable()

    def end(self) -> None:
        """Count no more."""
        for _, counting in self._open:
            counting.disable()

    def read(self) -> list[Tally]:
        """Return what was counted until now, in the order of the counters."""
        return self._told([counting.read() for _, counting in self._open])

    def read_more(self) -> list[Tally]:
        """Return what was counted since this was asked before."""
        now = [counting.read() for _, counting in self._open]
        before = self._before or [[Reading()] * len(readings) for readings in now]
        self._before = now
        more = []
        for (at, _), readings, old in zip(self._open, now, before, strict=True):
            pairs = zip(self.groups[at], readings, old, strict=True)
            more.append([new if counter.is_level else new.since(then) for counter, new, then in pairs])
        return self._told(more)

    def close(self) -> None:
        """Let all counters go."""
        self._held.close()

    def _told(self, every: list[list[Reading]]) -> list[Tally]:
        sums: dict[tuple[int, int, int | None], tuple[float, int, int]] = {}
        every = self._by_cpu(every)
        for (at, counting), readings in zip(self._open, every, strict=True):
            cpu = counting.place.cpu if self._scope.each_cpu else None
            for which, reading in enumerate(readings):
                steps, enabled, running = sums.get((at, which, cpu), (0.0, 0, 0))
                steps += self._steps(reading)
                sums[at, which, cpu] = steps, enabled + reading.enabled, running + reading.running
        found: list[Tally] = []
        for at, group in enumerate(self.groups):
            for which, counter in enumerate(group):
                mine = sorted((cpu, some) for (one, other, cpu), some in sums.items() if (one, other) == (at, which))
                found += (Tally(counter, cpu, *some) for cpu, some in mine)
                if not mine:
                    found.append(Tally(counter, None, 0, 0, 0, self.refused.get(counter, ENODEV)))
        return found

    def _by_cpu(self, every: list[list[Reading]]) -> list[list[Reading]]:
        """Have the counter of a thread on one CPU be wanted only while the thread was there.

        To the kernel it is wanted wherever the thread runs. So the time on a CPU is that in which it counted there,
        larger by what all CPUs together lack of the time in which the thread ran.
        """
        times: dict[tuple[int, int, int], tuple[int, int]] = {}
        for (at, counting), readings in zip(self._open, every, strict=True):
            for which, reading in enumerate(readings):
                wanted, ran = times.get((at, which, counting.place.pid), (0, 0))
                times[at, which, counting.place.pid] = max(wanted, reading.enabled), ran + reading.running

        def enabled(key: tuple[int, int, int], running: int) -> int:
            wanted, ran = times[key]
            if self._scope.cpus is not None or not ran or wanted <= ran:  # of other CPUs nothing is known
                return running if ran else wanted
            return round(running * wanted / ran)

        return [
            [
                reading._replace(enabled=enabled((at, which, counting.place.pid), reading.running))
                if counting.place.is_task and counting.place.cpu >= 0
                else reading
                for which, reading in enumerate(readings)
            ]
            for (at, counting), readings in zip(self._open, every, strict=True)
        ]

    def _steps(self, reading: Reading) -> float:
        if self._scaled and 0 < reading.running < reading.enabled:
            return round(reading.value * reading.enabled / reading.running)
        return reading.value

    def _opened(self, at: int) -> list[Counting]:
        """Open a group everywhere; where we may not look into the kernel, it counts in user mode alone."""
        try:
            try:
                return self._everywhere(self.groups[at])
            except OSError as error:
                group = tuple(counter._replace(mode="u") for counter in self.groups[at] if not counter.mode)
                if error.errno not in (EPERM, EACCES) or len(group) < len(self.groups[at]):
                    raise
                try:
                    found = self._everywhere(group)
                except OSError as other:
                    raise (other if other.errno in ABSENT else error) from None
                self.groups[at] = group
                return found
        except OSError as error:
            self._refuse(self.groups[at], error)
            return []

    def _refuse(self, group: Group, error: OSError) -> None:
        answer = error.errno or 0
        names = ", ".join(map(str, group))
        if isinstance(error, KernelError):
            raise error
        if answer not in ABSENT:
            raise KernelError(f"can't count {names}", answer, hint=event_hint(answer)) from None
        if len(group) > 1:
            lacking = next((text for counter in group if (text := self._alone(counter))), "")
            lacking = lacking or "its CPUs have not so many counters for them together"
            raise NotSupported(f"{{{names}}} cannot be counted as a group: {lacking}")
        self.refused[group[0]] = answer

    def _alone(self, counter: Counter) -> str:
        """Return why a counter cannot be had, empty where alone it can."""
        try:
            for counting in self._everywhere((counter,)):
                counting.close()
        except OSError as error:
            return f"{counter}: {counter.reason(error.errno or 0)}"
        return ""

    def _everywhere(self, group: Group) -> list[Counting]:
        """Open a group in each thread, or on each CPU; OSError."""
        scope = self._scope
        if not scope.is_task:
            return _all(self._on_cpus(group))
        try:
            if scope.command is not None:
                return _all(self._in_threads(group, [scope.command]))
            return self._in_process(group)
        except OSError as error:
            if error.errno != EINVAL or all(counter.event.cpus is None for counter in group):
                raise
        found = _all(self._on_cpus(group))  # a unit of the machine, which has no threads
        self.of_machine += group
        return found

    def _in_process(self, group: Group) -> list[Counting]:
        """Open a group in all threads; anew where others have come, of which nobody knows whether they have it."""
        process = self._scope.process
        assert process is not None  # noqa: S101 - for mypy
        for _ in range(_TRIES):
            threads = process.threads()
            found = _all(self._in_threads(group, threads))
            with ExitStack() as held:
                for counting in found:
                    held.enter_context(counting)
                if found and not set(process.threads()).difference(threads):
                    held.pop_all()
                    return found
        raise KernelError(f"can't count in process {process.pid}, which has new threads all the time", EAGAIN)

    def _in_threads(self, group: Group, threads: Sequence[int]) -> Iterator[Counting]:
        scope = self._scope
        where = self._cpus() if scope.each_cpu or scope.cpus is not None else [-1]
        for thread in threads:
            with suppress(ProcessLookupError):  # it has ended
                for cpu in where:
                    yield Counting(group, Place(thread, cpu, starts_at_exec=scope.command is not None))

    def _on_cpus(self, group: Group) -> Iterator[Counting]:
        cgroup = self._scope.cgroup
        masks = [set(counter.event.cpus) for counter in group if counter.event.cpus is not None]
        for cpu in self._cpus():
            if all(cpu in mask for mask in masks):
                with suppress(_Gone):
                    yield _on_cpu(group, Place(-1 if cgroup is None else cgroup.fileno(), cpu, cgroup is not None))

    def _cpus(self) -> list[int]:
        online = cpus.online()
        wanted = self._scope.cpus
        if wanted is None:
            return online
        missing = sorted({*wanted}.difference(online))
        if missing:
            raise NotFound(f"there is no CPU {missing[0]} that runs")
        return [cpu for cpu in online if cpu in wanted]


def _check(cgroup: FD) -> None:
    """Raise UsageError or NotSupported for a folder whose tasks cannot be counted, whatever the event.

    Kernel: perf_cgroup_connect() in kernel/events/core.c, css_tryget_online_from_dir() in kernel/cgroup/cgroup.c.
    """
    dummy = Event(PerfType.SOFTWARE, Software.DUMMY, 0)
    try:
        Counting([Counter("software:dummy", dummy)], Place(cgroup.fileno(), cpus.online()[0], is_cgroup=True)).close()
    except OSError as error:
        if error.errno == EBADF:
            raise UsageError("that folder is no cgroup") from None
        if error.errno == ENOENT:
            raise NotSupported(_without_controller(cgroup)) from None
        if error.errno == EINVAL:
            raise NotSupported("this kernel counts no cgroups (CONFIG_CGROUP_PERF)") from None


def _without_controller(cgroup: FD) -> str:
    """Return what is said of a cgroup for which the controller perf_event is not at work.

    In version 2 nobody switches it on, but a new kernel gives it to no cgroup until another one is switched on:
    cgroup_propagate_control() in kernel/cgroup/cgroup.c.
    """
    if "cgroup.controllers" not in os.listdir(cgroup.fileno()):
        return "that cgroup is of version 1, where those of the hierarchy perf_event can be counted"
    return (
        "that cgroup has no perf_event: another hierarchy may have it, or no controller was ever switched on"
        " (echo +pids > cgroup.subtree_control in the folder above it)"
    )


class _Gone(Exception):
    """A CPU was switched off meanwhile."""


def _on_cpu(group: Group, place: Place) -> Counting:
    try:
        return Counting(group, place)
    except OSError as error:
        if error.errno == ENODEV and place.cpu not in cpus.online():
            raise _Gone from None
        raise


def _all(made: Iterator[Counting]) -> list[Counting]:
    """Return what is made, one after the other; where one cannot be made, those before it are closed."""
    with ExitStack() as held:
        found = [held.enter_context(one) for one in made]
        held.pop_all()
    return found
