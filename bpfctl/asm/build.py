"""
A small assembler: one method per operation, labels for jumps and subprograms.

    prog = Program()
    prog.mov(R0, 0)
    prog.jump("jeq", R1, 0, "out")
    prog.add(R0, R1)
    prog.label("out")
    prog.exit_()
    raw = prog.assemble()

An operand is a register when it is a ``Reg`` and an immediate when it is a plain number. Labels may be used
before they are set; ``assemble`` fills in the distances.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.asm.insn import (
    ALU_OPS,
    ATOMIC_OPS,
    BPF_ABS,
    BPF_ADDR_SPACE_CAST,
    BPF_ALU,
    BPF_ALU64,
    BPF_ATOMIC,
    BPF_CALL,
    BPF_EXIT,
    BPF_IND,
    BPF_JA,
    BPF_JCOND,
    BPF_JMP,
    BPF_JMP32,
    BPF_K,
    BPF_LD,
    BPF_LDX,
    BPF_LOAD_ACQ,
    BPF_MAY_GOTO,
    BPF_MEM,
    BPF_MEMSX,
    BPF_MOV,
    BPF_PSEUDO_BTF_ID,
    BPF_PSEUDO_CALL,
    BPF_PSEUDO_FUNC,
    BPF_PSEUDO_KFUNC_CALL,
    BPF_PSEUDO_MAP_FD,
    BPF_PSEUDO_MAP_IDX,
    BPF_PSEUDO_MAP_IDX_VALUE,
    BPF_PSEUDO_MAP_VALUE,
    BPF_ST,
    BPF_STORE_REL,
    BPF_STX,
    BPF_X,
    JUMP_OPS,
    LD_IMM64,
    SIZES,
    SWAP_OPS,
    Insn,
    Reg,
    encode_all,
)

if TYPE_CHECKING:
    from typing import Self

    from bpfctl.asm.insn import ByteOrder


class _Reference(NamedTuple):
    """A place that waits for a label: which instruction, and which of its fields takes the distance."""

    position: int
    field: str
    label: str


class Program:
    """Instructions in the making; every method appends and returns the program, so calls may be chained."""

    def __init__(self) -> None:
        self._insns: list[Insn] = []
        self._slot_of: list[int] = []
        self._slots = 0
        self._labels: dict[str, int] = {}
        self._references: list[_Reference] = []

    def __len__(self) -> int:
        """Count slots, which is what the kernel's ``insn_cnt`` counts."""
        return self._slots

    def raw(self, insn: Insn) -> Self:
        """Append an instruction as it is."""
        self._slot_of.append(self._slots)
        self._insns.append(insn)
        self._slots += insn.slots
        return self

    def _refer(self, insn: Insn, field: str, label: str) -> Self:
        self._references.append(_Reference(len(self._insns), field, label))
        return self.raw(insn)

    def label(self, name: str) -> Self:
        """Name the next instruction; ValueError when the name is taken."""
        if name in self._labels:
            raise ValueError(f"label {name!r} is set twice")
        self._labels[name] = self._slots
        return self

    def offset(self, label: str) -> int:
        """Return the slot that a label names, as func_info counts it; ValueError when it is not set."""
        if label not in self._labels:
            raise ValueError(f"label {label!r} is not set")
        return self._labels[label]

    def insns(self) -> list[Insn]:
        """Return the instructions with labels resolved; ValueError for a missing or too distant label."""
        resolved = list(self._insns)
        for position, field, label in self._references:
            # A jump counts from the slot behind it; so does the wide BPF_PSEUDO_FUNC, from its second half.
            distance = self.offset(label) - self._slot_of[position] - 1
            if field == "off" and not -0x8000 <= distance < 0x8000:
                raise ValueError(f"label {label!r} is {distance} slots away, more than a 16-bit offset holds")
            insn = resolved[position]
            imm = distance & 0xFFFF_FFFF if insn.wide else distance
            resolved[position] = insn._replace(off=distance) if field == "off" else insn._replace(imm=imm)
        return resolved

    def assemble(self, byteorder: ByteOrder = sys.byteorder) -> bytes:
        """Return the program as the kernel takes it; ValueError for a bad label or a field that overflows."""
        return encode_all(self.insns(), byteorder)

    # Arithmetic.

    def alu(self, op: str, dst: Reg, src: Reg | int, *, width: int = 64) -> Self:
        """Append ``dst op= src`` on 64 or 32 bits, ``op`` being a name from ``ALU_OPS``."""
        if width not in (32, 64):
            raise ValueError(f"arithmetic is 32 or 64 bits wide, not {width}")
        code, off = ALU_OPS[op]
        class_ = BPF_ALU64 if width == 64 else BPF_ALU
        if isinstance(src, Reg):
            return self.raw(Insn(class_ | code | BPF_X, dst, src, off))
        return self.raw(Insn(class_ | code | BPF_K, dst, 0, off, src))

    def mov(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst = src``; an immediate is sign-extended from 32 bits."""
        return self.alu("mov", dst, src)

    def mov32(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst = (u32)src``."""
        return self.alu("mov", dst, src, width=32)

    def add(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst += src``."""
        return self.alu("add", dst, src)

    def sub(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst -= src``."""
        return self.alu("sub", dst, src)

    def mul(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst *= src``."""
        return self.alu("mul", dst, src)

    def and_(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst &= src``."""
        return self.alu("and", dst, src)

    def or_(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst |= src``."""
        return self.alu("or", dst, src)

    def xor(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst ^= src``."""
        return self.alu("xor", dst, src)

    def lsh(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst <<= src``."""
        return self.alu("lsh", dst, src)

    def rsh(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst >>= src``, filled with zeros."""
        return self.alu("rsh", dst, src)

    def arsh(self, dst: Reg, src: Reg | int) -> Self:
        """Append ``dst >>= src``, filled with the sign."""
        return self.alu("arsh", dst, src)

    def neg(self, dst: Reg) -> Self:
        """Append ``dst = -dst``."""
        return self.alu("neg", dst, 0)

    def cast(self, dst: Reg, src: Reg, to: int, from_: int) -> Self:
        """Append ``dst = addr_space_cast(src, to, from_)``; arenas are address space 1 (Linux 6.9)."""
        return self.raw(Insn(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, BPF_ADDR_SPACE_CAST, to << 16 | from_))

    def swap(self, op: str, dst: Reg, bits: int) -> Self:
        """Append a byte swap of 16, 32 or 64 bits, ``op`` being a name from ``SWAP_OPS``."""
        return self.raw(Insn(SWAP_OPS[op], dst, imm=bits))

    # Memory.

    def ldx(self, size: int, dst: Reg, src: Reg, off: int = 0) -> Self:
        """Append ``dst = *(size bytes *)(src + off)``."""
        return self.raw(Insn(BPF_LDX | BPF_MEM | SIZES[size], dst, src, off))

    def ldx_signed(self, size: int, dst: Reg, src: Reg, off: int = 0) -> Self:
        """Append a load that extends the sign (ISA v4, Linux 6.6)."""
        return self.raw(Insn(BPF_LDX | BPF_MEMSX | SIZES[size], dst, src, off))

    def stx(self, size: int, dst: Reg, off: int, src: Reg) -> Self:
        """Append ``*(size bytes *)(dst + off) = src``."""
        return self.raw(Insn(BPF_STX | BPF_MEM | SIZES[size], dst, src, off))

    def st(self, size: int, dst: Reg, off: int, imm: int) -> Self:
        """Append ``*(size bytes *)(dst + off) = imm``."""
        return self.raw(Insn(BPF_ST | BPF_MEM | SIZES[size], dst, 0, off, imm))

    def ld_abs(self, size: int, imm: int) -> Self:
        """Append ``r0 = packet[imm]`` in host order; skb in r6, in socket filters and traffic control."""
        return self.raw(Insn(BPF_LD | BPF_ABS | SIZES[size], imm=imm))

    def ld_ind(self, size: int, src: Reg, imm: int) -> Self:
        """Append ``r0 = packet[src + imm]`` in host order; skb in r6."""
        return self.raw(Insn(BPF_LD | BPF_IND | SIZES[size], 0, src, imm=imm))

    def atomic(self, op: str, size: int, dst: Reg, off: int, src: Reg) -> Self:
        """Append an atomic operation on 4 or 8 bytes, ``op`` being a name from ``ATOMIC_OPS``."""
        if size not in (4, 8):
            raise ValueError(f"an atomic operation is 4 or 8 bytes wide, not {size}")
        return self.raw(Insn(BPF_STX | BPF_ATOMIC | SIZES[size], dst, src, off, ATOMIC_OPS[op]))

    def atomic_add(self, size: int, dst: Reg, off: int, src: Reg) -> Self:
        """Append ``lock *(dst + off) += src``."""
        return self.atomic("add", size, dst, off, src)

    def load_acquire(self, size: int, dst: Reg, src: Reg, off: int = 0) -> Self:
        """Append ``dst = *(src + off)`` with acquire order (Linux 6.15)."""
        return self.raw(Insn(BPF_STX | BPF_ATOMIC | SIZES[size], dst, src, off, BPF_LOAD_ACQ))

    def store_release(self, size: int, dst: Reg, off: int, src: Reg) -> Self:
        """Append ``*(dst + off) = src`` with release order (Linux 6.15)."""
        return self.raw(Insn(BPF_STX | BPF_ATOMIC | SIZES[size], dst, src, off, BPF_STORE_REL))

    # 64-bit immediates.

    def ld_imm64(self, dst: Reg, imm: int, pseudo: int = 0) -> Self:
        """Append ``dst = imm``, all 64 bits; ``pseudo`` (BPF_PSEUDO_*) makes it more than a number."""
        return self.raw(Insn(LD_IMM64, dst, pseudo, 0, imm & 0xFFFF_FFFF_FFFF_FFFF))

    def ld_map_fd(self, dst: Reg, fd: int) -> Self:
        """Append ``dst = the map behind fd``."""
        return self.ld_imm64(dst, fd, BPF_PSEUDO_MAP_FD)

    def ld_map_value(self, dst: Reg, fd: int, off: int = 0) -> Self:
        """Append ``dst = address of the first value of the map behind fd, plus off``."""
        return self.ld_imm64(dst, fd | off << 32, BPF_PSEUDO_MAP_VALUE)

    def ld_map_idx(self, dst: Reg, index: int) -> Self:
        """Append ``dst = the map at this place of the load command's fd_array`` (Linux 5.14)."""
        return self.ld_imm64(dst, index, BPF_PSEUDO_MAP_IDX)

    def ld_map_idx_value(self, dst: Reg, index: int, off: int = 0) -> Self:
        """Append ``dst = address of the first value of that map of fd_array, plus off`` (Linux 5.14)."""
        return self.ld_imm64(dst, index | off << 32, BPF_PSEUDO_MAP_IDX_VALUE)

    def ld_btf_id(self, dst: Reg, btf_id: int, btf_fd: int = 0) -> Self:
        """Append ``dst = address of the kernel variable with this BTF id`` (``btf_fd``: of a module)."""
        return self.ld_imm64(dst, btf_id | btf_fd << 32, BPF_PSEUDO_BTF_ID)

    def ld_func(self, dst: Reg, label: str) -> Self:
        """Append ``dst = address of a subprogram``, for helpers that call back (Linux 5.13)."""
        return self._refer(Insn(LD_IMM64, dst, BPF_PSEUDO_FUNC), "imm", label)

    # Control flow.

    def jump(self, op: str, dst: Reg, src: Reg | int, label: str, *, width: int = 64) -> Self:
        """Append ``if dst op src goto label`` on 64 or 32 bits, ``op`` being a name from ``JUMP_OPS``."""
        if width not in (32, 64):
            raise ValueError(f"a comparison is 32 or 64 bits wide, not {width}")
        opcode = (BPF_JMP if width == 64 else BPF_JMP32) | JUMP_OPS[op]
        if isinstance(src, Reg):
            return self._refer(Insn(opcode | BPF_X, dst, src), "off", label)
        return self._refer(Insn(opcode | BPF_K, dst, imm=src), "off", label)

    def jmp(self, label: str) -> Self:
        """Append ``goto label``."""
        return self._refer(Insn(BPF_JMP | BPF_JA), "off", label)

    def jmp_long(self, label: str) -> Self:
        """Append ``goto label`` over a 32-bit distance (ISA v4, Linux 6.6)."""
        return self._refer(Insn(BPF_JMP32 | BPF_JA), "imm", label)

    def jump_to(self, dst: Reg) -> Self:
        """Append ``gotox dst``, an address out of a map of instructions (Linux 6.19)."""
        return self.raw(Insn(BPF_JMP | BPF_JA | BPF_X, dst))

    def may_goto(self, label: str) -> Self:
        """Append a jump that is taken when a loop has run for too long (Linux 6.9)."""
        return self._refer(Insn(BPF_JMP | BPF_JCOND, 0, BPF_MAY_GOTO), "off", label)

    def call(self, helper: int) -> Self:
        """Append the call of a helper by its number."""
        return self.raw(Insn(BPF_JMP | BPF_CALL, imm=helper))

    def call_sub(self, label: str) -> Self:
        """Append the call of a subprogram."""
        return self._refer(Insn(BPF_JMP | BPF_CALL, src=BPF_PSEUDO_CALL), "imm", label)

    def call_kfunc(self, btf_id: int, fd_idx: int = 0) -> Self:
        """Append the call of a kernel function; ``fd_idx`` is its module's place in fd_array (0: vmlinux)."""
        return self.raw(Insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, fd_idx, btf_id))

    def exit_(self) -> Self:
        """Append the return to the caller, or to the kernel."""
        return self.raw(Insn(BPF_JMP | BPF_EXIT))
