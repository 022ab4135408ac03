"""The cells of a table for programs: exact values, as CSV (RFC 4180), or in lines with tabs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from bpfctl.render.plain import PlainOutput
from bpfctl.render.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bpfctl.render.sink import Sink
    from bpfctl.views.view import Column, View

Row = TypeVar("Row")

_QUOTED = frozenset('",\r\n')
_NOTHING = "-"  # between tabs: shells and awk take several tabs for one


class CellsOutput(PlainOutput):
    """Writes rows as lines of cells: CSV with its titles, or without titles and with tabs."""

    def __init__(self, sink: Sink, *, csv: bool) -> None:
        super().__init__(sink)
        self._csv = csv

    def show(self, view: View[Row], rows: Iterable[Row], *, listing: bool) -> None:  # noqa: ARG002
        """Write a line for each row."""
        write, line, shown = self.sink.write, _csv if self._csv else _tabs, view.columns
        if self._csv and view.titled:
            write(_csv(column.title for column in shown))
        for row in rows:
            write(line(_texts(shown, row)))


def exact(column: Column, row: Any) -> Any:
    """Return what a cell holds as a value of JSON: a number, a string, a list of strings; None for nothing."""
    value = column.get(row)
    if value is None or value == ():
        return None
    if column.hint == "number" and isinstance(value, str) and value.removeprefix("-").isdecimal():
        return int(value)  # a member of a key or value, as text
    if isinstance(value, int | float):
        return value
    return list(map(str, value)) if isinstance(value, tuple) else str(value)


def _texts(shown: Sequence[Column], row: Any) -> Iterator[str]:
    for column in shown:
        value = exact(column, row)
        if value is None:
            yield ""
        else:
            yield ",".join(map(safe, value)) if isinstance(value, list) else safe(str(value))


def _csv(cells: Iterable[str]) -> str:
    """Return a record; what would be read as more than one cell is quoted."""
    return (
        ",".join(cell if _QUOTED.isdisjoint(cell) else '"' + cell.replace('"', '""') + '"' for cell in cells) + "\r\n"
    )


def _tabs(cells: Iterable[str]) -> str:
    return "\t".join(cell or _NOTHING for cell in cells) + "\n"
