"""
A BPF object file, read into an `bpfctl.spec.ObjectSpec`.

What libbpf 1 would not even open is read as far as it makes sense, and said in `ObjectSpec.refusals`; what makes no
sense is an ObjectError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.asm.insn import BPF_CALL, BPF_JMP, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, SLOT_SIZE, Insn
from bpfctl.elf import file as elf
from bpfctl.elf import map_def, section
from bpfctl.elf.file import File
from bpfctl.errors import ObjectError
from bpfctl.spec import (
    ADDRESS,
    EXTERN,
    FUNCTION,
    KCONFIG,
    KFUNC,
    KSYM,
    MAP,
    Code,
    Extern,
    Function,
    MapSpec,
    ObjectSpec,
    ProgramSpec,
    Reference,
)
from btf import types
from btf.ext import Ext
from btf.read import BTF

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TEXT = ".text"


def read(data: bytes) -> ObjectSpec:
    """Read an object file; ObjectError when it is none, or damaged."""
    try:
        return _Reader(File(data)).read()
    except ObjectError:
        raise
    except ValueError as error:  # from the rooms that know instructions and types
        raise ObjectError(str(error)) from None


class _Reader:
    """Reads one file."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._refusals: list[str] = []
        self._btf, self._ext = self._types()

    def read(self) -> ObjectSpec:
        file = self._file
        maps = list(map_def.read(file, self._btf))
        if file.find(map_def.LEGACY) is not None:
            self._refusals.append("maps of section maps are declared in a way that libbpf 1.0 gave up")
        code = {
            name: index
            for index, (name, head) in enumerate(file.headers)
            if head.type == elf.PROGBITS and head.flags & elf.EXECUTED and head.size
        }
        insns = {name: _slots(file.contents(index), file) for name, index in code.items()}
        functions = list(self._functions(code, insns))
        externs = tuple(self._externs())
        found = [one for _, _, one in maps]
        if any(one.kind == KCONFIG for one in externs):
            found.append(map_def.settings(self._settings_size(externs), self._btf))
        found.sort(key=map_def.rank)
        self._refusals += _reused(found)
        places = {(index, place): one for index, place, one in maps}
        return ObjectSpec(
            self._text("license"),
            file.byteorder,
            tuple(self._programs(functions)),
            tuple(functions),
            tuple(found),
            externs,
            {
                name: Code(slots, dict(self._references(code[name], slots, places, functions)))
                for name, slots in insns.items()
            },
            self._btf,
            self._ext,
            tuple(self._refusals),
            file.places,
        )

    def _types(self) -> tuple[BTF | None, Ext | None]:
        at, more = self._file.find(".BTF"), self._file.find(".BTF.ext")
        if at is None:
            return None, None
        btf = BTF.from_bytes(self._file.contents(at))
        return btf, Ext.from_bytes(self._file.contents(more), btf) if more is not None else None

    def _text(self, name: str) -> str:
        at = self._file.find(name)
        if at is None:
            return ""
        return self._file.contents(at).partition(b"\0")[0].decode("utf-8", "surrogateescape")

    def _functions(self, code: dict[str, int], insns: dict[str, tuple[Insn | None, ...]]) -> Iterator[Function]:
        numbers = {index: name for name, index in code.items()}
        found = [
            (numbers[one.section], one) for one in self._file.symbols if one.type == elf.FUNC and one.section in numbers
        ]
        ends: dict[str, tuple[int, int]] = {}
        for name, one in sorted(found, key=lambda row: (row[1].section, row[1].value, row[1].size)):
            start, size = one.value // SLOT_SIZE, one.size // SLOT_SIZE
            if one.value % SLOT_SIZE or one.size % SLOT_SIZE or not size or start + size > len(insns[name]):
                raise ObjectError(f"function {one.name} is not whole instructions of section {name}")
            before = ends.get(name, (0, 0))
            if start < before[1] and (start, start + size) != before:
                raise ObjectError(f"function {one.name} begins inside another one")
            ends[name] = start, start + size
            yield Function(one.name, name, start, start + size, one.bind != elf.LOCAL, one.is_hidden)

    def _programs(self, functions: Iterable[Function]) -> Iterator[ProgramSpec]:
        for function in functions:
            if function.section == _TEXT:
                continue
            if not function.is_global:
                self._refusals.append(f"program {function.name} is static")
                continue
            name = function.section.removeprefix("?")
            found, autoload = section.find(name), name == function.section
            if found is None:
                yield ProgramSpec(function.name, name, function, autoload=autoload)
                continue
            said, target = found
            yield ProgramSpec(
                function.name,
                name,
                function,
                said.type,
                said.attach_type,
                target,
                autoload,
                said.sleepable,
                said.frags,
                said.attach_btf,
            )

    def _references(
        self,
        index: int,
        slots: tuple[Insn | None, ...],
        maps: dict[tuple[int, int], MapSpec],
        functions: Iterable[Function],
    ) -> Iterator[tuple[int, Reference]]:
        """Yield what the instructions of a section refer to, with their slots; what a linker has done comes first."""
        name = self._file.name(index)
        names = {(one.section, one.start): one.name for one in functions}
        for at, insn in enumerate(slots):
            if insn is not None and insn.opcode == BPF_JMP | BPF_CALL and insn.src == BPF_PSEUDO_CALL:
                to = at + 1 + insn.imm
                yield at, Reference(FUNCTION, names.get((name, to), ""), name, to)
        for offset, symbol in self._file.relocations(index):
            at = offset // SLOT_SIZE
            found = slots[at] if at < len(slots) and not offset % SLOT_SIZE else None
            if found is None:
                raise ObjectError(f"a relocation of section {name} is of no instruction")
            reference = self._reference(found, symbol, maps, names)
            if reference is not None:
                yield at, reference

    def _reference(
        self,
        insn: Insn,
        symbol: elf.Symbol,
        maps: dict[tuple[int, int], MapSpec],
        names: dict[tuple[str, int], str],
    ) -> Reference | None:
        if symbol.section == elf.UNDEFINED:
            return Reference(EXTERN, symbol.name)
        to, inside = self._file.name(symbol.section), symbol.type == elf.SECTION
        if insn.opcode == BPF_JMP | BPF_CALL:
            place = symbol.value // SLOT_SIZE + (insn.imm + 1 if inside else 0)
            return Reference(FUNCTION, names.get((to, place), symbol.name), to, place)
        if not insn.wide:
            return None
        if symbol.type == elf.FUNC or (inside and insn.src in (0, BPF_PSEUDO_FUNC) and (to, 0) in names):
            place = symbol.value // SLOT_SIZE + (insn.imm // SLOT_SIZE if inside else 0)
            return Reference(FUNCTION, names.get((to, place), symbol.name), to, place)
        for key in ((symbol.section, symbol.value), (symbol.section, 0)):
            if key in maps:
                offset = symbol.value + (insn.imm & 0xFFFF_FFFF) if maps[key].made_of else 0
                return Reference(MAP, maps[key].name, slot=offset)
        return None

    def _externs(self) -> Iterator[Extern]:
        wanted = [one for one in self._file.symbols if _is_extern(one)]
        if not wanted:
            return
        if self._btf is None:
            raise ObjectError(f"there is no BTF for extern {wanted[0].name}")
        declared = {var.name: (name, var) for name in (".kconfig", ".ksyms") for var in self._section(name)}
        for one in dict.fromkeys(wanted):
            where, of = declared.get(one.name, ("", None))
            if of is None:
                self._refusals.append(f"nothing tells what extern {one.name} is")
                continue
            weak = one.bind == elf.WEAK
            type_id = self._btf.resolve(of.type_id)
            if where == ".kconfig":
                yield Extern(one.name, KCONFIG, weak, of.type_id)
            elif isinstance(of, types.Func):
                yield Extern(one.name, KFUNC, weak, type_id)
            else:
                yield Extern(one.name, KSYM if type_id else ADDRESS, weak, type_id)

    def _section(self, name: str) -> Iterator[types.Var | types.Func]:
        btf = self._btf
        found = btf.find(name, types.Datasec) if btf is not None else None
        if btf is None or found is None:
            return
        for var in found.vars:
            one = btf.type(var.type_id)
            if isinstance(one, types.Var | types.Func):
                yield one

    def _settings_size(self, externs: Iterable[Extern]) -> int:
        """Return the bytes of the settings, which no file has."""
        btf = self._btf
        return sum(btf.size_of(one.type_id) for one in externs if one.kind == KCONFIG) if btf is not None else 0


def _reused(maps: Iterable[MapSpec]) -> Iterator[str]:
    """Yield a refusal for each program that is several members of structs: it is loaded as one of them."""
    members: dict[str, tuple[str, str]] = {}
    for one in maps:
        for member, program in one.functions if one.autocreate else ():
            if members.setdefault(program, (one.struct, member)) != (one.struct, member):
                yield f"program {program} is {member} of struct {one.struct}, and another member too"


def _slots(data: bytes, file: File) -> tuple[Insn | None, ...]:
    slots: list[Insn | None] = []
    for insn in Insn.decode_all(data, file.byteorder):
        slots.append(insn)
        if insn.wide:
            slots.append(None)
    return tuple(slots)


def _is_extern(symbol: elf.Symbol) -> bool:
    """Return whether the kernel has to supply a symbol; the compiler's assumptions are also undefined functions."""
    return bool(
        symbol.section == elf.UNDEFINED
        and symbol.name
        and symbol.bind in (elf.GLOBAL, elf.WEAK)
        and symbol.type == elf.NOTYPE
    )
