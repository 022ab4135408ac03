"""What a function takes and returns, out of DWARF and as BTF: types of processes in the language of the kernel's.

Tags and attributes: DWARF 5, 7.5.3 and 7.5.4. What BTF cannot say, such as how C++ passes an object, is left out.
"""

from __future__ import annotations

import sys
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.elf.dwarf_unit import DECLARATION
from btf import types
from btf.read import BTF
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bpfctl.elf.dwarf_unit import Die

    # A type by the file, the unit and the entry that tell of it; of an array of several dimensions, also which one.
    Key = tuple[int, int, int, int]

_TYPE, _BYTE_SIZE, _ENCODING, _CONST_VALUE = 0x49, 0x0B, 0x3E, 0x1C
_MEMBER_AT, _BIT_SIZE, _BIT_OFFSET, _DATA_BIT_OFFSET = 0x38, 0x0D, 0x0C, 0x6B
_COUNT, _UPPER_BOUND, _LANGUAGE, _CONVENTION, _NORMAL = 0x37, 0x2F, 0x13, 0x36, 1
_BOOL, _SIGNED, _SIGNED_CHAR = 2, 5, 6
_FLOATS = frozenset({0x03, 0x04, 0x09, 0x0F})  # complex, real, imaginary, decimal
_INSIDE = frozenset({0x0B, 0x1D, 0x48, 0x4109})  # blocks, what is inlined there, and what is called from there
_MOST_PARTS = 0xFFFF  # that BTF has room for
_PLUS = 0x23  # DW_OP_plus_uconst
_MOST_TYPES = 20_000
_LANGUAGES = frozenset({0x01, 0x02, 0x0C, 0x1D, 0x2C, 0x10, 0x8001, None})  # C and its editions, Objective-C, assembler
_CPLUSPLUS = frozenset({0x04, 0x1A, 0x21, 0x2B, 0x3A})  # DW_LANG_C_plus_plus and its editions


class Tag:
    """What entries are."""

    ARRAY, CLASS, ENUM, PARAMETER, MEMBER, POINTER, REFERENCE = 0x01, 0x02, 0x04, 0x05, 0x0D, 0x0F, 0x10
    STRUCT, SUBROUTINE, TYPEDEF, UNION, INHERITANCE, MEMBER_POINTER = 0x13, 0x15, 0x16, 0x17, 0x1C, 0x1F
    SUBRANGE, BASE, CONST, ENUMERATOR, VOLATILE, RESTRICT = 0x21, 0x24, 0x26, 0x28, 0x35, 0x37
    RVALUE, ATOMIC = 0x42, 0x47


class Prototype(NamedTuple):
    """A function: its parameters by name and type, and the type that it returns, 0 for none."""

    btf: BTF
    params: tuple[tuple[str, int], ...]
    returned: int
    is_plain: bool  # whether it is called as functions of C are: those of Go or Rust have ways of their own
    is_object: bool  # whether the language has objects that decide themselves how they are passed


def prototype(function: Die, *, is_whole: bool) -> Prototype:
    """Return what a function takes and returns; ObjectError where that is damaged.

    Members of structures are told where it ``is_whole``, which may take long.
    """
    made = _Types(is_whole=is_whole)
    outside = takewhile(lambda child: child.tag not in _INSIDE, function.children())
    params = tuple((child.name(), made.of(child)) for child in outside if child.tag == Tag.PARAMETER)
    returned = made.of(function)
    top = function.unit.top
    language = top.number(_LANGUAGE) if top is not None else None
    is_plain = function.number(_CONVENTION) in (None, _NORMAL) and language in _LANGUAGES | _CPLUSPLUS
    return Prototype(made.build(), params, returned, is_plain, language in _CPLUSPLUS)


def of_btf(btf: BTF, names: Iterable[str]) -> Prototype | None:
    """Return what the first function of these names takes and returns that BTF of the file's own describes."""
    for name in names:
        function = btf.find(name, types.Func)
        proto = btf.type(function.type_id) if function is not None else None
        if isinstance(proto, types.FuncProto):
            params = tuple((param.name, param.type_id) for param in proto.params if param.type_id)
            return Prototype(btf, params, proto.ret_type_id, is_plain=True, is_object=False)
    return None


class _Types:
    """Types that are referred to, each told once; they get their ids in the order in which they are found."""

    def __init__(self, *, is_whole: bool) -> None:
        self._is_whole = is_whole
        self._ids: dict[Key, int] = {}
        self._left: list[Callable[[], object]] = []
        self._builder = Builder(byteorder=sys.byteorder)
        self._unknown: int | None = None

    def build(self) -> BTF:
        """Return all of them."""
        at = 0
        while at < len(self._left):
            self._left[at]()
            at += 1
        return BTF.from_bytes(self._builder.build())

    def of(self, die: Die) -> int:
        """Return the id of the type that an entry has, 0 for none."""
        if die.value(_TYPE) is None:
            return 0
        of = die.refers(_TYPE)
        for _ in range(16):  # BTF has no word for atomic
            if of is None or of.tag != Tag.ATOMIC:
                break
            of = of.refers(_TYPE)
        return self._id(of) if of is not None else self._opaque()

    def _opaque(self) -> int:
        """Return the id of a type that nobody knows."""
        if self._unknown is None:
            self._unknown = self._reserve(lambda: self._builder.add_fwd("unknown"))
        return self._unknown

    def _reserve(self, add: Callable[[], object]) -> int:
        self._left.append(add)
        return len(self._left)

    def _id(self, die: Die, dimension: int = 0) -> int:
        key = (id(die.unit.dwarf), die.unit.offset, die.offset, dimension)
        if key not in self._ids:
            if len(self._ids) >= _MOST_TYPES:
                return self._opaque()
            self._ids[key] = self._reserve(lambda: self._add(die, dimension))
        return self._ids[key]

    def _add(self, die: Die, dimension: int) -> None:  # noqa: C901 - one case for each kind
        """Add one type, whose id is the next."""
        builder, name = self._builder, die.name()
        match die.tag:
            case Tag.STRUCT | Tag.CLASS | Tag.UNION:
                self._record(die, name)
            case Tag.BASE:
                self._base(die, name)
            case Tag.POINTER | Tag.REFERENCE | Tag.RVALUE:
                builder.add_ptr(self.of(die))
            case Tag.TYPEDEF:
                builder.add_typedef(name, self.of(die))
            case Tag.CONST:
                builder.add_const(self.of(die))
            case Tag.VOLATILE:
                builder.add_volatile(self.of(die))
            case Tag.RESTRICT:
                builder.add_restrict(self.of(die))
            case Tag.ENUM:
                self._enum(die, name)
            case Tag.ARRAY:
                self._array(die, dimension)
            case Tag.SUBROUTINE:
                params = [("", self.of(child)) for child in die.children() if child.tag == Tag.PARAMETER]
                builder.add_func_proto(self.of(die), params[:_MOST_PARTS])
            case Tag.MEMBER_POINTER:
                builder.add_int("member", die.number(_BYTE_SIZE) or 8)
            case _:
                builder.add_fwd(name or "unknown")

    def _base(self, die: Die, name: str) -> None:
        size, encoding = die.number(_BYTE_SIZE) or 0, die.number(_ENCODING)
        if encoding in _FLOATS or size not in (1, 2, 4, 8, 16):
            self._builder.add_float(name, size)
            return
        bits = {_BOOL: types.BOOL, _SIGNED: types.SIGNED, _SIGNED_CHAR: types.SIGNED}
        self._builder.add_int(name, size, encoding=bits.get(encoding or 0, 0))

    def _enum(self, die: Die, name: str) -> None:
        size = die.number(_BYTE_SIZE) or 4
        found = islice((child for child in die.children() if child.tag == Tag.ENUMERATOR), _MOST_PARTS)
        values = [(child.name(), child.number(_CONST_VALUE) or 0) for child in found]
        is_signed = any(value < 0 for _, value in values)
        add = self._builder.add_enum if size <= 4 else self._builder.add_enum64
        add(name, values, size=size, signed=is_signed)

    def _array(self, die: Die, dimension: int) -> None:
        lengths = [_length(child) for child in die.children() if child.tag == Tag.SUBRANGE] or [0]
        is_last = dimension + 1 >= len(lengths)
        item = self.of(die) if is_last else self._id(die, dimension + 1)
        self._builder.add_array(item, 0, lengths[min(dimension, len(lengths) - 1)])

    def _record(self, die: Die, name: str) -> None:
        if die.number(DECLARATION):
            self._builder.add_fwd(name, union=die.tag == Tag.UNION)
            return
        add = self._builder.add_union if die.tag == Tag.UNION else self._builder.add_struct
        found = islice(filter(_is_member, die.children()), _MOST_PARTS if self._is_whole else 0)
        members = [self._member(child) for child in found]
        add(name, die.number(_BYTE_SIZE) or 0, members, kind_flag=any(width for *_, width in members))

    def _member(self, die: Die) -> tuple[str, int, int, int]:
        """Return a member's name, type, place in bits, and width where it is a bitfield; a base class has no name."""
        width, at = die.number(_BIT_SIZE) or 0, 8 * _place(die)
        bit, old = die.number(_DATA_BIT_OFFSET), die.number(_BIT_OFFSET)
        if bit is not None:
            at = bit
        elif old is not None:  # counted from the other end, until DWARF 4
            of = die.refers(_TYPE)
            size = die.number(_BYTE_SIZE) or (of.number(_BYTE_SIZE) if of is not None else None) or 4
            at += 8 * size - old - width if sys.byteorder == "little" else old
        return ("" if die.tag == Tag.INHERITANCE else die.name()), self.of(die), at, width


def _is_member(die: Die) -> bool:
    """Return whether something is in each of a kind, and not in the kind as such."""
    is_static = die.number(DECLARATION) and _MEMBER_AT not in die.attributes
    return die.tag == Tag.INHERITANCE or (die.tag == Tag.MEMBER and not is_static)


def _place(die: Die) -> int:
    value = die.attributes.get(_MEMBER_AT)
    if value is None:
        return 0
    if isinstance(value.number, int):
        return value.number
    if value.number[:1] == bytes([_PLUS]):
        return sum((byte & 0x7F) << 7 * at for at, byte in enumerate(value.number[1:]))
    return 0


def _length(die: Die) -> int:
    """Return how many items an array has, 0 where that is not known."""
    count, last = die.number(_COUNT), die.number(_UPPER_BOUND)
    if count is None and last is not None:
        count = last + 1
    return count if count is not None and 0 <= count < 1 << 31 else 0
