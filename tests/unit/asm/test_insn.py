"""The coding of one instruction, against bytes that llvm-mc and llvm-objdump print."""

from __future__ import annotations

import pytest

from bpfctl.asm.insn import (
    BPF_ADD,
    BPF_ALU64,
    BPF_DW,
    BPF_JMP,
    BPF_JSLT,
    BPF_LDX,
    BPF_MEM,
    BPF_X,
    LD_IMM64,
    Insn,
    encode_all,
)

LITTLE = [
    (Insn(BPF_ALU64 | BPF_ADD, 1, 0, 0, -1), "07 01 00 00 ff ff ff ff"),
    (Insn(BPF_JMP | BPF_JSLT | BPF_X, 1, 2, -2), "cd 21 fe ff 00 00 00 00"),
    (Insn(BPF_LDX | BPF_MEM | BPF_DW, 1, 10, -16), "79 a1 f0 ff 00 00 00 00"),
    (Insn(LD_IMM64, 1, 0, 0, 0x1122334455667788), "18 01 00 00 88 77 66 55 00 00 00 00 44 33 22 11"),
]

BIG = [
    (Insn(BPF_ALU64 | BPF_ADD, 1, 0, 0, -1), "07 10 00 00 ff ff ff ff"),
    (Insn(BPF_JMP | BPF_JSLT | BPF_X, 1, 2, -2), "cd 12 ff fe 00 00 00 00"),
    (Insn(LD_IMM64, 1, 0, 0, 0x1122334455667788), "18 10 00 00 55 66 77 88 00 00 00 00 11 22 33 44"),
]


@pytest.mark.parametrize(("insn", "text"), LITTLE)
def test_little_endian_bytes_go_both_ways(insn: Insn, text: str) -> None:
    """What llvm-mc -triple=bpfel prints is what we write, and reading it gives the instruction back."""
    raw = bytes.fromhex(text)

    assert raw == insn.encode("little")
    assert insn == Insn.decode(raw, "little")


@pytest.mark.parametrize(("insn", "text"), BIG)
def test_big_endian_bytes_go_both_ways(insn: Insn, text: str) -> None:
    """What llvm-mc -triple=bpfeb prints is what we write, and reading it gives the instruction back."""
    raw = bytes.fromhex(text)

    assert raw == insn.encode("big")
    assert insn == Insn.decode(raw, "big")


def test_a_program_goes_both_ways() -> None:
    """Slots of both sizes follow each other."""
    insns = [insn for insn, _ in LITTLE]

    assert insns == list(Insn.decode_all(encode_all(insns)))


def test_an_unsigned_immediate_is_the_signed_one() -> None:
    """0xffffffff and -1 are the same 32 bits; decoding prefers the sign, as the kernel's __s32 does."""
    raw = Insn(BPF_ALU64 | BPF_ADD, 1, imm=0xFFFFFFFF).encode()

    assert Insn(BPF_ALU64 | BPF_ADD, 1, imm=-1) == Insn.decode(raw)


def test_a_wide_immediate_may_be_written_signed() -> None:
    """A negative 64-bit immediate reads back as the unsigned number with the same bits."""
    raw = Insn(LD_IMM64, imm=-1).encode()

    assert Insn.decode(raw).imm == 0xFFFF_FFFF_FFFF_FFFF


@pytest.mark.parametrize(
    ("insn", "complaint"),
    [
        (Insn(BPF_ALU64 | BPF_ADD, imm=1 << 32), "does not fit 32 bits"),
        (Insn(BPF_ALU64 | BPF_ADD, imm=-(1 << 31) - 1), "does not fit 32 bits"),
        (Insn(LD_IMM64, imm=1 << 64), "does not fit 64 bits"),
        (Insn(LD_IMM64, imm=-(1 << 63) - 1), "does not fit 64 bits"),
        (Insn(BPF_ALU64 | BPF_ADD, dst=16), "no such register: 16"),
        (Insn(BPF_ALU64 | BPF_ADD, src=16), "no such register: 16"),
        (Insn(BPF_ALU64 | BPF_ADD, src=-1), "no such register: -1"),
        (Insn(BPF_ALU64 | BPF_ADD, off=0x8000), "off=32768"),
        (Insn(0x100), "opcode=256"),
    ],
)
def test_a_field_too_large_is_refused(insn: Insn, complaint: str) -> None:
    """No field is cut to fit."""
    with pytest.raises(ValueError, match=complaint):
        insn.encode()


@pytest.mark.parametrize("size", [0, 7, 9])
def test_half_a_slot_is_refused(size: int) -> None:
    """A program is whole slots, and at least one."""
    with pytest.raises(ValueError, match=f"{size} bytes are not whole instructions"):
        Insn.decode(bytes(size))


def test_half_an_immediate_is_refused() -> None:
    """A program that ends inside a 64-bit immediate is cut off."""
    with pytest.raises(ValueError, match="second half"):
        Insn.decode(Insn(LD_IMM64, 1).encode()[:8])
