"""
BPF instructions: their numbers, and the coding of one instruction to and from bytes.

An instruction is one slot of eight bytes: opcode, two register nibbles, a 16-bit offset and a 32-bit
immediate. One opcode (``BPF_LD | BPF_IMM | BPF_DW``) takes two slots; the second carries the upper half of a
64-bit immediate and is zero elsewhere. The order of the nibbles follows the byte order.

The tables at the end name each operation once. The assembler reads them forwards and the disassembler
backwards, so an instruction that a new kernel brings is one more line there.

Kernel: include/uapi/linux/bpf.h, include/uapi/linux/bpf_common.h and
Documentation/bpf/standardization/instruction-set.rst.
"""

from __future__ import annotations

import struct
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

ByteOrder = Literal["little", "big"]

SLOT_SIZE = 8

# Classes: the low three bits of an opcode.
BPF_LD = 0x00
BPF_LDX = 0x01
BPF_ST = 0x02
BPF_STX = 0x03
BPF_ALU = 0x04
BPF_JMP = 0x05
BPF_JMP32 = 0x06
BPF_ALU64 = 0x07

# Width of a load or store.
BPF_W = 0x00
BPF_H = 0x08
BPF_B = 0x10
BPF_DW = 0x18

# Mode of a load or store.
BPF_IMM = 0x00
BPF_ABS = 0x20
BPF_IND = 0x40
BPF_MEM = 0x60
BPF_MEMSX = 0x80
BPF_ATOMIC = 0xC0
BPF_NOSPEC = 0xC0  # of BPF_ST: a barrier, which only the kernel writes

# Second operand of an arithmetic or jump instruction: immediate or register.
BPF_K = 0x00
BPF_X = 0x08

# Arithmetic.
BPF_ADD = 0x00
BPF_SUB = 0x10
BPF_MUL = 0x20
BPF_DIV = 0x30
BPF_OR = 0x40
BPF_AND = 0x50
BPF_LSH = 0x60
BPF_RSH = 0x70
BPF_NEG = 0x80
BPF_MOD = 0x90
BPF_XOR = 0xA0
BPF_MOV = 0xB0
BPF_ARSH = 0xC0
BPF_END = 0xD0

# Offsets that make another instruction of a 64-bit move between registers; the second one only the kernel writes.
BPF_ADDR_SPACE_CAST = 1
BPF_ADDR_PERCPU = -1

# Direction of a byte swap, in the place of BPF_K and BPF_X.
BPF_TO_LE = 0x00
BPF_TO_BE = 0x08

# Jumps.
BPF_JA = 0x00
BPF_JEQ = 0x10
BPF_JGT = 0x20
BPF_JGE = 0x30
BPF_JSET = 0x40
BPF_JNE = 0x50
BPF_JSGT = 0x60
BPF_JSGE = 0x70
BPF_CALL = 0x80
BPF_EXIT = 0x90
BPF_JLT = 0xA0
BPF_JLE = 0xB0
BPF_JSLT = 0xC0
BPF_JSLE = 0xD0
BPF_JCOND = 0xE0

# Conditions of BPF_JCOND, in its source register.
BPF_MAY_GOTO = 0

# Immediate of an atomic instruction; the plain ones combine with BPF_ADD, BPF_OR, BPF_AND, BPF_XOR.
BPF_FETCH = 0x01
BPF_XCHG = 0xE1
BPF_CMPXCHG = 0xF1
BPF_LOAD_ACQ = 0x100
BPF_STORE_REL = 0x110

# Meaning of a 64-bit immediate, in its source register.
BPF_PSEUDO_MAP_FD = 1
BPF_PSEUDO_MAP_VALUE = 2
BPF_PSEUDO_BTF_ID = 3
BPF_PSEUDO_FUNC = 4
BPF_PSEUDO_MAP_IDX = 5
BPF_PSEUDO_MAP_IDX_VALUE = 6

# Meaning of a call's immediate, in its source register; 0 is a helper.
BPF_PSEUDO_CALL = 1
BPF_PSEUDO_KFUNC_CALL = 2

LD_IMM64 = BPF_LD | BPF_IMM | BPF_DW

_FORMATS = {"little": struct.Struct("<BBhi"), "big": struct.Struct(">BBhi")}
_U32 = 0xFFFF_FFFF


class Reg(IntEnum):
    """A register, as its own type, so that an operand says by itself whether it is a register or a number."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4
    R5 = 5
    R6 = 6
    R7 = 7
    R8 = 8
    R9 = 9
    R10 = 10


R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = Reg


class Insn(NamedTuple):
    """
    One instruction; ``imm`` is signed, and unsigned 64 bits wide where the instruction takes two slots.

    A named tuple and not a dataclass: dumps make some hundred thousand of them.
    """

    opcode: int
    dst: int = 0
    src: int = 0
    off: int = 0
    imm: int = 0

    @property
    def wide(self) -> bool:
        """Whether the instruction takes two slots."""
        return self.opcode == LD_IMM64

    @property
    def slots(self) -> int:
        """How far the next instruction is; jump offsets count slots."""
        return 2 if self.opcode == LD_IMM64 else 1

    def encode(self, byteorder: ByteOrder = sys.byteorder) -> bytes:
        """Return the 8 or 16 bytes; ValueError when a field does not fit its place."""
        low, high = self.imm, 0
        if self.wide:
            if not -(1 << 63) <= self.imm < 1 << 64:
                raise ValueError(f"immediate {self.imm:#x} does not fit 64 bits")
            low, high = self.imm & _U32, self.imm >> 32 & _U32
        if not -(1 << 31) <= low <= _U32:
            raise ValueError(f"immediate {low:#x} does not fit 32 bits")
        if not (0 <= self.dst < 16 and 0 <= self.src < 16):
            raise ValueError(f"no such register: {max(self.dst, self.src, key=abs)}")
        regs = self.dst | self.src << 4 if byteorder == "little" else self.dst << 4 | self.src
        pack = _FORMATS[byteorder].pack
        try:
            slot = pack(self.opcode, regs, self.off, _signed(low))
        except struct.error as error:
            raise ValueError(f"{self}: {error}") from error
        return slot + pack(0, 0, 0, _signed(high)) if self.wide else slot

    @classmethod
    def decode(cls, raw: bytes, byteorder: ByteOrder = sys.byteorder) -> Self:
        """Return the instruction at the start of ``raw``; ValueError when it is cut off."""
        return next(cls.decode_all(raw, byteorder))

    @classmethod
    def decode_all(cls, raw: bytes, byteorder: ByteOrder = sys.byteorder) -> Iterator[Self]:
        """Yield every instruction of a program; ValueError where the last one is cut off."""
        if not raw or len(raw) % SLOT_SIZE:
            raise ValueError(f"{len(raw)} bytes are not whole instructions")
        little = byteorder == "little"
        slots = _FORMATS[byteorder].iter_unpack(raw)
        for opcode, regs, off, imm in slots:
            dst, src = (regs & 15, regs >> 4) if little else (regs >> 4, regs & 15)
            if opcode != LD_IMM64:
                yield cls(opcode, dst, src, off, imm)
                continue
            second = next(slots, None)
            if second is None:
                raise ValueError("the second half of a 64-bit immediate is missing")
            yield cls(opcode, dst, src, off, imm & _U32 | (second[3] & _U32) << 32)


def encode_all(insns: Iterable[Insn], byteorder: ByteOrder = sys.byteorder) -> bytes:
    """Return the bytes of a program; ValueError when a field of an instruction does not fit its place."""
    return b"".join(insn.encode(byteorder) for insn in insns)


def _signed(value: int) -> int:
    """Read the lower 32 bits as the kernel's ``__s32``, so that 0xffffffff and -1 are one immediate."""
    return value - (1 << 32) if value > 0x7FFF_FFFF else value


class AluOp(NamedTuple):
    """An arithmetic operation; the signed ones differ from the unsigned by their offset alone."""

    op: int
    off: int = 0


ALU_OPS = {
    "add": AluOp(BPF_ADD),
    "sub": AluOp(BPF_SUB),
    "mul": AluOp(BPF_MUL),
    "div": AluOp(BPF_DIV),
    "or": AluOp(BPF_OR),
    "and": AluOp(BPF_AND),
    "lsh": AluOp(BPF_LSH),
    "rsh": AluOp(BPF_RSH),
    "neg": AluOp(BPF_NEG),
    "mod": AluOp(BPF_MOD),
    "xor": AluOp(BPF_XOR),
    "mov": AluOp(BPF_MOV),
    "arsh": AluOp(BPF_ARSH),
    # ISA v4, Linux 6.6.
    "sdiv": AluOp(BPF_DIV, 1),
    "smod": AluOp(BPF_MOD, 1),
    "movsx8": AluOp(BPF_MOV, 8),
    "movsx16": AluOp(BPF_MOV, 16),
    "movsx32": AluOp(BPF_MOV, 32),
}

JUMP_OPS = {
    "jeq": BPF_JEQ,
    "jne": BPF_JNE,
    "jgt": BPF_JGT,
    "jge": BPF_JGE,
    "jlt": BPF_JLT,
    "jle": BPF_JLE,
    "jset": BPF_JSET,
    "jsgt": BPF_JSGT,
    "jsge": BPF_JSGE,
    "jslt": BPF_JSLT,
    "jsle": BPF_JSLE,
}

# Byte swaps: class and direction; the width is the immediate. "bswap" swaps on every machine (ISA v4).
SWAP_OPS = {
    "le": BPF_ALU | BPF_END | BPF_TO_LE,
    "be": BPF_ALU | BPF_END | BPF_TO_BE,
    "bswap": BPF_ALU64 | BPF_END | BPF_TO_LE,
}

ATOMIC_OPS = {
    "add": BPF_ADD,
    "or": BPF_OR,
    "and": BPF_AND,
    "xor": BPF_XOR,
    # Linux 5.12.
    "fetch_add": BPF_ADD | BPF_FETCH,
    "fetch_or": BPF_OR | BPF_FETCH,
    "fetch_and": BPF_AND | BPF_FETCH,
    "fetch_xor": BPF_XOR | BPF_FETCH,
    "xchg": BPF_XCHG,
    "cmpxchg": BPF_CMPXCHG,
}

# Bytes of a load or store, and the bits that say so.
SIZES = {1: BPF_B, 2: BPF_H, 4: BPF_W, 8: BPF_DW}
