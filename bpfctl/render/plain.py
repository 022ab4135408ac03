"""Plain text, as bpftool prints it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from bpfctl.errors import OutputError
from bpfctl.render.text import safe, safe_line, safe_tabs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bpfctl.render.json import JsonOutput
    from bpfctl.render.sink import Sink
    from bpfctl.views.view import Board, Document, Listing, Section, Stream, View

Row = TypeVar("Row")

_HARMLESS = bytes(range(0x20, 0x7F)) + b"\n\t"


class PlainOutput:
    """Writes lines; errors and remarks go to stderr."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def show(self, view: View[Row], rows: Iterable[Row], *, listing: bool) -> None:  # noqa: ARG002
        """Write the block of each row."""
        write = self.sink.write
        for line in view.whole.plain(rows) if view.whole else ():
            write(safe_line(line) + "\n")
        for row in rows if not view.whole else ():
            for line in view.plain(row):
                write(safe_line(line) + "\n")

    def watch(self, view: View[Row], ask: Callable[[], Iterable[Row]], *, listing: bool, seconds: float) -> None:
        """Write the blocks of all rows in each round, and an empty line after them."""
        from bpfctl.render.watch import rounds  # noqa: PLC0415 - one command line in a thousand needs it

        with rounds(seconds) as every:
            for _ in every:
                self.show(view, ask(), listing=listing)
                self.sink.write("\n")
                self.sink.flush()

    def follow(self, view: View[Row], batches: Iterable[Iterable[Row]], *, array: bool = False) -> None:  # noqa: ARG002
        """Write the lines of each row."""
        for batch in batches:
            if view.lines:
                for text in view.lines.plain(batch, safe):
                    self.sink.write(text)
            else:
                PlainOutput.show(self, view, batch, listing=True)
            self.sink.flush()

    def log(self, batches: Iterable[Iterable[str]]) -> None:
        """Write the lines; of what cannot be printed in them tabs stay as they are."""
        for batch in batches:
            for line in batch:
                self.sink.write(safe_tabs(line.removesuffix("\n")) + "\n" * line.endswith("\n"))
            self.sink.flush()

    def board(
        self,
        board: Board[Row],
        ask: Callable[[], Row],
        *,
        seconds: float,
        count: int | None = None,
        last: Callable[[], Row] | None = None,
    ) -> None:
        """Write the lines of each round, and an empty line after them unless there is but one round."""
        from bpfctl.render.watch import rounds  # noqa: PLC0415 - as above

        done = 0
        with rounds(seconds, count, first=seconds if board.measures else 0) as every:
            for done, _ in enumerate(every, 1):  # noqa: B007
                self.lines(board.plain(ask()), None)
                self.sink.write("\n" if count != 1 else "")
                self.sink.flush()
        if last is not None and done != count:
            self.lines(board.plain(last()), None)

    def stream(self, streams: Sequence[Stream], *, listing: bool) -> None:
        """Write the entries of each object, and before them which one has them where there are several."""
        documents = [stream._replace(json=stream.document) for stream in streams if stream.document]
        if len(documents) == len(streams):
            self._as_json(lambda out: out.stream(documents, listing=listing))
            return
        for at, stream in enumerate(streams):
            if listing:
                self.sink.write("\n" if at else "")
                self.sink.write(safe_line(stream.title) + "\n")
            for piece in stream.plain():
                self.sink.write_bytes(piece)

    def parts(self, streams: Sequence[Stream]) -> None:
        """Write the entries of all parts, which say themselves to which they belong."""
        for stream in streams:
            for piece in stream.plain():
                self.sink.write_bytes(piece)

    def listings(self, listings: Sequence[Listing]) -> None:
        """Write the code of each program, and before it which one it is where there are several."""
        for at, listing in enumerate(listings):
            if len(listings) > 1:
                self.sink.write("\n" if at else "")
                self.sink.write(safe_line(listing.title) + "\n")
            for piece in listing.text(safe):
                self.sink.write(piece)

    def document(self, document: Document) -> None:
        """Write the text; of what cannot be printed in it tabs stay as they are."""
        for piece in document.text(safe):
            data = piece.encode(errors="surrogateescape")
            if data.translate(None, _HARMLESS):
                data = "\n".join(map(safe_tabs, piece.split("\n"))).encode()
            self.sink.write_bytes(data)

    def report(self, sections: Iterable[Section]) -> None:
        """Write the lines of each section."""
        for section in sections:
            self.lines(section.plain(), None)

    def item(self, stream: Stream) -> None:
        """Write an entry."""
        if stream.document:
            document = stream._replace(json=stream.document)
            self._as_json(lambda out: out.item(document))
        for piece in stream.plain() if not stream.document else ():
            self.sink.write_bytes(piece)

    def _as_json(self, write: Callable[[JsonOutput], None]) -> None:
        """Write what bpftool shows in JSON's form even as plain text; an error ends it, and is told elsewhere."""
        from bpfctl.render.json import JsonOutput  # noqa: PLC0415 - few plain outputs have any
        from bpfctl.render.sink import ClosedPipe  # noqa: PLC0415

        out = JsonOutput(self.sink, pretty=True)
        try:
            write(out)
        except (ClosedPipe, OutputError):
            raise
        except BaseException:
            out.close()
            raise
        out.close()

    def done(self) -> None:
        """Say nothing: no news is good news."""

    def lines(self, lines: Iterable[str], value: object) -> None:  # noqa: ARG002 - that is for programs
        """Write the lines."""
        for line in lines:
            self.sink.write(safe_line(line) + "\n")

    def note(self, text: str) -> None:
        """Write a remark to stderr."""
        self.sink.flush()
        complain(safe(text))

    def warn(self, text: str) -> None:
        """Write a remark to stderr."""
        self.note(text)

    def begin_batch(self) -> None:
        """Nothing marks the begin of a series."""

    def begin_command(self, words: Sequence[str]) -> None:
        """Nothing marks the begin of a command."""

    def end_command(self) -> None:
        """Nothing marks the end of a command."""

    def end_batch(self, count: int | None) -> None:
        """Write how many commands there were."""
        if count is not None:
            self.sink.write(f"processed {count} commands\n")

    def error(self, message: str, hint: str = "") -> None:
        """Write an error to stderr, after what came before it."""
        self.sink.flush()
        complain(f"Error: {safe(message)} ({safe(hint)})" if hint else f"Error: {safe(message)}")

    def close(self) -> None:
        """Write what is left."""
        self.sink.flush()


def complain(text: str) -> None:
    """Write a line to stderr; a stderr that is closed changes nothing."""
    try:
        os.write(2, (text + "\n").encode(errors="backslashreplace"))
    except OSError:
        return
