"""bpfctl map watch and stat: what moves in maps, and how full they are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt
from bpfctl.errors import UsageError
from bpfctl.kernel.map import PER_CPU, Map

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfctl.cli.session import Session
    from bpfctl.kernel.fill import Fill
    from bpfctl.kernel.map_types import Types
    from bpfctl.views.change import Round

_MOST_CHANGES = 1000  # of a round that are shown, unless told otherwise


def watch(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    interval: opt.Interval = 1.0,
    key_prefix: opt.KeyPrefix = None,
    where: opt.Where = None,
    top: opt.Top = None,
    limit: opt.Limit = None,
) -> None:
    """Show which entries of a map change, and how fast, until Ctrl-C.

    Values that each CPU has its own of are added up.
    """
    from bpfctl.cli.look import Look, Looking
    from bpfctl.kernel import map_types
    from bpfctl.kernel.change import Watched
    from bpfctl.kernel.elements import Walk
    from bpfctl.kernel.field import Grid
    from bpfctl.kernel.meter import Meter
    from bpfctl.views import change
    from bpfctl.views.element import Shape

    left = grammar.Words(words)
    left.at_least(2, "watch")
    which = grammar.map_(left)
    left.end()
    _endless(ctx.obj, "map watch", interval)
    if top is not None and top[1] < 1:
        raise UsageError(f"--top: the number of entries is 1 or more, not {top[1]}")
    most = min(filter(None, (limit, top and top[1])), default=_MOST_CHANGES)
    with Map.one(which) as map_:
        info = map_.info()
        types: Types | None = map_types.types(info)
        looking = Looking(info, types, Look(key_prefix, info.type in PER_CPU, where))
        meter = Meter(looking.info, looking.types, top[0] if top else None)
        watched = Watched(info.id, Grid.of(looking.info))
        before = 0.0

        def ask() -> Round:
            nonlocal before
            now = time.monotonic()
            seconds, before = now - (before or now), now
            changes = watched.changes(looking.chunks(Walk(map_, info).told()))
            return change.gathered(changes, meter, most, seconds)._replace(entries=watched.entries)

        title = f"map {info.id} {info.name or ''}".rstrip()
        board = change.Changes(Shape(looking.info, looking.types), meter, title).board()
        ctx.obj.out.board(board, ask, seconds=interval)


def stat(ctx: opt.Context, words: opt.Words = None, *, watch: opt.Watch = None) -> None:
    """Show how full maps are.

    Entries are counted, and arrays have all of theirs; of ring buffers it is what nobody has read yet.
    """
    from bpfctl.kernel.fill import fills
    from bpfctl.views.fill import VIEW

    which = grammar.listing(grammar.Words(words), grammar.map_)
    if watch is None:
        ctx.obj.out.show(VIEW, fills(which), listing=which is None)
        return
    _endless(ctx.obj, "--watch", watch)
    before: dict[int, Fill] = {}

    def ask() -> Iterable[Fill]:
        nonlocal before
        found = {fill.id: fill for fill in fills(which, before)}
        before = found
        return found.values()

    ctx.obj.out.watch(VIEW, ask, listing=which is None, seconds=watch)


def _endless(session: Session, what: str, seconds: float) -> None:
    """Raise UsageError where something that goes on until Ctrl-C cannot be run."""
    if session.depth:
        raise UsageError(f"{what} has no end, so it is no command for a batch")
    if not 0 < seconds < 1 << 31:
        raise UsageError(f"can't wait {seconds:g} seconds between two rounds of {what}")
