"""The commands of bpfctl probe that only tell: show, dry-run."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.cli.probe_run import listed, specs, wanted
from bpfctl.errors import BpfctlError
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.making import make
from bpfctl.probe.session import Probing, Wanted
from bpfctl.probe.source import Located
from bpfctl.probe.sources import Sources
from bpfctl.views.probe import PROGRAMS, WHOLE, Told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.probe.action import Action
    from bpfctl.probe.source import ProbePoint


def show(ctx: opt.Context, words: opt.Words = None, *, pid: opt.Pid = None, way: opt.Way = "") -> None:
    """Show what can be read at probes, and whether they can be attached here, which is tried."""
    sources = Sources(pid)
    points = sources.resolve(specs(grammar.Words(words)))

    def rows() -> Iterator[Told]:
        for point in points:
            yield _told(sources, point, way)

    ctx.obj.out.show(WHOLE, rows(), listing=len(points) != 1)


def _told(sources: Sources, point: ProbePoint, way: str) -> Told:
    try:
        source = sources.of(point.kind)
        told = Told(
            point, source.fields(point), locations=source.locations(point) if isinstance(source, Located) else ()
        )
    except BpfctlError as error:
        return Told(point, None, refusal=str(error))
    try:
        with Count() as counts, Probing(sources, Wanted((point,), way=way), counts) as run:
            return told._replace(way=run.made[0].group.way)
    except BpfctlError as error:
        return told._replace(refusal=str(error))


def dry_run(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    by: opt.By = None,
    fields: opt.TraceFields = None,
    where: opt.ProbeWhere = None,
    pid: opt.Pid = None,
    cgroup: opt.Cgroup = None,
    way: opt.Way = "",
) -> None:
    """Show the programs that a count, or with --fields a trace, would load, and how it would attach them.

    Without --fields it is that of a count. Nothing is attached; the ways to attach it are told in the order in
    which they are tried.
    """
    action: Action = Trace(listed(fields)) if fields else Count(listed(by))
    with wanted(ctx.obj, words, where=where, pid=pid, cgroup=cgroup, way=way) as (sources, what), ExitStack() as held:
        held.enter_context(action)
        ctx.obj.out.show(PROGRAMS, make(sources, what, action, held), listing=True)
