"""bpfctl link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, lists, opt
from bpfctl.errors import BpfctlError, UsageError
from bpfctl.kernel import link
from bpfctl.views.link import VIEW

if TYPE_CHECKING:
    from typing import Unpack


def show(ctx: opt.Context, words: opt.Words = None, **options: Unpack[opt.PinnedRows]) -> None:
    """Show links."""
    which = grammar.listing(grammar.Words(words), grammar.link)
    lists.show(ctx.obj, VIEW, link.rows, which, lists.Wanted(**options))


def pin(ctx: opt.Context, words: opt.Words = None) -> None:
    """Pin a link at a path in a BPF file system.

    A pinned link keeps its program attached until that file is removed.
    """
    from bpfctl.cli import pin as pinning

    pinning.run(ctx.obj, words, grammar.link, link.Link)


def detach(ctx: opt.Context, words: opt.Words = None) -> None:
    """Detach a link's program from its target.

    The link itself stays until nobody holds it. Exit code 1 where its type cannot be detached.
    """
    run, left = ctx.obj, grammar.Words(words)
    try:
        if len(left) != 2:
            raise UsageError("link specifier is invalid or missing", is_short=len(left) < 2)
        with link.Link.one(grammar.link(left)) as held:
            held.detach()
    except BpfctlError as error:
        error.exit_code = 1  # where other commands answer 255, or with the errno
        raise
    run.out.done()
