"""Structs of functions that programs implement (struct_ops): the maps that hold them, and what is in them.

Kernel: kernel/bpf/bpf_struct_ops.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys import calls
from bpfctl.errors import KernelError, UsageError
from bpfctl.kernel import btf as objects
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.map import Map, MapInfo
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.layouts import MAP_INFO
from btf import types
from btf.errors import BTFError
from btf.prototype import prototype
from btf.value import Address, Decoder, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.select import Select
    from btf.read import BTF

_PREFIX = "bpf_struct_ops_"  # of the struct that a map has for a value, in front of that of the functions
_LARGEST_ID = (1 << 32) - 1
_DEPTH = 64


class Function(NamedTuple):
    """A member for a function: how that is declared, and the program, 0 for none; ``name`` is empty if unknown."""

    declared: str
    program: int
    name: str = ""


class Row(NamedTuple):
    """A map with a struct of functions, and which struct of the kernel that is."""

    info: MapInfo
    struct: str

    @property
    def id(self) -> int:
        """The map's id."""
        return self.info.id

    @property
    def name(self) -> str:
        """The map's name; empty when it has none."""
        return self.info.name or ""


class Content(NamedTuple):
    """What is in such a map: the facts about it, and its value, each by the names that the kernel's types have."""

    row: Row
    facts: dict[str, Any]
    outer: str
    value: list[tuple[str, Any]]


class Types:
    """The types of the kernel and of modules, each read once."""

    def __init__(self) -> None:
        self.kernel = objects.vmlinux()
        self._modules: dict[int, BTF] = {}

    def of(self, raw: bytes) -> BTF:
        """Return the types that a map's struct is of, which may be a module's (btf_vmlinux_id, Linux 6.9)."""
        id_ = MAP_INFO.unpack(raw)["btf_vmlinux_id"] or 0
        if not id_:
            return self.kernel
        if id_ not in self._modules:
            self._modules[id_] = objects.load_over(id_, self.kernel) if objects.is_module(id_) else self.kernel
        return self._modules[id_]


def opened(which: Select | None = None, *, write: bool = False) -> Iterator[Map]:
    """Open each map with a struct of functions, or those that are meant, to read unless told otherwise.

    The caller closes it. KernelError for an id that no map has, UsageError where it is that of another map.
    """
    if which is not None and which.by == "id":
        map_ = _by_id(int(which.value), write=write)
        info = _facts(map_)
        if info.type != MapType.STRUCT_OPS:
            map_.close()
            raise UsageError(f"{info.name} id {info.id} is not a struct_ops map")
        yield map_
        return
    for map_ in Map.every():
        info = _facts(map_)
        if info.type != MapType.STRUCT_OPS or which not in (None, ("name", info.name)):
            map_.close()
        elif write:
            with map_:  # and keep it, so that its id stays its own
                yield _by_id(info.id, write=True)
        else:
            yield map_


def _by_id(id_: int, *, write: bool) -> Map:
    try:
        return Map.by_id(id_, write=write)
    except KernelError as error:
        number = error.errno or 0
        raise KernelError(f"can't get map by id ({id_})", number, hint=privilege_hint(number)) from None


def _facts(map_: Map) -> MapInfo:
    """Return a map's facts; where they are not told, nobody else closes it."""
    try:
        return map_.facts
    except KernelError:
        map_.close()
        raise


def row(map_: Map, known: Types) -> Row:
    """Return a map's facts, and the name of the kernel's struct."""
    btf = known.of(_raw(map_, MAP_INFO.size))
    name = btf.name(map_.facts.btf_vmlinux_value_type_id or 0)
    return Row(map_.facts, name.removeprefix(_PREFIX))


def content(map_: Map, known: Types) -> Content:
    """Return what is in a map; KernelError."""
    found = row(map_, known)
    info = map_.facts
    told = known.kernel.find("bpf_map_info", types.Struct)
    size = max(told.size if told is not None else 0, MAP_INFO.size)
    raw = _raw(map_, size)
    btf, type_id = known.of(raw), info.btf_vmlinux_value_type_id or 0
    try:
        facts = Decoder(known.kernel, told.id)(raw.ljust(size, b"\0")) if told is not None else None
        value = Decoder(btf, type_id)(map_.lookup(bytes(4)))
        members = _members(btf, type_id, value, 0)
    except BTFError as error:
        raise UsageError(f"the kernel's types do not tell what is in struct_ops map {found.name}: {error}") from None
    return Content(found, dict(facts.fields) if isinstance(facts, Record) else {}, btf.name(type_id), members)


def _raw(map_: Map, size: int) -> bytes:
    try:
        return calls.obj_info(map_.fileno(), size)[0]
    except OSError as error:
        raise KernelError("can't get map info", error.errno or 0) from None


def _members(btf: BTF, type_id: int, value: Any, depth: int) -> list[tuple[str, Any]]:
    """Return the members of a struct, with functions for the pointers to them."""
    struct = btf.type(btf.resolve(type_id))
    if not isinstance(struct, types.Struct | types.Union) or not isinstance(value, Record) or depth > _DEPTH:
        return []
    return [
        (name, _member(btf, member.type_id, shown, depth))
        for member, (name, shown) in zip(struct.members, value.fields, strict=False)
    ]


def _member(btf: BTF, type_id: int, value: Any, depth: int) -> Any:
    if isinstance(value, Record):
        return _members(btf, type_id, value, depth + 1)
    pointer = btf.type(btf.resolve(type_id))
    if not isinstance(value, Address) or not isinstance(pointer, types.Pointer) or value > _LARGEST_ID:
        return value
    to = btf.resolve(pointer.type_id)
    if not isinstance(btf.type(to), types.FuncProto):
        return value
    return Function(prototype(btf, to).rstrip(), int(value), _program_name(int(value)) if value else "")


def _program_name(id_: int) -> str:
    from bpfctl.kernel.prog import Program  # noqa: PLC0415 - a struct may have no functions

    try:
        with Program.by_id(id_) as program:
            info = program.info()
            records = program.func_info(info)
            return (objects.function_name(info.btf_id or 0, records) if records else None) or ""
    except KernelError:  # it has ended, or we may not know
        return ""
