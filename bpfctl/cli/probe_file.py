"""bpfctl probe run: what a session file says, at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.cli.over import over_with
from bpfctl.cli.probe_run import positive, rounds, tell
from bpfctl.cli.stop import held_back, hurry, stopped_within
from bpfctl.errors import BpfctlError, UsageError
from bpfctl.gauge.file import read
from bpfctl.gauge.gauge import Gauge
from bpfctl.gauge.session import Session
from bpfctl.gauge.trace import Traced
from bpfctl.views.hits import missing
from bpfctl.views.together import BOARD, EVENTS, Named, Part, Round

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from bpfctl.cli.session import Session as Output
    from bpfctl.gauge.file import Measurement, Plan
    from bpfctl.gauge.gauge import Running

_PAUSE = 0.05  # seconds between two looks for hits
_AT_ONCE = 4096  # hits


def run(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    pid: opt.Pid = None,
    cgroup: opt.Cgroup = None,
    interval: opt.EachInterval = None,
    duration: opt.Duration = None,
) -> None:
    """Measure several things at once, as a session file says.

    What it has of --pid, --cgroup, --interval and --duration is what these say when they are given.
    """
    positive(interval=interval, duration=duration)
    left = grammar.Words(words)
    path = left.next("a session file")
    left.end()
    if ctx.obj.depth:
        raise UsageError("probes go on until somebody stops them, so they are no command for a batch")
    plan = read(path)
    plan = plan._replace(
        pid=plan.pid if pid is None else pid,
        cgroup=cgroup or plan.cgroup,
        interval=interval or plan.interval,
        duration=duration or plan.duration,
    )
    with over_with(plan.pid) as is_over, Session(pid=plan.pid, cgroup=plan.cgroup) as session:
        together = _Together(plan, session)
        with held_back():
            for running in together.all:
                tell(ctx.obj, running.run)
            together.show(ctx.obj)
            if is_over():
                ctx.obj.out.note(f"process {plan.pid} has ended")


class _Together:
    """The measurements of a plan at work."""

    def __init__(self, plan: Plan, session: Session) -> None:
        self._plan = plan
        self._gauges: list[tuple[Measurement, Gauge[Any, Any]]] = []
        self._traces: list[tuple[Measurement, Traced]] = []
        for measurement in plan.measurements:
            try:
                running = measurement.begin(session)
            except BpfctlError as error:
                error.add_note(f"{measurement.place}: [[{measurement.action}]] {measurement.name}")
                raise
            if isinstance(running, Traced):
                self._traces.append((measurement, running))
            elif isinstance(running, Gauge):
                self._gauges.append((measurement, running))
        self._begin = time.monotonic()

    @property
    def all(self) -> Sequence[Running[Any]]:
        return [running for _, running in (*self._gauges, *self._traces)]

    def show(self, session: Output) -> None:
        """Show what comes until it is over."""
        plan = self._plan
        if not self._traces:
            rounds(session, BOARD, self._round, self, interval=plan.interval, duration=plan.duration)
            return
        told: dict[str, int] = {}
        session.out.follow(EVENTS, self._events(session, told))
        self._tell_lost(session, told)
        for measurement, traced in self._traces:
            if missed := traced.missed():
                session.out.warn(f"{measurement.name}: {missing(missed)}")

    def stop(self) -> None:
        """Detach all."""
        for running in self.all:
            running.stop()

    def _round(self) -> Round:
        parts = [
            Part(measurement.name, measurement.action, gauge.board, gauge.round(measurement.top))
            for measurement, gauge in self._gauges
        ]
        return Round(time.time(), time.monotonic() - self._begin, parts)

    def _events(self, session: Output, told: dict[str, int]) -> Iterator[Sequence[Named | Round]]:
        """Yield hits as they come, and rounds when their time has come, and all that is left at the end."""
        plan = self._plan
        due = None if plan.interval is None else self._begin + plan.interval
        end = None if plan.duration is None else self._begin + plan.duration
        over = False
        while not over:
            hits = self._hits()
            yield hits
            self._tell_lost(session, told)
            now = time.monotonic()
            over = (end is not None and now >= end) or stopped_within(0 if hits else _PAUSE)
            if due is not None and plan.interval and now >= due and not over:
                due += plan.interval
                yield [self._round()]
        hurry()
        self.stop()
        while hits := self._hits():
            yield hits
        if self._gauges:
            yield [self._round()]

    def _hits(self) -> list[Named]:
        found = [Named(measurement.name, hit) for measurement, traced in self._traces for hit in traced.read(_AT_ONCE)]
        return sorted(found, key=lambda named: named.hit.time)

    def _tell_lost(self, session: Output, told: dict[str, int]) -> None:
        for measurement, traced in self._traces:
            more = traced.lost() - told.get(measurement.place, 0)
            if more:
                told[measurement.place] = told.get(measurement.place, 0) + more
                session.out.warn(f"{measurement.name}: {more} hits were lost: the buffer was full (buffer = BYTES)")
