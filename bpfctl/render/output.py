"""What a command may say, whatever the voice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bpfctl.render.sink import Sink
    from bpfctl.views.view import Board, Document, Listing, Section, Stream, View

Row = TypeVar("Row")


class Output(Protocol):
    """One voice.

    A command calls exactly one of show(), watch(), follow(), log(), board(), stream(), parts(), listings(), document(),
    report(), item(), lines() and done(), or raises.
    """

    sink: Sink

    def show(self, view: View[Row], rows: Iterable[Row], *, listing: bool) -> None:
        """Show rows; ``listing`` is False when a handle asked for certain objects, of which one stands alone."""

    def watch(self, view: View[Row], ask: Callable[[], Iterable[Row]], *, listing: bool, seconds: float) -> None:
        """Show what ``ask`` returns every so many seconds, until Ctrl-C or SIGTERM."""

    def follow(self, view: View[Row], batches: Iterable[Iterable[Row]], *, array: bool = False) -> None:
        """Show rows as they come, each batch at once; in JSON each row is a document, or with ``array`` all are one."""

    def log(self, batches: Iterable[Iterable[str]]) -> None:
        """Show lines of text with their line breaks as they come, each batch at once; in JSON an array of them."""

    def board(
        self,
        board: Board[Row],
        ask: Callable[[], Row],
        *,
        seconds: float,
        count: int | None = None,
        last: Callable[[], Row] | None = None,
    ) -> None:
        """Show what ``ask`` returns every so many seconds as watch() does, each time one thing; at most ``count``.

        What ``last`` returns is shown when somebody ends it before, and is what stays on a terminal.
        """

    def stream(self, streams: Sequence[Stream], *, listing: bool) -> None:
        """Show the entries of each object as they come; ``listing``: and which object it is, as there are several."""

    def parts(self, streams: Sequence[Stream]) -> None:
        """Show one answer that has several parts, each with entries."""

    def listings(self, listings: Sequence[Listing]) -> None:
        """Show the code of programs; and which programs they are, if there are several."""

    def document(self, document: Document) -> None:
        """Show a long text, in JSON its array; it must have one."""

    def report(self, sections: Iterable[Section]) -> None:
        """Show the sections of a report as they come; in JSON they are the members of one object."""

    def item(self, stream: Stream) -> None:
        """Show the only entry of an object, which a handle has asked for."""

    def done(self) -> None:
        """Say that a command which has nothing to tell succeeded."""

    def lines(self, lines: Iterable[str], value: object) -> None:
        """Show a few lines to people, and their value to programs."""

    def note(self, text: str) -> None:
        """Tell a person something on the side; JSON has no place for it."""

    def warn(self, text: str) -> None:
        """Tell a person something that must not be missed; it goes to stderr in every voice."""

    def begin_batch(self) -> None:
        """Begin a series of commands."""

    def begin_command(self, words: Sequence[str]) -> None:
        """Begin one command of a series."""

    def end_command(self) -> None:
        """End one command of a series."""

    def end_batch(self, count: int | None) -> None:
        """End a series; None when a command of it failed."""

    def error(self, message: str, hint: str = "") -> None:
        """Say what went wrong, and to people what to do about it."""

    def close(self) -> None:
        """End the output."""
