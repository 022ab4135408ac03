"""
A program and all functions that it calls, joined into the one piece of code that the kernel takes.

Functions follow in the order in which they are called first; calls between them are numbers of instructions, and so
is what is told of functions and of lines of source (Documentation/bpf/btf.rst, bpf_func_info and bpf_line_info).
"""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, NamedTuple

from bpfctl import spec as words
from bpfctl.asm.insn import (
    BPF_CALL,
    BPF_JMP,
    BPF_PSEUDO_BTF_ID,
    BPF_PSEUDO_CALL,
    BPF_PSEUDO_FUNC,
    BPF_PSEUDO_KFUNC_CALL,
    BPF_PSEUDO_MAP_FD,
    BPF_PSEUDO_MAP_VALUE,
    Insn,
)
from bpfctl.errors import ObjectError
from bpfctl.load.core import poison

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bpfctl.load.externs import Externs, Supply
    from bpfctl.spec import Function, MapSpec, ObjectSpec, Reference

    Slots = list[Insn | None]

_CALL = BPF_JMP | BPF_CALL


class Linked(NamedTuple):
    """The code of a program; ``modules`` are those whose functions it calls, in the order of their numbers from 1."""

    insns: bytes
    func_info: bytes
    line_info: bytes
    modules: tuple[str, ...]


class Linker:
    """Joins the programs of one object; ``maps`` has the descriptors of those maps that were made.

    ``module_fd`` returns a descriptor of the types of a module.
    """

    def __init__(
        self,
        spec: ObjectSpec,
        code: Mapping[str, Slots],
        maps: Mapping[str, int],
        externs: Externs,
        module_fd: Callable[[str], int],
    ) -> None:
        self._spec, self._code, self._maps, self._externs, self._module_fd = spec, code, maps, externs, module_fd
        self._functions = {(one.section, one.start): one for one in spec.functions}
        self._specs = {one.name: one for one in spec.maps}

    def link(self, main: Function) -> Linked:
        """Return a program's code, whose first function is ``main``; ObjectError for a call to nowhere."""
        starts = self._layout(main)
        modules: dict[str, int] = {}
        slots: Slots = []
        for function in starts:
            slots += self._linked(function, starts, modules)
        try:
            insns = b"".join(insn.encode(self._spec.byteorder) for insn in slots if insn is not None)
        except ValueError as error:  # a damaged relocation asks for a number that no instruction holds
            raise ObjectError(f"an instruction cannot be relocated: {error}") from None
        return Linked(insns, *self._infos(starts), tuple(modules))

    def _layout(self, main: Function) -> dict[Function, int]:
        """Return where each function begins."""
        order: dict[Function, None] = {}
        waiting = [main]
        while waiting:
            function = waiting.pop()
            if function not in order:
                order[function] = None
                waiting += reversed([self._called(one) for _, one in self._references(function) if _is_call(one)])
        starts: dict[Function, int] = {}
        size = 0
        for function in order:
            starts[function] = size
            size += function.end - function.start
        return starts

    def _references(self, function: Function) -> Iterator[tuple[int, Reference]]:
        known = self._spec.code[function.section].references
        for slot in range(function.start, function.end):
            if slot in known:
                yield slot, known[slot]

    def _called(self, reference: Reference) -> Function:
        found = self._functions.get((reference.section, reference.slot))
        if found is None:
            raise ObjectError(f"a call of {reference.name or reference.section} leads to no function")
        return found

    def _linked(self, function: Function, starts: Mapping[Function, int], modules: dict[str, int]) -> Slots:
        slots = self._code[function.section][function.start : function.end]
        for slot, reference in self._references(function):
            at = slot - function.start
            insn = slots[at]
            if insn is None:
                raise ObjectError(f"a relocation of section {function.section} is of no instruction")
            if reference.kind == words.FUNCTION:
                distance = starts[self._called(reference)] - (starts[function] + at) - 1
                slots[at] = _to_function(insn, distance)
            elif reference.kind == words.MAP:
                _put(slots, at, self._to_map(insn, self._specs[reference.name], reference.slot))
            else:
                _put(slots, at, self._to_extern(insn, reference.name, modules))
        return slots

    def _to_map(self, insn: Insn, map_: MapSpec, offset: int) -> Slots:
        fd = self._maps.get(map_.name)
        if fd is None:  # nobody asked for it to be made
            return poison(insn)
        kind = BPF_PSEUDO_MAP_VALUE if map_.made_of else BPF_PSEUDO_MAP_FD
        return [insn._replace(src=kind, imm=(offset << 32 | fd) if map_.made_of else fd)]

    def _to_extern(self, insn: Insn, name: str, modules: dict[str, int]) -> Slots:
        if name in self._externs.places:
            fd, offset = self._maps[".kconfig"], self._externs.places[name]
            return [insn._replace(src=BPF_PSEUDO_MAP_VALUE, imm=offset << 32 | fd)]
        supply = self._externs.supplies.get(name)
        if supply is None:
            raise ObjectError(f"an instruction refers to {name!r}, which the object does not want to be supplied with")
        if insn.opcode == _CALL:
            return _to_kfunc(insn, supply, modules)
        if not supply.type_id:
            return [insn._replace(src=0, imm=supply.address)]
        fd = self._module_fd(supply.module) if supply.module else 0
        return [insn._replace(src=BPF_PSEUDO_BTF_ID, imm=fd << 32 | supply.type_id)]

    def _infos(self, starts: Mapping[Function, int]) -> tuple[bytes, bytes]:
        """Return what is told of functions and of lines: of every function, or nothing, as the kernel wants it."""
        ext = self._spec.ext
        if ext is None:
            return b"", b""
        functions, lines, placed = list[bytes](), list[bytes](), 0
        for function, start in starts.items():
            shift = start - function.start
            functions += (
                pack("=II", info.insn_off // 8 + shift, info.type_id)
                for info in ext.func_infos.get(function.section, ())
                if info.insn_off // 8 == function.start
            )
            inside = [
                line
                for line in ext.line_infos.get(function.section, ())
                if function.start <= line.insn_off // 8 < function.end
            ]
            placed += bool(inside) and inside[0].insn_off // 8 == function.start
            lines += (
                pack("=IIII", line.insn_off // 8 + shift, line.file_name_off, line.line_off, line.line_col)
                for line in inside
            )
        count = len(starts)
        return b"".join(functions) if len(functions) == count else b"", b"".join(lines) if placed == count else b""


def _put(slots: Slots, at: int, new: Slots) -> None:
    slots[at : at + len(new)] = new


def _is_call(reference: Reference) -> bool:
    return reference.kind == words.FUNCTION


def _to_function(insn: Insn, distance: int) -> Insn:
    if insn.opcode == _CALL:
        return insn._replace(src=BPF_PSEUDO_CALL, imm=distance)
    return insn._replace(src=BPF_PSEUDO_FUNC, imm=distance & 0xFFFF_FFFF)


def _to_kfunc(insn: Insn, supply: Supply, modules: dict[str, int]) -> Slots:
    if not supply.type_id:
        return poison(insn)
    number = modules.setdefault(supply.module, len(modules) + 1) if supply.module else 0
    return [insn._replace(src=BPF_PSEUDO_KFUNC_CALL, imm=supply.type_id, off=number)]
