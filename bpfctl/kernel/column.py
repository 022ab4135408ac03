"""Columns: one number or a few bytes out of each record of a packed stream, all records at once."""

from __future__ import annotations

import sys
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING, Any, TypeAlias

from btf import types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Literal

    from btf.place import Place
    from btf.read import BTF

    #: Reads a field of each record of a packed stream.
    Column: TypeAlias = Callable[[bytes], Iterable[Any]]

#: The codes of the struct module for signed integers by their size; those without sign are capital.
CODES = {1: "b", 2: "h", 4: "i", 8: "q"}
_FLOATS = {2: "e", 4: "f", 8: "d"}


def unpacked(order: str, offset: int, code: str, stride: int) -> Column:
    """Return what reads the value of a code of the struct module, at an offset of records of a stride."""
    layout = Struct(f"{order}{offset}x{code}")
    size = layout.size - offset
    if code in _CASTS and order in _NATIVE and not offset % size and not stride % size:
        first, step = offset // size, stride // size
        return lambda packed: memoryview(packed).cast(code)[first::step].tolist()  # type: ignore[call-overload]
    unpack = Struct(f"{layout.format}{stride - layout.size}x").iter_unpack
    return lambda packed: chain.from_iterable(unpack(packed))


_CASTS = frozenset("bBhHiIqQfd?")
_NATIVE = ("=", "<" if sys.byteorder == "little" else ">")


def numbers(btf: BTF, where: Place, stride: int) -> Column | None:
    """Return what reads a part of a type as numbers; None for what is no single number."""
    of = btf.type(where.type_id)
    sign = "<" if btf.byteorder == "little" else ">"
    match of:
        case types.Enum() | types.Enum64() if not where.width:
            code = CODES.get(of.size)
            return unpacked(sign, where.offset, code if of.signed else code.upper(), stride) if code else None
        case types.Float():
            code = _FLOATS.get(of.size)
            return unpacked(sign, where.offset, code, stride) if code else None
        case types.Pointer():
            return unpacked(sign, where.offset, CODES[btf.pointer_size].upper(), stride)
        case types.Int() | types.Enum() | types.Enum64():
            return _integers(btf, where, of, stride)
    return None


def _integers(btf: BTF, where: Place, of: types.Int | types.Enum | types.Enum64, stride: int) -> Column:
    bit, width = where.bit, where.width
    if isinstance(of, types.Int) and not width:
        if of.encoding & types.BOOL:
            return unpacked("=", where.offset, "?", stride)
        code = CODES.get(of.size) if of.nr_bits == of.size * 8 and not of.bits_offset else None
        if code:
            sign = "<" if btf.byteorder == "little" else ">"
            signed = of.signed and not of.encoding & types.CHAR
            return unpacked(sign, where.offset, code if signed else code.upper(), stride)
        bit, width = of.bits_offset, of.nr_bits
    size = (bit + width + 7) // 8
    raw = unpacked("=", where.offset, f"{size}s", stride)
    byteorder: Literal["little", "big"] = btf.byteorder
    shift = bit if byteorder == "little" else size * 8 - bit - width
    mask, high = (1 << width) - 1, 1 << width >> 1 if of.signed else 0
    number = int.from_bytes
    return lambda packed: [((number(each, byteorder) >> shift & mask) ^ high) - high for each in raw(packed)]


def adds(btf: BTF, where: Place) -> bool:
    """Return whether numbers of this part can be added: not those of enums, pointers, characters and truth."""
    of = btf.type(where.type_id)
    if isinstance(of, types.Int):
        return bool(where.width) or not of.encoding & (types.BOOL | types.CHAR)
    return isinstance(of, types.Float)


def is_text(btf: BTF, of: types.Array) -> bool:
    """Return whether an array is one of ``char``."""
    item = btf.type(btf.resolve(of.type_id))
    return isinstance(item, types.Int) and item.size == 1 and (item.encoding & types.CHAR != 0 or item.name == "char")
