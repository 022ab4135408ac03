"""What a person reads on a terminal: text as it is, through a pager where it is long, and tables.

Only what draws tables loads rich, which takes longer than help, an error or most texts do.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from bpfctl.render import pager, screen
from bpfctl.render.plain import PlainOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bpfctl.render.sink import Sink
    from bpfctl.render.table import Tables, When
    from bpfctl.views.view import Board, Document, Listing, Section, Stream, View

Row = TypeVar("Row")


class TerminalOutput(PlainOutput):
    """Writes tables to a terminal, and an object that stands alone as a list of its fields."""

    def __init__(self, sink: Sink, *, color: When = "auto", pages: bool = True) -> None:
        super().__init__(sink)
        self._color: When = color
        self._pages = pages  # whether there may be a pager
        self._notes: list[str] = []  # for when it has ended
        self._is_still = screen.is_dumb() or (color == "always" and not os.isatty(sink.fd))

    @cached_property
    def _tables(self) -> Tables:
        from bpfctl.render.table import Tables  # noqa: PLC0415 - see above

        return Tables(self, color=self._color)

    @contextmanager
    def paged(self) -> Iterator[None]:
        """Have what is longer than the screen go through a pager, but for what stands in a batch."""
        terminal = self.sink
        if not self._pages or isinstance(terminal, pager.Paged):
            yield
            return
        with pager.paged(terminal) as sink:
            self.sink = sink
            try:
                yield
            finally:
                self.sink = terminal
        for text in self._notes:
            super().note(text)
        self._notes.clear()

    def note(self, text: str) -> None:
        """Write a remark to stderr, once no pager has the terminal."""
        if self.sink.is_read:
            self._notes.append(text)
        else:
            super().note(text)

    def begin_batch(self) -> None:
        """Begin a series of commands, which go on without anybody at the keyboard."""
        self._pages = False

    def document(self, document: Document) -> None:
        """Write the text."""
        with self.paged():
            super().document(document)

    def lines(self, lines: Iterable[str], value: object) -> None:
        """Write the lines."""
        with self.paged():
            super().lines(lines, value)

    def show(self, view: View[Row], rows: Iterable[Row], *, listing: bool) -> None:
        """Write the table of all rows; one object that a handle asked for, field by field."""
        if view.columns:
            found = list(rows)  # an error comes before rich is loaded for nothing
            self._tables.show(view, found, listing=listing)
        else:
            super().show(view, rows, listing=listing)

    def watch(self, view: View[Row], ask: Callable[[], Iterable[Row]], *, listing: bool, seconds: float) -> None:
        """Draw as many rows as the screen has room for, again and again."""
        if self._is_still:
            super().watch(view, ask, listing=listing, seconds=seconds)
        else:
            self._tables.watch(view, ask, listing=listing, seconds=seconds)

    def follow(self, view: View[Row], batches: Iterable[Iterable[Row]], *, array: bool = False) -> None:
        """Write the columns of each row as they come."""
        if view.columns:
            self._tables.follow(view, batches)
        else:
            super().follow(view, batches, array=array)

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
        if self._is_still:
            super().board(board, ask, seconds=seconds, count=count, last=last)
        else:
            self._tables.board(board, ask, seconds=seconds, count=count, last=last)

    def stream(self, streams: Sequence[Stream], *, listing: bool) -> None:
        """Write a table of each object's entries."""
        self._tables.stream(streams, listing=listing)

    def parts(self, streams: Sequence[Stream]) -> None:
        """Write a table for each part."""
        self._tables.stream(streams, listing=True)

    def listings(self, listings: Sequence[Listing]) -> None:
        """Write the code of each program in colours, under its name where there are several."""
        self._tables.listings(listings)

    def report(self, sections: Iterable[Section]) -> None:
        """Write a table for each section that has columns."""
        self._tables.report(sections)

    def item(self, stream: Stream) -> None:
        """Write an entry field by field."""
        self._tables.item(stream)
