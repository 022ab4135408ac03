"""Words of the type section -> a type of `btf.types`; imported when the first type is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf import kind, types

if TYPE_CHECKING:
    from collections.abc import Callable


class Raw(NamedTuple):
    """A type as ``struct btf_type`` has it, and the words that follow it."""

    id: int
    name: str
    info: int
    size_or_type: int
    rest: list[int]
    string: Callable[[int], str]

    @property
    def kind_flag(self) -> bool:
        """The highest bit of the info word."""
        return kind.flag(self.info)


def inflate(type_id: int, words: list[int], string: Callable[[int], str]) -> types.Type:
    """Return the type that the words stand for; ``string`` reads strings and fails as BTFError."""
    name, info, size_or_type, *rest = words
    number = kind.of(info)
    make = _MAKERS.get(number)
    if make is None:
        return types.Unknown(type_id, string(name), number)
    return make(Raw(type_id, string(name), info, size_or_type, rest, string))


def _reference(
    cls: Callable[[int, str, int], types.Type],
) -> Callable[[Raw], types.Type]:
    """Return the maker of a type that is an id, a name and one number."""
    return lambda raw: cls(raw.id, raw.name, raw.size_or_type)


def _int(raw: Raw) -> types.Int:
    word = raw.rest[0]
    bits, offset, encoding = word & 0xFF, word >> 16 & 0xFF, word >> 24 & 0xF
    return types.Int(raw.id, raw.name, raw.size_or_type, bits, offset, encoding)


def _array(raw: Raw) -> types.Array:
    return types.Array(raw.id, raw.name, *raw.rest)


def _members(raw: Raw) -> tuple[types.Member, ...]:
    rest, string = raw.rest, raw.string
    rows = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    if raw.kind_flag:
        return tuple([types.Member(string(name), to, word & 0xFFFFFF, word >> 24) for name, to, word in rows])
    return tuple([types.Member(string(name), to, offset) for name, to, offset in rows])


def _struct(raw: Raw) -> types.Struct:
    return types.Struct(raw.id, raw.name, raw.size_or_type, _members(raw), raw.kind_flag)


def _union(raw: Raw) -> types.Union:
    return types.Union(raw.id, raw.name, raw.size_or_type, _members(raw), raw.kind_flag)


def _values(raw: Raw) -> tuple[types.EnumValue, ...]:
    string = raw.string
    rows = kind.enum_rows(raw.info, raw.rest)
    return tuple([types.EnumValue(string(name), value) for name, value in rows])


def _enum(raw: Raw) -> types.Enum:
    return types.Enum(raw.id, raw.name, raw.size_or_type, _values(raw), raw.kind_flag)


def _enum64(raw: Raw) -> types.Enum64:
    return types.Enum64(raw.id, raw.name, raw.size_or_type, _values(raw), raw.kind_flag)


def _fwd(raw: Raw) -> types.Fwd:
    return types.Fwd(raw.id, raw.name, raw.kind_flag)


def _func(raw: Raw) -> types.Func:
    return types.Func(raw.id, raw.name, raw.size_or_type, kind.vlen(raw.info))


def _func_proto(raw: Raw) -> types.FuncProto:
    params = map(types.Param, map(raw.string, raw.rest[::2]), raw.rest[1::2])
    return types.FuncProto(raw.id, raw.name, raw.size_or_type, tuple(params))


def _var(raw: Raw) -> types.Var:
    return types.Var(raw.id, raw.name, raw.size_or_type, raw.rest[0])


def _datasec(raw: Raw) -> types.Datasec:
    rows = map(types.SectionVar, raw.rest[::3], raw.rest[1::3], raw.rest[2::3])
    return types.Datasec(raw.id, raw.name, raw.size_or_type, tuple(rows))


def _decl_tag(raw: Raw) -> types.DeclTag:
    component = kind.signed(raw.rest[0], 32)
    return types.DeclTag(raw.id, raw.name, raw.size_or_type, component, raw.kind_flag)


def _type_tag(raw: Raw) -> types.TypeTag:
    return types.TypeTag(raw.id, raw.name, raw.size_or_type, raw.kind_flag)


_MAKERS: dict[int, Callable[[Raw], types.Type]] = {
    kind.UNKN: lambda _raw: types.Void(),
    kind.INT: _int,
    kind.PTR: _reference(types.Pointer),
    kind.ARRAY: _array,
    kind.STRUCT: _struct,
    kind.UNION: _union,
    kind.ENUM: _enum,
    kind.FWD: _fwd,
    kind.TYPEDEF: _reference(types.Typedef),
    kind.VOLATILE: _reference(types.Volatile),
    kind.CONST: _reference(types.Const),
    kind.RESTRICT: _reference(types.Restrict),
    kind.FUNC: _func,
    kind.FUNC_PROTO: _func_proto,
    kind.VAR: _var,
    kind.DATASEC: _datasec,
    kind.FLOAT: _reference(types.Float),
    kind.DECL_TAG: _decl_tag,
    kind.TYPE_TAG: _type_tag,
    kind.ENUM64: _enum64,
}
