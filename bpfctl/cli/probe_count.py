"""bpfctl probe count."""

from __future__ import annotations

import time

from bpfctl.cli import opt  # noqa: TC001 - Typer reads the annotations
from bpfctl.cli.probe_run import listed, positive, probing, rounds
from bpfctl.probe.actions.count import Count
from bpfctl.views.hits import BOARD, Round


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
    positive(interval=interval, duration=duration)
    counts = Count(listed(by), max_entries=max_entries)
    with probing(ctx.obj, words, counts, where=where, pid=pid, cgroup=cgroup, way=way) as run:
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

        rounds(ctx.obj, BOARD, ask, run, interval=interval, duration=duration)
