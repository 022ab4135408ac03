"""What differs between two maps: entries that one of them lacks, and what became of those that both have."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.kernel.elements import pieces
from bpfctl.views import form, typed
from bpfctl.views import value as values
from bpfctl.views.form import KEY, VALUE, Hex, Layout, Object, Text
from bpfctl.views.view import Column, Stream
from btf.value import Decoder, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bpfctl.kernel.elements import Chunk
    from bpfctl.views.element import Shape
    from bpfctl.views.form import Node
    from btf.value import Value


class Change(NamedTuple):
    """One part of a value that is not the same; the field is empty where it is all of it."""

    cpu: int | None
    field: str
    first: Value | bytes
    second: Value | bytes


class _Row(NamedTuple):
    """A change in a table."""

    key: str
    cpu: int | None
    field: str
    first: str
    second: str


_COLUMNS = (
    Column("key", lambda row: row.key, tone="handle"),
    Column("cpu", lambda row: row.cpu, "number", "quiet"),
    Column("field", lambda row: row.field or None, tone="name"),
    Column("first", lambda row: row.first),
    Column("second", lambda row: row.second),
)


class Differences:
    """How the differences between two maps look, whose entries look like ``shape``.

    In the values of entries that both have, the first map's stand before the second one's, or with ``swapped`` behind.
    """

    def __init__(self, shape: Shape, *, swapped: bool = False) -> None:
        self._shape = shape
        self._first, self._second = (shape.room, 0) if swapped else (0, shape.room)
        types = shape.types
        self._key: Callable[[bytes], Value | bytes] = Decoder(types.btf, types.key) if types and types.key else bytes
        self._value: Callable[[bytes], Value | bytes] = Decoder(types.btf, types.value) if types else bytes

    def only(self, sign: str, items: str, where: str, chunks: Iterable[Chunk]) -> Stream:
        """Return what shows entries that only one map has, behind a sign."""
        stream = self._shape.stream(chunks)
        title = f"only in the {where}"
        return stream._replace(
            title=title,
            items=items,
            plain=lambda: self._lines(sign, chunks),
            document=None,
            empty="none",
            extra=None,
        )

    def changed(self, chunks: Iterable[Chunk]) -> Stream:
        """Return what shows the entries that both maps have, with another value in each."""
        strides = (self._shape.strides[0], 2 * self._shape.room)
        return Stream(
            head={},
            title="changed",
            items="changed",
            json=lambda depth, spell: self._json(chunks, Layout(depth, spell), strides),
            plain=lambda: self._changed_lines(chunks),
            document=None,
            columns=lambda: _COLUMNS,
            rows=lambda: self._rows(chunks),
            empty="none",
        )

    # JSON

    def _json(self, chunks: Iterable[Chunk], layout: Layout, strides: tuple[int, int]) -> Iterator[bytes]:
        room = self._shape.room
        members: list[tuple[str, Node]] = [
            ("key", Hex(KEY, 0, strides[0])),
            ("first", Object((self._side(self._first),))),
            ("second", Object((self._side(self._second),))),
        ]
        if self._shape.types:
            members.append(("fields", Text(VALUE, 0, 2 * room, self._fields)))
        tree = form.tree(Object(tuple(members)), layout, strides)
        for chunk in chunks:
            yield from tree.fill(*chunk[:3])

    def _side(self, start: int) -> tuple[str, Node]:
        size, step = self._shape.info.value_size, self._shape.step
        if not self._shape.per_cpu:
            return "value", Hex(VALUE, start, size)
        slots = [(str(cpu), Hex(VALUE, start + cpu * step, size)) for cpu in range(self._shape.cpus)]
        return "values", [Object((("cpu", cpu), ("value", value))) for cpu, value in slots]

    def _fields(self, raw: bytes, layout: Layout) -> str:
        inside = layout.deeper().deeper()
        items: list[Node] = []
        for change in self.changes(raw):
            members: list[tuple[str, Node]] = [("cpu", str(change.cpu))] if change.cpu is not None else []
            members.append(("field", layout.spell(change.field)))
            for name, value in (("first", change.first), ("second", change.second)):
                spelled = layout.spell(value.hex(" ")) if isinstance(value, bytes) else None
                members.append((name, spelled or typed.spelled(value, inside, json=True)))  # type: ignore[arg-type]
            items.append(Object(tuple(members)))
        return form.text(items, layout)

    # text

    def _lines(self, sign: str, chunks: Iterable[Chunk]) -> Iterator[bytes]:
        for key, value in self._pairs(chunks, self._shape.room):
            parts = self._by_cpu(value)
            told = [f"cpu {cpu} {self._text(part)}" if cpu is not None else self._text(part) for cpu, part in parts]
            yield f"{sign} {self._of_key(key)}: {', '.join(told)}\n".encode(errors="surrogateescape")

    def _changed_lines(self, chunks: Iterable[Chunk]) -> Iterator[bytes]:
        for row in self._changed(chunks):
            told = [
                f"{f'cpu {cpu} ' if cpu is not None else ''}{f'{field}: ' if field else ''}{first} -> {second}"
                for _, cpu, field, first, second in row
            ]
            yield f"~ {row[0].key}: {', '.join(told)}\n".encode(errors="surrogateescape")

    def _rows(self, chunks: Iterable[Chunk]) -> Iterator[_Row]:
        for rows in self._changed(chunks):
            yield from rows

    def _changed(self, chunks: Iterable[Chunk]) -> Iterator[list[_Row]]:
        for key, both in self._pairs(chunks, 2 * self._shape.room):
            changes = self.changes(both)
            shown = self._of_key(key)
            yield [_Row(shown, one.cpu, one.field, _spelled(one.first), _spelled(one.second)) for one in changes]

    def _pairs(self, chunks: Iterable[Chunk], room: int) -> Iterator[tuple[bytes, bytes]]:
        for chunk in chunks:
            keys = pieces(chunk.keys, self._shape.info.key_size, chunk.entries)
            yield from zip(keys, pieces(chunk.values, room, chunk.entries), strict=True)

    def _of_key(self, raw: bytes) -> str:
        return _spelled(self._key(raw))

    def _text(self, raw: bytes) -> str:
        return _spelled(self._value(raw))

    def _by_cpu(self, raw: bytes) -> list[tuple[int | None, bytes]]:
        size, step = self._shape.info.value_size, self._shape.step
        if not self._shape.per_cpu:
            return [(None, raw[:size])]
        return [(cpu, raw[cpu * step : cpu * step + size]) for cpu in range(self._shape.cpus)]

    def changes(self, both: bytes) -> list[Change]:
        """Return what differs between two values that stand one behind the other."""
        found: list[Change] = []
        sides = self._by_cpu(both[self._first :]), self._by_cpu(both[self._second :])
        for (cpu, first), (_, second) in zip(*sides, strict=True):
            if first != second:
                parts = list(_parts("", self._value(first), self._value(second)))
                # Bytes that the type does not name may differ alone.
                found += [Change(cpu, *part) for part in parts or [("", first, second)]]
        return found


def _parts(
    path: str, first: Value | bytes, second: Value | bytes
) -> Iterator[tuple[str, Value | bytes, Value | bytes]]:
    if isinstance(first, Record) and isinstance(second, Record):
        for (name, one), (_, other) in zip(first.fields, second.fields, strict=True):
            yield from _parts(f"{path}.{name}".strip(".") if name else path, one, other)
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for at, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from _parts(f"{path}[{at}]", one, other)
    elif first != second and not (first != first and second != second):  # noqa: PLR0124 - there are many NaNs
        yield path, first, second


def _spelled(value: Value | bytes) -> str:
    return value.hex(" ") if isinstance(value, bytes) else values.plain(value)
