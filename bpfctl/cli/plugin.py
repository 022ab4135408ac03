"""bpfctl plugin."""

from __future__ import annotations

from bpfctl.cli import grammar, opt
from bpfctl.probe import registry
from bpfctl.views.plugin import VIEW, rows


def list_(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show the installed plugins, and why one that is broken is broken."""
    grammar.Words(words).end()
    ctx.obj.out.show(VIEW, rows(registry.plugins()), listing=True)
