"""How cells are set: in the width of their column, in the tone of what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from bpfctl.render import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.views.view import Column

GAP = " " * columns.GAP
#: Yellow is not among them, which nobody can read on white, nor blue without bold, nor green with it.
TONES = {
    "handle": Style(color="cyan"),
    "name": Style(bold=True),
    "quiet": Style(dim=True),
    "alarm": Style(color="red", bold=True),
    "symbol": Style(color="magenta", bold=True),
    "register": Style(color="cyan"),
    "word": Style(color="blue", bold=True),
    "number": Style(color="magenta"),
    "source": Style(color="green"),
}


class Setter:
    """Sets the cells of one column."""

    def __init__(self, column: Column, width: int) -> None:
        self.column = column
        self.width = width
        self.style = TONES.get(column.tone)
        self._right = column.hint in {"number", "bytes"}
        self._between = columns.separator(column)

    def lines(self, items: tuple[str, ...]) -> list[str]:
        """Return the lines of a cell, as wide as the column at most."""
        if not items:
            return [""]
        if len(items) == 1 and cell_len(items[0]) <= self.width:
            return [items[0]]
        return columns.wrap(items, self.width, self._between, cell_len)

    def padded(self, text: str, style: Style | None) -> tuple[str, str, str, Style | None]:
        """Return what fills up a line of a cell at its left, the line, what fills it up at its right, and its style."""
        blank = " " * (self.width - cell_len(text))
        return (blank, text, "", style) if self._right else ("", text, blank, style)


def joined(cells: Sequence[tuple[str, str, str, Style | None]]) -> list[Segment]:
    """Return a line of cells with gaps between them and no blanks at its end."""
    line: list[Segment] = []
    blank = ""
    for left, text, right, style in cells:
        if text:
            blank += left
            if blank:
                line.append(Segment(blank))
            line.append(Segment(text, style))
            blank = right + GAP
        else:
            blank += left + right + GAP
    return line
