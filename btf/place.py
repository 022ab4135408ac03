"""Parts of a type by their path, as in ``list[3].next``: where they lie in a value, and what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf import types
from btf._encode_one import error, near
from btf.encode import _steps
from btf.errors import BTFError
from btf.value import located

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btf.read import BTF

#: Nothing sound has more members, those of members without name counted in.
MOST_MEMBERS = 1 << 16
_MOST_NAMES = 20  # of a type that a message tells
_MEMBERS = (types.Struct, types.Union)


class Place(NamedTuple):
    """A part of a value; a bitfield has a width in bits, and the number of bits in its first byte before it."""

    path: str
    type_id: int  # without typedefs and modifiers
    offset: int  # bytes
    bit: int = 0
    width: int = 0


def find(btf: BTF, type_id: int, path: str) -> Place:
    """Return the part at a path, all of it for an empty one; BTFError names the members that there are.

    The type must be one that a `btf.value.Decoder` takes.
    """
    at = Place("", btf.resolve(type_id), 0)
    for step in _steps(path) if path else ():
        at = _item(btf, at, step) if isinstance(step, int) else _member(btf, at, step)
    return at


def members(btf: BTF, whole: Place) -> Iterator[Place]:
    """Yield the parts of a part: members, those of members without name too, variables, or items of an array."""
    of = btf.type(whole.type_id)
    if isinstance(of, types.Array):
        for number in range(of.nr_elems):
            yield _item(btf, whole, number)
    else:
        yield from _named(btf, whole)


def what(btf: BTF, type_id: int) -> str:
    """Return a type in words, such as ``struct task``."""
    match of := btf.type(btf.resolve(type_id)):
        case types.Array():
            return f"{what(btf, of.type_id)}[{of.nr_elems}]"
        case types.Pointer():
            return "a pointer"
        case types.Datasec():
            return f"section {of.name}"
    return f"{_WORDS.get(type(of), '')} {of.name}".strip()


_WORDS: dict[type, str] = {
    types.Struct: "struct",
    types.Union: "union",
    types.Enum: "enum",
    types.Enum64: "enum",
    types.Var: "variable",
}


def _named(btf: BTF, whole: Place) -> Iterator[Place]:
    """Yield the parts that have a name, also those in parts without one."""
    waiting, met = [(False, whole)], 0
    while waiting:
        has_name, at = waiting.pop()
        if has_name:
            yield at
            continue
        parts = list(_parts(btf, at))
        met += len(parts)
        if met > MOST_MEMBERS:
            raise BTFError(f"type {whole.type_id} has more than {MOST_MEMBERS} members")
        waiting += reversed(parts)


def _parts(btf: BTF, whole: Place) -> Iterator[tuple[bool, Place]]:
    """Yield whether a part has a name, and the part."""
    of = btf.type(whole.type_id)
    if isinstance(of, types.Datasec):
        for var in of.vars:
            variable = btf.type(var.type_id)
            if isinstance(variable, types.Var):
                yield True, _below(whole, variable.name, btf.resolve(variable.type_id), var.offset)
    if isinstance(of, types.Var):
        yield True, _below(whole, of.name, btf.resolve(of.type_id), 0)
    for member in of.members if isinstance(of, _MEMBERS) else ():
        inner, byte, bit, width = located(btf, member)
        part = _below(whole, member.name, inner.id, byte)._replace(bit=bit, width=width)
        if member.name:
            yield True, part
        elif isinstance(inner, _MEMBERS) and not width:
            yield False, part._replace(path=whole.path)


def _below(whole: Place, name: str, type_id: int, offset: int) -> Place:
    return Place(f"{whole.path}.{name}" if whole.path else name, type_id, whole.offset + offset)


def _member(btf: BTF, whole: Place, name: str) -> Place:
    names: list[str] = []
    for place in _named(btf, whole):
        found = place.path.rpartition(".")[2]
        if found == name:
            return place
        names.append(found)
    told = near(name, names)
    if not told and names:
        told = f"; it has {', '.join(names[:_MOST_NAMES])}{', ...' if len(names) > _MOST_NAMES else ''}"
    raise error(whole.path, f"{what(btf, whole.type_id)} has no member '{name}'{told}")


def _item(btf: BTF, whole: Place, number: int) -> Place:
    of = btf.type(whole.type_id)
    if not isinstance(of, types.Array):
        raise error(whole.path, f"{what(btf, whole.type_id)} is no array")
    if number >= of.nr_elems:
        raise error(whole.path, f"{what(btf, whole.type_id)} has no item {number}")
    offset = whole.offset + number * btf.size_of(of.type_id)
    return Place(f"{whole.path}[{number}]", btf.resolve(of.type_id), offset)
