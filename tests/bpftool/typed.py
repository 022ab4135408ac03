"""Types that the BTF of a map may give its values: one case for each way in which formats go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf import types
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Callable

S, C, B = types.SIGNED, types.CHAR, types.BOOL
ENUM64, FLOAT = "func:btf_enum64_check_meta", "func:btf_float_check_meta"


class Basics:
    """A builder with the types that most others are made of."""

    def __init__(self) -> None:
        b = self.builder = Builder()
        self.u8, self.u16, self.u32 = b.add_int("u8", 1), b.add_int("u16", 2), b.add_int("u32", 4)
        self.u64, self.u128 = b.add_int("u64", 8), b.add_int("u128", 16)
        self.s8, self.s16 = b.add_int("s8", 1, encoding=S), b.add_int("s16", 2, encoding=S)
        self.s32, self.s64 = b.add_int("int", 4, encoding=S), b.add_int("s64", 8, encoding=S)
        self.s128 = b.add_int("s128", 16, encoding=S)
        self.char, self.bool = b.add_int("char", 1, encoding=S), b.add_int("_Bool", 1, encoding=B)
        self.letter = b.add_int("letter", 1, encoding=C)
        self.enum = b.add_enum("e", [("ZERO", 0), ("ONE", 1), ("TOP", 1 << 31)])

    def array(self, of: int, count: int) -> int:
        """Add an array."""
        return self.builder.add_array(of, self.u32, count)


class Case(NamedTuple):
    """A type: its name, its size, how it is added, what of the kernel it needs."""

    name: str
    size: int
    add: Callable[[Basics], int]
    need: str = ""


def _row(of: Basics, name: str, members: list[tuple[str, int, int]], gap: int = 0) -> int:
    """Add a struct of members that follow each other; each has its size behind its type."""
    placed, offset = [], 0
    for member, type_id, size in members:
        placed.append((member, type_id, offset * 8))
        offset += size + gap
    return of.builder.add_struct(name, offset, placed)


def _bits(of: Basics, name: str, size: int, fields: list[tuple[int, int]]) -> int:
    """Add a struct of bit fields that follow each other without gaps, of types and widths."""
    placed, offset = [], 0
    for at, (type_id, width) in enumerate(fields):
        placed.append((f"f{at}", type_id, offset, width))
        offset += width
    return of.builder.add_struct(name, size, placed)


def _old_bits(of: Basics) -> int:
    """Add bit fields as compilers wrote them before Linux 5.0: as integers of so many bits."""
    b = of.builder
    three, nine = b.add_int("u32", 4, nr_bits=3), b.add_int("int", 4, encoding=S, nr_bits=9)
    return b.add_struct("old_bits", 4, [("a", three, 0), ("b", nine, 3), ("c", three, 12)])


def _nameless(of: Basics) -> int:
    b = of.builder
    inner = b.add_struct("", 8, [("x", of.u32), ("y", of.s32, 32)])
    union = b.add_union("", 8, [("", inner), ("bytes", of.array(of.u8, 8)), ("whole", of.u64)])
    return b.add_struct("nameless", 16, [("first", of.u64), ("", union, 64)])


def _deep(of: Basics) -> int:
    type_id = of.u16
    for depth in range(12):
        type_id = of.builder.add_struct(f"d{depth}", 2, [(f"in{depth}", type_id)])
    return type_id


def _qualified(of: Basics) -> int:
    b = of.builder
    type_id = b.add_typedef("first", b.add_const(b.add_volatile(of.s32)))
    type_id = b.add_const(b.add_typedef("second", b.add_typedef("third", type_id)))
    restricted = b.add_restrict(b.add_ptr(b.add_const(of.char)))
    return b.add_struct("qualified", 16, [("number", type_id), ("text", restricted, 64)])


def _pointers(of: Basics) -> int:
    b = of.builder
    function = b.add_func_proto(of.s32, [("a", of.u32)])
    targets = {"nothing": 0, "text": b.add_const(of.char), "function": function, "itself": b.next_id + 5}
    members = [(name, b.add_ptr(target), 8) for name, target in targets.items()]
    members.append(("several", of.array(members[0][1], 2), 16))
    return _row(of, "pointers", members)


def _texts(of: Basics) -> int:
    b = of.builder
    octet = b.add_typedef("octet", of.char)
    named = b.add_int("char", 1)
    each = {
        "plain": (of.char, 4),
        "constant": (b.add_const(b.add_volatile(of.char)), 4),
        "encoded": (of.letter, 1),
        "unsigned_char": (b.add_int("unsigned char", 1), 4),
        "octets": (octet, 4),
        "named": (named, 5),
        "none": (of.char, 0),
        "bytes": (of.s8, 4),
    }
    members = [(name, of.array(*each[name]), each[name][1]) for name in each if name != "encoded"]
    members.append(("table", of.array(of.array(of.char, 3), 2), 6))
    return _row(of, "texts", members)


def _arrays(of: Basics) -> int:
    b = of.builder
    pair = b.add_struct("pair", 4, [("a", of.u16), ("b", of.s16, 16)])
    members = [
        ("none", of.array(of.u32, 0), 0),
        ("one", of.array(of.u32, 1), 4),
        ("pairs", of.array(pair, 3), 12),
        ("no_pairs", of.array(pair, 0), 0),
        ("table", of.array(of.array(of.s16, 2), 3), 12),
        ("empty_rows", of.array(of.array(of.s16, 0), 3), 0),
        ("flags", of.array(of.bool, 4), 4),
        ("names", of.array(of.enum, 2), 8),
        ("wide", of.array(of.u128, 2), 32),
        ("many", of.array(of.s8, 70), 70),
        ("more", of.array(of.u16, 65), 130),
    ]
    return _row(of, "arrays", members)


def _flexible(of: Basics) -> int:
    b = of.builder
    pair = b.add_struct("pair", 4, [("a", of.u16), ("b", of.s16, 16)])
    return b.add_struct("flexible", 8, [("count", of.u64), ("data", of.array(pair, 0), 64)])


def _union(of: Basics) -> int:
    b = of.builder
    bits = b.add_struct("bits", 8, [("low", of.u32, 0, 5), ("high", of.u32, 5, 27)])
    members = [("number", of.u64), ("bits", bits), ("signed", of.s32), ("text", of.array(of.char, 8)), ("e", of.enum)]
    return b.add_union("several", 8, members)


def _enum(size: int, values: list[tuple[str, int]], *, signed: bool = False) -> Callable[[Basics], int]:
    return lambda of: of.builder.add_enum("sized", values, size=size, signed=signed)


def _enum64(values: list[tuple[str, int]], *, signed: bool = False) -> Callable[[Basics], int]:
    return lambda of: of.builder.add_enum64("far", values, signed=signed)


def _plain(name: str) -> Callable[[Basics], int]:
    return lambda of: getattr(of, name)


CASES = [
    *(Case(f"u{8 * size}", size, _plain(f"u{8 * size}")) for size in (1, 2, 4, 8, 16)),
    *(Case(f"s{8 * size}", size, _plain(f"s{8 * size}")) for size in (1, 2, 4, 8, 16)),
    Case("char", 1, _plain("char")),
    Case("bool", 1, _plain("bool")),
    Case("three_bits", 1, lambda of: of.builder.add_int("three", 1, nr_bits=3)),
    Case("some_bits", 4, lambda of: of.builder.add_int("some", 4, nr_bits=13, bits_offset=5, encoding=S)),
    Case("24_bits", 4, lambda of: of.builder.add_int("odd", 4, nr_bits=24)),
    Case("65_bits", 16, lambda of: of.builder.add_int("wide", 16, nr_bits=65)),
    Case("bits", 8, lambda of: _bits(of, "b", 8, [(of.u32, 3), (of.s32, 7), (of.u32, 1), (of.u64, 50), (of.u8, 3)])),
    Case("bits_over_64", 24, lambda of: _bits(of, "b", 24, [(of.u8, 3), (of.u128, 90), (of.u64, 64), (of.s64, 35)])),
    Case("bits_of_others", 4, lambda of: _bits(of, "b", 4, [(of.bool, 1), (of.enum, 9), (of.s8, 6), (of.u16, 16)])),
    Case("bits_whole", 8, lambda of: _bits(of, "b", 8, [(of.u32, 32), (of.s16, 16), (of.u8, 8), (of.u8, 8)])),
    Case("old_bits", 4, _old_bits),
    Case("enum", 4, _plain("enum")),
    Case("enum_none", 4, _enum(4, [("ONLY", 77)])),
    Case("enum_twice", 4, _enum(4, [("A", 1), ("B", 1), ("C", 0)])),
    Case("enum_1", 1, _enum(1, [("LOW", 0), ("MINUS", -1), ("HIGH", 127)])),
    Case("enum_2", 2, _enum(2, [("LOW", 1), ("TOP", 0x7FFF)])),
    Case("enum_8", 8, _enum(8, [("LOW", 1), ("MINUS", -1)])),
    Case("enum_signed", 4, _enum(4, [("MINUS", -1), ("LEAST", -1 << 31), ("ONE", 1)], signed=True), ENUM64),
    Case("enum64", 8, _enum64([("ZERO", 0), ("FAR", 1 << 63), ("LAST", (1 << 64) - 1)]), ENUM64),
    Case("enum64_signed", 8, _enum64([("MINUS", -1), ("LEAST", -1 << 63)], signed=True), ENUM64),
    Case("union", 8, _union),
    Case("nameless", 16, _nameless),
    Case("nothing", 8, lambda of: _row(of, "n", [("none", of.builder.add_struct("", 0, []), 0), ("x", of.u64, 8)])),
    Case("deep", 2, _deep),
    Case("qualified", 16, _qualified),
    Case("pointer", 8, lambda of: of.builder.add_ptr(of.builder.add_const(of.u8))),
    Case("pointers", 48, _pointers),
    Case("texts", 31, _texts),
    Case("array", 24, lambda of: of.array(of.s64, 3)),
    Case("array_of_text", 24, lambda of: of.array(of.array(of.char, 8), 3)),
    Case("text", 16, lambda of: of.array(of.char, 16)),
    Case("arrays", 272, _arrays),
    Case("flexible", 8, _flexible),
    Case("flexible_text", 4, lambda of: _row(of, "flex", [("n", of.u32, 4), ("text", of.array(of.char, 0), 0)])),
]
