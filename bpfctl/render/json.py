"""JSON as bpftool writes it (src/json_writer.c), and always one valid document.

Compact, or with -p an indent of four spaces: members stand on lines of their own, items of an array follow each
other without a space, and what closes a collection that is not empty stands on its own line.
"""

from __future__ import annotations

from itertools import chain, islice
from json.encoder import JSONEncoder
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bpfctl.render.sink import Sink
    from bpfctl.views.view import Board, Document, Listing, Section, Stream, View

Row = TypeVar("Row")

_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """Return compact JSON in which every character can be printed; bytes that are no text become U+FFFD."""
    text = _encode(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def _after_first(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return the same pieces once the first is there, so that what fails at once fails before anything is written."""
    return chain(list(islice(pieces, 1)), pieces)


def _escape(code: int) -> str:
    if 0xD800 <= code <= 0xDFFF:  # Python's stand-in for a byte that is not UTF-8
        return "\\ufffd"
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


class JsonOutput:
    """Writes one JSON document.

    Text and the knowledge of where in the document we are go together: Ctrl-C waits meanwhile (Sink.hold()).
    """

    def __init__(self, sink: Sink, *, pretty: bool, extra: bool = False) -> None:
        self.sink = sink
        self._pretty = pretty
        self._extra = extra
        self._closers: list[str] = []
        self._separator = ""
        self._bases: list[int] = []  # the depth at which each running command of a series began
        self._empty = True  # whether the command has written nothing yet

    @property
    def _base(self) -> int:
        return self._bases[-1] if self._bases else 0

    def _indent(self, depth: int | None = None) -> str:
        return "\n" + "    " * (len(self._closers) if depth is None else depth) if self._pretty else ""

    def _begin(self, opener: str, closer: str) -> None:
        self.sink.hold()
        self.sink.write(self._separator + opener)
        self._closers.append(closer)
        self._separator = ""
        self._empty = False
        self.sink.release()

    def _end(self) -> None:
        self.sink.hold()
        closer = self._closers.pop()
        self.sink.write((self._indent() if self._separator else "") + closer)
        self._separator = ","
        self.sink.release()

    def _name(self, name: str) -> None:
        self.sink.write(f"{self._separator}{self._indent()}{dumps(name)}:{' ' if self._pretty else ''}")
        self._separator = ""

    def _value(self, value: Any) -> None:
        text = self._text(value, len(self._closers))  # in one piece, so that no failure leaves half a value
        self.sink.hold()
        self.sink.write(self._separator + text)
        self._separator = ","
        self._empty = False
        self.sink.release()

    def _text(self, value: Any, depth: int) -> str:
        if not self._pretty or not value or not isinstance(value, (dict, list, tuple)):
            return dumps(value)
        end = self._indent(depth)
        if isinstance(value, dict):
            start = self._indent(depth + 1)
            members = [f"{start}{dumps(name)}: {self._text(member, depth + 1)}" for name, member in value.items()]
            return "{" + ",".join(members) + end + "}"
        return "[" + ",".join(self._text(item, depth + 1) for item in value) + end + "]"

    def show(self, view: View[Row], rows: Iterable[Row], *, listing: bool) -> None:
        """Write an array of objects; a single object when a handle asked for it and matches once."""
        documents = self._documents(view, rows)
        if not listing:
            first = next(documents, None)
            second = next(documents, None) if first is not None else None
            if second is None:
                self._value(first)
                return
            self._begin("[", "]")
            self._value(first)
            self._value(second)
        else:
            self._begin("[", "]")
        for document in documents:
            self._value(document)
        self._end()

    def _documents(self, view: View[Row], rows: Iterable[Row]) -> Any:
        if view.whole:
            yield from view.whole.json(rows, self._extra)
            return
        for row in rows:
            yield view.json(row) | view.extra(row) if self._extra else view.json(row)  # noqa: S610 - no Django here

    def watch(self, view: View[Row], ask: Callable[[], Iterable[Row]], *, listing: bool, seconds: float) -> None:
        """Write a document for each round, which without -p is a line."""
        from bpfctl.render.watch import rounds  # noqa: PLC0415 - one command line in a thousand needs it

        with rounds(seconds) as every:
            for _ in every:
                self.show(view, list(ask()), listing=listing)
                self._next_document()
                self.sink.flush()

    def follow(self, view: View[Row], batches: Iterable[Iterable[Row]], *, array: bool = False) -> None:
        """Write a document for each row, which without -p is a line; in a series of commands always an array."""
        array = array or bool(self._closers)
        if array:
            self._begin("[", "]")
        lines = None if array or self._pretty else view.lines
        for batch in batches:
            for text in lines.json(batch, dumps) if lines else ():
                self.sink.write(text)
            for document in self._documents(view, batch) if not lines else ():
                self._value(document)
                if not array:
                    self._next_document()
            self.sink.flush()
        if array:
            self._end()

    def log(self, batches: Iterable[Iterable[str]]) -> None:
        """Write an array of the lines."""
        self._begin("[", "]")
        for batch in batches:
            for line in batch:
                self._value(line)
            self.sink.flush()
        self._end()

    def board(
        self,
        board: Board[Row],
        ask: Callable[[], Row],
        *,
        seconds: float,
        count: int | None = None,
        last: Callable[[], Row] | None = None,
    ) -> None:
        """Write an object for each round, which without -p is a line."""
        from bpfctl.render.watch import rounds  # noqa: PLC0415 - as above

        done = 0
        with rounds(seconds, count, first=seconds if board.measures else 0) as every:
            for done, _ in enumerate(every, 1):  # noqa: B007
                self._value(board.json(ask()))
                self._next_document()
                self.sink.flush()
        if last is not None and done != count:
            self._value(board.json(last()))
            self._next_document()

    def _next_document(self) -> None:
        self.sink.hold()
        self.sink.write("\n")
        self._separator = ""
        self._empty = True
        self.sink.release()

    def stream(self, streams: Sequence[Stream | Listing], *, listing: bool) -> None:
        """Write an array of entries; where several objects have some, an array of objects with an array each."""
        if not listing and not (self._extra and all(stream.extra for stream in streams)):
            for stream in streams:
                self._items("", stream.json(self._inner(1), dumps))
            return
        self._begin("[", "]")
        for stream in streams:
            entries = _after_first(stream.json(self._inner(2), dumps))
            self._begin("{", "}")
            more = stream.extra() if self._extra and stream.extra else {}
            for name, value in (stream.head | more).items():
                self._member(name, value)
            self._items(stream.items, entries)
            self._end()
        self._end()

    def parts(self, streams: Sequence[Stream]) -> None:
        """Write an object that has an array of entries for each part."""
        self._begin("{", "}")
        for stream in streams:
            self._items(stream.items, stream.json(self._inner(1), dumps))
        self._end()

    def listings(self, listings: Sequence[Listing]) -> None:
        """Write an array of instructions; of several programs, an array of objects with an array each."""
        self.stream(listings, listing=len(listings) > 1)

    def document(self, document: Document) -> None:
        """Write an object with one array."""
        if document.json is None:
            raise ValueError("the document has no JSON")
        self._begin("{", "}")
        self._items(document.items, document.json(self._inner(1), dumps))
        self._end()

    def report(self, sections: Iterable[Section]) -> None:
        """Write an object with a member for each section."""
        self._begin("{", "}")
        for section in sections:
            self._member(section.name, section.json())
        self._end()

    def item(self, stream: Stream) -> None:
        """Write an entry."""
        self._raw(b"".join(stream.json(self._inner(0), dumps)))

    def _inner(self, more: int) -> int | None:
        """Return how deep something stands that so many more collections are around; None when nothing is indented."""
        return len(self._closers) + more if self._pretty else None

    def _member(self, name: str, value: Any) -> None:
        text = self._text(value, len(self._closers))
        self.sink.hold()
        self._name(name)
        self.sink.write(text)
        self._separator = ","
        self.sink.release()

    def _items(self, name: str, pieces: Iterator[bytes]) -> None:
        """Write an array, the member ``name`` of the open object if it has one, whose items are text already."""
        pieces = _after_first(pieces)
        self.sink.hold()
        if name:
            self._name(name)
        self._begin("[", "]")
        self.sink.release()
        for piece in pieces:
            self._raw(piece)
        self._end()

    def _raw(self, piece: bytes) -> None:
        self.sink.hold()
        self.sink.write(self._separator)
        self.sink.write_bytes(piece)
        self._separator = ","
        self._empty = False
        self.sink.release()

    def done(self) -> None:
        """Write null."""
        self._value(None)

    def lines(self, lines: Iterable[str], value: object) -> None:  # noqa: ARG002 - those are for people
        """Write the value."""
        self._value(value)

    def note(self, text: str) -> None:
        """Say nothing: bpftool drops its remarks too."""

    def warn(self, text: str) -> None:
        """Write a remark to stderr."""
        from bpfctl.render.plain import complain  # noqa: PLC0415 - few outputs need one
        from bpfctl.render.text import safe  # noqa: PLC0415

        complain(safe(text))

    def begin_batch(self) -> None:
        """Open the array of a series."""
        self._begin("[", "]")

    def begin_command(self, words: Sequence[str]) -> None:
        """Open the object of one command."""
        self.sink.hold()
        self._begin("{", "}")
        self._name("command")
        self._value(list(words))
        self._name("output")
        self._bases.append(len(self._closers))
        self._empty = True
        self.sink.release()

    def end_command(self) -> None:
        """Close the object of one command."""
        self.sink.hold()
        if self._empty:
            self._value(None)
        self._bases.pop()
        self._end()
        self.sink.release()

    def end_batch(self, count: int | None) -> None:  # noqa: ARG002 - the plain voice counts
        """Close the array of a series."""
        self._end()

    def error(self, message: str, hint: str = "") -> None:
        """Write an error object where the command's output stands, and close what the command has opened.

        bpftool's object has only the message: the hint goes to stderr, or with the other extra members.
        """
        base = self._base
        if hint and not self._extra:
            from bpfctl.render.plain import complain  # noqa: PLC0415 - only a failure needs them
            from bpfctl.render.text import safe  # noqa: PLC0415

            complain(f"Hint: {safe(hint)}")
        if len(self._closers) > base and self._closers[-1] == "}":
            self._name("error")
            self._value(message)
        elif len(self._closers) > base or self._empty:
            self._value({"error": message, "hint": hint} if hint and self._extra else {"error": message})
        while len(self._closers) > base:
            self._end()

    def close(self) -> None:
        """Close what is open and end the document."""
        self._bases.clear()
        while self._closers:
            self._end()
        if not self._empty:
            self.sink.write("\n")
        self.sink.flush()
