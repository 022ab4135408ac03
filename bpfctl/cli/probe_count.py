"""bpfctl probe count."""

from __future__ import annotations

from functools import partial

from bpfctl.cli import opt  # noqa: TC001 - Typer reads the annotations
from bpfctl.cli.probe_run import listed, positive, probing, rounds
from bpfctl.gauge.count import Counts
from bpfctl.probe.actions.count import Count


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
    """Count hits in the kernel until Ctrl-C.

    A terminal shows them as they grow, a pipe gets the sums at the end, or with --interval each time. They are
    counted until Ctrl-C, or as long as --duration says.
    """
    positive(interval=interval, duration=duration)
    counts = Count(listed(by), max_entries=max_entries)
    with probing(ctx.obj, words, counts, where=where, pid=pid, cgroup=cgroup, way=way) as run:
        ask = partial(Counts(counts, run).round, top)
        rounds(ctx.obj, Counts.board, ask, run, interval=interval, duration=duration)
