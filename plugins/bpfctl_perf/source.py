"""What the sources of perf events share: one program for an event, attached to that event on each of its CPUs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from copy import copy
from errno import EINVAL, ENODEV, ENOENT, EOPNOTSUPP
from fnmatch import translate
from functools import partial
from typing import TYPE_CHECKING

from bpfctl.plugin import (
    API,
    Group,
    KernelError,
    NotSupported,
    PerfCounter,
    ProbePoint,
    ProgType,
    UsageError,
    attach_perf_event,
    attach_perf_event_in,
    chosen,
    is_pattern,
    known,
    perf_hint,
)
from bpfctl_perf import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import ExitStack
    from typing import Self

    from bpfctl.plugin import Closing, Field, PerfEvent, Process, Program

_MOST = (1 << 63) - 1  # perf_event_open(2) takes no period with the highest bit
#: What the kernel answers where an event cannot be had here, whoever asks.
_ABSENT = frozenset({ENOENT, EINVAL, EOPNOTSUPP, ENODEV})
_WITH_COUNT = re.compile(r".*:\d+", re.DOTALL | re.ASCII)
#: What a counter leaves out: ``u`` the kernel, ``k`` user mode.
_MODE = re.compile(r"(?P<target>.*):(?P<mode>uk?|ku?)", re.DOTALL)


class PerfSource(ABC):
    """A kind of perf event."""

    api = API
    kind: str
    summary: str
    process: Process | None = None  # the only one that matters

    def within(self, process: Process) -> Self:
        """Return such a source for the threads of a process, wherever its events belong to one."""
        found = copy(self)
        found.process = process
        return found

    @abstractmethod
    def event(self, target: str) -> tuple[str, PerfEvent]:
        """Return the one way to write a target, and its event; UsageError, NotFound."""

    def targets(self) -> Iterator[str]:
        """Yield the targets that have names of their own, which the kernel need not offer."""
        return iter(())

    def has_address(self, event: PerfEvent) -> bool:
        """Return whether the kernel tells an address with each event."""
        del event
        return False

    def absent(self, event: PerfEvent, errno: int) -> str:
        """Return why an event cannot be had here, which is the kernel's answer."""
        del event
        return "this kernel has no such event" if errno == ENOENT else "the kernel does not take it"

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the events with names that match and that this machine offers; NotSupported where it has none.

        Where we may not ask for an event it is taken to be there.
        """
        match = re.compile(translate(pattern)).match
        reason, found = "", False
        for target in sorted(self.targets()):
            _, event = self.event(target)
            errno = event.refusal()
            if errno in _ABSENT:
                reason = reason or self._reason(event, errno)
                continue
            found = True
            if match(target):
                yield ProbePoint(self.kind, target)
        if reason and not found:
            raise NotSupported(f"no {self.kind} event can be probed: {reason}")

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the event of a spec, or those that a pattern matches; NotSupported says why it cannot be had here."""
        if is_pattern(target):
            names = [point.target for point in self.discover("*")]
            return [ProbePoint(self.kind, name) for name in chosen(names, target, f"{self.kind} event")]
        name, event = self.event(target)
        point = ProbePoint(self.kind, name)
        errno = event.refusal()
        if errno in _ABSENT:
            raise NotSupported(f"{point} cannot be probed: {self._reason(event, errno)}")
        if errno:
            raise KernelError(f"can't open {point}", errno, hint=perf_hint(errno))
        return [point]

    def _reason(self, event: PerfEvent, errno: int) -> str:
        if errno in (EINVAL, EOPNOTSUPP) and event._replace(period=0).refusal() == 0:
            return "its unit can be counted, but never interrupts a CPU"
        if errno == ENODEV:
            return "none of the CPUs that could tell of it runs"
        return self.absent(event, errno)

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return what the context of a program tells."""
        _, event = self.event(point.target)
        return fields.here(with_address=self.has_address(event))

    def groups(self, points: Sequence[ProbePoint], names: frozenset[str], held: ExitStack) -> Iterator[Group]:
        """Yield a group for each event: one program, attached in each thread of the process, or on each CPU."""
        del names, held
        for point in points:
            _, event = self.event(point.target)
            if self.process is None or event.cpus is not None:
                yield self._on_cpus(point, event)
            else:
                attach = partial(attach_perf_event_in, event=event, name=str(point), process=self.process)
                group = self._group(point, "perf event in each thread", attach)
                yield group._replace(otherwise=partial(self._on_cpus, point, event))

    def _on_cpus(self, point: ProbePoint, event: PerfEvent) -> Group:
        cpus = "each CPU" if event.cpus is None else f"CPU {', '.join(map(str, event.cpus))}"
        attach = partial(attach_perf_event, event=event, name=str(point))
        return self._group(point, f"perf event on {cpus}", attach)._replace(for_all=self.process is not None)

    def _group(self, point: ProbePoint, way: str, how: Callable[..., list[Closing]]) -> Group:
        def attach(program: Program, cookie: int = 0) -> list[Closing]:
            return how(program, cookie=cookie)

        return Group(way, (point,), ProgType.PERF_EVENT, partial(self._field, point), attach, attach_cookie=attach)

    def _field(self, point: ProbePoint, name: str) -> Field:
        return known(self.fields(point), name, str(point))


class CountedSource(PerfSource):
    """A kind of perf event that can also be counted without a program."""

    def counters(self, target: str) -> Sequence[PerfCounter]:
        """Return what ``TARGET[:u|k]`` counts, or of a pattern what this machine can count."""
        match = _MODE.fullmatch(target)
        target, mode = (match["target"], "".join(sorted(match["mode"], reverse=True))) if match else (target, "")
        if not is_pattern(target):
            return [self.counter(target)._replace(mode=mode)]
        every = [self.counter(name)._replace(mode=mode) for name in sorted(self.targets())]
        refusals = {counter.name: counter.refusal() for counter in every}
        names = [name for name, errno in refusals.items() if errno not in _ABSENT]
        if every and not names:
            raise NotSupported(f"no {self.kind} event can be counted: {every[0].reason(refusals[every[0].name])}")
        found = chosen(names, f"{self.kind}:{target}", f"{self.kind} event")
        return [counter for counter in every if counter.name in found]

    def counter(self, target: str) -> PerfCounter:
        """Return what a target counts; UsageError, NotFound."""
        name, event = self.event(target)
        if _WITH_COUNT.fullmatch(name):
            raise UsageError(f"'{self.kind}:{target}': a count is for what fires, and here everything is counted")
        return self.told(name, PerfCounter(f"{self.kind}:{name}", event._replace(period=0)))

    def told(self, name: str, counter: PerfCounter) -> PerfCounter:
        """Return a counter with what else is known of it."""
        del name
        return counter._replace(reason=partial(self.absent, counter.event))


def counted(target: str, kind: str) -> tuple[str, int | None]:
    """Split ``NAME[:COUNT]``: what comes before a count, and the count; UsageError."""
    name, colon, count = target.partition(":")
    return name, period(count, f"{kind}:{target}") if colon else None


def period(text: str, spec: str) -> int:
    """Return the count that a spec ends with; UsageError."""
    count = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) else 0
    if not 0 < count <= _MOST:
        raise UsageError(f"'{spec}': '{text}' should be a count, from 1 to {_MOST}")
    return count


def named(name: str, aliases: Mapping[str, str], names: Sequence[str], what: str) -> str:
    """Return the name that another one stands for; NotFound says what is close."""
    if name in aliases:
        return aliases[name]
    (found,) = chosen([*names, *aliases], name, what)
    return found


def spelled(name: str, count: int | None, usual: int) -> str:
    """Return the one way to write a target whose count may be the usual."""
    return name if count in (None, usual) else f"{name}:{count}"
