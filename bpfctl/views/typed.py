"""Values with a BTF type as trees of bpfctl.views.form: in JSON, and in bpftool's text that looks like it.

What a structure looks like follows from its type alone, so it is laid out once; the values themselves are spelled by
bpfctl.views.value, but for plain integers, which the form reads and writes by itself.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any

from bpfctl.views import value as values
from bpfctl.views.form import Layout, Number, Object, Text, text
from btf import types
from btf.value import Bits, Decoder, Record, Section

if TYPE_CHECKING:
    from bpfctl.views.form import Node
    from btf.read import BTF
    from btf.value import Value

_CODES = {8: "b", 16: "h", 32: "i", 64: "q"}
_MOST_ELEMENTS = 64  # of an array that are laid out one by one
_MOST_NODES = 4096
_REMEMBERED = 1 << 12  # how many values of a type are kept as text
_REMEMBERED_BYTES = 8


def tree(btf: BTF, type_id: int, stream: int, offset: int, *, json: bool) -> Node:
    """Return the tree of a value; BTFError for a type that a btf.value.Decoder would not take."""
    return _Trees(btf, stream, json=json).node(type_id, offset)


def spelled(value: Value, layout: Layout, *, json: bool) -> str:
    """Return a value as text."""
    return text(_of(value, layout, json=json), layout)


def _of(value: Value, layout: Layout, *, json: bool) -> Node:
    """Return the tree of a value that is known."""
    if isinstance(value, list):
        return [_of(item, layout, json=json) for item in value]
    if isinstance(value, Section):
        return Object(((value.name, [Object(((name, _of(item, layout, json=json)),)) for name, item in value.fields]),))
    if isinstance(value, Record):
        return _object([(name, _of(item, layout, json=json)) for name, item in value.fields], json=json)
    return layout.spell(values.json(value)) if json else values.plain(value)


def _object(members: list[tuple[str, Node]], *, json: bool) -> Object:
    """Return an object; in JSON the members of those without name are gathered under one empty name."""
    if not json:
        return Object(tuple(members))
    found: dict[str, Node] = {}
    for name, member in members:
        before = found.get(name)
        if not name and isinstance(member, Object) and isinstance(before, Object):
            found[name] = _object([*before.members, *member.members], json=True)
        else:
            found[name] = member
    return Object(tuple(found.items()))


class _Trees:
    """Lays out the types of one BTF; they are known to have values, and to contain themselves nowhere."""

    def __init__(self, btf: BTF, stream: int, *, json: bool) -> None:
        self._btf = btf
        self._stream = stream
        self._json = json
        self._nodes = 0

    def node(self, type_id: int, offset: int) -> Node:
        """Return the tree of a type at an offset of the record."""
        self._nodes += 1
        type_id = self._btf.resolve(type_id)
        if self._nodes > _MOST_NODES:
            return self._decoded(type_id, offset)
        match of := self._btf.type(type_id):
            case types.Int() if not of.encoding & (types.BOOL | types.CHAR) and not of.bits_offset:
                code = _CODES.get(of.nr_bits)
                if code:
                    return Number(self._stream, offset, code if of.signed else code.upper())
            case types.Pointer() if self._json and self._btf.pointer_size == 8:
                return Number(self._stream, offset, "Q")
            case types.Struct() | types.Union():
                return self._struct(of, offset)
            case types.Array():
                return self._array(of, offset)
            case types.Var():
                return Object(((of.name, self.node(of.type_id, offset)),))
            case types.Datasec():
                return Object(((of.name, [self.node(var.type_id, offset + var.offset) for var in of.vars]),))
        return self._decoded(type_id, offset)

    def _struct(self, of: types.Struct | types.Union, offset: int) -> Node:
        members: list[tuple[str, Node]] = []
        for member in of.members:
            byte, bit = divmod(member.bits_offset, 8)
            if bit and not member.bitfield_size:
                return self._decoded(of.id, offset)  # a bitfield as it was before Linux 5.0
            members.append(
                (
                    member.name,
                    self._bits(offset + byte, bit, member.bitfield_size)
                    if member.bitfield_size
                    else self.node(member.type_id, offset + byte),
                )
            )
        return _object(members, json=self._json)

    def _bits(self, offset: int, bit: int, width: int) -> Node:
        size = (bit + width + 7) // 8
        byteorder = self._btf.byteorder
        shift = bit if byteorder == "little" else size * 8 - bit - width
        mask = (1 << width) - 1
        json = self._json

        def make(raw: bytes, layout: Layout) -> str:
            return spelled(Bits(int.from_bytes(raw, byteorder) >> shift & mask, width), layout, json=json)

        return Text(self._stream, offset, size, _remembering(make, size))

    def _array(self, of: types.Array, offset: int) -> Node:
        step = self._btf.size_of(of.type_id)
        if not of.nr_elems or not step or step == 1:
            return self._decoded(of.id, offset)  # it may be a string, or nothing
        if of.nr_elems <= _MOST_ELEMENTS:
            return [self.node(of.type_id, offset + at * step) for at in range(of.nr_elems)]
        element = self.node(of.type_id, offset)
        if not isinstance(element, Number):
            return self._decoded(of.id, offset)
        unpack = Struct(f"={of.nr_elems}{element.code}").unpack

        def make(raw: bytes, layout: Layout) -> str:
            return f"[{','.join(map(str, unpack(raw)))}{layout.line}]"

        return Text(self._stream, offset, of.nr_elems * step, make)

    def _decoded(self, type_id: int, offset: int) -> Node:
        """Return what Python code spells for each value."""
        decoder = Decoder(self._btf, type_id)
        json = self._json

        def make(raw: bytes, layout: Layout) -> str:
            return spelled(decoder(raw), layout, json=json)

        return Text(self._stream, offset, decoder.size, _remembering(make, decoder.size))


def _remembering(make: Any, size: int) -> Any:
    return lru_cache(_REMEMBERED)(make) if size <= _REMEMBERED_BYTES else make
