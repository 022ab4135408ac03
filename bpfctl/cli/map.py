"""bpfctl map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, lists, opt
from bpfctl.kernel import map as maps
from bpfctl.views.map import VIEW

if TYPE_CHECKING:
    from typing import Unpack


def show(ctx: opt.Context, words: opt.Words = None, **options: Unpack[opt.Rows]) -> None:
    """Show maps."""
    which = grammar.listing(grammar.Words(words), grammar.map_)
    lists.show(ctx.obj, VIEW, maps.rows, which, lists.Wanted(**options))


def pin(ctx: opt.Context, words: opt.Words = None) -> None:
    """Pin a map at a path in a BPF file system.

    A pinned map stays until that file is removed.
    """
    from bpfctl.cli import pin as pinning

    pinning.run(ctx.obj, words, grammar.map_, maps.Map)
