"""Arrows in the margin of a program's code: from each jump to where it leads.

Jumps to one place share an arrow. Short arrows stand next to the code, longer ones further out; those for which
there is no room left are not drawn.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_LANES = 8


class Glyphs(NamedTuple):
    """What arrows are made of."""

    down: str
    across: str
    crossing: str
    first: str  # where an arrow has its upper end
    last: str
    between: str
    head: str
    under_first: str  # where a longer arrow passes over such an end
    under_last: str


LINES = Glyphs("│", "─", "┼", "╭", "╰", "├", "▶", "┬", "┴")
ASCII = Glyphs("|", "-", "+", "+", "+", "+", ">", "+", "+")


class _Arrow(NamedTuple):
    lane: int  # no two at one place are in the same
    low: int
    high: int
    target: int
    sources: frozenset[int]


class Arrows:
    """The arrows of jumps, which are pairs of a place and where it leads."""

    def __init__(self, jumps: Iterable[tuple[int, int]], glyphs: Glyphs = LINES) -> None:
        self._glyphs = glyphs
        self._crossing: dict[int, list[_Arrow]] = {}  # the arrows that begin, end or pass at a place
        self._lanes = 0
        for arrow in _laid(jumps):
            self._lanes = max(self._lanes, arrow.lane + 1)
            for place in range(arrow.low, arrow.high + 1):
                self._crossing.setdefault(place, []).append(arrow)

    def at(self, place: int) -> str:
        """Return the margin of an instruction."""
        g = self._glyphs
        row = [" "] * (self._lanes + 1)
        for arrow in self._crossing.get(place, ()):
            row[arrow.lane] = g.down
        touching = [arrow for arrow in self._crossing.get(place, ()) if place == arrow.target or place in arrow.sources]
        for arrow in sorted(touching):  # from the innermost on, so that what is longer passes over what is shorter
            row[arrow.lane] = g.first if place == arrow.low else g.last if place == arrow.high else g.between
            row[: arrow.lane] = [_over(under, g) for under in row[: arrow.lane]]
        if touching:
            row[self._lanes] = g.head if any(place == arrow.target for arrow in touching) else g.across
        return self._turned(row)

    def before(self, place: int) -> str:
        """Return the margin of a line above an instruction."""
        row = [" "] * (self._lanes + 1)
        for arrow in self._crossing.get(place, ()):
            if place > arrow.low:
                row[arrow.lane] = self._glyphs.down
        return self._turned(row)

    def _turned(self, row: list[str]) -> str:
        """Return a row with the first lane next to the code, and what touches the code at the end."""
        return "".join(reversed(row[:-1])) + row[-1] + " " if self._lanes else ""


def _over(under: str, g: Glyphs) -> str:
    passed = {" ": g.across, g.down: g.crossing, g.between: g.crossing, g.first: g.under_first, g.last: g.under_last}
    return passed.get(under, under)


def _laid(jumps: Iterable[tuple[int, int]]) -> list[_Arrow]:
    """Give each arrow the innermost lane that is free."""
    sources: dict[int, set[int]] = {}
    for source, target in jumps:
        if source != target:
            sources.setdefault(target, set()).add(source)
    spans = [(min(target, *starts), max(target, *starts), target) for target, starts in sources.items()]
    lanes: list[list[tuple[int, int]]] = []
    laid = []
    for low, high, target in sorted(spans, key=lambda span: (span[1] - span[0], span)):
        for lane in range(_MOST_LANES):
            if lane == len(lanes):
                lanes.append([])
            at = bisect_left(lanes[lane], (low, high))
            before, after = lanes[lane][:at][-1:], lanes[lane][at : at + 1]
            if all(end < low for _, end in before) and all(start > high for start, _ in after):
                lanes[lane].insert(at, (low, high))
                laid.append(_Arrow(lane, low, high, target, frozenset(sources[target])))
                break
    return laid
