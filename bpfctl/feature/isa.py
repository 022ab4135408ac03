"""
Instructions that came after the first kernels with BPF: each extension, and a program that loads where it is known.

Kernel: Documentation/bpf/standardization/instruction-set.rst; the commits stand beside the names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.asm.insn import (
    BPF_ADDR_SPACE_CAST,
    BPF_ALU,
    BPF_ALU64,
    BPF_ATOMIC,
    BPF_DIV,
    BPF_END,
    BPF_JA,
    BPF_JCOND,
    BPF_JLE,
    BPF_JLT,
    BPF_JMP,
    BPF_JMP32,
    BPF_JSLE,
    BPF_JSLT,
    BPF_LDX,
    BPF_LOAD_ACQ,
    BPF_MEMSX,
    BPF_MOD,
    BPF_MOV,
    BPF_STORE_REL,
    BPF_STX,
    BPF_X,
)

if TYPE_CHECKING:
    from bpfctl.asm.insn import Insn

V2, V3, ATOMICS, V4 = "v2", "v3", "atomics", "v4"
MAY_GOTO, CAST, ACQUIRE, GOTOX = "may_goto", "addr_space_cast", "load_acquire", "gotox"
_EXIT, _MOV_0 = "9500000000000000", "b700000000000000"


class Extension(NamedTuple):
    """Instructions that came together; ``code`` is a socket filter that uses one of them.

    It is empty for those that work on maps, which bpfctl.feature.instructions makes.
    """

    since: str
    code: bytes = b""


def _code(*words: str) -> bytes:
    return bytes.fromhex("".join(words))


EXTENSIONS = {
    # Linux commit 92b31a9af73b, "bpf: add BPF_J{LT,LE,SLT,SLE} instructions": if r0 < 0 goto +0
    V2: Extension("4.14", _code(_MOV_0, "a500000000000000", _EXIT)),
    # Commit 092ed0968bb6, "bpf: verifier support JMP32": if w0 < 0 goto +0
    V3: Extension("5.1", _code(_MOV_0, "a600000000000000", _EXIT)),
    # Commit 5ca419f2864a, "bpf: Add BPF_FETCH field / create atomic_fetch_add instruction":
    # *(u64 *)(r10 - 8) = 0; r0 = atomic_fetch_add(r10 - 8, r0)
    ATOMICS: Extension("5.12", _code(_MOV_0, "7a0af8ff00000000", "db0af8ff01000000", _MOV_0, _EXIT)),
    # Commit 8100928c8814, "bpf: Support new sign-extension mov insns": r0 = (s8) r0
    V4: Extension("6.6", _code(_MOV_0, "bf00080000000000", _MOV_0, _EXIT)),
    # Commit 011832b97b31, "bpf: Introduce may_goto instruction": may_goto +0
    MAY_GOTO: Extension("6.9", _code(_MOV_0, "e500000000000000", _EXIT)),
    # Commit 6082b6c328b5, "bpf: Recognize addr_space_cast instruction in the verifier": it wants an arena
    CAST: Extension("6.9"),
    # Commit 880442305a39, "bpf: Introduce load-acquire and store-release instructions"
    ACQUIRE: Extension("6.15", _code(_MOV_0, "7a0af8ff00000000", "dba0f8ff00010000", _MOV_0, _EXIT)),
    # Commit 493d9e0d6083, "bpf, x86: add support for indirect jumps": it wants an instruction array
    GOTOX: Extension("6.19"),
}

_YOUNG_JUMPS = frozenset({BPF_JLT, BPF_JLE, BPF_JSLT, BPF_JSLE})


def extension(insn: Insn) -> str:
    """Return to what extension an instruction belongs; empty for one that has always been there."""
    kind, operation = insn.opcode & 0x07, insn.opcode & 0xF0
    if kind == BPF_STX:
        return _of_store(insn)
    if kind == BPF_LDX:
        return V4 if insn.opcode & 0xE0 == BPF_MEMSX else ""
    if kind in (BPF_JMP, BPF_JMP32):
        return _of_jump(insn, kind, operation)
    if kind in (BPF_ALU, BPF_ALU64):
        return _of_arithmetic(insn, kind, operation)
    return ""


def _of_store(insn: Insn) -> str:
    if insn.opcode & 0xE0 != BPF_ATOMIC or not insn.imm:
        return ""
    return ACQUIRE if insn.imm in (BPF_LOAD_ACQ, BPF_STORE_REL) else ATOMICS


def _of_jump(insn: Insn, kind: int, operation: int) -> str:
    if operation == BPF_JCOND:
        return MAY_GOTO
    if operation == BPF_JA:
        if insn.opcode & BPF_X:
            return GOTOX
        return V4 if kind == BPF_JMP32 else ""
    if kind == BPF_JMP32:
        return V3
    return V2 if operation in _YOUNG_JUMPS else ""


def _of_arithmetic(insn: Insn, kind: int, operation: int) -> str:
    if operation == BPF_MOV and insn.off:
        return CAST if kind == BPF_ALU64 and insn.off == BPF_ADDR_SPACE_CAST else V4
    if operation in (BPF_DIV, BPF_MOD) and insn.off:
        return V4
    return V4 if operation == BPF_END and kind == BPF_ALU64 else ""
