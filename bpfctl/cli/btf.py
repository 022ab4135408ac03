"""bpfctl btf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, lists, opt
from bpfctl.kernel import btf
from bpfctl.views.btf import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.owner import How
    from bpfctl.kernel.select import Select


def show(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    name: opt.Name = None,
    owner: opt.Owner = None,
    sort: opt.Sort = None,
    watch: opt.Watch = None,
) -> None:
    """Show BTF objects: all, or the one with an id (id N)."""
    which = grammar.listing(grammar.Words(words), grammar.btf)
    wanted = lists.Wanted(name=name, owner=owner, sort=sort, watch=watch)
    lists.show(ctx.obj, VIEW, _rows, which, wanted)


def _rows(which: Select | None, *, pinned: bool, owners: How) -> Iterator[btf.BtfRow]:  # noqa: ARG001
    """Yield the rows of a list; BTF objects cannot be pinned."""
    return btf.rows(which, owners=owners)
