"""bpfctl probe trace."""

from __future__ import annotations

from bpfctl.cli import opt  # noqa: TC001 - the annotations are read
from bpfctl.cli.follow import follow, lines
from bpfctl.cli.probe_run import listed, positive, probing
from bpfctl.cli.stop import stopping
from bpfctl.probe.actions.trace import Trace


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
    """Show a line for each hit until Ctrl-C, with what can be read there.

    It goes on until Ctrl-C, --limit or --duration. Hits for which there was no room are counted and told.
    """
    positive(duration=duration)
    hits = Trace(listed(fields), size=buffer)
    with (
        probing(ctx.obj, words, hits, where=where, pid=pid, cgroup=cgroup, way=way) as run,
        stopping() as stop,
    ):
        follow(ctx.obj, hits, run, stop, lines(one=len(run.wanted.points) == 1), limit=limit, duration=duration)
