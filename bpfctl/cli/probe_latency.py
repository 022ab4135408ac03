"""bpfctl probe latency."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.cli import opt  # noqa: TC001 - the annotations are read
from bpfctl.cli.follow import follow, lines
from bpfctl.cli.probe_run import at_work, listed, positive, rounds, wanted
from bpfctl.cli.stop import stopping
from bpfctl.cli.times import nanoseconds
from bpfctl.errors import UsageError
from bpfctl.gauge.hist import Latencies
from bpfctl.probe import calls
from bpfctl.probe.actions.latency import Latency
from bpfctl.probe.actions.slow import SlowCalls
from bpfctl.probe.actions.trace import check_size
from bpfctl.probe.duration import UNITS
from bpfctl.probe.histograms import Linear
from bpfctl.views.calls import remarks_on_calls
from bpfctl.views.slow_calls import with_stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from bpfctl.cli.session import Session
    from bpfctl.probe.actions.timed import Timed
    from bpfctl.probe.calls import Timing
    from bpfctl.probe.session import Probing
    from bpfctl.views.slow_calls import Name

    A = TypeVar("A", bound=Timed)


def latency(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    begin: opt.FromProbe = None,
    end: opt.ToProbe = None,
    key: opt.SameKey = None,
    by: opt.CallsBy = None,
    linear: opt.TimeScale = None,
    unit: opt.TimeUnit = None,
    over: opt.SlowerThan = None,
    fields: opt.CallFields = None,
    stacks: opt.CallStacks = False,
    where: opt.ProbeWhere = None,
    pid: opt.Pid = None,
    cgroup: opt.Cgroup = None,
    way: opt.Way = "",
    interval: opt.EachInterval = None,
    duration: opt.Duration = None,
    limit: opt.HitLimit = None,
    top: opt.TopRows = None,
    buffer: opt.Buffer = 8 << 20,
    max_entries: opt.MaxHistograms = 1000,
    max_calls: opt.MaxCalls = 10_240,
) -> None:
    """Show how long calls take, or what is between two probes, until Ctrl-C.

    A call of a function is timed from where it begins to where it returns, whichever of both is named; --from and
    --to time what is between two probes. Histograms are in the kernel; --over has a line for each that took so
    long.
    """
    session = ctx.obj
    positive(interval=interval, duration=duration)
    check_size(buffer)
    _check(begin, end, key, words)
    unit = _unit(unit)
    pairs, names = [*map(calls.pair, listed(key))], listed(fields if over else by)
    place = _Place(words or begin, end, where, pid, cgroup, way)
    if over is None:
        if fields or stacks or limit is not None:
            name = "--fields" if fields else "--stacks" if stacks else "--limit"
            raise UsageError(f"{name} is for lines of slow calls: --over TIME")
        scale = _scale(linear, unit)

        def times(what: Timing) -> Latency:
            return Latency(
                what.calls,
                names,
                linear=scale,
                unit=unit,
                max_entries=max_entries,
                at_end=what.at_end,
                key=pairs,
                nested=what.nested,
                max_calls=max_calls,
            )

        with _timing(session, place, names, times) as (timed, run):
            ask = partial(Latencies(timed, run).round, top)
            rounds(session, Latencies.board, ask, run, interval=interval, duration=duration)
        return
    if by or linear or interval is not None or top is not None:
        name = "--by" if by else "--linear" if linear else "--top" if top else "--interval"
        raise UsageError(f"{name} is for histograms: --over has a line for each call")
    least = nanoseconds(over, "--over")

    def slow_ones(what: Timing) -> SlowCalls:
        return SlowCalls(
            what.calls,
            least,
            names,
            unit=unit,
            size=buffer,
            stacks=stacks,
            at_end=what.at_end,
            key=pairs,
            nested=what.nested,
            max_calls=max_calls,
        )

    with _timing(session, place, names, slow_ones) as (slow, run), stopping() as stop:
        view = lines(one=len(slow.calls) == 1)
        with ExitStack() as held:
            if stacks:
                view = with_stacks(view, held.enter_context(_names(pid)))
            follow(session, slow, run, stop, view, limit=limit, duration=duration)
        for remark in remarks_on_calls(slow.tally()):
            session.out.warn(remark)


@contextmanager
def _names(pid: int | None) -> Iterator[Name]:
    """Have stacks named, one by one."""
    from bpfctl.probe.actions.stacks import Stack
    from bpfctl.probe.named_stacks import Names

    with Names(pid) as names:
        yield lambda pid, kernel, user: names.named([Stack((), pid, kernel, user, 1, 1)])[0]


class _Place(NamedTuple):
    """Which calls are meant."""

    begin: opt.Words
    end: Sequence[str] | None  # None: where functions return
    where: str | None
    pid: int | None
    cgroup: str | None
    way: str


def _check(begin: list[str] | None, end: list[str] | None, key: list[str] | None, words: opt.Words) -> None:
    if bool(begin) != bool(end):
        raise UsageError("--from and --to belong together")
    if begin and words:
        raise UsageError(f"'{words[0]}': either calls of functions are timed, or what is between --from and --to")
    if key and not begin:
        raise UsageError("--key is for what is between --from and --to: a call is known by its thread and its frame")


def _unit(word: str | None) -> str:
    if word is not None and word not in UNITS:
        raise UsageError(f"--unit: '{word}' should be one of {', '.join(UNITS)}")
    return word or ""


def _scale(word: str | None, unit: str) -> Linear | None:
    """Return the scale of MIN:MAX:STEP in the unit, where numbers alone are of that unit, or nanoseconds."""
    if word is None:
        return None
    parts = word.split(":")
    if len(parts) != len(Linear._fields) or not all(parts):
        raise UsageError(f"--linear: '{word}' should be MIN:MAX:STEP, such as 0:10ms:500us")
    times = [nanoseconds(f"{part}{unit or 'ns'}" if part[-1].isdigit() else part, "--linear") for part in parts]
    size = UNITS[unit or "ns"]
    if any(time % size for time in times):
        raise UsageError(f"--linear: '{word}' is no whole numbers of {unit}")
    return Linear(*(time // size for time in times))


@contextmanager
def _timing(
    session: Session, place: _Place, names: Sequence[str], make: Callable[[Timing], A]
) -> Iterator[tuple[A, Probing]]:
    """Have calls timed; ``make`` is told which."""
    begin, end, where, pid, cgroup, way = place
    with wanted(session, begin, where=where, pid=pid, cgroup=cgroup, way=way) as (sources, points):
        what = calls.timing(sources, points, end or (), names)
        action = make(what)
        with at_work(session, sources, what.wanted, action, pid) as run:
            yield action, run
