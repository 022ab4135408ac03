"""bpfctl prog top: which programs cost most."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bpfctl.cli import grammar, opt, voice
from bpfctl.errors import UsageError

if TYPE_CHECKING:
    from bpfctl.cli.lists import Wanted
    from bpfctl.cli.session import Session
    from bpfctl.kernel.prog import ProgramRow
    from bpfctl.kernel.select import Select
    from bpfctl.render.output import Output
    from bpfctl.views.usage import Round
    from bpfctl.views.view import View


def top(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    sort: opt.SortTop = "cpu",
    interval: opt.Interval = 1.0,
    count: opt.Count = None,
    limit: opt.LimitPrograms = None,
) -> None:
    """Show how often programs run and what that costs, until Ctrl-C.

    The kernel counts as long as this runs, which costs each run of a program some nanoseconds.
    """
    from bpfctl.kernel.usage import Statistics
    from bpfctl.views.usage import BOARD, ORDERS, gathered

    which = grammar.listing(grammar.Words(words), grammar.prog)
    if ctx.obj.depth:
        raise UsageError("prog top shows a round after the other, so it is no command for a batch")
    _check(interval)
    order = _order(sort.removeprefix("-").replace("_", " "), list(ORDERS))
    with Statistics(which) as statistics:

        def ask() -> Round:
            return gathered(statistics.look(), order, backwards=sort.startswith("-"), limit=limit)

        _output(ctx.obj).board(BOARD, ask, seconds=interval, count=count)


def measured(which: Select | None, wanted: Wanted, interval: float) -> View[ProgramRow]:
    """Return a view of programs that tells what they do in the next seconds, once those are over."""
    from bpfctl.kernel.usage import Statistics
    from bpfctl.views.prog import VIEW
    from bpfctl.views.usage import with_usage

    if wanted.watch is not None:
        raise UsageError("--stats measures once: prog top shows it again and again")
    _check(interval)
    with Statistics(which) as statistics:
        time.sleep(interval)
        return with_usage(VIEW, {each.id: each for each in statistics.look()})


def _check(interval: float) -> None:
    if not 0 < interval < 1 << 31:
        raise UsageError(f"can't measure for {interval:g} seconds")


def _order(word: str, orders: list[str]) -> str:
    found = [order for order in orders if order.startswith(word)] if word else []
    if word in orders:
        return word
    if len(found) != 1:
        from bpfctl.cli.columns import near

        meant = near(word, orders) or f", only one of: {', '.join(orders)}"
        raise UsageError(f"can't sort programs by '{word}'{meant}")
    return found[0]


def _output(session: Session) -> Output:
    """Return the voice of a command whose output goes to a person, or else to a program: JSON by the line."""
    if session.options.json or session.options.plain or voice.is_table(session.out.sink, session.options):
        return session.out
    from bpfctl.render.json import JsonOutput

    return JsonOutput(session.out.sink, pretty=False)
