"""What a CO-RE relocation speaks of, worked out on the types of its own object.

An access string such as "0:1:2" counts members as the compiler laid them out. What survives another
kernel is the path of names and array indices in it, so that is what a `Spec` keeps: members without a
name, in which others are nested, leave no trace but their share of the offset.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from btf import relo_kind, types
from btf._core_words import keyword, words
from btf.errors import BTFError

if TYPE_CHECKING:
    from btf.ext import CoreRelo
    from btf.read import BTF

#: As libbpf's BPF_CORE_SPEC_MAX_LEN: no access goes through more members and indices.
MAX_LENGTH = 64
_MAX_BITS = 1 << 32
_MAX_INDEX = 1 << 31
_ACCESS = re.compile(r"[0-9]+(?::[0-9]+)*\Z")

ENUMS = (types.Enum, types.Enum64)
RECORDS = (types.Struct, types.Union)


class Accessor(NamedTuple):
    """One step of a path: member (or enumerator) ``idx`` of ``type_id``, or without a name, element ``idx``.

    In the latter case ``type_id`` is that of the element.
    """

    type_id: int
    idx: int
    name: str | None = None


class Spec(NamedTuple):
    """Where an access leads: by names and array indices (``path``), and by numbers (``raw``)."""

    root: int
    path: tuple[Accessor, ...] = ()
    raw: tuple[int, ...] = ()
    bit_offset: int = 0


def parse(btf: BTF, relo: CoreRelo) -> Spec:
    """Return the spec of a relocation on the types of its object; raises BTFError if it makes no sense."""
    if not _ACCESS.match(relo.access):
        raise BTFError(f"access string {relo.access!r} is not numbers and colons")
    # length first: what int() reads is not to be longer than it must
    raw = tuple([int(word) for word in relo.access.split(":") if len(word) < 12])
    if len(raw) != relo.access.count(":") + 1 or max(raw) >= _MAX_INDEX:
        raise BTFError(f"access string {relo.access!r} has numbers that are too large")
    if relo.kind in relo_kind.TYPE:
        if raw != (0,):
            raise BTFError(f"access string {relo.access!r} for a type as a whole")
        btf.type(relo.type_id)
        return Spec(relo.type_id)
    if len(raw) > MAX_LENGTH:
        raise BTFError(f"access through {len(raw)} members, more than {MAX_LENGTH}")
    if relo.kind in relo_kind.ENUMVAL:
        return _enumerator(btf, relo.type_id, raw)
    if relo.kind in relo_kind.FIELD:
        return _field(btf, relo.type_id, raw)
    raise BTFError(f"relocation kind {relo.kind} is unknown")


def _enumerator(btf: BTF, type_id: int, raw: tuple[int, ...]) -> Spec:
    of = btf.type(btf.resolve(type_id))
    if not isinstance(of, ENUMS) or len(raw) > 1 or raw[0] >= len(of.values):
        raise BTFError(f"{words(btf, type_id)} has no value number {':'.join(map(str, raw))}")
    return Spec(type_id, (Accessor(of.id, raw[0], of.values[raw[0]].name),), raw)


def _field(btf: BTF, root: int, raw: tuple[int, ...]) -> Spec:
    type_id = btf.resolve(root)
    path = [Accessor(type_id, raw[0])]
    bits = raw[0] * btf.size_of(type_id) * 8
    for index in raw[1:]:
        of = btf.type(btf.resolve(type_id))
        match of:
            case types.Struct() | types.Union():
                if index >= len(of.members):
                    raise BTFError(f"{words(btf, of.id)} has no member number {index}")
                member = of.members[index]
                bits += member.bits_offset
                type_id = member.type_id
                if member.name:
                    path.append(Accessor(of.id, index, member.name))
            case types.Array():
                if index >= of.nr_elems and not is_flexible(btf, path[-1], of):
                    raise BTFError(f"{words(btf, of.id)} has no element {index}")
                type_id = btf.resolve(of.type_id)
                path.append(Accessor(type_id, index))
                bits += index * btf.size_of(type_id) * 8
            case _:
                raise BTFError(f"{words(btf, type_id)} has no members")
    return Spec(root, tuple(path), raw, within(bits))


def within(bits: int) -> int:
    """Return an offset in bits if it is one that 32 bits hold; raises BTFError otherwise."""
    if bits >= _MAX_BITS:
        raise BTFError(f"the offset of {bits} bits is too large")
    return bits


def is_flexible(btf: BTF, holder: Accessor, array: types.Array) -> bool:
    """Whether an array without elements ends a struct, so that any element may be meant.

    ``holder`` is the step that led to the array.
    """
    if holder.name is None or array.nr_elems:
        return False
    of = btf.type(holder.type_id)
    return isinstance(of, RECORDS) and holder.idx == len(of.members) - 1


def spell(btf: BTF, spec: Spec, kind: int) -> str:
    """Return what a relocation speaks of as C does: ``struct task_struct.comm[3]``, ``enum e::VALUE``."""
    of = btf.type(spec.root)
    text = f"{keyword(of)} {of.name}".strip() if of.name else words(btf, spec.root)
    if kind in relo_kind.ENUMVAL:
        return f"{text}::{spec.path[0].name}"
    for position, (_, index, name) in enumerate(spec.path):
        if name is not None:
            text += f".{name}"
        elif position or index:
            text += f"[{index}]"
    return text
