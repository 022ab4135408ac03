"""How the columns of a table share the width of a screen.

Nothing is dropped or wrapped while everything fits. On a narrower screen lists are wrapped between their items
first, and beside a long one the others take a third of the screen at most; then columns leave, those of the highest
rank first; at last long words are broken. No text is cut off.
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
_SEPARATORS = {"list": ", ", "long": ", ", "flags": " "}


class Fit(NamedTuple):
    """Which columns a screen has room for, with their widths, and the titles of those that it has none for."""

    shown: tuple[tuple[int, int], ...]  # column's place in the view, width
    hidden: tuple[str, ...]


def separator(column: Column) -> str:
    """Return what stands between the items of a cell."""
    return _SEPARATORS.get(column.hint, " ")


class _Width(NamedTuple):
    """How wide a column would like to be, can do with wrapping lists, and can do at worst."""

    natural: int
    wrapped: int
    broken: int


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
    if column.hint in _SEPARATORS:
        return _Width(natural, max(title, min(item, _LIST_NEEDS)), max(title, min(item, _LIST_NEEDS)))
    if column.hint == "text":
        return _Width(natural, natural, max(title, min(item, _TEXT_NEEDS)))
    return _Width(natural, natural, natural)


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
    natural = {at: width.natural for at, width in widths.items()}
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
    while measure(text) > width:
        end = 1
        while measure(text[: end + 1]) <= width:
            end += 1
        space = text.rfind(" ", 1, end + 1)
        if space > 0:
            yield text[:space]
            text = text[space + 1 :]
        else:
            end = text.rfind("/", end // 2, end) + 1 or end
            yield text[:end]
            text = text[end:]
    yield text
