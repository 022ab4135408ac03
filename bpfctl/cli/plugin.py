"""bpfctl plugin."""

from __future__ import annotations

from bpfctl.cli import columns, grammar, opt
from bpfctl.probe import registry
from bpfctl.views.plugin import VIEW, rows


def list_(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    fields: opt.Columns = None,
    no_header: opt.NoHeader = False,
    csv: opt.Csv = False,
) -> None:
    """Show the installed plugins, and why one that is broken is broken."""
    grammar.Words(words).end()
    view = columns.chosen(VIEW, fields) if fields is not None else VIEW
    out, view = columns.output(ctx.obj, view, no_header=no_header, csv=csv)
    out.show(view, rows(registry.plugins()), listing=True)
