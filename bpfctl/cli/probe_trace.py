"""bpfctl probe trace."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from bpfctl.cli import opt  # noqa: TC001 - Typer reads the annotations
from bpfctl.cli.probe_run import is_watched, listed, positive, probing
from bpfctl.cli.stop import stopping
from bpfctl.errors import UsageError
from bpfctl.probe.actions.trace import Trace
from bpfctl.views.hit_lines import HitLines
from bpfctl.views.hits import HITS, OF_ONE, missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.probe.actions.trace import Hits

_LARGEST = 1 << 30
_AT_ONCE = 4096  # hits


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
    positive(duration=duration)
    hits = Trace(listed(fields), size=buffer)
    with (
        probing(ctx.obj, words, hits, where=where, pid=pid, cgroup=cgroup, way=way) as run,
        stopping() as stop,
        hits.reader() as reader,
    ):
        stop.closes(reader)
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
            yield from islice(rest, 1) if is_watched(ctx.obj) else rest
            if more := sum(map(len, rest)):
                out.warn(f"{more} more hits are not shown: the terminal was slower than they came")

        view = HITS if len(run.wanted.points) > 1 else OF_ONE
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
