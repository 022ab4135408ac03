"""Split BTF that survives a new base: a module's types over the little that it needs to know of a kernel.

A split BTF refers to its base by ids, which another build of the kernel numbers anew. So modules
that are built apart from their kernel carry a distilled base (section ``.BTF.base``, Linux 6.11):
names and sizes of what they refer to. By these the types are found again in the kernel that loads
the module.

The rules are those of the kernel (``tools/lib/bpf/btf_relocate.c``); where it takes a type of
another kind for the one it looks for, this does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf import types
from btf._record import copy
from btf._table import Table
from btf.dedup import Rewritten
from btf.errors import BTFError
from btf.read import BTF
from btf.subset import references
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What a distilled base may consist of, all with names.
_OUTLINED = types.Int | types.Float | types.Enum | types.Enum64 | types.Struct | types.Union | types.Fwd
#: What a split BTF takes over from its base as it is, besides structs, unions and enums without names.
_TAKEN = (
    types.Pointer
    | types.Array
    | types.Typedef
    | types.Volatile
    | types.Const
    | types.Restrict
    | types.FuncProto
    | types.TypeTag
)


class Distilled(NamedTuple):
    """Sections ``.BTF.base`` and ``.BTF``, and by old id the new one of each type that is left (0 for others)."""

    base: bytes
    data: bytes
    ids: list[int]


def distill(btf: BTF) -> Distilled:
    """Return a split BTF over no more of its base than it takes to find the types again.

    Named structs, unions and enums of the base come without their members; pointers and the like move
    to the split BTF, after its own types. Raises BTFError if the BTF has no base, is damaged, or
    refers to a function or variable of its base.
    """
    if btf.base is None:
        raise BTFError("only a split BTF has a base to distil")
    table, needed = Table(btf), _needed(btf)
    taken = [type_id for type_id, of in needed.items() if not _is_outlined(of)]
    ids = [0] * btf.ids.stop
    small = Builder(byteorder=btf.byteorder)
    for type_id, of in needed.items():
        if _is_outlined(of):
            ids[type_id] = small.add_type(_outline(of))
    base = BTF.from_bytes(small.build())
    order = [*btf.ids, *taken]
    for new, type_id in enumerate(order, base.ids.stop):
        ids[type_id] = new
    builder = Builder(byteorder=btf.byteorder, base=base, reuse=True)
    copy(table, order, builder, ids)
    return Distilled(small.build(), builder.build(), ids)


def _needed(btf: BTF) -> dict[int, types.Type]:
    """Return the types of the base, by id, that have to be there in outline or whole."""
    needed: dict[int, types.Type] = {}
    waiting = {target for of in btf for target in references(of)}
    while waiting:
        type_id = waiting.pop()
        if type_id in btf.ids or type_id in needed:
            continue
        needed[type_id] = of = btf.type(type_id)
        if not isinstance(of, _OUTLINED | _TAKEN):
            raise BTFError(f"type {type_id} ({type(of).__name__}) of the base cannot be distilled")
        if not _is_outlined(of):
            waiting |= references(of)
    return dict(sorted(needed.items()))


def _is_outlined(of: types.Type) -> bool:
    """Tell whether a type can be found again, by its name."""
    return isinstance(of, _OUTLINED) and bool(of.name)


def _outline(of: types.Type) -> types.Type:
    """Return what is known of a type in a distilled base."""
    match of:
        case types.Struct() | types.Union():
            return of._replace(members=(), kind_flag=False)
        case types.Enum() | types.Enum64():
            return types.Enum(of.id, of.name, of.size, ())
    return of


def relocate(btf: BTF, base: BTF) -> Rewritten:
    """Return a BTF split over a distilled base as one split over ``base``.

    Raises BTFError when a type of the distilled base is not in ``base``, or more than one is that it
    could be.
    """
    if btf.base is None:
        raise BTFError("only a split BTF can be relocated")
    embedded = {target for of in btf for target in _embedded(btf, of)}
    ids = [0]
    ids += [_find(of, base, same_size=of.id in embedded) for of in btf.base]
    ids += range(base.ids.stop, base.ids.stop + len(btf))
    builder = Builder(byteorder=btf.byteorder, base=base, reuse=True)
    copy(Table(btf), btf.ids, builder, ids)
    return Rewritten(builder.build(), ids)


def _embedded(btf: BTF, of: types.Type) -> Iterator[int]:
    """Yield the ids of what a struct or union contains by value."""
    if isinstance(of, types.Struct | types.Union):
        for member in of.members:
            target, seen = btf.resolve(member.type_id), set[int]()
            while isinstance(array := btf.type(target), types.Array) and target not in seen:
                seen.add(target)
                target = btf.resolve(array.type_id)
            yield target


def _find(of: types.Type, base: BTF, *, same_size: bool) -> int:
    """Return the id of the one type in the base that a type of a distilled base stands for."""
    if not _is_outlined(of):
        raise BTFError(f"type {of.id} ({type(of).__name__}) cannot be part of a distilled base")
    found: Sequence[types.Type]
    match of:
        case types.Int():
            found = [
                each
                for each in base.find_all(of.name, types.Int)
                if (each.size, each.encoding) == (of.size, of.encoding)
            ]
        case types.Float():
            found = [each for each in base.find_all(of.name, types.Float) if each.size == of.size]
        case types.Enum() | types.Enum64():
            enums: list[types.Enum | types.Enum64] = [
                *base.find_all(of.name, types.Enum),
                *base.find_all(of.name, types.Enum64),
            ]
            found = [each for each in enums if each.size == of.size]
        case types.Struct() | types.Union():
            shapes: list[types.Struct | types.Union] = [
                *base.find_all(of.name, types.Struct),
                *base.find_all(of.name, types.Union),
            ]
            found = [
                each
                for each in shapes
                if type(each) is type(of) and (each.size == of.size or not (same_size or len(shapes) > 1))
            ]
        case types.Fwd():
            announced = types.Union if of.is_union else types.Struct
            found = [each for each in base.find_all(of.name, types.Fwd) if each.is_union == of.is_union]
            found = found or base.find_all(of.name, announced)
    if len(found) != 1:
        count = f"{len(found)} types" if found else "no type"
        raise BTFError(f"the base has {count} for {type(of).__name__} {of.name}, size {getattr(of, 'size', 'unknown')}")
    return found[0].id
