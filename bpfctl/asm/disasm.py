"""
The text of an instruction, in the words of the kernel's verifier and of bpftool: ``(b7) r1 = 5``.

Every slot has a text, whatever is in it: what no kernel knows is ``BUG_`` and its opcode. What a call or a 64-bit
immediate refers to is up to ``Names``; without further knowledge helpers have names and all else has numbers.

Kernel: kernel/bpf/disasm.c print_bpf_insn.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bpfctl.asm.insn import (
    BPF_ABS,
    BPF_ADD,
    BPF_ADDR_PERCPU,
    BPF_ADDR_SPACE_CAST,
    BPF_ALU64,
    BPF_AND,
    BPF_ARSH,
    BPF_ATOMIC,
    BPF_CALL,
    BPF_CMPXCHG,
    BPF_DIV,
    BPF_DW,
    BPF_END,
    BPF_EXIT,
    BPF_FETCH,
    BPF_IND,
    BPF_JA,
    BPF_JCOND,
    BPF_JEQ,
    BPF_JGE,
    BPF_JGT,
    BPF_JLE,
    BPF_JLT,
    BPF_JMP,
    BPF_JMP32,
    BPF_JNE,
    BPF_JSET,
    BPF_JSGE,
    BPF_JSGT,
    BPF_JSLE,
    BPF_JSLT,
    BPF_LOAD_ACQ,
    BPF_LSH,
    BPF_MAY_GOTO,
    BPF_MEM,
    BPF_MEMSX,
    BPF_MOD,
    BPF_MOV,
    BPF_MUL,
    BPF_NEG,
    BPF_NOSPEC,
    BPF_OR,
    BPF_PSEUDO_CALL,
    BPF_PSEUDO_KFUNC_CALL,
    BPF_RSH,
    BPF_STORE_REL,
    BPF_SUB,
    BPF_X,
    BPF_XCHG,
    BPF_XOR,
    LD_IMM64,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfctl.asm.insn import Insn

_CLASS, _SIZE, _MODE, _OP = 0x07, 0x18, 0xE0, 0xF0
_U32 = 0xFFFF_FFFF

_SIZES = ("u32", "u16", "u8", "u64")
_SIGNED_SIZES = ("s32", "s16", "s8", None)

_ALU = {
    BPF_ADD: "+=",
    BPF_SUB: "-=",
    BPF_MUL: "*=",
    BPF_DIV: "/=",
    BPF_OR: "|=",
    BPF_AND: "&=",
    BPF_LSH: "<<=",
    BPF_RSH: ">>=",
    BPF_MOD: "%=",
    BPF_XOR: "^=",
    BPF_MOV: "=",
    BPF_ARSH: "s>>=",
}
_SIGNED = {BPF_DIV: "s/=", BPF_MOD: "s%="}
_EXTENSIONS = {8: "(s8)", 16: "(s16)", 32: "(s32)"}

# The last three are no comparisons; where a kernel meets them with operands it prints them as if they were.
_COMPARISONS = {
    BPF_JEQ: "==",
    BPF_JGT: ">",
    BPF_JGE: ">=",
    BPF_JSET: "&",
    BPF_JNE: "!=",
    BPF_JSGT: "s>",
    BPF_JSGE: "s>=",
    BPF_JLT: "<",
    BPF_JLE: "<=",
    BPF_JSLT: "s<",
    BPF_JSLE: "s<=",
    BPF_JA: "jmp",
    BPF_EXIT: "exit",
}

_ATOMICS = {
    BPF_ADD: "lock *({size} *)(r{dst} {off:+d}) += r{src}",
    BPF_OR: "lock *({size} *)(r{dst} {off:+d}) |= r{src}",
    BPF_AND: "lock *({size} *)(r{dst} {off:+d}) &= r{src}",
    BPF_XOR: "lock *({size} *)(r{dst} {off:+d}) ^= r{src}",
    BPF_ADD | BPF_FETCH: "r{src} = atomic{bits}_fetch_add(({size} *)(r{dst} {off:+d}), r{src})",
    BPF_OR | BPF_FETCH: "r{src} = atomic{bits}_fetch_or(({size} *)(r{dst} {off:+d}), r{src})",
    BPF_AND | BPF_FETCH: "r{src} = atomic{bits}_fetch_and(({size} *)(r{dst} {off:+d}), r{src})",
    BPF_XOR | BPF_FETCH: "r{src} = atomic{bits}_fetch_xor(({size} *)(r{dst} {off:+d}), r{src})",
    BPF_XCHG: "r{src} = atomic{bits}_xchg(({size} *)(r{dst} {off:+d}), r{src})",
    BPF_CMPXCHG: "r0 = atomic{bits}_cmpxchg(({size} *)(r{dst} {off:+d}), r0, r{src})",
    BPF_LOAD_ACQ: "r{dst} = load_acquire(({size} *)(r{src} {off:+d}))",
    BPF_STORE_REL: "store_release(({size} *)(r{dst} {off:+d}), r{src})",
}


@cache
def helpers() -> Mapping[int, str]:
    """Return the names of helper functions by their numbers, such as 1: ``bpf_map_lookup_elem``."""
    from bpfctl.uapi.helpers import Helper  # noqa: PLC0415 - who assembles does not need them

    return {int(helper): f"bpf_{helper.name}" for helper in Helper}


class Names:
    """What instructions refer to, as far as they tell by themselves; who knows more makes a subclass."""

    def function(self, insn: Insn) -> str:
        """Name what a call that is not to a subprogram calls, and that is no helper by its number."""
        return "kernel-function" if insn.src == BPF_PSEUDO_KFUNC_CALL else "unknown"

    def subprogram(self, insn: Insn) -> str:
        """Tell the distance to a subprogram, with its sign."""
        return f"{insn.imm:+d}"

    def constant(self, insn: Insn) -> str:
        """Tell what a 64-bit immediate is."""
        return f"{insn.imm:#x}"


_NUMBERS = Names()


def text(insn: Insn, names: Names = _NUMBERS) -> str:
    """Return the text of an instruction, with its opcode."""
    body = _TEXTS[insn.opcode & _CLASS](insn, names)
    return f"({insn.opcode:02x}) {body}" if body is not None else f"BUG_{_BUGS[insn.opcode & _CLASS]}{insn.opcode:02x}"


def _ld(insn: Insn, names: Names) -> str | None:
    mode, size = insn.opcode & _MODE, _SIZES[(insn.opcode & _SIZE) >> 3]
    if mode == BPF_ABS:
        return f"r0 = *({size} *)skb[{insn.imm}]"
    if mode == BPF_IND:
        return f"r0 = *({size} *)skb[r{insn.src} + {insn.imm}]"
    return f"r{insn.dst} = {names.constant(insn)}" if insn.opcode == LD_IMM64 else None


def _ldx(insn: Insn, _names: Names) -> str | None:
    sizes = {BPF_MEM: _SIZES, BPF_MEMSX: _SIGNED_SIZES}.get(insn.opcode & _MODE)
    size = sizes[(insn.opcode & _SIZE) >> 3] if sizes else None
    return f"r{insn.dst} = *({size} *)(r{insn.src} {insn.off:+d})" if size else None


def _st(insn: Insn, _names: Names) -> str | None:
    if insn.opcode & _MODE == BPF_NOSPEC:
        return "nospec"
    if insn.opcode & _MODE != BPF_MEM:
        return None
    return f"*({_SIZES[(insn.opcode & _SIZE) >> 3]} *)(r{insn.dst} {insn.off:+d}) = {insn.imm}"


def _stx(insn: Insn, _names: Names) -> str | None:
    opcode, dst, src, off, imm = insn
    size = _SIZES[(opcode & _SIZE) >> 3]
    if opcode & _MODE == BPF_MEM:
        return f"*({size} *)(r{dst} {off:+d}) = r{src}"
    form = _ATOMICS.get(imm) if opcode & _MODE == BPF_ATOMIC else None
    bits = "64" if opcode & _SIZE == BPF_DW else ""
    return form.format(size=size, bits=bits, dst=dst, src=src, off=off) if form else None


def _alu(insn: Insn, _names: Names) -> str | None:
    opcode, dst, src, off, imm = insn
    op, wide = opcode & _OP, opcode & _CLASS == BPF_ALU64
    register = "r" if wide else "w"
    if op == BPF_END:
        swap = "bswap" if wide else "be" if opcode & BPF_X else "le"
        return f"r{dst} = {swap}{imm} r{dst}"
    if op == BPF_NEG:
        return f"{register}{dst} = -{register}{dst}"
    if opcode == BPF_ALU64 | BPF_MOV | BPF_X and off == BPF_ADDR_SPACE_CAST:
        return f"r{dst} = addr_space_cast(r{src}, {(imm & _U32) >> 16}, {imm & 0xFFFF})"
    if opcode == BPF_ALU64 | BPF_MOV | BPF_X and off == BPF_ADDR_PERCPU:
        return f"r{dst} = &(void __percpu *)(r{src})"
    sign = (_SIGNED.get(op) if off == 1 else None) or _ALU.get(op)
    if sign is None:
        return None
    if not opcode & BPF_X:
        return f"{register}{dst} {sign} {imm}"
    extension = _EXTENSIONS.get(off, "") if op == BPF_MOV else ""
    return f"{register}{dst} {sign} {extension}{register}{src}"


def _jump(insn: Insn, names: Names) -> str | None:
    opcode, dst, src, off, imm = insn
    if opcode & _OP == BPF_CALL:
        if src == BPF_PSEUDO_CALL:
            return f"call pc{names.subprogram(insn)}"
        helper = helpers().get(imm) if not src else None
        return f"call {helper or names.function(insn)}#{imm}"
    match opcode:
        case 0x05:  # BPF_JMP | BPF_JA
            return f"goto pc{off:+d}"
        case 0x0D:  # BPF_JMP | BPF_JA | BPF_X
            return f"gotox r{dst}"
        case 0x06:  # BPF_JMP32 | BPF_JA
            return f"gotol pc{imm:+d}"
        case 0x95:  # BPF_JMP | BPF_EXIT
            return "exit"
    if opcode == BPF_JMP | BPF_JCOND and src == BPF_MAY_GOTO:
        return f"may_goto pc{off:+d}"
    sign = _COMPARISONS.get(opcode & _OP)
    if sign is None:
        return None
    register = "w" if opcode & _CLASS == BPF_JMP32 else "r"
    other = f"{register}{src}" if opcode & BPF_X else f"0x{imm & _U32:x}"
    return f"if {register}{dst} {sign} {other} goto pc{off:+d}"


# By class.
_TEXTS = (_ld, _ldx, _st, _stx, _alu, _jump, _jump, _alu)
_BUGS = ("ld_", "ldx_", "st_", "", "alu_", "jmp_", "jmp_", "alu_")
