"""bpfctl prog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.cli import grammar, lists, opt
from bpfctl.errors import UsageError
from bpfctl.kernel import prog
from bpfctl.views.prog import VIEW

if TYPE_CHECKING:
    from typing import Unpack


def show(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    stats: opt.Stats = False,
    interval: opt.Interval = 1.0,
    **options: Unpack[opt.Rows],
) -> None:
    """Show loaded programs."""
    which = grammar.listing(grammar.Words(words), grammar.prog)
    wanted = lists.Wanted(**options)
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
