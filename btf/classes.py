"""Classes for the values of a type, made from its BTF: frozen dataclasses with a field for each member.

::

    Flow = make(btf, btf.find("flow", types.Struct).id)
    flow = Codec(btf, type_id, Flow).decode(data)
    flow.packets

`source` writes the same classes as text, for a file of yours, where editors and type checkers see the fields.
"""

from __future__ import annotations

from keyword import iskeyword
from typing import TYPE_CHECKING, Any, NamedTuple

from btf import types
from btf.codec import fields
from btf.errors import BTFError
from btf.value import Decoder, Enumerator

if TYPE_CHECKING:
    from btf.read import BTF

_WORDS: dict[str, Any] = {each.__name__: each for each in (int, bool, float, str, bytes, Enumerator)} | {"Any": Any}

#: A type of this many fields, those of what it contains counted in, is an enemy's.
_MOST_FIELDS = 1 << 14
_MAX_DEPTH = 64


class _Field(NamedTuple):
    """A field: its name, what it is, inside how many lists, and whether others share its bytes."""

    name: str
    kind: str | _Class
    depth: int
    shared: bool


class _Class(NamedTuple):
    """A class to be made."""

    name: str
    fields: tuple[_Field, ...]


def make(btf: BTF, type_id: int) -> type[Any]:
    """Return a new class for a struct, a union or a section of variables; BTFError for other types.

    Those that no value can be of are refused, too. A name that is a word of Python gets a ``_``. A member that shares
    its bytes with others, as in a union, may be left out when a value is written, or be None.
    """
    return _made(_whole(btf, type_id))


def source(btf: BTF, type_id: int) -> str:
    """Return the text of the classes that `make` makes, the innermost first, without imports."""
    found: dict[str, str] = {}
    _write(_whole(btf, type_id), found)
    return "\n\n".join(found.values())


def _made(of: _Class) -> type[Any]:
    from dataclasses import field, make_dataclass  # noqa: PLC0415 - few make classes

    spec: list[Any] = []
    for each in of.fields:
        kind: Any = _WORDS[each.kind] if isinstance(each.kind, str) else _made(each.kind)
        for _ in range(each.depth):
            kind = list[kind]
        spec.append((each.name, kind, field(default=None)) if each.shared else (each.name, kind))
    return make_dataclass(of.name, spec, frozen=True, slots=True, kw_only=True)


def _write(of: _Class, found: dict[str, str]) -> None:
    lines = ["@dataclass(frozen=True, slots=True, kw_only=True)", f"class {of.name}:"]
    for each in of.fields:
        if isinstance(each.kind, str):
            kind = each.kind
        else:
            _write(each.kind, found)
            kind = each.kind.name
        kind = "list[" * each.depth + kind + "]" * each.depth
        lines.append(f"    {each.name}: {kind} | None = None" if each.shared else f"    {each.name}: {kind}")
    found[of.name] = "\n".join(lines if of.fields else [*lines, "    pass"]) + "\n"


def _whole(btf: BTF, type_id: int) -> _Class:
    Decoder(btf, type_id)  # it refuses most types that contain themselves
    return _Classes(btf).of(type_id, "")


class _Classes:
    """Makes out what classes one type needs."""

    def __init__(self, btf: BTF) -> None:
        self._btf = btf
        self._left = _MOST_FIELDS
        self._depth = 0

    def of(self, type_id: int, name: str) -> _Class:
        btf = self._btf
        if self._depth == _MAX_DEPTH:  # arrays of no items may lead in circles
            raise BTFError(f"type {type_id} contains itself, or is nested too deeply")
        self._depth += 1
        of = btf.type(btf.resolve(type_id))
        if not isinstance(of, types.Struct | types.Union | types.Datasec):
            raise BTFError(f"type {of.id} ({type(of).__name__} {of.name!r}) has no members")
        name = "".join(part[:1].upper() + part[1:] for part in _word(of.name).split("_")) or name or "Value"
        members = fields(btf, of.id)
        self._left -= len(members) + 1
        if self._left < 0:
            raise BTFError(f"type {of.id} is part of one of more than {_MOST_FIELDS} fields")
        shared = _shared(btf, members)
        rows = tuple(
            _Field(_word(member), *self._kind(place, name + member.capitalize()), member in shared)
            for member, place in members.items()
        )
        self._depth -= 1
        return _Class(name if not name[0].isdigit() else f"_{name}", rows)

    def _kind(self, member: types.Member, name: str) -> tuple[str | _Class, int]:
        """Return what a member is, and inside how many lists."""
        btf = self._btf
        if member.bitfield_size:
            return "int", 0
        of = btf.type(btf.resolve(member.type_id))
        if isinstance(of, types.Var):
            of = btf.type(btf.resolve(of.type_id))
        match of:
            case types.Int():
                return "bool" if of.encoding & types.BOOL else "int", 0
            case types.Float() if of.size in (2, 4, 8):
                return "float", 0
            case types.Enum() | types.Enum64():
                return "Enumerator", 0
            case types.Pointer():
                return "int", 0
            case types.Array():
                item = btf.type(btf.resolve(of.type_id))
                if isinstance(item, types.Int) and item.size == 1 and not item.encoding & types.BOOL:
                    return "str" if item.encoding & types.CHAR or item.name == "char" else "bytes", 0
                kind, depth = self._kind(types.Member("", of.type_id, 0), name)
                return kind, depth + 1
            case types.Struct() | types.Union():
                return self.of(of.id, name), 0
        return "Any", 0


def _shared(btf: BTF, members: dict[str, types.Member]) -> set[str]:
    """Return the names of the members that share bits with others."""
    spans = sorted(
        (place.bits_offset, place.bits_offset + (place.bitfield_size or 8 * btf.size_of(place.type_id)), name)
        for name, place in members.items()
    )
    found: set[str] = set()
    reach, last = 0, ""
    for start, stop, name in spans:
        if start < min(reach, stop):
            found |= {name, last}
        if stop > reach:
            reach, last = stop, name
    return found


def _word(name: str) -> str:
    """Return a name that is a word of Python but none of its keywords."""
    word = "".join(letter if letter.isalnum() or letter == "_" else "_" for letter in name)
    return f"{word}_" if iskeyword(word) else f"_{word}" if word[:1].isdigit() else word
