"""Tables for people on a terminal; only this loads rich, which takes longer than most commands.

rich knows the terminal (colours, NO_COLOR, the alternate screen, how wide a character is). Its Table is not used: it
measures, wraps and pads each cell by itself, which takes two seconds for a thousand rows.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from itertools import chain, islice, takewhile
from textwrap import wrap
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from rich.style import Style

from bpfctl.render import cell, columns, screen
from bpfctl.render.keyboard import keyboard
from bpfctl.render.live import Live
from bpfctl.render.setting import GAP, TONES, Setter, joined
from bpfctl.render.text import safe
from bpfctl.render.watch import rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Literal

    from rich.console import ConsoleOptions, RenderResult

    from bpfctl.render.terminal import TerminalOutput
    from bpfctl.views.view import Board, Column, Listing, Section, Stream, View

    Line = list[Segment]
    When = Literal["auto", "always", "never"]

Row = TypeVar("Row")

_TITLE = Style(bold=True)
_QUIET = Style(dim=True)
_END = Segment("\n")
_AROUND = 4  # lines around the rows of each of several tables
_SOON = 0.25  # seconds: nobody likes to look at nothing for longer
_BLOCK = 1000  # entries that are measured before their table is laid out


class Tables:
    """Draws tables, and an object that stands alone as a list of its fields, where the output of a terminal goes."""

    def __init__(self, terminal: TerminalOutput, *, color: When = "auto") -> None:
        self._terminal = terminal
        is_dumb = screen.is_dumb()
        width, height = screen.size(terminal.sink.fd)
        self._console = Console(
            file=cast(IO[str], _File(terminal)),
            force_terminal=True,
            color_system=None if color == "never" or (is_dumb and color == "auto") else "standard",
            no_color=False if color == "always" else None,  # None: as NO_COLOR says
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
            width=width,  # of COLUMNS and LINES rich takes some for numbers that are none
            height=height,
        )
        self._utf8 = screen.is_utf8()

    def show(self, view: View[Row], rows: Sequence[Row], *, listing: bool) -> None:
        """Write the table of all rows; one object that a handle asked for, field by field."""
        self._measure()
        with self._terminal.paged():
            self._print(self._lines(view, rows, listing=listing))

    def _measure(self) -> tuple[int, int]:
        """Have lines be as wide as the terminal is by now; return its columns and lines."""
        self._console.size = size = screen.size(self._terminal.sink.fd)
        return size

    def _print(self, lines: Iterable[Line]) -> None:
        self._console.print(_Lines(lines), end="")

    def watch(self, view: View[Row], ask: Callable[[], Iterable[Row]], *, listing: bool, seconds: float) -> None:
        """Draw as many rows as the screen has room for, again and again."""

        def draw(height: int, **_: bool) -> Iterable[Line]:
            rows = list(ask())
            yield from self._head(f"{view.noun}: {len(rows)}   {_clock(seconds)}   Ctrl-C ends")
            yield from self._lines(view, rows[:height], listing=listing)

        with rounds(seconds) as every:
            self._redraw(draw, every)

    def board(
        self,
        board: Board[Row],
        ask: Callable[[], Row],
        *,
        seconds: float,
        count: int | None = None,
        last: Callable[[], Row] | None = None,
    ) -> None:
        """Draw as much of each round as the screen has room for; the last of so many rounds, or ``last``, stays."""
        live = Live(board, ask, utf8=self._utf8)
        drawn: list[Line] = []
        has_keys = bool(board.growth or board.orders or board.parts)
        with keyboard() if has_keys else nullcontext() as pressed:

            def draw(height: int, *, anew: bool) -> Iterable[Line]:
                found = live.look(anew=anew)
                head = f"{board.head(found)}   {live.curve()}".rstrip()
                keys = f"{_clock(seconds)}   {live.help(found, keys=pressed is not None)}"
                heads = [head, keys] if has_keys else [f"{head}   {keys}"]
                drawn[:] = [*self._head(*heads), *self._drawn(board, found, height, live)]
                return drawn

            def woken() -> bool:
                keys = pressed() if pressed else ""
                live.press(keys)
                return bool(keys)

            first = (min(seconds, _SOON) if count is None else seconds) if board.measures else 0
            with rounds(seconds, count, first=first, woken=woken if pressed else None) as every:
                self._redraw(draw, takewhile(lambda _: not live.is_over, every))
        if last is not None:
            found = last()
            self._print(self._head(board.head(found)))
            self._print(self._drawn(board, found))
        elif count is not None:
            self._print(drawn)

    def _drawn(
        self, board: Board[Any], found: Any, height: int | None = None, live: Live[Any] | None = None
    ) -> Iterator[Line]:
        """Draw a table of as many rows, or several tables that share them."""
        if board.parts:
            parts = board.parts(found)
            for at, (one, told) in enumerate(parts):
                yield from [[]] * (at > 0)
                yield from self._quiet(one.head(told))
                yield from self._drawn(one, told, height and max(height // len(parts) - _AROUND, 1))
        else:
            rows = (live or board).rows(found)[:height]
            shown = (live or board).columns(found)
            yield from self._table(shown, rows) if rows else [[Segment(board.empty, _QUIET)]]

    def _head(self, *lines: str) -> Iterator[Line]:
        for line in lines:
            yield from self._quiet(line)
        yield []

    def _quiet(self, text: str) -> Iterator[Line]:
        """Yield what stands beside a table, in as many lines as it takes."""
        yield from ([Segment(line, _QUIET)] for line in wrap(safe(text), self._console.width, break_long_words=False))

    def _redraw(self, draw: Callable[..., Iterable[Line]], every: Iterable[bool]) -> None:
        """Fill the screen in every round with as many lines as it has room for.

        Ctrl-C waits, until the terminal is as it was: it could come after the first half of what rich does for that.
        """
        with self._console.screen() as drawn:
            for anew in every:
                _, height = self._measure()
                lines = list(draw(height, anew=anew))
                if len(lines) > height:
                    lines[height - 1 :] = [[Segment("... more than the screen has room for", _QUIET)]]
                self._console.control(Control.home())
                drawn.update(_Lines(lines))

    def follow(self, view: View[Row], batches: Iterable[Iterable[Row]]) -> None:
        """Write the columns of each row as they come, which grow as wide as they must; the last has the rest."""
        widths = [0] * len(view.columns)
        for batch in batches:
            self._print(chain.from_iterable(self._row(view, row, widths) for row in batch))
            self._terminal.sink.flush()

    def _row(self, view: View[Row], row: Row, widths: list[int]) -> Iterator[Line]:
        *cells, last = [self._items(column, row) for column in view.columns]
        shown = [" ".join(items) for items in cells]
        widths[:-1] = map(max, widths, map(cell_len, shown))
        head = [
            Segment(text + " " * (width - cell_len(text)) + GAP, TONES.get(column.tone))
            for column, text, width in zip(view.columns, shown, widths, strict=False)
            if width
        ]
        first, *more = last or ("",)
        yield [*head, Segment(first)]
        blank = Segment(" " * sum(cell_len(part.text) for part in head))
        yield from ([blank, Segment(line)] for line in more)

    def _lines(self, view: View[Row], rows: Sequence[Row], *, listing: bool) -> Iterator[Line]:
        if not rows:
            yield [Segment(view.empty or f"no {view.noun} are loaded", _QUIET)]
        elif view.apart:
            for at, row in enumerate(rows):
                yield from ([],) if at else ()
                yield from self._fields(view.columns + view.details, row)
        elif listing or len(rows) > 1 or not view.titled:
            yield from self._table(view.columns, rows, chosen=view.chosen, titled=view.titled)
        else:
            yield from self._fields(view.columns + view.details, rows[0])

    def stream(self, streams: Sequence[Stream], *, listing: bool) -> None:
        """Write a table of each object's entries; it is set anew where entries have what those before them lacked."""
        self._measure()
        with self._terminal.paged():
            for at, stream in enumerate(streams):
                head = [[Segment(safe(stream.title), _TITLE)]] if listing else []
                self._print([[], *head] if at else head)
                for lines in self._blocks(stream):
                    self._print(lines)

    def listings(self, listings: Sequence[Listing]) -> None:
        """Write the code of each program in colours, under its name where there are several."""
        with self._terminal.paged():
            for at, listing in enumerate(listings):
                head = [[Segment(safe(listing.title), _TITLE)]] if len(listings) > 1 else []
                self._print([[], *head] if at else head)
                lines = listing.toned(self._utf8)
                self._print([Segment(safe(text), TONES.get(tone)) for text, tone in line] for line in lines)

    def report(self, sections: Iterable[Section]) -> None:
        """Write a table for each section that has columns."""
        self._measure()
        with self._terminal.paged():
            for at, section in enumerate(section for section in sections if section.columns):
                head: list[Line] = [[Segment(safe(section.title), _TITLE)]]
                self._print([[], *head] if at else head)
                self._print(self._table(section.columns, section.rows))

    def item(self, stream: Stream) -> None:
        """Write an entry field by field."""
        self._measure()
        rows, shown = list(stream.rows()), stream.columns()
        self._print(self._fields(shown, rows[0]) if len(rows) == 1 else self._table(shown, rows))

    def _blocks(self, stream: Stream) -> Iterator[Iterable[Line]]:
        rows, shown = stream.rows(), stream.columns()
        setters: list[tuple[int, Setter]] = []
        laid: set[int] = set()  # the columns that are shown, or have no room
        hidden: dict[str, None] = {}
        while block := list(islice(rows, _BLOCK)):
            cells = [[self._items(column, row) for row in block] for column in shown]
            there = {at for at, column in enumerate(cells) if any(column)}
            if not there <= laid:
                fit = columns.fit(shown, cells, self._console.width, cell_len, chosen=stream.chosen)
                setters = [(at, Setter(shown[at], width)) for at, width in fit.shown]
                laid |= there
                hidden |= dict.fromkeys(fit.hidden)
                if stream.titled:
                    yield self._titles(setters)
            yield self._rows(setters, cells)
        yield self._more(tuple(hidden)) if laid else [[Segment(stream.empty, _QUIET)]]

    def _items(self, column: Column, row: Any) -> tuple[str, ...]:
        items = cell.items(column, row)
        return items if self._utf8 else cell.ascii_only(items)

    def _table(
        self, shown: tuple[Column, ...], rows: Sequence[Any], *, chosen: bool = False, titled: bool = True
    ) -> Iterator[Line]:
        cells = [[self._items(column, row) for row in rows] for column in shown]
        fit = columns.fit(shown, cells, self._console.width, cell_len, chosen=chosen)
        setters = [(at, Setter(shown[at], width)) for at, width in fit.shown]
        if titled:
            yield from self._titles(setters)
        yield from self._rows(setters, cells)
        yield from self._more(fit.hidden)

    def _titles(self, setters: Sequence[tuple[int, Setter]]) -> Iterator[Line]:
        yield from self._beside([(setter, setter.lines((setter.column.title,)), _TITLE) for _, setter in setters])
        yield [Segment(GAP.join(("─" if self._utf8 else "-") * setter.width for _, setter in setters), _QUIET)]

    def _rows(self, setters: Sequence[tuple[int, Setter]], cells: Sequence[Sequence[columns.Items]]) -> Iterator[Line]:
        for row in zip(*(cells[at] for at, _ in setters), strict=True):
            yield from self._beside(
                [(setter, setter.lines(items), setter.style) for (_, setter), items in zip(setters, row, strict=True)]
            )

    def _beside(self, blocks: Sequence[tuple[Setter, list[str], Style | None]]) -> Iterator[Line]:
        """Yield lines of cells that stand next to each other."""
        for at in range(max(len(block) for _, block, _ in blocks)):
            yield joined(
                [setter.padded(block[at] if at < len(block) else "", style) for setter, block, style in blocks]
            )

    def _more(self, hidden: Sequence[str]) -> Iterator[Line]:
        if hidden:
            more = f"(a wider screen also shows: {', '.join(hidden)})"
            for text in columns.wrap((more,), self._console.width, "", cell_len):
                yield [Segment(text, _QUIET)]

    def _fields(self, shown: tuple[Column, ...], row: Any) -> Iterator[Line]:
        found = [(column, items) for column in shown if (items := self._items(column, row))]
        found = found or [(column, ()) for column in shown]  # that there is nothing is told, too
        indent = max(len(column.title) for column, _ in found) + columns.GAP
        for column, items in found:
            if items and column.hint == "bytes" and int(column.get(row)) >= 1024:
                items = (f"{items[0]} ({column.get(row)} bytes)",)  # noqa: PLW2901 - the same, in full
            title = column.title
            for line in columns.wrap(items, max(self._console.width - indent, 1), columns.separator(column), cell_len):
                yield [Segment(title.ljust(indent) if line else title, _TITLE), Segment(line, TONES.get(column.tone))]
                title = ""


class _Lines:
    """Something that rich can print: lines that are set already."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._lines:
            yield from line
            yield _END


class _File:
    """What rich takes for a file."""

    encoding = "utf-8"

    def __init__(self, terminal: TerminalOutput) -> None:
        self._terminal = terminal

    def write(self, text: str) -> None:
        """Write text to where the output goes at this moment."""
        self._terminal.sink.write(text)

    def flush(self) -> None:
        """Write what is there."""
        self._terminal.sink.flush()

    def isatty(self) -> bool:
        """Return True: nobody makes tables for anything else."""
        return True


def _clock(seconds: float) -> str:
    return f"{time.strftime('%H:%M:%S')}   every {seconds:g} s"
