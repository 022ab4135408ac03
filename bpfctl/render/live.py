"""A board that a person looks at: its rates, what the last minute was like, and what keys do to it."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.views.view import Board, Column

Row = TypeVar("Row")

_MINUTE = 60  # seconds
_CELLS = 30  # of the curve, so that there is room for words on a narrow screen
_BLOCKS, _ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
_PER_SECOND = "per s"
_UNITS = ("", "k", "M", "G")


class Live(Generic[Row]):
    """What stands on the screen of a board."""

    def __init__(self, board: Board[Row], ask: Callable[[], Row], *, utf8: bool) -> None:
        self._board = board
        self._ask = ask
        self._marks = _BLOCKS if utf8 else _ASCII
        self._minute: deque[tuple[float, float]] = deque()  # when, and what came in each second until then
        self._before: tuple[float, float, dict[Any, float]] | None = None  # when, the total, the amounts
        self._rates: dict[Any, float] = {}
        self._found: Row | None = None
        self._order = 0
        self._reverse = False
        self.is_paused = False
        self.is_over = False

    def press(self, keys: str) -> None:
        """Do what keys mean; those that mean nothing do nothing."""
        for key in keys:
            if key in "qQ":
                self.is_over = True
            elif key in " p":
                self.is_paused = not self.is_paused
            elif key == "s":
                self._order += 1
                self._reverse = False
            elif key == "r":
                self._reverse = not self._reverse

    def look(self, *, anew: bool) -> Row:
        """Return the round that is shown: with ``anew`` another one, unless it is to stand still."""
        if self._found is None or (anew and not self.is_paused):
            self._found = self._ask()
            self._measure(self._found)
        return self._found

    def _measure(self, found: Row) -> None:
        growth = self._board.growth
        if growth is None:
            return
        now, total = time.monotonic(), growth.total(found)
        amounts = {growth.key(row): growth.amount(row) for row in self._board.rows(found)} if growth.key else {}
        if self._before is not None:
            then, before, had = self._before
            seconds = max(now - then, 1e-9)
            self._rates = {key: (amount - had.get(key, 0)) / seconds for key, amount in amounts.items()}
            self._minute.append((now, max(total - before, 0) / seconds))
            while self._minute[0][0] <= now - _MINUTE:
                self._minute.popleft()
        self._before = now, total, amounts

    def columns(self, found: Row) -> tuple[Column, ...]:
        """Return the columns, behind the first one what comes in a second."""
        first, *rest = self._board.columns(found)
        growth = self._board.growth
        if growth is None or not growth.key:
            return (first, *rest)
        key = growth.key
        rate = first._replace(
            title=_PER_SECOND, get=lambda row: _short(self._rates.get(key(row), 0)), hint="number", tone="", rank=2
        )
        return (first, rate, *rest)

    def rows(self, found: Row) -> Sequence[Any]:
        """Return the rows in the order that a person has chosen, of equals the one that stood first."""
        rows = self._board.rows(found)
        orders = self._orders(found)
        if not orders or (not self._order % len(orders) and not self._reverse):
            return rows
        _, get, largest = orders[self._order % len(orders)]
        return sorted(rows, key=get, reverse=largest is not self._reverse)

    def _orders(self, found: Row) -> list[tuple[str, Callable[[Any], Any], bool]]:
        orders = [*self._board.orders(found)] if self._board.orders else []
        growth = self._board.growth
        if orders and growth and growth.key:
            key = growth.key
            orders.insert(1, (_PER_SECOND, lambda row: self._rates.get(key(row), 0), True))
        return orders

    def curve(self) -> str:
        """Return what came in the last second, and how it went up and down in the last minute."""
        if not self._minute:
            return ""
        rates = [rate for _, rate in self._minute]
        cells = min(len(rates), _CELLS)
        means = [_mean(rates[len(rates) * at // cells : len(rates) * (at + 1) // cells]) for at in range(cells)]
        most = max(means) or 1
        top = len(self._marks) - 1
        drawn = "".join(self._marks[max(round(mean / most * top), mean > 0)] for mean in means)
        return f"{_short(rates[-1])}/s {drawn}"

    def help(self, found: Row, *, keys: bool) -> str:
        """Return what there is to press."""
        if not keys:
            return "Ctrl-C ends"
        words = ["q ends", "space goes on" if self.is_paused else "space pauses"]
        if orders := self._orders(found):
            name, _, largest = orders[self._order % len(orders)]
            falls = largest is not self._reverse
            words.append(f"s sorts ({name}, {'down' if falls else 'up'}), r reverses")
        return ", ".join(words)


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _short(rate: float) -> str:
    """Return a rate with three digits or more."""
    if rate < 10 and rate != int(rate):
        return f"{rate:.1f}"
    unit = next((at for at in range(len(_UNITS)) if rate < 9999.5 * 1000**at), len(_UNITS) - 1)
    return f"{rate / 1000**unit:.0f}{_UNITS[unit]}"
