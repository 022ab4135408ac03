"""bpfctl btf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, lists, opt
from bpfctl.errors import UsageError
from bpfctl.kernel import btf
from bpfctl.views.btf import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Unpack

    from bpfctl.kernel.owner import How
    from bpfctl.kernel.select import Select

_ID = ("id", "i")  # bpftool's word and how it may be cut short; a type of such a name is asked for as struct id


def show(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    expand: opt.Expand = False,
    **options: Unpack[opt.NamedRows],
) -> None:
    """Show BTF objects, or a type.

    Of a structure these are offset and size of each member, holes, cache lines and totals, of an enum its values,
    and of a function its prototype.
    """
    left = grammar.Words(words)
    wanted = lists.Wanted(**options)
    if not left or left.peek() in _ID:
        if expand:
            raise UsageError("--expand is for a type, not for lists")
        _list(ctx, words, wanted)
        return
    from bpfctl.cli import btf_show

    if wanted != lists.EVERYTHING:
        raise UsageError(
            "--name, --owner, --sort, --watch, --fields, --no-header and --csv are for lists, not for a type"
        )
    btf_show.show(ctx.obj, left, expand=expand)


def list_(ctx: opt.Context, words: opt.Words = None, **options: Unpack[opt.NamedRows]) -> None:
    """Show BTF objects."""
    _list(ctx, words, lists.Wanted(**options))


def _list(ctx: opt.Context, words: opt.Words, wanted: lists.Wanted) -> None:
    which = grammar.listing(grammar.Words(words), grammar.btf)
    lists.show(ctx.obj, VIEW, _rows, which, wanted)


def _rows(which: Select | None, *, pinned: bool, owners: How) -> Iterator[btf.BtfRow]:  # noqa: ARG001
    """Yield the rows of a list; BTF objects cannot be pinned."""
    return btf.rows(which, owners=owners)
