"""Instructions said again in the words of the assembler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.asm import insn as i
from bpfctl.asm.build import Program
from bpfctl.asm.insn import ALU_OPS, ATOMIC_OPS, JUMP_OPS, LD_IMM64, SIZES, SWAP_OPS, Insn, Reg

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl.asm.insn import ByteOrder

_BYTES = {bits: size for size, bits in SIZES.items()}
_ALU = {(op.op, op.off): name for name, op in ALU_OPS.items()}
_JUMPS = {bits: name for name, bits in JUMP_OPS.items()}
_SWAPS = {bits: name for name, bits in SWAP_OPS.items()}
_ATOMICS = {bits: name for name, bits in ATOMIC_OPS.items()}


class _Anywhere(Program):
    """A program whose labels are the places that they name."""

    def offset(self, label: str) -> int:
        """Return the slot that is the label."""
        return int(label)


def assembled(insn: Insn, order: ByteOrder) -> bytes:
    """Return the bytes of an instruction that the assembler's methods write; KeyError where none is for it."""
    program = _Anywhere()
    _CLASSES[insn.opcode & 7](program, insn)
    return program.assemble(order)


def _ld(program: Program, insn: Insn) -> None:
    size = _BYTES[insn.opcode & 0x18]
    mode = insn.opcode & 0xE0
    if insn.opcode == LD_IMM64:
        program.ld_imm64(Reg(insn.dst), insn.imm, insn.src)
    elif mode == i.BPF_ABS:
        program.ld_abs(size, insn.imm)
    else:
        {i.BPF_IND: program.ld_ind}[mode](size, Reg(insn.src), insn.imm)


def _ldx(program: Program, insn: Insn) -> None:
    load = {i.BPF_MEM: program.ldx, i.BPF_MEMSX: program.ldx_signed}[insn.opcode & 0xE0]
    load(_BYTES[insn.opcode & 0x18], Reg(insn.dst), Reg(insn.src), insn.off)


def _st(program: Program, insn: Insn) -> None:
    store = {i.BPF_MEM: program.st}[insn.opcode & 0xE0]
    store(_BYTES[insn.opcode & 0x18], Reg(insn.dst), insn.off, insn.imm)


def _stx(program: Program, insn: Insn) -> None:
    size, dst, src = _BYTES[insn.opcode & 0x18], Reg(insn.dst), Reg(insn.src)
    if insn.opcode & 0xE0 == i.BPF_MEM:
        program.stx(size, dst, insn.off, src)
    elif insn.imm == i.BPF_LOAD_ACQ:
        program.load_acquire(size, dst, src, insn.off)
    elif insn.imm == i.BPF_STORE_REL:
        program.store_release(size, dst, insn.off, src)
    else:
        program.atomic(_ATOMICS[insn.imm], size, dst, insn.off, src)


def _alu(program: Program, insn: Insn) -> None:
    opcode, dst = insn.opcode, Reg(insn.dst)
    if opcode & 0xF0 == i.BPF_END:
        program.swap(_SWAPS[opcode], dst, insn.imm)
    elif opcode == i.BPF_ALU64 | i.BPF_MOV | i.BPF_X and insn.off == i.BPF_ADDR_SPACE_CAST:
        program.cast(dst, Reg(insn.src), insn.imm >> 16 & 0xFFFF, insn.imm & 0xFFFF)
    else:
        other = Reg(insn.src) if opcode & i.BPF_X else insn.imm
        width = 64 if opcode & 7 == i.BPF_ALU64 else 32
        program.alu(_ALU[opcode & 0xF0, insn.off], dst, other, width=width)


def _jump(program: Program, insn: Insn) -> None:
    opcode, dst = insn.opcode, Reg(insn.dst)
    near, far = str(1 + insn.off), str(1 + insn.imm)
    match opcode:
        case 0x05:
            program.jmp(near)
        case 0x06:
            program.jmp_long(far)
        case 0x0D:
            program.jump_to(dst)
        case 0xE5:
            program.may_goto(near)
        case 0x95:
            program.exit_()
        case 0x85:
            calls: dict[int, Callable[[], Program]] = {
                0: lambda: program.call(insn.imm),
                i.BPF_PSEUDO_CALL: lambda: program.call_sub(far),
                i.BPF_PSEUDO_KFUNC_CALL: lambda: program.call_kfunc(insn.imm, insn.off),
            }
            calls[insn.src]()
        case _:
            other = Reg(insn.src) if opcode & i.BPF_X else insn.imm
            width = 64 if opcode & 7 == i.BPF_JMP else 32
            program.jump(_JUMPS[opcode & 0xF0], dst, other, near, width=width)


_CLASSES: tuple[Callable[[Program, Insn], None], ...] = (_ld, _ldx, _st, _stx, _alu, _jump, _jump, _alu)
