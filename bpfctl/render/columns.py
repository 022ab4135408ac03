"""How the columns of a table share the width of a screen.

Nothing is dropped or wrapped while everything fits. On a narrower screen lists are wrapped between their items
first, and beside a long one the others take a third of the screen at most; then columns leave, those of the highest
rank first; at last long words are broken, and titles wrapped. No text is cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bpfctl.views.view import Column

    Items = tuple[str, ...]
    Measure = Callable[[str], int]  # how many places of the screen a text takes

GAP = 2
_LIST_WANTS = 40  # a list is not spread wider than this, but for a single item, or when it is long
_LIST_NEEDS = 20
_TEXT_NEEDS = 24
_NARROWEST = 8  # what texts and lists may come to where even that is too much
_SEPARATORS = {"list": ", ", "long": ", ", "flags": " "}


class Fit(NamedTuple):
    """Which columns a screen has room for, with their widths, and the titles of those that it has none for."""

    shown: tuple[tuple[int, int], ...]  # column's place in the view, width
    hidden: tuple[str, ...]


def separator(column: Column) -> str:
    """Return what stands between the items of a cell."""
    return _SEPARATORS.get(column.hint, " ")


class _Width(NamedTuple):
    """How wide a column would like to be, can do with wrapping lists, with broken words, and can do at worst."""

    natural: int
    wrapped: int
    broken: int
    narrowest: int


def _width(column: Column, cells: Sequence[Items], measure: Measure) -> _Width:
    title = measure(column.title)
    item = joined = 0
    mark = len(separator(column).rstrip())
    for cell in cells:
        if len(cell) == 1:
            item = max(item, measure(cell[0]))
        elif cell:
            widths = [measure(piece) + mark for piece in cell]
            item = max(item, *widths)
            joined = max(joined, sum(widths) - mark + len(cell) - 1)
    natural = max(title, item, joined if column.hint == "long" else min(joined, _LIST_WANTS))
    word = max(map(measure, column.title.split()), default=0)
    if column.hint in _SEPARATORS:
        wrapped = max(title, min(item, _LIST_NEEDS))
        return _Width(natural, wrapped, wrapped, max(word, min(item, _NARROWEST)))
    if column.hint == "text":
        return _Width(natural, natural, max(title, min(item, _TEXT_NEEDS)), max(word, min(item, _NARROWEST)))
    return _Width(natural, natural, natural, max(word, item))


def fit(
    columns: Sequence[Column],
    cells: Sequence[Sequence[Items]],
    room: int,
    measure: Measure,
    *,
    chosen: bool = False,
) -> Fit:
    """Share ``room`` places among the columns; ``cells`` has a sequence for each column.

    Empty ones are left out, unless they are ``chosen``; of those even words are broken before one leaves.
    """
    widths = {at: _width(columns[at], cells[at], measure) for at in range(len(columns)) if chosen or any(cells[at])}
    hidden: list[int] = []
    while _total(width.broken if chosen else width.wrapped for width in widths.values()) > room:
        leaving = max(widths, key=lambda at: (columns[at].rank, at))
        if not columns[leaving].rank:
            break
        del widths[leaving]
        hidden.append(leaving)
    least = {at: width.wrapped for at, width in widths.items()}
    if _total(least.values()) > room:
        least = {at: width.broken for at, width in widths.items()}
    if _total(least.values()) > room:
        least = {at: width.narrowest for at, width in widths.items()}
    # No column gets more than the screen has, and what it wants beyond would be taken from it place by place.
    natural = {at: min(width.natural, max(least[at], room)) for at, width in widths.items()}
    if _total(natural.values()) > room and any(columns[at].hint == "long" for at in widths):
        lists = [at for at in widths if columns[at].hint == "list"]
        natural |= {at: max(least[at], min(natural[at], room // 3)) for at in lists}
    return Fit(
        tuple(_shrink(natural, least, room).items()),
        tuple(columns[at].title for at in sorted(hidden)),
    )


def _total(widths: Iterable[int]) -> int:
    widths = list(widths)
    return sum(widths) + GAP * (len(widths) - 1)


def _shrink(widths: dict[int, int], least: dict[int, int], room: int) -> dict[int, int]:
    """Take from the column that has most to give until everything fits, or nothing is left to give."""
    over = _total(widths.values()) - room
    while over > 0:
        widest = max(widths, key=lambda at: widths[at] - least[at], default=None)
        if widest is None or widths[widest] == least[widest]:
            break
        widths[widest] -= 1
        over -= 1
    return widths


def wrap(cell: Items, width: int, between: str, measure: Measure) -> list[str]:
    """Return the lines of a cell, each with the items that fit; one too long is broken, best at a space or slash."""
    mark = between.rstrip()
    lines: list[str] = []
    line = ""
    for at, item in enumerate(cell, 1):
        piece = item + mark if at < len(cell) else item
        longer = f"{line} {piece}" if line else piece
        if measure(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        *full, line = _broken(piece, width, measure)
        lines.extend(full)
    return [*lines, line]


def _broken(text: str, width: int, measure: Measure) -> Iterator[str]:
    begin = 0
    while (end := _end(text, begin, width, measure)) < len(text):
        space = text.rfind(" ", begin + 1, end + 1)
        if space > 0:
            yield text[begin:space]
            begin = space + 1
        else:
            end = text.rfind("/", begin + (end - begin) // 2, end) + 1 or end
            yield text[begin:end]
            begin = end
    yield text[begin:]


def _end(text: str, begin: int, width: int, measure: Measure) -> int:
    """Return where a line ends that begins there, of one character at least; no more than that line is measured."""
    end = begin + width
    if measure(text[begin:end]) > width:  # of characters that take two places there is room for half as many
        end = begin + max(width // 2, 1)
    while end < len(text) and measure(text[begin : end + 1]) <= width:
        end += 1
    return end
