"""
CO-RE relocations put into instructions: what the kernel that runs makes of each fact that the compiler left open.

Which value that is, `btf.relo` says; here it is written where its instruction has room for it. One that comes to
nothing becomes a call that no verifier accepts, so that the program loads if nobody gets there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.asm.insn import (
    BPF_ALU,
    BPF_ALU64,
    BPF_B,
    BPF_CALL,
    BPF_DW,
    BPF_H,
    BPF_JMP,
    BPF_LDX,
    BPF_ST,
    BPF_STX,
    BPF_W,
    Insn,
)
from bpfctl.errors import NotSupported, ObjectError
from btf.relo import Resolver

if TYPE_CHECKING:
    from bpfctl.feature.here import Here
    from bpfctl.spec import ObjectSpec
    from btf.relo import Result, Target

    Slots = list[Insn | None]

POISON = Insn(BPF_JMP | BPF_CALL, imm=195896080)  # a helper that there will never be; logs show it as 0xbad2310
_CLASS, _WIDTH = 0x07, 0x18
_WIDTHS = {1: BPF_B, 2: BPF_H, 4: BPF_W, 8: BPF_DW}
_MOVES = (BPF_LDX, BPF_ST, BPF_STX)
_FARTHEST = 0x7FFF


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
    resolver = Resolver(spec.btf, target)
    for section, rows in relos.items():
        slots = code.get(section, [])
        for row in rows:
            result, at = resolver.resolve(row), row.insn_off // 8
            if result.error is not None:
                raise NotSupported(f"{result.wanted} cannot be relocated: {result.error}")
            insn = slots[at] if at < len(slots) else None
            if insn is None:
                raise ObjectError(f"a relocation of section {section} is of no instruction")
            slots[at : at + insn.slots] = _patched(insn, result)
    return code


def _patched(insn: Insn, result: Result) -> Slots:
    is_move = insn.opcode & _CLASS in _MOVES
    if result.poison or (is_move and result.size != result.local_size and not result.resizable):
        return poison(insn)
    value = result.value or 0
    if insn.wide:
        return [insn._replace(imm=value & 0xFFFF_FFFF_FFFF_FFFF), None]
    if not is_move:
        if insn.opcode & _CLASS not in (BPF_ALU, BPF_ALU64):
            raise ObjectError(f"an instruction of opcode {insn.opcode:#x} has no room for {result.wanted}")
        return [insn._replace(imm=value)]
    if value > _FARTHEST:
        raise NotSupported(f"{result.wanted} is {value}, which is farther than an instruction reaches")
    opcode = insn.opcode
    if result.size != result.local_size:
        opcode = opcode & ~_WIDTH | _WIDTHS[result.size]
    return [insn._replace(opcode=opcode, off=value)]


def poison(insn: Insn) -> Slots:
    """Return what stands in the place of an instruction that must not be reached."""
    return [POISON] * insn.slots
