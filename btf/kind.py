"""Kind numbers and their record sizes, from ``include/uapi/linux/btf.h``.

Plain integers rather than an enum: this module is on the start-up path of every program that reads
one name out of BTF.
"""

from __future__ import annotations

UNKN = 0
INT = 1
PTR = 2
ARRAY = 3
STRUCT = 4
UNION = 5
ENUM = 6
FWD = 7
TYPEDEF = 8
VOLATILE = 9
CONST = 10
RESTRICT = 11
FUNC = 12
FUNC_PROTO = 13
VAR = 14
DATASEC = 15
FLOAT = 16
DECL_TAG = 17
TYPE_TAG = 18
ENUM64 = 19

#: The kernel's words for the kinds, by number.
NAMES = (
    "UNKN",
    "INT",
    "PTR",
    "ARRAY",
    "STRUCT",
    "UNION",
    "ENUM",
    "FWD",
    "TYPEDEF",
    "VOLATILE",
    "CONST",
    "RESTRICT",
    "FUNC",
    "FUNC_PROTO",
    "VAR",
    "DATASEC",
    "FLOAT",
    "DECL_TAG",
    "TYPE_TAG",
    "ENUM64",
)

#: Types that only qualify another one and do not change what its bytes mean.
MODIFIERS = frozenset({VOLATILE, CONST, RESTRICT, TYPE_TAG})

#: Kind -> (32-bit words of a type without members, words for each member).
WORDS = {
    INT: (4, 0),
    PTR: (3, 0),
    ARRAY: (6, 0),
    STRUCT: (3, 3),
    UNION: (3, 3),
    ENUM: (3, 2),
    FWD: (3, 0),
    TYPEDEF: (3, 0),
    VOLATILE: (3, 0),
    CONST: (3, 0),
    RESTRICT: (3, 0),
    FUNC: (3, 0),
    FUNC_PROTO: (3, 2),
    VAR: (4, 0),
    DATASEC: (3, 3),
    FLOAT: (3, 0),
    DECL_TAG: (4, 0),
    TYPE_TAG: (3, 0),
    ENUM64: (3, 3),
}


def of(info: int) -> int:
    """Return the kind in an info word (7 bits since Linux 7.1, 5 before)."""
    return info >> 24 & 0x7F


def vlen(info: int) -> int:
    """Return the number of members in an info word (24 bits since Linux 7.1, 16 before)."""
    return info & 0xFFFFFF


def flag(info: int) -> bool:
    """Return ``kind_flag``: bitfields, signedness, union or attribute, depending on the kind."""
    return bool(info >> 31)


def signed(value: int, bits: int) -> int:
    """Read an unsigned number of this many bits as a signed one."""
    sign = 1 << bits - 1
    return (value ^ sign) - sign


def enum_rows(info: int, rest: list[int]) -> list[tuple[int, int]]:
    """Return (name offset, value) of an enum's values, from the words after its head."""
    if of(info) == ENUM:
        names, numbers, bits = rest[::2], rest[1::2], 32
    else:
        names, bits = rest[::3], 64
        numbers = [low | high << 32 for low, high in zip(rest[1::3], rest[2::3], strict=True)]
    if flag(info):
        numbers = [signed(number, bits) for number in numbers]
    return list(zip(names, numbers, strict=True))
