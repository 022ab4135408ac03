"""bpfctl probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.errors import KernelError, NotSupported, PluginError
from bpfctl.probe import registry
from bpfctl.probe.session import Sources
from bpfctl.views.probe import VIEW, WITH_FIELDS, Told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.cli.session import Session
    from bpfctl.probe.source import ProbePoint


def list_(ctx: opt.Context, words: opt.Words = None, *, verbose: opt.Verbose = False, pid: opt.Pid = None) -> None:
    """Show what can be probed, in JSON line by line: all, or what a pattern such as tracepoint:sched:* matches."""
    left = grammar.Words(words)
    pattern = left.next("the pattern") if left else "*"
    left.end()
    sources = Sources(pid)
    rows = (
        Told(point, sources.of(point.kind).fields(point) if verbose else None)
        for point in _points(ctx.obj, sources, pattern)
    )
    view = WITH_FIELDS if verbose else VIEW
    if ctx.obj.options.json:
        ctx.obj.out.follow(view, [rows])  # there may be hundreds of thousands
    else:
        ctx.obj.out.show(view, rows, listing=True)


def _points(session: Session, sources: Sources, pattern: str) -> Iterator[ProbePoint]:
    """Yield what a KIND:PATTERN matches, or a pattern without a kind in all sources."""
    kind, colon, _ = pattern.partition(":")
    if colon and kind.isidentifier():
        source, rest = sources.split(pattern)
        point = None
        for point in source.discover(rest):
            yield point
        if point is None:
            more = "" if "*" in rest else f"; for a part of a name write '{source.kind}:*{rest}*'"
            session.out.note(f"no probe matches '{pattern}'{more}")
        return
    told = set()
    for plugin in registry.plugins():
        try:
            yield from registry.load(plugin).discover(pattern if "*" in pattern else f"*{pattern}*")
        except (
            KernelError,
            NotSupported,
            PluginError,
        ) as error:  # one source that has nothing to offer does not hide the others
            if str(error) not in told:
                session.out.note(str(error))
            told.add(str(error))
