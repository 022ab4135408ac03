"""The number that a relocation stands for, once it is known which member, type or enumerator is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf import relo_kind, types
from btf._core_spec import ENUMS, RECORDS
from btf._core_words import words
from btf.errors import BTFError
from btf.kind import signed

if TYPE_CHECKING:
    from btf._core_spec import Spec
    from btf.read import BTF


#: Shifts wrap around as libbpf's do when a field is wider than the 8 bytes that shifts are made for.
_SHIFT = 0xFFFFFFFF


class Fact(NamedTuple):
    """A value; ``size`` and ``type_id`` are of what is loaded or stored when it is a byte offset.

    ``sure`` says that every compiler computes the same from the same types.
    """

    value: int
    sure: bool = True
    size: int = 0
    type_id: int = 0


def fact(btf: BTF, spec: Spec, kind: int) -> Fact:
    """Return what ``kind`` asks about a spec on types of ``btf``; raises BTFError when there is no answer."""
    match kind:
        case relo_kind.FIELD_EXISTS | relo_kind.TYPE_EXISTS | relo_kind.TYPE_MATCHES | relo_kind.ENUMVAL_EXISTS:
            return Fact(1)
        case relo_kind.TYPE_ID_LOCAL | relo_kind.TYPE_ID_TARGET:
            # linking objects gives types new ids, and leaves instructions as they are
            return Fact(spec.root, sure=False)
        case relo_kind.TYPE_SIZE:
            return Fact(btf.size_of(spec.root))
        case relo_kind.ENUMVAL_VALUE:
            return _enumerator(btf, spec)
    last = spec.path[-1]
    if last.name is None:
        return _element(btf, spec, kind)
    return _member(btf, spec, kind)


def _enumerator(btf: BTF, spec: Spec) -> Fact:
    last = spec.path[-1]
    of = btf.type(last.type_id)
    assert isinstance(of, ENUMS)  # noqa: S101 - as the spec was made
    value = of.values[last.idx].val
    if isinstance(of, types.Enum):
        # what has no sign may have lost it: compilers before clang 15 and pahole 1.24 write none
        value = signed(value & 0xFFFFFFFF, 32)
    return Fact(value)


def _element(btf: BTF, spec: Spec, kind: int) -> Fact:
    type_id = spec.path[-1].type_id
    if kind == relo_kind.FIELD_BYTE_OFFSET:
        return Fact(spec.bit_offset // 8, size=_unit_size(btf, type_id), type_id=type_id)
    if kind == relo_kind.FIELD_BYTE_SIZE:
        return Fact(btf.size_of(type_id))
    raise BTFError(f"the {relo_kind.WORDS[kind]} an array element is not defined")


def _member(btf: BTF, spec: Spec, kind: int) -> Fact:
    last = spec.path[-1]
    holder = btf.type(last.type_id)
    assert isinstance(holder, RECORDS)  # noqa: S101 - as the spec was made
    member = holder.members[last.idx]
    type_id = btf.resolve(member.type_id)
    of = btf.type(type_id)
    is_bits = member.bitfield_size > 0
    if is_bits:
        byte_offset, byte_size = _bitfield_unit(btf, of, spec.bit_offset, member.bitfield_size)
        bits = member.bitfield_size
    else:
        byte_offset, byte_size = spec.bit_offset // 8, btf.size_of(type_id)
        bits = byte_size * 8
    match kind:
        case relo_kind.FIELD_BYTE_OFFSET if is_bits:
            # which bytes to load for bits is a compiler's choice
            return Fact(byte_offset, sure=False)
        case relo_kind.FIELD_BYTE_OFFSET:
            return Fact(byte_offset, size=_unit_size(btf, type_id), type_id=type_id)
        case relo_kind.FIELD_BYTE_SIZE:
            return Fact(byte_size, sure=not is_bits)
        case relo_kind.FIELD_SIGNED:
            return Fact(int(isinstance(of, types.Int | types.Enum | types.Enum64) and of.signed))
        case relo_kind.FIELD_LSHIFT_U64 if btf.byteorder == "little":
            return Fact(64 - (spec.bit_offset + bits - byte_offset * 8) & _SHIFT, sure=not is_bits)
        case relo_kind.FIELD_LSHIFT_U64:
            return Fact((8 - byte_size) * 8 + spec.bit_offset - byte_offset * 8 & _SHIFT, sure=not is_bits)
    return Fact(64 - bits & _SHIFT)


def _bitfield_unit(btf: BTF, of: types.Type, bit_offset: int, bits: int) -> tuple[int, int]:
    """Return offset and size of the smallest aligned bytes that hold a bit field, 8 at most."""
    if not isinstance(of, types.Int | types.Enum | types.Enum64) or not of.size:
        raise BTFError(f"{words(btf, of.id)} cannot be the type of a bit field")
    size = of.size
    while True:
        offset = bit_offset // 8 // size * size
        if bit_offset + bits - offset * 8 <= size * 8:
            return offset, size
        if size >= 8:
            raise BTFError("the bit field does not fit 8 bytes that one instruction could load")
        size *= 2


def _unit_size(btf: BTF, type_id: int) -> int:
    """Return the size of what one instruction loads: that of a single element where there is an array."""
    of = btf.type(btf.resolve(type_id))
    for _ in range(32):
        if not isinstance(of, types.Array):
            return btf.size_of(of.id)
        of = btf.type(btf.resolve(of.type_id))
    raise BTFError(f"type {type_id} is an array of arrays of arrays without end")


def can_resize(local: BTF, mine: Fact, target: BTF, theirs: Fact) -> bool:
    """Whether loading another number of bytes gives the same value: for pointers and unsigned integers."""
    one, other = local.type(mine.type_id), target.type(theirs.type_id)
    if isinstance(one, types.Pointer) and isinstance(other, types.Pointer):
        return True
    return isinstance(one, types.Int) and isinstance(other, types.Int) and not (one.signed or other.signed)
