"""Where the members of a struct or union lie: offsets, sizes, holes, padding, cache lines.

::

    task = layout(vmlinux, vmlinux.find("task_struct", types.Struct).id)
    for field in task.fields:
        print(field.name, field.offset, field.size, field.hole)

The words are those of pahole, which knows the same from debug information:

* a *hole* is bytes between two members that belong to neither, a *bit hole* is bits between two members within the
  integer that a bit field is a part of;
* *padding* is bytes, and *bit padding* bits, behind the last member.

A union has neither, as its members overlap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf import types
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btf.read import BTF

#: Bytes of a cache line on most machines.
CACHE_LINE = 64

_RECORDS = (types.Struct, types.Union)
#: No honest type is nested deeper or has more members, those of its members included.
_MAX_DEPTH, _MAX_FIELDS = 32, 1 << 16


class Field(NamedTuple):
    """One member.

    ``offset`` and ``size`` are bytes, for a bit field those of the integer that it is a part of: its
    ``width`` bits start ``bit`` bits into it. ``hole`` and ``bit_hole`` are bytes and bits that are free
    before the next member. ``inside`` is the layout of a member's own members, where its type has no name
    or all was to be expanded; its offsets count from the same start.
    """

    name: str
    type_id: int
    offset: int
    size: int
    bit: int = 0
    width: int = 0
    hole: int = 0
    bit_hole: int = 0
    inside: Layout | None = None

    @property
    def end(self) -> int:
        """The bit behind the member."""
        return self.offset * 8 + (self.bit + self.width if self.width else self.size * 8)


class Layout(NamedTuple):
    """A struct or union; ``hole`` and ``bit_hole`` are what is free before its first member."""

    id: int
    name: str
    is_union: bool
    offset: int
    size: int
    fields: tuple[Field, ...]
    hole: int = 0
    bit_hole: int = 0
    padding: int = 0
    bit_padding: int = 0

    @property
    def cache_lines(self) -> int:
        """How many cache lines the type takes that starts at the begin of one."""
        return (self.size + CACHE_LINE - 1) // CACHE_LINE

    @property
    def holes(self) -> list[int]:
        """The sizes of the holes in bytes, without those of members' members."""
        return [hole for hole in (self.hole, *(field.hole for field in self.fields)) if hole]

    @property
    def bit_holes(self) -> list[int]:
        """The sizes of the holes in bits, without those of members' members."""
        return [hole for hole in (self.bit_hole, *(field.bit_hole for field in self.fields)) if hole]

    @property
    def used(self) -> int:
        """Bytes of the members that are no bit fields."""
        return sum(field.size for field in self.fields if not field.width)

    @property
    def used_bits(self) -> int:
        """Bits of the bit fields."""
        return sum(field.width for field in self.fields)

    def walk(self) -> Iterator[tuple[int, Field]]:
        """Yield every member with how deep it is nested, each before its own members."""
        for field in self.fields:
            yield 0, field
            if field.inside is not None:
                for depth, inner in field.inside.walk():
                    yield depth + 1, inner


def layout(btf: BTF, type_id: int, *, expand: bool = False) -> Layout:
    """Return the layout of a struct or union, also behind typedefs and modifiers.

    With ``expand`` members of a named struct or union, or of an array of them, are shown inside too.
    Raises BTFError for other types, and when the types make no sense: members of no size, a struct that
    contains itself.
    """
    of = btf.type(btf.resolve(type_id))
    if not isinstance(of, _RECORDS):
        raise BTFError(f"type {type_id} ({type(of).__name__} {of.name!r}) has no members")
    return _Maker(btf, expand=expand).make(of, 0, 0)


class _Maker:
    """Makes the layouts of one type."""

    def __init__(self, btf: BTF, *, expand: bool) -> None:
        self._btf = btf
        self._expand = expand
        self._left = _MAX_FIELDS

    def make(self, of: types.Struct | types.Union, start: int, depth: int) -> Layout:
        """Return a layout whose offsets begin with ``start``."""
        if depth > _MAX_DEPTH:
            raise BTFError(f"type {of.id} is nested too deep, or contains itself")
        self._left -= len(of.members)
        if self._left < 0:
            raise BTFError(f"type {of.id} has too many members")
        fields = [self._field(member, start, depth) for member in of.members]
        if isinstance(of, types.Union):
            return Layout(of.id, of.name, True, start, of.size, tuple(fields))
        ends = [_Reach(start * 8, start * 8)]
        gaps = []
        for field in fields:
            reach, hole, bit_hole = ends[-1].on(field)
            ends.append(reach)
            gaps.append((hole, bit_hole))
        rest = ends[-1].rest((start + of.size) * 8)
        first, *others = [*gaps, rest] if fields else [(0, 0), rest]
        if fields:
            # what stands behind the last member is padding, not a hole
            behind = [*others[:-1], (0, 0)]
            fields = [
                field._replace(hole=hole, bit_hole=bits) for field, (hole, bits) in zip(fields, behind, strict=True)
            ]
        return Layout(of.id, of.name, False, start, of.size, tuple(fields), *first, *rest)

    def _field(self, member: types.Member, start: int, depth: int) -> Field:
        btf = self._btf
        size, width = btf.size_of(member.type_id), member.bitfield_size
        bits = start * 8 + member.bits_offset
        of = btf.type(btf.resolve(member.type_id))
        if isinstance(of, types.Int) and not width and (bits % 8 or of.bits_offset or of.nr_bits != size * 8):
            # a bit field as it was before Linux 5.0, in the integer's own encoding
            width, bits = of.nr_bits, bits + of.bits_offset
        if width:
            if not size:
                raise BTFError(f"bit field {member.name!r} is of a type without size")
            unit = (bits - start * 8) // (size * 8) * size
            return Field(member.name, member.type_id, start + unit, size, bits - (start + unit) * 8, width)
        field = Field(member.name, member.type_id, bits // 8, size)
        inner = self._inside(member.type_id)
        if inner is None or not (self._expand or _is_written_out(btf, member.type_id)):
            return field
        return field._replace(inside=self.make(inner, field.offset, depth + 1))

    def _inside(self, type_id: int) -> types.Struct | types.Union | None:
        """Return the struct or union that a member is or has several of."""
        btf = self._btf
        for _ in range(_MAX_DEPTH):
            of = btf.type(btf.resolve(type_id))
            if isinstance(of, _RECORDS):
                return of
            if not isinstance(of, types.Array):
                return None
            type_id = of.type_id
        raise BTFError(f"type {type_id} is an array of too many dimensions")


def _is_written_out(btf: BTF, type_id: int) -> bool:
    """Whether C has no name for the type of a member, so that its members stand where it does."""
    of = btf.type(type_id)
    while isinstance(of, types.Array | types.Const | types.Volatile | types.TypeTag):
        of = btf.type(of.type_id)
    return isinstance(of, _RECORDS) and not of.name


class _Reach(NamedTuple):
    """How far a struct is filled: up to bit ``last``; ``unit`` is where the integer of its last bit field ends."""

    last: int
    unit: int

    def on(self, field: Field) -> tuple[_Reach, int, int]:
        """Return the reach with one more member, and the bytes and the bits before it that are free."""
        begin = field.offset * 8 + field.bit
        last = max(self.last, min(self.unit, begin))
        bits, size = last - self.last, 0
        if field.width:
            unit = field.offset * 8
            if last < unit <= begin:
                size, last = (unit - last) // 8, unit
            bits += max(0, begin - last)
        else:
            size = max(0, begin // 8 - last // 8)
        if not field.width:
            return _Reach(field.end, field.end), size, bits
        # fields of one integer may be declared with smaller ones
        unit = self.unit if field.end <= self.unit else (field.offset + field.size) * 8
        return _Reach(field.end, unit), size, bits

    def rest(self, end: int) -> tuple[int, int]:
        """Return the bytes and bits that are free up to the end of the struct."""
        last = max(self.last, min(self.unit, end))
        return max(0, (end - last) // 8), last - self.last
