"""bpfctl link."""

from __future__ import annotations

from bpfctl.cli import grammar, lists, opt
from bpfctl.errors import BpfctlError, UsageError
from bpfctl.kernel import link
from bpfctl.views.link import VIEW


def show(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    type_: opt.Type = None,
    owner: opt.Owner = None,
    pinned: opt.Pinned = False,
    sort: opt.Sort = None,
    watch: opt.Watch = None,
    fields: opt.Columns = None,
    no_header: opt.NoHeader = False,
    csv: opt.Csv = False,
) -> None:
    """Show links."""
    which = grammar.listing(grammar.Words(words), grammar.link)
    wanted = lists.Wanted(type_, None, owner, pinned, sort, watch, fields, no_header=no_header, csv=csv)
    lists.show(ctx.obj, VIEW, link.rows, which, wanted)


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
            raise UsageError("link specifier is invalid or missing")
        with link.Link.one(grammar.link(left)) as held:
            held.detach()
    except BpfctlError as error:
        error.exit_code = 1  # where other commands answer 255, or with the errno
        raise
    run.out.done()
