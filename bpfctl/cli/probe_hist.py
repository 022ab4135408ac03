"""bpfctl probe hist."""

from __future__ import annotations

import re
from functools import partial

from bpfctl.cli import opt  # noqa: TC001 - Typer reads the annotations
from bpfctl.cli.probe_run import listed, positive, probing, rounds
from bpfctl.errors import UsageError
from bpfctl.gauge.hist import Histograms
from bpfctl.probe.actions.hist import Hist, Linear

_LINEAR = re.compile(r"(-?\d{1,19}):(-?\d{1,19}):(\d{1,19})", re.ASCII)


def hist(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    of: opt.Of = None,
    by: opt.By = None,
    linear: opt.LinearScale = None,
    where: opt.ProbeWhere = None,
    pid: opt.Pid = None,
    cgroup: opt.Cgroup = None,
    way: opt.Way = "",
    interval: opt.EachInterval = None,
    duration: opt.Duration = None,
    top: opt.TopRows = None,
    max_entries: opt.MaxHistograms = 1000,
) -> None:
    """Show how often a number has which values, by powers of 2 or --linear, until Ctrl-C.

    The number is that of --of, in buckets from each power of 2 to the next, or those of --linear.
    """
    positive(interval=interval, duration=duration)
    if of is None:
        raise UsageError("--of FIELD says which number is meant; probe show SPEC tells the fields")
    hists = Hist(of, listed(by), linear=_scale(linear), max_entries=max_entries)
    with probing(ctx.obj, words, hists, where=where, pid=pid, cgroup=cgroup, way=way) as run:
        ask = partial(Histograms(hists, run).round, top)
        rounds(ctx.obj, Histograms.board, ask, run, interval=interval, duration=duration)


def _scale(word: str | None) -> Linear | None:
    if word is None:
        return None
    found = _LINEAR.fullmatch(word)
    if found is None:
        raise UsageError(f"--linear: '{word}' should be MIN:MAX:STEP, such as 0:100:10")
    return Linear(*map(int, found.groups()))
