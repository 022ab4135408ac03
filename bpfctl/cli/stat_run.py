"""What bpfctl probe stat does: counters count, and what they tell is shown, of a command or until somebody stops it."""

from __future__ import annotations

import math
import os
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.cli import voice
from bpfctl.cli.over import over_with
from bpfctl.cli.stop import held_back, hurry, wait
from bpfctl.errors import NotSupported
from bpfctl.probe.counting import Counters, Scope
from bpfctl.probe.ratio import Ratios
from bpfctl.probe.workload import Ended, Workload
from bpfctl.render.watch import stops
from bpfctl.views.stat import BOARD, ROUNDS, Line, Round, is_shared, mean, section

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from bpfctl.cli.options import Options
    from bpfctl.probe.countable import Group
    from bpfctl.probe.counting import Tally
    from bpfctl.render.output import Output

_INTERVAL = 1.0  # seconds


class Wanted(NamedTuple):
    """What is counted, and how it is told."""

    groups: list[Group]
    scope: Scope
    of_command: bool  # whether the command is what is counted, and not only how long
    scaled: bool
    interval: float | None
    duration: float | None
    repeat: int


class _Clock:
    """Makes rounds of what counters tell, and knows when."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._begin = self._before = time.monotonic()

    def more(self) -> Round:
        """Return what was counted since the last time."""
        now, before = time.monotonic(), self._before
        self._before = now
        return _round(self._counters, self._counters.read_more(), now - before)

    def all(self, ended: Ended | None = None) -> Round:
        """Return what was counted since the beginning."""
        seconds = time.monotonic() - self._begin
        return _round(self._counters, self._counters.read(), seconds)._replace(is_sum=True, ended=ended)


def _round(counters: Counters, tallies: Sequence[Tally], seconds: float) -> Round:
    ratios = Ratios(tallies, seconds)
    lines = [Line(tally, ratios.of(tally)) for tally in tallies]
    return Round(time.time(), seconds, lines, _remarks(counters, tallies))


def _remarks(counters: Counters, tallies: Sequence[Tally]) -> list[str]:
    """Say what a reader of the numbers has to know."""
    reasons: dict[str, list[str]] = {}
    for counter, errno in counters.refused.items():
        reasons.setdefault(counter.reason(errno), []).append(str(counter))
    found = [
        f"not supported: {reason}" + (f" ({', '.join(names)})" if len(reasons) > 1 else "")
        for reason, names in reasons.items()
    ]
    if counters.of_machine:
        found.append(f"{', '.join(map(str, counters.of_machine))}: of the whole machine, since a thread has none of it")
    if any(is_shared(tally) for tally in tallies):
        found.append("counters were shared, and so counted for a part of the time")
    return found


def until_stopped(wanted: Wanted, out: Output, pid: int | None, options: Options) -> None:
    """Count until Ctrl-C, or for so long."""
    with (
        over_with(pid) as is_over,
        Counters(wanted.groups, wanted.scope, scaled=wanted.scaled) as counters,
        held_back(),
    ):
        if len(counters.refused) == sum(map(len, wanted.groups)):
            counter, errno = next(iter(counters.refused.items()))
            raise NotSupported(f"{counter} cannot be counted: {counter.reason(errno)}")
        clock = _Clock(counters)
        counters.begin()

        whole: list[Round] = []

        def last() -> Round:
            hurry()
            counters.end()
            whole.append(clock.all())
            return whole[-1]

        if voice.is_table(out.sink, options) and os.isatty(out.sink.fd):
            rounds = math.ceil((wanted.duration or 1) / (wanted.interval or _INTERVAL))
            seconds = wanted.interval or (wanted.duration or 1) / rounds
            ask = clock.all if wanted.interval is None else clock.more
            out.board(BOARD, ask, seconds=seconds, count=rounds if wanted.duration else None, last=last)
            _note(out, whole)
        else:
            if os.isatty(2) and wanted.duration is None:
                out.note("counting, Ctrl-C ends")
            out.follow(ROUNDS, _in_turn(wanted, clock, last))
        if is_over():
            out.note(f"process {pid} has ended")


def _note(out: Output, told: Sequence[Round]) -> None:
    """Say behind a table what a reader of its numbers has to know."""
    for remark in (remark for found in told for remark in found.remarks):
        out.note(remark)


def _in_turn(wanted: Wanted, clock: _Clock, last: Callable[[], Round]) -> Iterator[list[Round]]:
    if wanted.interval is None:
        wait(wanted.duration)
    else:
        for _ in _intervals(wanted.interval, wanted.duration):
            yield [clock.more()]
    yield [last()]


def _intervals(seconds: float, duration: float | None) -> Iterator[None]:
    """Yield each time that an interval is over, and when all is, until somebody wants a stop."""
    due = time.monotonic()
    end = math.inf if duration is None else due + duration
    while due < end:
        due = min(due + seconds, end)
        if signal.sigtimedwait(stops(), max(0.0, due - time.monotonic())):
            return
        yield


def of_command(wanted: Wanted, command: Sequence[str], out: Output, stdout: int, options: Options) -> int:
    """Run a command so often as is wanted, tell what was counted meanwhile, and return its last exit code."""
    if wanted.interval is not None:
        told: list[Round] = []
        with closing(_run(wanted, command, stdout)) as found:  # also where nobody reads what is told any more

            def noted() -> Iterator[list[Round]]:
                for one in found:
                    told[:] = [one]
                    yield told

            out.follow(ROUNDS, noted())
        return _code(told[-1])
    runs: list[Round] = []
    for _ in range(wanted.repeat):
        *_, last = _run(wanted, command, stdout)
        runs.append(last)
        if last.ended and last.ended.is_stopped:
            break
    whole = mean(runs)
    if voice.is_table(out.sink, options):
        out.report([section(whole)])
        _note(out, [whole])
    else:
        out.follow(ROUNDS, [[whole]])
    return _code(whole)


def _run(wanted: Wanted, command: Sequence[str], stdout: int) -> Generator[Round, None, None]:
    """Run a command, and yield what has come in each interval, and in the end all."""
    with Workload(command, stdout=stdout) as workload:
        scope = wanted.scope._replace(command=workload.pid) if wanted.of_command else wanted.scope
        with Counters(wanted.groups, scope, scaled=wanted.scaled) as counters:
            clock = _Clock(counters)
            counters.begin()
            workload.start()
            if wanted.interval is None:
                workload.wait()
            else:
                due = time.monotonic()
                is_over = False
                while not is_over:
                    due += wanted.interval
                    is_over = workload.wait(max(0.0, due - time.monotonic()))
                    yield clock.more()
            counters.end()
            yield clock.all(workload.ended)


def _code(told: Round) -> int:
    return told.ended.exit_code if told.ended else 0
