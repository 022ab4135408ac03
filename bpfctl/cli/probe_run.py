"""The commands of bpfctl probe that attach: count, trace."""

from __future__ import annotations

import math
import os
import time
from contextlib import ExitStack, contextmanager
from functools import partial, reduce
from itertools import islice
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.cli.stop import stopping, wait
from bpfctl.errors import UsageError
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.cgroup import Within
from bpfctl.probe.session import Probing, Sources, Wanted
from bpfctl.probe.where import Binary, Name, Number, parse
from bpfctl.views.hit_lines import HitLines
from bpfctl.views.hits import BOARD, HITS, OF_ONE, Round, missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.cli.session import Session
    from bpfctl.probe.actions.trace import Hits
    from bpfctl.probe.where import Tree

_INTERVAL = 1.0
_LARGEST = 1 << 30
_AT_ONCE = 4096  # hits


def count(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    by: opt.By = None,
    where: opt.ProbeWhere = None,
    pid: opt.Pid = None,
    cgroup: opt.Cgroup = None,
    way: opt.Way = "",
    interval: opt.EachInterval = None,
    duration: opt.Duration = None,
    top: opt.TopRows = None,
    max_entries: opt.MaxEntries = 10_000,
) -> None:
    """Count hits in the kernel until Ctrl-C: SPEC...

    A terminal shows them as they grow, a pipe gets the sums at the end, or with --interval each time.
    """
    out = ctx.obj.out
    _positive(interval=interval, duration=duration)
    with (
        wanted(ctx.obj, words, where=where, pid=pid, cgroup=cgroup, way=way) as (sources, what),
        Count(listed(by), max_entries=max_entries) as counts,
        Probing(sources, what, counts) as run,
    ):
        _tell(ctx.obj, run)
        begin = time.monotonic()

        def ask() -> Round:
            rows = counts.rows()
            spelled = [(counts.spelled(row), row.hits) for row in rows[:top]]
            return Round(
                time.time(),
                time.monotonic() - begin,
                counts.by,
                rows[:top],
                spelled,
                len(rows),
                sum(row.hits for row in rows),
                counts.lost(),
                run.missed(),
            )

        if interval is None and not _is_watched(ctx.obj):
            wait(duration)
            run.stop()
            out.board(BOARD, ask, seconds=0, count=1)
            return
        seconds = interval or min(_INTERVAL, duration or _INTERVAL)
        out.board(BOARD, ask, seconds=seconds, count=None if duration is None else math.ceil(duration / seconds))


def trace(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    fields: opt.TraceFields = None,
    where: opt.ProbeWhere = None,
    pid: opt.Pid = None,
    cgroup: opt.Cgroup = None,
    way: opt.Way = "",
    duration: opt.Duration = None,
    limit: opt.HitLimit = None,
    buffer: opt.Buffer = 8 << 20,
) -> None:
    """Show a line for each hit until Ctrl-C, with what can be read there: SPEC..."""
    if buffer < 4096 or buffer & buffer - 1 or buffer > _LARGEST:
        raise UsageError(f"--buffer: {buffer} is no power of two from 4096 to {_LARGEST}")
    out = ctx.obj.out
    _positive(duration=duration)
    with (
        wanted(ctx.obj, words, where=where, pid=pid, cgroup=cgroup, way=way) as (sources, what),
        stopping() as stop,
        Trace(listed(fields), size=buffer) as hits,
        Probing(sources, what, hits) as run,
        hits.reader() as reader,
    ):
        stop.closes(reader)
        _tell(ctx.obj, run)

        told = 0

        def tell_lost() -> None:
            nonlocal told
            lost = hits.lost()
            if lost > told:
                out.warn(f"{lost - told} hits were lost: the buffer was full (--buffer BYTES makes a larger one)")
                told = lost

        def batches() -> Iterator[Hits]:
            left = limit
            for records in reader.batches(limit=limit, seconds=duration):
                left = None if left is None else left - len(records)
                yield hits.hits(records)
                tell_lost()
            run.stop()
            if left == 0:
                return
            rest = _rest(hits, left)  # what came before the end and is still in the buffer
            yield from islice(rest, 1) if _is_watched(ctx.obj) else rest
            if more := sum(map(len, rest)):
                out.warn(f"{more} more hits are not shown: the terminal was slower than they came")

        view = HITS if len(what.points) > 1 else OF_ONE
        out.follow(view._replace(lines=HitLines()), batches())
        tell_lost()
        if missed := run.missed():
            out.warn(missing(missed))


def _rest(hits: Trace, limit: int | None) -> Iterator[Hits]:
    """Yield what is in the buffer when nobody writes to it any more."""
    with hits.reader() as reader:
        while limit is None or limit > 0:
            records = reader.read(_AT_ONCE if limit is None else min(limit, _AT_ONCE))
            if not records:
                return
            limit = None if limit is None else limit - len(records)
            yield hits.hits(records)


@contextmanager
def wanted(
    session: Session, words: opt.Words, *, where: str | None, pid: int | None, cgroup: str | None, way: str
) -> Iterator[tuple[Sources, Wanted]]:
    """Find the points of all words, and which hits count, for as long as programs are made of that."""
    names = specs(grammar.Words(words))
    if session.depth:
        raise UsageError("probes go on until somebody stops them, so they are no command for a batch")
    sources = Sources(pid)
    with ExitStack() as held:
        parts: list[Tree] = []
        if pid is not None:
            parts.append(Binary("==", Name("pid"), Number(pid)))
        if cgroup is not None:
            parts.append(held.enter_context(Within(cgroup)).holds)
        if where is not None:
            parts.append(parse(where))
        condition = reduce(partial(Binary, "&&"), parts) if parts else None
        yield sources, Wanted(sources.resolve(names), condition, way)


def _tell(session: Session, run: Probing) -> None:
    """Tell a person that it has begun, since attaching may take a moment and the first hit may be long in coming."""
    if os.isatty(2):
        count = len(run.wanted.points)
        ways = ", ".join(dict.fromkeys(made.group.way for made in run.made))
        session.out.note(f"attached {count} probe{'s' if count > 1 else ''} ({ways}), Ctrl-C ends")


def _is_watched(session: Session) -> bool:
    """Return whether a person looks at a table that can be drawn anew."""
    return not session.options.json and not session.options.plain and os.isatty(session.out.sink.fd)


def specs(left: grammar.Words) -> list[str]:
    """Return the probes that are named, of which there must be one."""
    found = [left.next("a probe, such as tracepoint:sched:sched_switch")]
    while left:
        found.append(left.next("a probe"))
    return found


def listed(words: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of an option that may be repeated, and whose values are lists with commas."""
    found = [name for word in words or () for name in word.split(",")]
    if "" in found:
        raise UsageError("a name is missing between the commas")
    return tuple(dict.fromkeys(found))


def _positive(**seconds: float | None) -> None:
    for name, value in seconds.items():
        if value is not None and not 0 < value < 1 << 31:
            raise UsageError(f"--{name}: can't wait for {value:g} seconds")
