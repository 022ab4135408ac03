"""Part of a BTF: some types and what they refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import types
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from btf.read import BTF


def map_ids(of: types.Type, new: Callable[[int], int]) -> types.Type:
    """Return the type with each reference replaced by ``new`` of it; its own id is kept."""
    match of:
        case types.Array():
            return of._replace(type_id=new(of.type_id), index_type_id=new(of.index_type_id))
        case types.Struct() | types.Union():
            members = tuple(member._replace(type_id=new(member.type_id)) for member in of.members)
            return of._replace(members=members)
        case types.FuncProto():
            params = tuple(param._replace(type_id=new(param.type_id)) for param in of.params)
            return of._replace(ret_type_id=new(of.ret_type_id), params=params)
        case types.Datasec():
            return of._replace(vars=tuple(var._replace(type_id=new(var.type_id)) for var in of.vars))
    if isinstance(of, _REFERENCES):
        return of._replace(type_id=new(of.type_id))
    return of


def references(of: types.Type) -> set[int]:
    """Return the ids that a type refers to, void left out."""
    found: set[int] = set()

    def note(type_id: int) -> int:
        found.add(type_id)
        return type_id

    map_ids(of, note)
    return found - {0}


def subset(btf: BTF, roots: Iterable[int]) -> bytes:
    """Return a BTF of these types and everything that they need, in their old order.

    Raises BTFError when one of them is damaged.
    """
    needed: dict[int, types.Type] = {}
    waiting = list(roots)
    while waiting:
        type_id = waiting.pop()
        if type_id not in needed:
            needed[type_id] = btf.type(type_id)
            waiting += references(needed[type_id])
    numbers = {old: new for new, old in enumerate(sorted(needed), 1)} | {0: 0}
    builder = Builder(byteorder=btf.byteorder)
    for type_id in sorted(needed):
        builder.add_type(map_ids(needed[type_id], numbers.__getitem__))
    return builder.build()


_REFERENCES = (
    types.Pointer,
    types.Typedef,
    types.Volatile,
    types.Const,
    types.Restrict,
    types.Func,
    types.Var,
    types.DeclTag,
    types.TypeTag,
)
