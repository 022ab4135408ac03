"""bpfctl probe clean: what a bpfctl has left in tracefs that was killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.attach import tracefs
from bpfctl.cli import grammar, opt
from bpfctl.views.leftover import VIEW, Fate

if TYPE_CHECKING:
    from collections.abc import Iterator


def clean(ctx: opt.Context, words: opt.Words = None, *, dry_run: opt.TellOnly = False) -> None:
    """Remove the events of tracefs that a bpfctl has left which was killed, and tell which.

    Those that a pinned link uses stay until it is gone, and are told too.
    """
    grammar.Words(words).end()
    ctx.obj.out.show(VIEW, _fates(dry_run=dry_run), listing=True)


def _fates(*, dry_run: bool) -> Iterator[Fate]:
    for event in tracefs.leftovers():
        yield Fate(event, "left" if dry_run else "removed" if event.remove() else "in use")
