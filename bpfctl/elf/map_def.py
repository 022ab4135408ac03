"""
Maps in an object: declared in its types (``.maps``), as libbpf's macros write them, or made of its variables.

A member ``__uint(name, 5)`` is a pointer to an array of 5 ints, ``__ulong`` an enum of one value, ``__type`` a
pointer to a type, ``__array(values, ...)`` an array of pointers (libbpf: src/bpf_helpers.h).
"""

from __future__ import annotations

from bisect import bisect_left
from struct import Struct as Form
from typing import TYPE_CHECKING

from bpfctl import spec
from bpfctl.elf import file as elf
from bpfctl.errors import ObjectError
from bpfctl.spec import MapSpec
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag
from btf import types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.elf.file import File
    from btf.read import BTF

_POINTER = 8  # bytes
_LARGEST = 0xFFFF_FFFF  # of a number of union bpf_attr
DECLARED, LEGACY = ".maps", "maps"
_STRUCT_OPS = {".struct_ops": True, ".struct_ops.link": True, "?.struct_ops": False, "?.struct_ops.link": False}
_OF_VARIABLES = {".data": spec.DATA, ".rodata": spec.RODATA, ".bss": spec.BSS}
_NUMBERS = {
    "type": "type",
    "key_size": "key_size",
    "value_size": "value_size",
    "max_entries": "max_entries",
    "map_flags": "flags",
    "map_extra": "extra",
    "numa_node": "numa_node",
}
_ORDER = {"": 0, spec.SETTINGS: 2, spec.STRUCT_OPS: 3, spec.JUMPS: 4}
_HOLDERS = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})


def read(file: File, btf: BTF | None) -> Iterator[tuple[int, int, MapSpec]]:
    """Yield the maps of an object, each with the number of its section and its place there."""
    for index, offset, found in _read(file, btf):
        yield index, offset, _fitting(found)


def _fitting(map_: MapSpec) -> MapSpec:
    """Return a map whose numbers are as long as the kernel's; their types may say what they like."""
    sizes = map_.type, map_.key_size, map_.value_size, map_.max_entries, map_.flags, map_.numa_node or 0
    if min(sizes) < 0 or max(sizes) > _LARGEST or map_.extra not in range(1 << 64):
        raise ObjectError(f"map {map_.name} has a number that no map can have")
    return map_._replace(inner=_fitting(map_.inner)) if map_.inner is not None else map_


def _read(file: File, btf: BTF | None) -> Iterator[tuple[int, int, MapSpec]]:
    for index, (name, head) in enumerate(file.headers):
        if name == DECLARED and head.type == elf.PROGBITS:
            if btf is None:
                raise ObjectError("the maps of section .maps have no BTF")
            for offset, found in _declared(file, index, btf):
                yield index, offset, found
        elif name == LEGACY and head.type == elf.PROGBITS:
            yield from _legacy(file, index)
        elif name in _STRUCT_OPS and head.type == elf.PROGBITS:
            for offset, found in _struct_ops(file, index, btf):
                yield index, offset, found
        elif head.size and (kind := _kind(name, head.type)):
            found = _variables(name, kind, head.size, btf)
            yield index, 0, found if head.type == elf.NOBITS else found._replace(contents=file.contents(index))


def rank(map_: MapSpec) -> int:
    """Return where a map stands among those of other kinds, as libbpf numbers them."""
    return _ORDER.get(map_.made_of, 1)


def settings(size: int, btf: BTF | None) -> MapSpec:
    """Return the map that holds the kernel's settings."""
    return _fitting(_variables(".kconfig", spec.SETTINGS, size, btf))


def _kind(name: str, type_: int) -> str:
    """Return what a section of variables is; empty for another section."""
    if name == ".addr_space.1" and type_ == elf.PROGBITS:
        return spec.ARENA
    if name == ".jumptables" and type_ == elf.PROGBITS:
        return spec.JUMPS
    begin = "." + name[1:].partition(".")[0]
    kind = _OF_VARIABLES.get(begin, "") if name.startswith(".") else ""
    return kind if type_ == (elf.NOBITS if kind == spec.BSS else elf.PROGBITS) else ""


def _variables(name: str, kind: str, size: int, btf: BTF | None) -> MapSpec:
    if kind == spec.JUMPS:
        return MapSpec(name, MapType.INSN_ARRAY, 4, 16, max(size // 8, 1), made_of=kind)
    section = btf.find(name, types.Datasec) if btf is not None else None
    flags = MapFlag.RDONLY_PROG if kind in (spec.RODATA, spec.SETTINGS) else MapFlag(0)
    if section is not None and btf is not None and any(_is_shared(btf, var.type_id) for var in section.vars):
        flags |= MapFlag.MMAPABLE
    return MapSpec(
        name, MapType.ARRAY, 4, size, 1, int(flags), value=section.id if section is not None else 0, made_of=kind
    )


def _is_shared(btf: BTF, type_id: int) -> bool:
    """Return whether a variable is not static: one that user space may see."""
    var = btf.type(type_id)
    return isinstance(var, types.Var) and var.linkage != 0


def _declared(file: File, index: int, btf: BTF) -> Iterator[tuple[int, MapSpec]]:
    names = dict(file.relocations(index))
    places, taken = sorted(names), 0
    section = btf.find(DECLARED, types.Datasec)
    if section is None:
        raise ObjectError("the BTF has no section .maps")
    for one in section.vars:
        var = btf.type(one.type_id)
        if not isinstance(var, types.Var) or not var.name:
            raise ObjectError("section .maps has something else than maps")
        found = _map(btf, var.name, var.type_id)
        begin = file.places.get((DECLARED, var.name), one.offset)
        inside = range(begin + _values_at(btf, var.type_id), begin + one.size, _POINTER)
        near = places[bisect_left(places, inside.start) : bisect_left(places, inside.stop)]
        slots = tuple((inside.index(place), names[place].name) for place in near if place in inside)
        taken += len(near)
        if taken > len(places):
            raise ObjectError("the maps of section .maps lie over each other")
        yield begin, found._replace(slots=slots)


def _values_at(btf: BTF, type_id: int) -> int:
    """Return where in the declaration of a map its ``values`` begin; only what is there can refer to anything."""
    declared = btf.type(btf.resolve(type_id))
    members = declared.members if isinstance(declared, types.Struct) else ()
    return next((one.bits_offset // 8 for one in members if one.name == "values"), 0)


def _map(btf: BTF, name: str, type_id: int, *, is_inner: bool = False) -> MapSpec:
    declared = btf.type(btf.resolve(type_id))
    if not isinstance(declared, types.Struct):
        raise ObjectError(f"map {name} is not declared as a struct")
    numbers: dict[str, int] = {}
    key = value = 0
    pinned, inner = False, None
    for member in declared.members:
        if member.name in _NUMBERS:
            numbers[_NUMBERS[member.name]] = _number(btf, name, member)
        elif member.name == "key":
            key = _pointed(btf, name, member)
            numbers["key_size"] = btf.size_of(key)
        elif member.name == "value":
            value = _pointed(btf, name, member)
            numbers["value_size"] = btf.size_of(value)
        elif member.name == "pinning":
            pinned = _number(btf, name, member) == 1
        elif member.name == "values" and not is_inner:
            numbers["value_size"] = 4
            inner = _inner(btf, name, numbers.get("type", 0), member)
        else:
            raise ObjectError(f"map {name} has a member {member.name} that no loader knows")
    if not numbers.get("type"):
        raise ObjectError(f"map {name} has no type")
    return MapSpec(
        name,
        numbers["type"],
        numbers.get("key_size", 0),
        numbers.get("value_size", 0),
        numbers.get("max_entries", 0),
        numbers.get("flags", 0),
        numbers.get("extra", 0),
        numa_node=numbers.get("numa_node"),
        pinned=pinned,
        inner=inner,
        key=key,
        value=value,
    )


def _number(btf: BTF, name: str, member: types.Member) -> int:
    one = btf.type(btf.resolve(member.type_id))
    if isinstance(one, types.Enum | types.Enum64) and one.values:
        return one.values[0].val
    array = btf.type(btf.resolve(one.type_id)) if isinstance(one, types.Pointer) else None
    if not isinstance(array, types.Array):
        raise ObjectError(f"map {name}: {member.name} is not written as a number")
    return array.nr_elems


def _pointed(btf: BTF, name: str, member: types.Member) -> int:
    one = btf.type(btf.resolve(member.type_id))
    if not isinstance(one, types.Pointer):
        raise ObjectError(f"map {name}: {member.name} is not written as a type")
    return one.type_id


def _inner(btf: BTF, outer: str, kind: int, member: types.Member) -> MapSpec | None:
    """Return the map that a map of maps holds; None for what else ``values`` stands for."""
    array = btf.type(btf.resolve(member.type_id))
    if kind not in _HOLDERS or not isinstance(array, types.Array):
        return None
    pointer = btf.type(btf.resolve(array.type_id))
    if not isinstance(pointer, types.Pointer):
        raise ObjectError(f"map {outer}: values is not written as an array of maps")
    return _map(btf, f"{outer}.inner", pointer.type_id, is_inner=True)


def _legacy(file: File, section: int) -> Iterator[tuple[int, int, MapSpec]]:
    """Yield maps as ``struct bpf_map_def`` declares them, which libbpf 1.0 has given up."""
    data, form = file.contents(section), Form(("<" if file.byteorder == "little" else ">") + "5I")
    for symbol in file.symbols:
        if symbol.section == section and symbol.name and symbol.type in (elf.OBJECT, elf.NOTYPE):
            if symbol.value + form.size > len(data):
                raise ObjectError(f"map {symbol.name} is out of range")
            yield section, symbol.value, MapSpec(symbol.name, *form.unpack_from(data, symbol.value))


def _struct_ops(file: File, index: int, btf: BTF | None) -> Iterator[tuple[int, MapSpec]]:
    name = file.name(index)
    section = btf.find(name, types.Datasec) if btf is not None else None
    if section is None or btf is None:
        raise ObjectError(f"the BTF has no section {name}")
    places = {offset: symbol.name for offset, symbol in file.relocations(index) if symbol.type == elf.FUNC}
    contents, taken = file.contents(index), 0
    for one in section.vars:
        var = btf.type(one.type_id)
        struct = btf.type(btf.resolve(var.type_id)) if isinstance(var, types.Var) else None
        if not isinstance(struct, types.Struct):
            raise ObjectError(f"section {name} has something else than structs")
        begin = file.places.get((name, var.name), one.offset)
        taken += struct.size
        if taken > len(contents):
            raise ObjectError(f"the structs of section {name} lie over each other, or behind its end")
        at = {begin + member.bits_offset // 8: member.name for member in struct.members}
        found = MapSpec(
            var.name,
            MapType.STRUCT_OPS,
            4,
            struct.size,
            1,
            MapFlag.LINK if name.endswith(".link") else 0,
            value=struct.id,
            made_of=spec.STRUCT_OPS,
            contents=contents[begin : begin + struct.size],
            struct=struct.name,
            functions=tuple((at[offset], places[offset]) for offset in sorted(at.keys() & places.keys())),
            autocreate=_STRUCT_OPS[name],
        )
        yield begin, found
