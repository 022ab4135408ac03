"""bpfctl probe."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from bpfctl.cli import columns, grammar, opt
from bpfctl.errors import KernelError, NotFound, NotSupported, PluginError
from bpfctl.probe import registry
from bpfctl.probe.sources import Sources
from bpfctl.views.probe import VIEW, WITH_FIELDS, Told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.cli.session import Session
    from bpfctl.probe.source import ProbePoint


def list_(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    verbose: opt.Verbose = False,
    pid: opt.Pid = None,
    fields: opt.Columns = None,
    no_header: opt.NoHeader = False,
    csv: opt.Csv = False,
) -> None:
    """Show what can be probed, in JSON line by line.

    With -j each probe is a line. Exit code 3 when nothing matches.
    """
    left = grammar.Words(words)
    pattern = left.next("the pattern") if left else "*"
    left.end()
    view = WITH_FIELDS if verbose else VIEW
    view = columns.chosen(view, fields) if fields is not None else view
    out, view = columns.output(ctx.obj, view, no_header=no_header, csv=csv)
    sources = Sources(pid)
    points = _points(ctx.obj, sources, pattern)
    first = next(points)  # where there is none nothing is shown, not even the head of a table
    rows = (Told(point, sources.of(point.kind).fields(point) if verbose else None) for point in chain((first,), points))
    if ctx.obj.options.json:
        out.follow(view, [rows])  # there may be hundreds of thousands
    else:
        out.show(view, rows, listing=True)


def _points(session: Session, sources: Sources, pattern: str) -> Iterator[ProbePoint]:
    """Yield what a KIND:PATTERN matches, or a pattern without a kind in all sources; NotFound where nothing does."""
    kind, colon, _ = pattern.partition(":")
    point, more = None, ""
    if colon and kind.isidentifier():
        source, rest = sources.split(pattern)
        for point in source.discover(rest):
            yield point
        if "*" not in rest:
            before, colon, name = rest.rpartition(":")
            more = f"; for a part of a name write '{source.kind}:{before}{colon}*{name}*'"
    else:
        unlisted: dict[str, str] = {}
        for plugin in registry.plugins():
            try:
                for point in registry.load(plugin).discover(pattern if "*" in pattern else f"*{pattern}*"):
                    yield point
            except (KernelError, NotSupported, PluginError) as error:  # one that has nothing to offer hides no others
                if str(error) not in unlisted.values():
                    session.out.note(str(error))
                unlisted[plugin.kind] = str(error)
        if unlisted:
            more = f", and nothing can be listed of {', '.join(unlisted)}"
    if point is None:
        raise NotFound(f"no probe matches '{pattern}'{more}")
