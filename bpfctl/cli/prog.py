"""bpfctl prog."""

from __future__ import annotations

from bpfctl.cli import grammar, lists, opt
from bpfctl.errors import UsageError
from bpfctl.kernel import prog
from bpfctl.views.prog import VIEW


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
    stats: opt.Stats = False,
    interval: opt.Interval = 1.0,
) -> None:
    """Show loaded programs."""
    which = grammar.listing(grammar.Words(words), grammar.prog)
    wanted = lists.Wanted(type_, name, owner, pinned, sort, watch, fields, no_header=no_header, csv=csv)
    view = VIEW
    if stats:
        from bpfctl.cli import prog_top

        view = prog_top.measured(which, wanted, interval)
    elif interval != 1.0:
        raise UsageError("--interval is of use only with --stats")
    lists.show(ctx.obj, view, prog.rows, which, wanted)


def pin(ctx: opt.Context, words: opt.Words = None) -> None:
    """Pin a program at a path in a BPF file system.

    A pinned program stays loaded until that file is removed.
    """
    from bpfctl.cli import pin as pinning

    pinning.run(ctx.obj, words, grammar.prog, prog.Program)
