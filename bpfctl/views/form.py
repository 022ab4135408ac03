"""Thousands of records of one layout as text, at a speed that Python code for each of them could not have.

A form is text with holes, and says what of a record goes into each hole. Records come packed: two streams of bytes
(a map's keys and its values) in which every record takes the same room. Two techniques fill a form:

* Where all holes are bytes in hexadecimal, every record has text of the same length. The text of so many zero records
  is one multiplication, and each digit of all records at once is put in by one assignment to a stepped slice.
* Elsewhere each hole becomes a column: hexadecimal text cut into pieces, numbers out of one struct.iter_unpack(), or
  the answers of a function. The rows of these columns go through the % operator.

Text that looks like JSON is given as a tree, which ``lay`` spells as bpftool's src/json_writer.c would.
"""

from __future__ import annotations

import re
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

KEY, VALUE = 0, 1

_BLOCK = 1 << 17  # bytes of text that are made at once; about what a CPU keeps in its cache
_MOST_DIGITS = 512  # of a record, beyond which stepping through a block costs more than it saves


class Layout(NamedTuple):
    """How a tree is spelled: compact (``depth`` is None), or indented by so many levels."""

    depth: int | None
    spell: Callable[[Any], str]  # a string as JSON

    def deeper(self) -> Layout:
        """Return the layout of what is inside."""
        return self if self.depth is None else Layout(self.depth + 1, self.spell)

    @property
    def line(self) -> str:
        """What begins a line of this depth."""
        return "" if self.depth is None else "\n" + "    " * self.depth


class Hex(NamedTuple):
    """Bytes: in a tree an array of strings such as "0x1f", elsewhere lines of 16."""

    stream: int
    offset: int
    size: int


class Number(NamedTuple):
    """An integer, by its code in the struct module."""

    stream: int
    offset: int
    code: str


class Text(NamedTuple):
    """Bytes of which a function makes text."""

    stream: int
    offset: int
    size: int
    make: Callable[[bytes, Layout], str]


class Object(NamedTuple):
    """An object of a tree; names may repeat."""

    members: tuple[tuple[str, Node], ...]


Hole: TypeAlias = "_Rows | Number | _Made"
#: Makes text of what a packed stream has for one hole or more of each record.
Column: TypeAlias = "Callable[[bytes], Iterable[bytes]]"
#: A string is spelled already.
Node: TypeAlias = "str | list[Node] | Object | Hex | Number | Text"


class _Made(NamedTuple):
    stream: int
    offset: int
    size: int
    make: Callable[[bytes], str]


class _Rows(NamedTuple):
    """Bytes in hexadecimal, laid out in rows of which each has the same text but for its digits."""

    stream: int
    offset: int
    size: int
    row: bytes
    digits: tuple[int, ...]  # where the two digits of each byte stand in a row

    @property
    def length(self) -> int:
        """The length of the text, which ends with the last digit or what must follow it."""
        full, rest = divmod(self.size - 1, len(self.digits))
        return full * len(self.row) + self.digits[rest] + 2 + self.tail

    @property
    def tail(self) -> int:
        """How much text belongs to the digits before it: a quote, or nothing."""
        return self.row.endswith(b'",')

    def zeros(self) -> bytes:
        """Return the text of so many zero bytes."""
        return (self.row * -(-self.size // len(self.digits)))[: self.length]

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield each byte's place in the record and its digits' place in the text."""
        for at in range(self.size):
            row, byte = divmod(at, len(self.digits))
            yield self.offset + at, row * len(self.row) + self.digits[byte]

    def column(self, packed: bytes, stride: int) -> list[bytes]:
        """Return the text of each record."""
        per_row = len(self.digits)
        room = -(-self.size // per_row) * per_row
        if (self.offset, self.size, room) != (0, stride, stride):
            end, blank = self.offset + self.size, bytes(room - self.size)
            packed = b"".join([packed[at + self.offset : at + end] + blank for at in range(0, len(packed), stride)])
        text = bytearray(self.row * (len(packed) // per_row))
        high, low = packed.translate(_HIGH), packed.translate(_LOW)
        for byte, digit in enumerate(self.digits):
            text[digit :: len(self.row)] = high[byte::per_row]
            text[digit + 1 :: len(self.row)] = low[byte::per_row]
        spelled, step, length = bytes(text), room // per_row * len(self.row), self.length
        return [spelled[at : at + length] for at in range(0, len(spelled), step)]


_HIGH = bytes(b"0123456789abcdef"[byte >> 4] for byte in range(256))
_LOW = bytes(b"0123456789abcdef"[byte & 15] for byte in range(256))
# src/main.c fprint_hex(): one space between bytes, two in the middle, 16 in a line.
_LINE = b"00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00\n"
_LINE_DIGITS = (*range(0, 24, 3), *range(25, 49, 3))
_ITEM = b'"0x00",'


class Form:
    """Text with holes, for records of two streams; ``between`` stands between records."""

    def __init__(self, text: str, holes: Sequence[Hole], strides: tuple[int, int], between: str = "") -> None:
        self._strides = strides
        rows = [hole for hole in holes if isinstance(hole, _Rows)]
        self._fill: Callable[[bytes, bytes, int], bytes]
        if len(rows) == len(holes) and sum(hole.size for hole in rows) <= _MOST_DIGITS:
            fixed = _Fixed(text, rows, strides, between)
            self._fill, size = fixed.fill, fixed.length
        else:
            self._fill = _Columns(text, holes, strides, between).fill
            # A column of numbers or pieces of text has some 64 bytes for each record.
            size = len(text) + 64 * len(holes) + sum(hole.length for hole in rows)
        self._at_once = max(1, _BLOCK // max(size, 1))

    def fill(self, keys: bytes, values: bytes, records: int) -> Iterator[bytes]:
        """Yield the text of all records in pieces; between two pieces there is nothing."""
        key_size, value_size = self._strides
        for start in range(0, records, self._at_once):
            end = min(start + self._at_once, records)
            yield self._fill(
                keys[start * key_size : end * key_size],
                values[start * value_size : end * value_size],
                end - start,
            )


class _Fixed:
    """Text of the same length for each record."""

    def __init__(self, text: str, holes: list[_Rows], strides: tuple[int, int], between: str) -> None:
        # Each % stands for a hole, or with another one for itself.
        parts = text.replace("%%", "\0").split("%s")
        template = bytearray()
        self._places: list[tuple[int, int, int]] = []
        for part, hole in zip(parts, holes, strict=False):
            template += part.replace("\0", "%").encode(errors="surrogateescape")
            self._places += [(hole.stream, at, len(template) + place) for at, place in hole.places()]
            template += hole.zeros()
        template += parts[-1].replace("\0", "%").encode(errors="surrogateescape")
        self._between = between.encode()
        self._template = bytes(template + self._between)
        self._strides = strides
        self.length = len(self._template)

    def fill(self, keys: bytes, values: bytes, records: int) -> bytes:
        """Return the text of all records."""
        length = self.length
        text = bytearray(self._template * records)
        high = keys.translate(_HIGH), values.translate(_HIGH)
        low = keys.translate(_LOW), values.translate(_LOW)
        for stream, at, place in self._places:
            stride = self._strides[stream]
            text[place::length] = high[stream][at::stride]
            text[place + 1 :: length] = low[stream][at::stride]
        if self._between:
            del text[-len(self._between) :]
        return bytes(text)


class _Columns:
    """Text of any length."""

    def __init__(self, text: str, holes: Sequence[Hole], strides: tuple[int, int], between: str) -> None:
        self._between = between.encode()
        self._columns: list[tuple[int, Column]] = []
        # Each % stands for a hole, or with another one for itself.
        parts = re.split(b"(%[sd])", text.encode(errors="surrogateescape").replace(b"%%", b"\0"))
        literals = [part.replace(b"\0", b"%%") for part in parts[::2]]
        outer = literals[0]
        column: Column
        at = 0
        while at < len(holes):
            hole, last = holes[at], at
            if isinstance(hole, Number):
                numbers = _together(holes[at:])
                last += len(numbers) - 1
                inner = b"%d".join([b"", *literals[at + 1 : last + 1], b""])
                column = _numbers(inner, numbers, strides[hole.stream])
            elif isinstance(hole, _Made):
                column = _made(hole, strides[hole.stream])
            else:
                column = partial(hole.column, stride=strides[hole.stream])
            self._columns.append((hole.stream, column))
            outer += b"%s" + literals[last + 1]
            at = last + 1
        self._text = outer

    def fill(self, keys: bytes, values: bytes, records: int) -> bytes:
        """Return the text of all records."""
        streams = keys, values
        columns = [column(streams[stream]) for stream, column in self._columns]
        rows = zip(*columns, strict=True) if columns else [()] * records
        return self._between.join(map(self._text.__mod__, rows))


def _together(holes: Sequence[Hole]) -> list[Number]:
    """Return the numbers at the begin that can be unpacked all at once."""
    found: list[Number] = []
    stream, end = holes[0].stream, 0
    for hole in holes:
        if not isinstance(hole, Number) or hole.stream != stream or hole.offset < end:
            break
        found.append(hole)
        end = hole.offset + Struct(hole.code).size
    return found


def _numbers(text: bytes, holes: Iterable[Number], stride: int) -> Column:
    code, end = "=", 0
    for hole in holes:
        code += f"{hole.offset - end}x{hole.code}"
        end = hole.offset + Struct(hole.code).size
    unpack = Struct(f"{code}{stride - end}x").iter_unpack
    return lambda packed: map(text.__mod__, unpack(packed))


def _made(hole: _Made, stride: int) -> Column:
    unpack = Struct(f"{hole.offset}x{hole.size}s{stride - hole.offset - hole.size}x").iter_unpack
    make = hole.make
    return lambda packed: [make(raw).encode(errors="surrogateescape") for (raw,) in unpack(packed)]


def tree(node: Node, layout: Layout, strides: tuple[int, int]) -> Form:
    """Return the form of a tree; records follow each other as items of an array."""
    holes: list[Hole] = []
    return Form(_spelled(node, layout, holes), holes, strides, ",")


def text(node: Node, layout: Layout) -> str:
    """Spell a tree without holes."""
    return _spelled(node, layout, []) % ()


def lines(parts: Sequence[str | Hex | Number], strides: tuple[int, int]) -> Form:
    """Return the form of plain text: bytes stand in lines of 16."""
    holes: list[Hole] = []
    spelled = ""
    for part in parts:
        if isinstance(part, str):
            spelled += part.replace("%", "%%")
        elif isinstance(part, Number):
            holes.append(part)
            spelled += "%d"
        elif part.size:
            holes.append(_Rows(*part, _LINE, _LINE_DIGITS))
            spelled += "%s"
    return Form(spelled, holes, strides)


def _spelled(node: Node, layout: Layout, holes: list[Hole]) -> str:
    if isinstance(node, str):
        return node.replace("%", "%%")
    if isinstance(node, Number):
        holes.append(node)
        return "%d"
    if isinstance(node, Text):
        make = node.make
        holes.append(_Made(node.stream, node.offset, node.size, lambda raw: make(raw, layout)))
        return "%s"
    if isinstance(node, Hex):
        if not node.size:
            return "[]"
        holes.append(_Rows(*node, _ITEM, (3,)))
        return f"[%s{layout.line}]"
    inside = layout.deeper()
    if isinstance(node, list):
        return f"[{','.join([_spelled(item, inside, holes) for item in node])}{layout.line}]" if node else "[]"
    if not node.members:
        return "{}"
    colon = ":" if layout.depth is None else ": "
    members = [
        f"{inside.line}{layout.spell(name).replace('%', '%%')}{colon}{_spelled(member, inside, holes)}"
        for name, member in node.members
    ]
    return f"{{{','.join(members)}{layout.line}}}"
