"""bpfctl prog."""

from __future__ import annotations

from bpfctl.cli import grammar, opt
from bpfctl.kernel import prog
from bpfctl.views.prog import VIEW


def show(ctx: opt.Context, words: opt.Words = None) -> None:
    """Show loaded programs: all, or those that a handle names (id N, pinned FILE, tag TAG, name NAME)."""
    run, left = ctx.obj, grammar.Words(words)
    which = grammar.prog(left) if left else None
    left.end()
    found = prog.rows(which, pinned=run.options.bpffs, owners=not run.options.no_owners)
    run.out.show(VIEW, found, listing=which is None)


def pin(ctx: opt.Context, words: opt.Words = None) -> None:
    """Pin a program at a path in a BPF file system: PROG FILE."""
    run, left = ctx.obj, grammar.Words(words)
    left.at_least(3, "pin")
    which = grammar.prog(left)
    path = left.next("the path")
    left.end()
    with prog.one(which) as program:
        from bpfctl.kernel import pin as pinning

        mounted = pinning.pin(program, path, mount=not run.options.nomount)
    if mounted:
        run.out.note(f"mounted a BPF file system on {mounted}")
    run.out.done()
