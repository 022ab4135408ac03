"""bpfctl probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.errors import NotSupported, PluginError
from bpfctl.probe import registry
from bpfctl.probe.session import Sources
from bpfctl.views.probe import VIEW, WITH_FIELDS, Told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.cli.session import Session
    from bpfctl.probe.source import ProbePoint


def list_(ctx: opt.Context, words: opt.Words = None, *, verbose: opt.Verbose = False) -> None:
    """Show what can be probed: everything, or what a pattern such as tracepoint:sched:* matches."""
    left = grammar.Words(words)
    pattern = left.next("the pattern") if left else "*"
    left.end()
    sources = Sources()
    rows = (
        Told(point, sources.of(point.kind).fields(point) if verbose else None) for point in _points(ctx.obj, pattern)
    )
    ctx.obj.out.show(WITH_FIELDS if verbose else VIEW, rows, listing=True)


def _points(session: Session, pattern: str) -> Iterator[ProbePoint]:
    """Yield what a KIND:PATTERN matches, or a pattern without a kind in all sources."""
    kind, colon, rest = pattern.partition(":")
    if colon and kind.isidentifier():
        yield from registry.find(kind).discover(rest)
        return
    for plugin in registry.plugins():
        try:
            yield from registry.load(plugin).discover(pattern if "*" in pattern else f"*{pattern}*")
        except (NotSupported, PluginError) as error:  # one source that has nothing to offer does not hide the others
            session.out.note(str(error))
