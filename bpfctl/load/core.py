"""
CO-RE relocations put into instructions: what the kernel that runs makes of each fact that the compiler left open.

Which value that is, `btf.relo` says; here it is written where its instruction has room for it. One that comes to
nothing becomes a call that no verifier accepts, so that the program loads if nobody gets there. So does what no program
reaches that is loaded: libbpf does not even ask what it would come to (bpf_object__relocate_core() in src/libbpf.c).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.asm.insn import (
    BPF_ALU,
    BPF_ALU64,
    BPF_CALL,
    BPF_JMP,
    BPF_LDX,
    BPF_ST,
    BPF_STX,
    BPF_X,
    SIZES,
    SLOT_SIZE,
    Insn,
)
from bpfctl.errors import NotSupported, ObjectError
from bpfctl.feature.need import loaded_places
from btf.relo import Resolver

if TYPE_CHECKING:
    from bpfctl.feature.here import Here
    from bpfctl.spec import ObjectSpec
    from btf.relo import Result, Target

    Slots = list[Insn | None]

POISON = Insn(BPF_JMP | BPF_CALL, imm=195896080)  # a helper that there will never be; logs show it as 0xbad2310
_CLASS, _WIDTH = 0x07, 0x18
_MOVES, _SUMS = (BPF_LDX, BPF_ST, BPF_STX), (BPF_ALU, BPF_ALU64)
_FARTHEST = 0x7FFF
_U32, _U64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF


def apply(spec: ObjectSpec, kernel: Here, target: Target | None = None) -> dict[str, Slots]:
    """Return the instructions of each section with their relocations; NotSupported when one cannot be made.

    They are resolved against the kernel's own types unless there are others.
    """
    code = {name: list(one.insns) for name, one in spec.code.items()}
    relos = spec.ext.core_relos if spec.ext is not None else {}
    if spec.btf is None or not any(relos.values()):
        return code
    if target is None:
        if kernel.types is None:
            raise NotSupported("the kernel does not tell its types, which the object is relocated against")
        target = kernel.types.target
    resolver, loaded = Resolver(spec.btf, target), loaded_places(spec)
    for section, rows in relos.items():
        slots = code.get(section, [])
        for row in rows:
            at, rest = divmod(row.insn_off, SLOT_SIZE)
            insn = slots[at] if at < len(slots) and not rest else None
            if insn is None:
                raise ObjectError(f"a relocation of section {section} is of no instruction")
            if (section, at) not in loaded:
                slots[at : at + insn.slots] = poison(insn)
                continue
            result = resolver.resolve(row)
            if result.error is not None:
                raise NotSupported(f"{result.wanted} cannot be relocated: {result.error}")
            slots[at : at + insn.slots] = _patched(insn, result)
    return code


def _patched(insn: Insn, result: Result) -> Slots:
    if result.poison:
        return poison(insn)
    wanted, value, class_ = result.wanted, result.value or 0, insn.opcode & _CLASS
    is_move = class_ in _MOVES
    if not is_move and not (insn.wide and not insn.src) and (class_ not in _SUMS or insn.opcode & BPF_X):
        raise ObjectError(f"an instruction of opcode {insn.opcode:#x} has no room for {wanted}")
    held = insn.off if is_move else insn.imm
    if result.exact and (held ^ (result.local or 0)) & _U32:
        raise ObjectError(f"an instruction has {held} in it, where the object's types have {result.local}: {wanted}")
    if insn.wide:
        return [insn._replace(imm=value & _U64), None]
    if not is_move:
        return [insn._replace(imm=value)]
    if value > _FARTHEST:
        raise NotSupported(f"{wanted} is {value}, which is farther than an instruction reaches")
    if result.size == result.local_size:
        return [insn._replace(off=value)]
    return [_resized(insn, result)._replace(off=value)] if result.resizable else poison(insn)


def _resized(insn: Insn, result: Result) -> Insn:
    """Return an instruction that moves as many bytes as the member has there."""
    if insn.opcode & _WIDTH != SIZES.get(result.local_size):
        raise ObjectError(f"an instruction moves more or fewer bytes than the object's types have: {result.wanted}")
    if result.size not in SIZES:
        raise NotSupported(f"{result.wanted} leads to {result.size} bytes, which no instruction moves at once")
    return insn._replace(opcode=insn.opcode & ~_WIDTH | SIZES[result.size])


def poison(insn: Insn) -> Slots:
    """Return what stands in the place of an instruction that must not be reached."""
    return [POISON] * insn.slots
