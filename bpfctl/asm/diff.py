"""
What differs between two programs: which instructions are the same ones, and which only one of them has.

    steps = diff(first, second)         # Items, made of instructions by whoever knows their names

Items are alike when their keys are. A jump is the same jump only if it leads to the same instruction: how far that is
does not matter, for whatever stands between may differ.

Instructions that each program has once are anchors, as in patience diff; between anchors the shortest difference is
looked for (Myers, "An O(ND) Difference Algorithm and Its Variations"), in pieces where it is a long one.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    Pairs = list[tuple[int, int]]

_LONG = 128  # instructions that only one side has, in one search for the shortest difference


class Item(NamedTuple):
    """An instruction: what makes it the same as another, and the place among the items where it may jump."""

    key: Hashable
    target: int | None = None


class Step(NamedTuple):
    """The places of an instruction; one is None for what only the other program has."""

    first: int | None
    second: int | None


def diff(first: Sequence[Item], second: Sequence[Item]) -> list[Step]:
    """Return every instruction of both in order; of those that are replaced, the first program's come first."""
    pairs = align([item.key for item in first], [item.key for item in second])
    places = _Places(pairs, 0), _Places(pairs, 1)
    steps: list[Step] = []
    at = [0, 0]
    for one, other in [*pairs, (len(first), len(second))]:
        if one < len(first) and not _led_alike(first[one].target, second[other].target, places):
            continue
        steps += [Step(place, None) for place in range(at[0], one)]
        steps += [Step(None, place) for place in range(at[1], other)]
        if one < len(first):
            steps.append(Step(one, other))
        at = [one + 1, other + 1]
    return steps


def _led_alike(first: int | None, second: int | None, places: tuple[_Places, _Places]) -> bool:
    if first is None or second is None:
        return first is second
    return places[0].of(first) == places[1].of(second)


class _Places:
    """Where instructions are as both programs see it: in a pair, or so far behind one."""

    def __init__(self, pairs: Pairs, side: int) -> None:
        self._paired = [pair[side] for pair in pairs]

    def of(self, place: int) -> tuple[int, int]:
        """Return how many pairs are before a place, and how far it is behind the last of them (0: it is the pair)."""
        before = bisect_left(self._paired, place)
        if before < len(self._paired) and self._paired[before] == place:
            return before, 0
        return before, place - (self._paired[before - 1] if before else -1)


def align(first: Sequence[Hashable], second: Sequence[Hashable]) -> Pairs:
    """Return the places of what is the same in both, in order."""
    numbers: dict[Hashable, int] = {}
    one, other = ([numbers.setdefault(key, len(numbers)) for key in keys] for keys in (first, second))
    pairs: Pairs = []
    left = [(0, len(one), 0, len(other))]
    while left:
        low, high, start, end = left.pop()
        while low < high and start < end and one[low] == other[start]:
            pairs.append((low, start))
            low, start = low + 1, start + 1
        while low < high and start < end and one[high - 1] == other[end - 1]:
            high, end = high - 1, end - 1
            pairs.append((high, end))
        if low == high or start == end:
            continue
        anchors = _anchors(one, other, (low, high, start, end))
        if not anchors:
            pairs += _shortest(one[low:high], other[start:end], (low, start))
            continue
        pairs += anchors
        fence = [(low - 1, start - 1), *anchors, (high, end)]
        left += [(a + 1, b, c + 1, d) for (a, c), (b, d) in pairwise(fence)]
    return sorted(pairs)


def _anchors(one: list[int], other: list[int], part: tuple[int, int, int, int]) -> Pairs:
    """Return the longest series of pairs that each side has once."""
    low, high, start, end = part
    there = _once(one, low, high)
    found = sorted((there[key], place) for key, place in _once(other, start, end).items() if key in there)
    ends: list[int] = []  # the least place where a series of each length may end
    chains: list[tuple[int, int, int]] = []  # a pair, and the one before it in its series
    tops: list[int] = []
    for pair in found:
        length = bisect_left(ends, pair[1])
        chains.append((*pair, tops[length - 1] if length else -1))
        ends[length : length + 1] = [pair[1]]
        tops[length : length + 1] = [len(chains) - 1]
    series: Pairs = []
    at = tops[-1] if tops else -1
    while at >= 0:
        first, second, at = chains[at]
        series.append((first, second))
    return series[::-1]


def _once(keys: list[int], low: int, high: int) -> dict[int, int]:
    """Return where the keys are that a part has once."""
    seen: dict[int, int] = {}
    several: set[int] = set()
    for place in range(low, high):
        if keys[place] in seen:
            several.add(keys[place])
        seen[keys[place]] = place
    return {key: place for key, place in seen.items() if key not in several}


def _shortest(one: list[int], other: list[int], base: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of the shortest difference, looked for in pieces where it is long."""
    low = start = 0
    while low < len(one) and start < len(other):
        pairs, low, start = _search(one, other, low, start)
        yield from ((base[0] + first, base[1] + second) for first, second in pairs)


def _search(one: list[int], other: list[int], low: int, start: int) -> tuple[Pairs, int, int]:
    """Return the pairs from a place on, and how far they reach: the end, or as far as a long difference gets."""
    wide, high = len(one) - low, len(other) - start
    # By diagonal, the furthest place on the first side, and the runs of pairs on the way, the last one outermost.
    reach: dict[int, tuple[int, _Run | None]] = {1: (0, None)}
    for count in range(_LONG + 1):
        for line in range(-count, count + 1, 2):
            if line == -count or (line != count and reach[line - 1][0] < reach[line + 1][0]):
                x, run = reach[line + 1]
            else:
                x, run = reach[line - 1]
                x += 1
            begin = x
            while x < wide and x - line < high and one[low + x] == other[start + x - line]:
                x += 1
            if x > begin:
                run = _Run(low + begin, start + begin - line, x - begin, run)
            reach[line] = x, run
            if x == wide and x - line == high:
                return _pairs(run), len(one), len(other)
    inside = [line for line in range(-_LONG, _LONG + 1, 2) if reach[line][0] <= wide and reach[line][0] - line <= high]
    best = max(inside, key=lambda line: 2 * reach[line][0] - line)
    x, run = reach[best]
    return _pairs(run), low + x, start + x - best


class _Run(NamedTuple):
    """Pairs that follow each other, and those before them."""

    first: int
    second: int
    length: int
    before: _Run | None


def _pairs(run: _Run | None) -> Pairs:
    pairs: Pairs = []
    while run is not None:
        pairs += [(run.first + at, run.second + at) for at in range(run.length)]
        run = run.before
    return pairs
