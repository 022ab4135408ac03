"""bpfctl map."""

from __future__ import annotations

from bpfctl.cli import grammar, lists, opt
from bpfctl.kernel import map as maps
from bpfctl.views.map import VIEW


def show(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    type_: opt.Type = None,
    name: opt.Name = None,
    owner: opt.Owner = None,
    pinned: opt.Pinned = False,
    sort: opt.Sort = None,
    watch: opt.Watch = None,
    fields: opt.Columns = None,
    no_header: opt.NoHeader = False,
    csv: opt.Csv = False,
) -> None:
    """Show maps."""
    which = grammar.listing(grammar.Words(words), grammar.map_)
    wanted = lists.Wanted(type_, name, owner, pinned, sort, watch, fields, no_header=no_header, csv=csv)
    lists.show(ctx.obj, VIEW, maps.rows, which, wanted)


def pin(ctx: opt.Context, words: opt.Words = None) -> None:
    """Pin a map at a path in a BPF file system.

    A pinned map stays until that file is removed.
    """
    from bpfctl.cli import pin as pinning

    pinning.run(ctx.obj, words, grammar.map_, maps.Map)
