"""What a function takes and returns, out of DWARF and as BTF: types of processes in the language of the kernel's.

Tags and attributes: DWARF 5, 7.5.3 and 7.5.4. What BTF cannot say, such as how C++ passes an object, is left out.
"""

from __future__ import annotations

import sys
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from btf import types
from btf.read import BTF
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bpfctl.elf.dwarf_entry import Entry

    # A type by the file and the entry that tell of it; of an array of several dimensions, also which one.
    Key = tuple[int, int, int]

_TYPE, _BYTE_SIZE, _MEMBER_AT = "DW_AT_type", "DW_AT_byte_size", "DW_AT_data_member_location"
_DECLARATION, _SIGNATURE = "DW_AT_declaration", "DW_AT_signature"
_NORMAL = 1  # DW_CC_normal
_BOOL, _SIGNED, _SIGNED_CHAR = 2, 5, 6  # DW_ATE_boolean and so on
_FLOATS = frozenset({0x03, 0x04, 0x09, 0x0F})  # complex, real, imaginary, decimal
#: What is in the body of a function.
_INSIDE = frozenset({"DW_TAG_lexical_block", "DW_TAG_inlined_subroutine", "DW_TAG_call_site", "DW_TAG_GNU_call_site"})
_MOST_PARTS = 0xFFFF  # that BTF has room for
_PLUS = 0x23  # DW_OP_plus_uconst
_LONGEST_NUMBER = 10  # bytes
_MOST_TYPES = 20_000
_LANGUAGES = frozenset({0x01, 0x02, 0x0C, 0x1D, 0x2C, 0x10, 0x8001, None})  # C and its editions, Objective-C, assembler
_CPLUSPLUS = frozenset({0x04, 0x1A, 0x21, 0x2B, 0x3A})  # DW_LANG_C_plus_plus and its editions


class _Tag:
    """What entries are."""

    ARRAY, SUBRANGE = "DW_TAG_array_type", "DW_TAG_subrange_type"
    BASE, ENUM, ENUMERATOR = "DW_TAG_base_type", "DW_TAG_enumeration_type", "DW_TAG_enumerator"
    PARAMETER, SUBROUTINE = "DW_TAG_formal_parameter", "DW_TAG_subroutine_type"
    STRUCT, CLASS, UNION = "DW_TAG_structure_type", "DW_TAG_class_type", "DW_TAG_union_type"
    MEMBER, INHERITANCE, MEMBER_POINTER = "DW_TAG_member", "DW_TAG_inheritance", "DW_TAG_ptr_to_member_type"
    POINTER, REFERENCE, RVALUE = "DW_TAG_pointer_type", "DW_TAG_reference_type", "DW_TAG_rvalue_reference_type"
    TYPEDEF, CONST, VOLATILE = "DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type"
    RESTRICT, ATOMIC = "DW_TAG_restrict_type", "DW_TAG_atomic_type"


class Prototype(NamedTuple):
    """A function: its parameters by name and type, and the type that it returns, 0 for none."""

    btf: BTF
    params: tuple[tuple[str, int], ...]
    returned: int
    is_plain: bool  # whether it is called as functions of C are: those of Go or Rust have ways of their own
    is_object: bool  # whether the language has objects that decide themselves how they are passed


def prototype(function: Entry, *, is_whole: bool) -> Prototype:
    """Return what a function takes and returns; ObjectError where that is damaged.

    Members of structures are told where it ``is_whole``, which may take long.
    """
    with function.dwarf.question():
        return _prototype(function, _Types(is_whole=is_whole))


def _prototype(function: Entry, made: _Types) -> Prototype:
    outside = takewhile(lambda child: child.tag not in _INSIDE, function.children())
    params = tuple((child.name(), made.of(child)) for child in outside if child.tag == _Tag.PARAMETER)
    returned = made.of(function)
    language = function.top.number("DW_AT_language")
    is_plain = function.number("DW_AT_calling_convention") in (None, _NORMAL) and language in _LANGUAGES | _CPLUSPLUS
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

    def of(self, entry: Entry) -> int:
        """Return the id of the type that an entry has, 0 for none."""
        if not entry.says(_TYPE):
            return 0
        of = entry.refers(_TYPE)
        for _ in range(16):  # BTF has no word for atomic
            if of is None or of.tag != _Tag.ATOMIC:
                break
            of = of.refers(_TYPE)
        if of is not None and of.own(_SIGNATURE):  # a type that is told once for all units
            of = of.refers(_SIGNATURE) or of
        return self._id(of) if of is not None else self._opaque()

    def _opaque(self) -> int:
        """Return the id of a type that nobody knows."""
        if self._unknown is None:
            self._unknown = self._reserve(lambda: self._builder.add_fwd("unknown"))
        return self._unknown

    def _reserve(self, add: Callable[[], object]) -> int:
        self._left.append(add)
        return len(self._left)

    def _id(self, entry: Entry, dimension: int = 0) -> int:
        key = (*entry.key, dimension)
        if key not in self._ids:
            if len(self._ids) >= _MOST_TYPES:
                return self._opaque()
            self._ids[key] = self._reserve(lambda: self._add(entry, dimension))
        return self._ids[key]

    def _add(self, entry: Entry, dimension: int) -> None:  # noqa: C901 - one case for each kind
        """Add one type, whose id is the next."""
        builder, name = self._builder, entry.name()
        match entry.tag:
            case _Tag.STRUCT | _Tag.CLASS | _Tag.UNION:
                self._record(entry, name)
            case _Tag.BASE:
                self._base(entry, name)
            case _Tag.POINTER | _Tag.REFERENCE | _Tag.RVALUE:
                builder.add_ptr(self.of(entry))
            case _Tag.TYPEDEF:
                builder.add_typedef(name, self.of(entry))
            case _Tag.CONST:
                builder.add_const(self.of(entry))
            case _Tag.VOLATILE:
                builder.add_volatile(self.of(entry))
            case _Tag.RESTRICT:
                builder.add_restrict(self.of(entry))
            case _Tag.ENUM:
                self._enum(entry, name)
            case _Tag.ARRAY:
                self._array(entry, dimension)
            case _Tag.SUBROUTINE:
                params = [("", self.of(child)) for child in entry.children() if child.tag == _Tag.PARAMETER]
                builder.add_func_proto(self.of(entry), params[:_MOST_PARTS])
            case _Tag.MEMBER_POINTER:
                builder.add_int("member", entry.number(_BYTE_SIZE) or 8)
            case _:
                builder.add_fwd(name or "unknown")

    def _base(self, entry: Entry, name: str) -> None:
        size, encoding = entry.number(_BYTE_SIZE) or 0, entry.number("DW_AT_encoding")
        if encoding in _FLOATS or size not in (1, 2, 4, 8, 16):
            self._builder.add_float(name, size)
            return
        bits = {_BOOL: types.BOOL, _SIGNED: types.SIGNED, _SIGNED_CHAR: types.SIGNED}
        self._builder.add_int(name, size, encoding=bits.get(encoding or 0, 0))

    def _enum(self, entry: Entry, name: str) -> None:
        size = entry.number(_BYTE_SIZE) or 4
        found = islice((child for child in entry.children() if child.tag == _Tag.ENUMERATOR), _MOST_PARTS)
        values = [(child.name(), child.number("DW_AT_const_value") or 0) for child in found]
        is_signed = any(value < 0 for _, value in values)
        add = self._builder.add_enum if size <= 4 else self._builder.add_enum64
        add(name, values, size=size, signed=is_signed)

    def _array(self, entry: Entry, dimension: int) -> None:
        lengths = [_length(child) for child in entry.children() if child.tag == _Tag.SUBRANGE] or [0]
        is_last = dimension + 1 >= len(lengths)
        item = self.of(entry) if is_last else self._id(entry, dimension + 1)
        self._builder.add_array(item, 0, lengths[min(dimension, len(lengths) - 1)])

    def _record(self, entry: Entry, name: str) -> None:
        if entry.own(_DECLARATION):
            self._builder.add_fwd(name, union=entry.tag == _Tag.UNION)
            return
        add = self._builder.add_union if entry.tag == _Tag.UNION else self._builder.add_struct
        found = islice(filter(_is_member, entry.children()), _MOST_PARTS if self._is_whole else 0)
        members = [self._member(child) for child in found]
        add(name, entry.number(_BYTE_SIZE) or 0, members, kind_flag=any(width for *_, width in members))

    def _member(self, entry: Entry) -> tuple[str, int, int, int]:
        """Return a member's name, type, place in bits, and width where it is a bitfield; a base class has no name."""
        width, at = entry.number("DW_AT_bit_size") or 0, 8 * _place(entry)
        bit, old = entry.number("DW_AT_data_bit_offset"), entry.number("DW_AT_bit_offset")
        if bit is not None:
            at = bit
        elif old is not None:  # counted from the other end, until DWARF 4
            of = entry.refers(_TYPE)
            size = entry.number(_BYTE_SIZE) or (of.number(_BYTE_SIZE) if of is not None else None) or 4
            at += 8 * size - old - width if sys.byteorder == "little" else old
        return ("" if entry.tag == _Tag.INHERITANCE else entry.name()), self.of(entry), at, width


def _is_member(entry: Entry) -> bool:
    """Return whether something is in each of a kind, and not in the kind as such."""
    is_static = entry.own(_DECLARATION) and entry.own(_MEMBER_AT) is None
    return entry.tag == _Tag.INHERITANCE or (entry.tag == _Tag.MEMBER and not is_static)


def _place(entry: Entry) -> int:
    said = entry.own(_MEMBER_AT)
    match said.value if said is not None else 0:
        case int(place):
            return place
        case [int(does), *number] if does == _PLUS and len(number) <= _LONGEST_NUMBER:
            return sum((byte & 0x7F) << 7 * at for at, byte in enumerate(number))
    return 0


def _length(entry: Entry) -> int:
    """Return how many items an array has, 0 where that is not known."""
    count, last = entry.number("DW_AT_count"), entry.number("DW_AT_upper_bound")
    if count is None and last is not None:
        count = last + 1
    return count if count is not None and 0 <= count < 1 << 31 else 0
