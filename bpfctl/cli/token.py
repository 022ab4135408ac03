"""bpfctl token: what others may do by tokens."""

from __future__ import annotations

from bpfctl.cli import grammar, opt
from bpfctl.kernel import token
from bpfctl.views.token import VIEW


def show(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show which BPF file systems delegate rights, and which."""
    grammar.Words(words).end()
    ctx.obj.out.show(VIEW, token.rows(), listing=True)
