"""
Whether a kernel has what a BPF object needs.

    for verdict in check(Path("prog.o").read_bytes(), Running()):
        print(verdict.need.kind, verdict.need.name, verdict.status, verdict.reason)

A need is met, not met, or it cannot be told. What only instructions need that nobody gets to on that kernel, because
the program asks first (`bpf_core_type_exists`, a weak symbol, a setting of the kernel, a constant of its own), is met.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bpfctl import spec as words
from bpfctl.elf.read import read
from bpfctl.feature import need as needed
from bpfctl.feature.answer import NO, UNKNOWN, YES, Answer
from bpfctl.feature.need import Need, Use, needs
from bpfctl.feature.setting import ABSENT
from btf import check as relocations
from btf.check import Target
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from bpfctl.asm.insn import Insn
    from bpfctl.spec import Extern, Function, ObjectSpec
    from btf.read import BTF

MET, NOT_MET, OPEN = "met", "not met", "cannot be told"
_STATUS = {YES: MET, NO: NOT_MET, UNKNOWN: OPEN}
_FIRST, _ROOM = 1 << 62, 1 << 40  # addresses for what programs read before anything runs
_WIDEST = 8  # bytes

GUARDED = "no instruction that needs it is reached on this kernel"
WEAK = "it may be missing: the symbol is weak"
LACKING = "the kernel does not have it"
REPLACED = "where the kernel does not know it, loaders replace it"


class Kernel(Protocol):
    """Who is asked."""

    def types(self) -> Target | None:
        """Return the types of the kernel; None where it does not tell them."""

    def ask(self, need: Need, spec: ObjectSpec) -> Answer:
        """Return whether it has what an object needs."""

    def setting(self, extern: Extern, btf: BTF) -> bytes:
        """Return a kconfig extern as it lies in memory; empty for one that is unknown."""


class Verdict(NamedTuple):
    """What is known of one need."""

    need: Need
    status: str
    reason: str = ""


class Object:
    """A BPF object file, read once for any number of kernels."""

    def __init__(self, data: bytes) -> None:
        """Read it; ObjectError if it is damaged."""
        self._data = data
        self.spec = read(data)
        #: What it needs besides relocations.
        self.needs = needs(self.spec)

    @cached_property
    def _program(self) -> relocations.Object:
        return relocations.Object(self._data)

    @cached_property
    def _loaded(self) -> set[tuple[str, int]]:
        return needed.loaded_places(self.spec)

    def check(self, kernel: Kernel) -> list[Verdict]:
        """Return a verdict on each need."""
        answers = [(need, kernel.ask(need, self.spec)) for need in self.needs]
        missing = {need.name for need, answer in answers if need.extern is not None and answer.can == NO}
        verdicts, reached = self._relocations(kernel, missing)
        judged = [_verdict(self.spec, need, answer, reached) for need, answer in answers]
        order = {kind: at for at, kind in enumerate(needed.KINDS)}
        return sorted([*judged, *verdicts], key=lambda one: order[one.need.kind])

    def _relocations(self, kernel: Kernel, missing: set[str]) -> tuple[list[Verdict], _Reached]:
        """Return a verdict on each relocation, and what is reached."""
        spec, everything = self.spec, _Reached(frozenset(), set())
        if spec.btf is None:
            return [], everything
        try:
            program = self._program
            target = kernel.types() if any(program.relos.values()) else Target(spec.btf)
            if target is None:
                return list(_open(spec, self._loaded)), everything
            found, places = program.run(target, _known(spec, kernel, missing))
        except BTFError as error:
            reason = f"the types cannot be compared: {error}"
            return [Verdict(Need(needed.RELOCATION, "all", ()), OPEN, reason)], everything
        return list(_judged(spec, found, self._loaded)), _Reached(program.sections, places)


def check(data: bytes, kernel: Kernel) -> list[Verdict]:
    """Return a verdict on each need of an object file; ObjectError if it is damaged."""
    return Object(data).check(kernel)


class _Reached(NamedTuple):
    """The instructions that are reached in some sections; whatever is in another one may be."""

    sections: frozenset[str]
    places: set[tuple[str, int]]

    def has(self, use: Use) -> bool:
        return use.slot < 0 or use.section not in self.sections or (use.section, use.slot) in self.places


def _verdict(spec: ObjectSpec, need: Need, answer: Answer, reached: _Reached) -> Verdict:
    status = _STATUS[answer.can]
    if status != MET and need.uses and not any(reached.has(use) for use in need.uses):
        return Verdict(need, MET, GUARDED)
    is_weak = need.extern is not None and need.extern.weak and not need.of
    if is_weak and answer.can == NO and (need.kind != needed.KCONFIG or answer in ABSENT):
        return Verdict(need, MET, WEAK)
    if status != MET and need.kind == needed.BTF_KIND and not _keeps_types(spec):
        return Verdict(need, MET, REPLACED)
    return Verdict(need, status, answer.why or (LACKING if status == NOT_MET else ""))


def _keeps_types(spec: ObjectSpec) -> bool:
    """Return whether the object is of no use without its types."""
    return any(one.made_of == words.STRUCT_OPS for one in spec.maps)


def _judged(
    spec: ObjectSpec, found: list[relocations.Verdict], loaded: Container[tuple[str, int]]
) -> Iterator[Verdict]:
    """Yield a verdict on each thing that relocations of what is loaded ask for, with all that ask for it."""
    inside = _Programs(spec)
    rows: dict[tuple[str, bool], tuple[list[Use], relocations.Verdict]] = {}
    for one in found:
        if (one.section, one.insn) not in loaded:
            continue
        key = one.result.wanted, one.status == relocations.FAILED
        uses, _ = rows.setdefault(key, ([], one))
        uses.append(Use(inside.named(one.section, one.insn), one.section, one.insn, one.source))
    for (wanted, failed), (uses, one) in rows.items():
        reason = GUARDED if one.status == relocations.GUARDED else one.reason
        yield Verdict(Need(needed.RELOCATION, wanted, tuple(uses)), NOT_MET if failed else MET, reason)


def _open(spec: ObjectSpec, loaded: Container[tuple[str, int]]) -> Iterator[Verdict]:
    relos = spec.ext.core_relos if spec.ext is not None else {}
    inside = _Programs(spec)
    for section, rows in relos.items():
        slots = [row.insn_off // 8 for row in rows if (section, row.insn_off // 8) in loaded]
        if slots:
            uses = tuple(Use(inside.named(section, slot), section, slot) for slot in slots)
            need = Need(needed.RELOCATION, f"{len(slots)} in section {section}", uses)
            yield Verdict(need, OPEN, "the kernel does not tell its types")


class _Programs:
    """Which function an instruction is in."""

    def __init__(self, spec: ObjectSpec) -> None:
        self._functions: dict[str, list[Function]] = {}
        for one in spec.functions:  # by section and place
            self._functions.setdefault(one.section, []).append(one)

    def named(self, section: str, slot: int) -> str:
        inside = self._functions.get(section, [])
        at = bisect_right(inside, slot, key=lambda one: one.start) - 1
        return inside[at].name if at >= 0 and slot < inside[at].end else ""


def _known(spec: ObjectSpec, kernel: Kernel, missing: set[str]) -> relocations.Known:
    """Return what instructions have in them once the object is loaded, and what they read that never changes."""
    memory: dict[int, bytes] = {}
    bases: dict[tuple[str, str], int] = {}
    for map_ in spec.maps:
        if map_.made_of == words.RODATA:
            bases[words.MAP, map_.name] = here = _FIRST + _ROOM * len(bases)
            memory[here] = map_.contents
    for extern in spec.externs:
        here = _FIRST + _ROOM * len(bases)
        absent = extern.name in missing
        bases[words.EXTERN, extern.name] = 0 if absent and extern.kind != words.KCONFIG else here
        if extern.kind == words.KCONFIG and spec.btf is not None:
            size = min(spec.btf.size_of(extern.type_id), _WIDEST)
            value = bytes(size) if absent else kernel.setting(extern, spec.btf)
            if value:
                memory[here] = value
    values = {
        (section, slot): bases[reference[:2]] + reference.slot
        for section, code in spec.code.items()
        for slot, reference in code.references.items()
        if reference[:2] in bases and _is_wide(code.insns[slot])
    }
    return relocations.Known(values, memory)


def _is_wide(insn: Insn | None) -> bool:
    return insn is not None and insn.wide
