"""Records of fields: read by `struct` where all of them can be, written forwards and backwards."""

from __future__ import annotations

from functools import lru_cache, partial
from struct import Struct, calcsize
from typing import TYPE_CHECKING, Any, NamedTuple

from btf import types
from btf._encode_one import Target, error
from btf.class_fields import getter, item_of, name_of
from btf.value import _FLOAT_CODES, _INT_CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from btf._encode_plan import Write


class Rows(NamedTuple):
    """A record as `struct` reads it, and what becomes of each of its values; None: it is what it shall be."""

    layout: str
    convert: tuple[Callable[[Any], Any] | None, ...]
    make: Callable[..., Any]


class Way(NamedTuple):
    """How to read and write a value that is of some class."""

    read: Callable[[bytes, int], Any]
    write: Write
    code: str = ""  # of `struct`, where that makes just what is wanted
    rows: Rows | None = None
    offset: int = 0  # in the record around it


def rows_of(sign: str, parts: Iterable[tuple[Way, int]], make: Callable[..., Any]) -> Rows | None:
    """Return a record as rows, where its fields, each of some bytes, are in their order and nothing is a bitfield."""
    layout, end = sign, 0
    convert: list[Callable[[Any], Any] | None] = []
    for way, size in parts:
        if way.offset < end or not size:
            return None
        layout += f"{way.offset - end}x{way.code or f'{size}s'}"
        convert.append(None if way.code else partial(_from_start, way))
        end = way.offset + size
    return Rows(layout, tuple(convert), make)


def _from_start(way: Way, data: bytes) -> Any:
    return way.read(data, -way.offset)


def reader(ways: list[Way], rows: Rows | None, make: Callable[..., Any]) -> Callable[[bytes, int], Any]:
    """Return what reads one record."""
    if rows and not any(rows.convert):
        unpack_from = Struct(rows.layout).unpack_from
        return lambda data, at: make(*unpack_from(data, at))
    reads = [way.read for way in ways]
    return lambda data, at: make(*[read(data, at) for read in reads])


def writer(as_: Any, ways: list[tuple[str, Way]]) -> Write:
    """Return what writes one record: those fields that are there."""
    take = getter(as_)

    def write(target: Target, at: int, value: Any, path: str) -> None:
        if not isinstance(value, dict if take is item_of else as_):
            raise error(path, f"{name_of(type(value))} is no {name_of(as_)}")
        for name, way in target.parts(ways, f"fields of {name_of(as_)}", path):
            item = take(value, name)
            if item is not None:
                way.write(target, at, item, f"{path}.{name}" if path else name)

    return write


@lru_cache(maxsize=64)
def layout_of(layout: str, step: int) -> Struct:
    """Return what reads rows that are ``step`` bytes apart."""
    return Struct(f"{layout}{step - calcsize(layout)}x")


def code_of(of: types.Type) -> str:
    """Return what `struct` calls a number that it reads as `btf.value` does; empty for anything else."""
    if isinstance(of, types.Int) and not of.encoding & ~types.SIGNED and not of.bits_offset:
        code = _INT_CODES.get(of.nr_bits, "") if of.nr_bits == 8 * of.size else ""
        return code if of.signed else code.upper()
    return _FLOAT_CODES.get(of.size, "") if isinstance(of, types.Float) else ""
