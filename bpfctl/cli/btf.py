"""bpfctl btf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, lists, opt
from bpfctl.errors import UsageError
from bpfctl.kernel import btf
from bpfctl.views.btf import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.owner import How
    from bpfctl.kernel.select import Select

_ID = ("id", "i")  # bpftool's word and how it may be cut short; a type of such a name is asked for as struct id


def show(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    name: opt.Name = None,
    owner: opt.Owner = None,
    sort: opt.Sort = None,
    watch: opt.Watch = None,
    expand: opt.Expand = False,
) -> None:
    """Show BTF objects: all, or the one with an id (id N). Or a type: TYPE [SOURCE], such as struct task_struct."""
    left = grammar.Words(words)
    wanted = lists.Wanted(name=name, owner=owner, sort=sort, watch=watch)
    if not left or left.peek() in _ID:
        if expand:
            raise UsageError("--expand is for a type, not for lists")
        list_(ctx, words, name=name, owner=owner, sort=sort, watch=watch)
        return
    from bpfctl.cli import btf_show

    if wanted != lists.EVERYTHING:
        raise UsageError("--name, --owner, --sort and --watch are for lists, not for a type")
    btf_show.show(ctx.obj, left, expand=expand)


def list_(
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
