"""
Structs of functions: what the kernel is given to put one to use, and how it is.

An object has the struct as its author's headers do, and the kernel its own: each member goes where the kernel has it by
that name, and for a function stands the descriptor of its program (kernel/bpf/bpf_struct_ops.c).
"""

from __future__ import annotations

import sys
from errno import EBUSY
from typing import TYPE_CHECKING

from bpfctl._sys import attach, maps
from bpfctl.errors import KernelError, NotSupported, ObjectError
from bpfctl.feature.by_type import plain
from bpfctl.kernel.link import Link
from bpfctl.uapi.enums import AttachType
from bpfctl.uapi.flags import MapFlag
from btf import types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfctl.feature.types import Types
    from bpfctl.kernel.map import Map
    from bpfctl.spec import MapSpec
    from btf.read import BTF

PREFIX = "bpf_struct_ops_"  # of the struct that a value of such a map is, in front of the name of the struct in it
_POINTER = 8  # bytes


def value(map_: MapSpec, ours: BTF, kernel: Types, programs: Mapping[str, int]) -> bytes:
    """Return what registers a struct, with the descriptors of its programs; NotSupported where a member has no place.

    A member that this kernel has not may be left out as long as it is zero.
    """
    name = plain(map_.struct)
    outer = kernel.find(PREFIX + name, types.Struct)
    if outer is None:
        raise NotSupported(f"the kernel's types have no struct {PREFIX}{name}")
    btf = outer.btf
    at, theirs = _inner(btf, outer.type_id, name)
    local = ours.type(map_.value)
    if not isinstance(local, types.Struct):
        raise ObjectError(f"map {map_.name} is made of no struct")
    known = {member.name: member for member in theirs.members}
    functions = dict(map_.functions)
    memory = bytearray(btf.size_of(outer.type_id))
    for member in local.members:
        start, size = member.bits_offset // 8, ours.size_of(member.type_id)
        content = map_.contents[start : start + size].ljust(size, b"\0")
        place = known.get(member.name)
        if place is None:
            if any(content) or member.name in functions:
                raise NotSupported(f"map {map_.name}: the kernel's struct {name} has no member {member.name}")
            continue
        into = at + place.bits_offset // 8
        if member.name in functions:
            program = programs.get(functions[member.name], 0)
            memory[into : into + _POINTER] = program.to_bytes(_POINTER, sys.byteorder)
        elif isinstance(ours.type(ours.resolve(member.type_id)), types.Pointer):
            continue
        elif member.bitfield_size or place.bitfield_size or btf.size_of(place.type_id) != size:
            raise NotSupported(
                f"map {map_.name}: member {member.name} of the kernel's struct {name} is of another size"
            )
        else:
            memory[into : into + size] = content
    return bytes(memory)


def _inner(btf: BTF, outer: int, name: str) -> tuple[int, types.Struct]:
    """Return where in the value the struct of functions lies, and the struct."""
    holder = btf.type(outer)
    for member in holder.members if isinstance(holder, types.Struct) else ():
        found = btf.type(btf.resolve(member.type_id))
        if isinstance(found, types.Struct) and found.name == name:
            return member.bits_offset // 8, found
    raise NotSupported(f"the kernel's struct {PREFIX}{name} has no struct {name} in it")


def register(map_: Map, content: bytes) -> Link | None:
    """Put a struct of functions to use, by a link if the map is one for that; else until its entry is deleted."""
    info = map_.info()
    tried = f"can't register struct_ops {info.name}"
    has_link = bool(info.map_flags & MapFlag.LINK)
    try:
        maps.update(map_.fileno(), bytes(4), content)
    except OSError as error:
        if not has_link or error.errno != EBUSY:  # EBUSY: it has its content from a link before
            raise KernelError(tried, error.errno or 0) from None
    if not has_link:
        return None
    try:
        return Link(attach.link_create(map_.fileno(), 0, AttachType.STRUCT_OPS))
    except OSError as error:
        raise KernelError(tried, error.errno or 0) from None
