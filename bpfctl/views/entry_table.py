"""Entries of maps as rows of a table: a column for each member of a key or value with types, else bytes."""

from __future__ import annotations

import os
import sys
from errno import ENOSPC
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.errors import ENOTSUPP
from bpfctl.kernel.elements import pieces
from bpfctl.uapi.enums import MapType
from bpfctl.views import value as values
from bpfctl.views.view import Column
from btf import kind
from btf.value import Char, Decoder, Enumerator, Record, Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.kernel.elements import Chunk
    from bpfctl.kernel.map_types import Types
    from bpfctl.views.element import Shape
    from btf.read import BTF
    from btf.value import Value

_MOST_COLUMNS = 24
_ERRORS = {
    ENOTSUPP: "the kernel does not tell",
    ENOSPC: "the kernel tells values of 8 bytes alone",  # cookies of sockets (sock_map_lookup_sys)
}
_IDS = {
    MapType.PROG_ARRAY: "program",
    MapType.ARRAY_OF_MAPS: "inner map",
    MapType.HASH_OF_MAPS: "inner map",
}


class Row(NamedTuple):
    """An entry; of a per-CPU map, what one CPU has of it."""

    key: Value | bytes
    value: Value | bytes
    cpu: int
    errno: int = 0


def columns(shape: Shape) -> tuple[Column, ...]:
    """Return the columns of a map's entries."""
    types, of = shape.types, shape.info.type
    if types and _is_section(types):
        return _VARIABLES
    found: list[Column] = []
    if shape.info.key_size:
        found += _of("key", _members(types.btf, types.key) if types and types.key else None, "handle")
    if shape.per_cpu:
        found.append(Column("cpu", lambda row: row.cpu if not row.errno else None, "number", "quiet"))
    if isinstance(of, MapType) and of in _IDS:
        found.append(Column(_IDS[of], _id, "number", "handle"))
    else:
        found += _of("value", _members(types.btf, types.value) if types else None, "")
    found.append(Column("error", _error, tone="alarm"))
    return tuple(found)


def rows(shape: Shape, chunks: Iterable[Chunk]) -> Iterator[Row]:
    """Yield the rows of entries, decoded; of a section of variables, a row for each."""
    types, size, step = shape.types, shape.info.value_size, shape.step
    key_of = Decoder(types.btf, types.key) if types and types.key else bytes
    value_of = Decoder(types.btf, types.value) if types and shape.info.type not in _IDS else bytes
    for chunk in chunks:
        if chunk.errno:
            if not shape.is_gap(chunk):
                yield from (Row(key_of(key), b"", 0, chunk.errno) for key in pieces(chunk.keys, shape.info.key_size))
            continue
        keys = pieces(chunk.keys, shape.info.key_size, chunk.entries)
        for key, value in zip(keys, pieces(chunk.values, shape.room, chunk.entries), strict=True):
            for cpu in range(shape.cpus):
                found = value_of(value[cpu * step : cpu * step + size])
                if isinstance(found, Section):
                    yield from (Row(name, variable, cpu) for name, variable in _variables(found))
                else:
                    yield Row(key_of(key), found, cpu)


def _is_section(types: Types) -> bool:
    return types.btf.kind(types.btf.resolve(types.value)) == kind.DATASEC


def _variables(section: Section) -> Iterator[tuple[str, Value]]:
    for name, variable in section.fields:
        yield (name, variable[name]) if isinstance(variable, Record) and name in variable else (name, variable)


def _id(row: Row) -> int | None:
    return int.from_bytes(row.value, sys.byteorder) if isinstance(row.value, bytes) and not row.errno else None


def _error(row: Row) -> str | None:
    if not row.errno:
        return None
    return _ERRORS.get(row.errno) or os.strerror(row.errno)


def _members(btf: BTF, type_id: int) -> list[tuple[str, bool]] | None:
    """Return the names of a struct's members and whether they are numbers; None for what is better in one cell."""
    decoder = Decoder(btf, type_id)
    sample = decoder(bytes(decoder.size))
    if type(sample) is not Record:
        return None
    names = list(_names(sample))
    return names if 0 < len(names) <= _MOST_COLUMNS else None


def _names(record: Record) -> Iterator[tuple[str, bool]]:
    for name, value in record.fields:
        if name:
            yield name, isinstance(value, int) and not isinstance(value, bool | Char | Enumerator)
        elif isinstance(value, Record):
            yield from _names(value)


def _of(part: str, members: list[tuple[str, bool]] | None, tone: str) -> Iterator[Column]:
    if members is None:
        yield Column(part, lambda row: cell(getattr(row, part)), "text", tone)
        return
    for rank, (name, number) in enumerate(members):
        title = f"key.{name}" if part == "key" else name
        yield Column(title, _member(part, name), "number" if number else "text", tone, rank if part == "value" else 0)


def _member(part: str, name: str) -> Any:
    def get(row: Row) -> str | None:
        whole = getattr(row, part)
        return cell(whole[name]) if isinstance(whole, Record) else None

    return get


def cell(value: Value | bytes) -> str | None:
    """Return what people are shown of a key, a value or a member of one."""
    match value:
        case bytes():
            return value.hex(" ") or None
        case str():
            return value
        case Char():
            return chr(value) if 0x20 <= value < 0x7F else values.plain(value)
    return values.plain(value).strip('"')


_VARIABLES = (
    Column("variable", lambda row: row.key, tone="name"),
    Column("value", lambda row: cell(row.value)),
    Column("error", _error, tone="alarm"),
)
