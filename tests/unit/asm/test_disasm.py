"""The text of every instruction, in the words of the kernel's verifier log and of bpftool."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.asm.disasm import Names, helpers, text
from bpfctl.asm.insn import LD_IMM64, Insn

SIZES = {0x00: ("u32", "s32"), 0x08: ("u16", "s16"), 0x10: ("u8", "s8"), 0x18: ("u64", None)}
OPERATIONS = ["+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "neg", "%=", "^=", "=", "s>>=", "end"]
COMPARISONS = [None, "==", ">", ">=", "&", "!=", "s>", "s>=", None, None, "<", "<=", "s<", "s<="]


def lines() -> dict[str, Insn]:
    """Return an instruction for every opcode that has a meaning, by its text."""
    found = {
        "(18) r1 = 0x1122334455667788": Insn(LD_IMM64, 1, 0, 0, 0x1122334455667788),
        "(05) goto pc-7": Insn(0x05, off=-7),
        "(06) gotol pc+100000": Insn(0x06, imm=100000),
        "(0d) gotox r3": Insn(0x0D, 3),
        "(e5) may_goto pc+5": Insn(0xE5, off=5),
        "(85) call bpf_map_lookup_elem#1": Insn(0x85, imm=1),
        "(85) call bpf_cgrp_storage_delete#211": Insn(0x85, imm=211),
        "(85) call unknown#212": Insn(0x85, imm=212),
        "(85) call unknown#-1": Insn(0x85, imm=-1),
        "(85) call pc+12": Insn(0x85, src=1, imm=12),
        "(85) call kernel-function#99": Insn(0x85, src=2, imm=99),
        "(8d) call bpf_tail_call#12": Insn(0x8D, imm=12),
        "(95) exit": Insn(0x95),
        "(c2) nospec": Insn(0xC2),
        "(bf) r1 = addr_space_cast(r2, 0, 1)": Insn(0xBF, 1, 2, 1, 1),
        "(bf) r1 = addr_space_cast(r2, 65535, 0)": Insn(0xBF, 1, 2, 1, -0x10000),
        "(bf) r0 = &(void __percpu *)(r0)": Insn(0xBF, 0, 0, -1),
        "(bf) r1 = (s8)r2": Insn(0xBF, 1, 2, 8),
        "(bf) r1 = (s16)r2": Insn(0xBF, 1, 2, 16),
        "(bf) r1 = (s32)r2": Insn(0xBF, 1, 2, 32),
        "(bc) w1 = (s8)w2": Insn(0xBC, 1, 2, 8),
        "(bc) w1 = (s16)w2": Insn(0xBC, 1, 2, 16),
        "(3f) r1 s/= r2": Insn(0x3F, 1, 2, 1),
        "(37) r1 s/= -3": Insn(0x37, 1, 0, 1, -3),
        "(9c) w1 s%= w2": Insn(0x9C, 1, 2, 1),
        "(94) w1 s%= 7": Insn(0x94, 1, 0, 1, 7),
        "(87) r1 = -r1": Insn(0x87, 1),
        "(84) w1 = -w1": Insn(0x84, 1),
        "(d4) r1 = le16 r1": Insn(0xD4, 1, imm=16),
        "(dc) r1 = be32 r1": Insn(0xDC, 1, imm=32),
        "(d7) r1 = bswap64 r1": Insn(0xD7, 1, imm=64),
    }
    for at, sign in enumerate(OPERATIONS):
        if sign in {"neg", "end"}:
            continue
        for class_, register in ((0x04, "w"), (0x07, "r")):
            code = at << 4 | class_
            found[f"({code:02x}) {register}3 {sign} -5"] = Insn(code, 3, imm=-5)
            found[f"({code | 8:02x}) {register}3 {sign} {register}4"] = Insn(code | 8, 3, 4)
    for at, comparison in enumerate(COMPARISONS):
        if comparison is None:
            continue
        for class_, register in ((0x05, "r"), (0x06, "w")):
            code = at << 4 | class_
            found[f"({code:02x}) if {register}1 {comparison} 0xffffffff goto pc+3"] = Insn(code, 1, 0, 3, -1)
            found[f"({code | 8:02x}) if {register}1 {comparison} {register}2 goto pc-3"] = Insn(code | 8, 1, 2, -3)
    for bits, (unsigned, signed) in SIZES.items():
        found[f"({0x20 | bits:02x}) r0 = *({unsigned} *)skb[12]"] = Insn(0x20 | bits, imm=12)
        found[f"({0x40 | bits:02x}) r0 = *({unsigned} *)skb[r7 + -2]"] = Insn(0x40 | bits, 0, 7, imm=-2)
        found[f"({0x61 | bits:02x}) r1 = *({unsigned} *)(r2 -8)"] = Insn(0x61 | bits, 1, 2, -8)
        found[f"({0x62 | bits:02x}) *({unsigned} *)(r10 -8) = -1"] = Insn(0x62 | bits, 10, 0, -8, -1)
        found[f"({0x63 | bits:02x}) *({unsigned} *)(r10 +0) = r1"] = Insn(0x63 | bits, 10, 1)
        if signed:
            found[f"({0x81 | bits:02x}) r1 = *({signed} *)(r2 +4)"] = Insn(0x81 | bits, 1, 2, 4)
        # The kernel lets ordered loads and stores have any size, all else four bytes or eight.
        found[f"({0xC3 | bits:02x}) r1 = load_acquire(({unsigned} *)(r2 +8))"] = Insn(0xC3 | bits, 1, 2, 8, 0x100)
        found[f"({0xC3 | bits:02x}) store_release(({unsigned} *)(r1 +8), r2)"] = Insn(0xC3 | bits, 1, 2, 8, 0x110)
    for code, size, wide in ((0xC3, "u32", ""), (0xDB, "u64", "64")):
        for op, (sign, word) in {
            0x00: ("+=", "add"),
            0x40: ("|=", "or"),
            0x50: ("&=", "and"),
            0xA0: ("^=", "xor"),
        }.items():
            found[f"({code:02x}) lock *({size} *)(r1 +8) {sign} r2"] = Insn(code, 1, 2, 8, op)
            fetch = f"({code:02x}) r2 = atomic{wide}_fetch_{word}(({size} *)(r1 +8), r2)"
            found[fetch] = Insn(code, 1, 2, 8, op | 1)
        found[f"({code:02x}) r2 = atomic{wide}_xchg(({size} *)(r1 +8), r2)"] = Insn(code, 1, 2, 8, 0xE1)
        found[f"({code:02x}) r0 = atomic{wide}_cmpxchg(({size} *)(r1 +8), r0, r2)"] = Insn(code, 1, 2, 8, 0xF1)
    return found


LINES = lines()


@pytest.mark.parametrize("line", LINES)
def test_every_instruction(line: str) -> None:
    """Its text, and its bytes there and back in both byte orders."""
    insn = LINES[line]

    assert line == text(insn)
    assert insn == Insn.decode(insn.encode("little"), "little")
    assert insn == Insn.decode(insn.encode("big"), "big")


def test_no_opcode_is_forgotten() -> None:
    """What has a text of its own is in the list above, but for operands where none belong."""
    known = {insn.opcode for insn in LINES.values()}
    told = {opcode for opcode in range(256) if not text(Insn(opcode)).startswith("BUG_")}

    assert known <= told
    # The second operand of a swap, a negation, a call, a barrier and an exit means nothing, nor does its width.
    assert told - known == {0x0E, 0x86, 0x8C, 0x8E, 0x8F, 0x96, 0x9D, 0x9E, 0xCA, 0xD2, 0xDA, 0xDF}


@pytest.mark.parametrize(
    ("opcode", "line"),
    [
        (0x00, "BUG_ld_00"),
        (0x38, "(38) r0 = *(u64 *)skb[0]"),
        (0x60, "BUG_ld_60"),
        (0x99, "BUG_ldx_99"),
        (0xC1, "BUG_ldx_c1"),
        (0x02, "BUG_st_02"),
        (0x03, "BUG_03"),
        (0xE4, "BUG_alu_e4"),
        (0xFF, "BUG_alu_ff"),
        (0xE6, "BUG_jmp_e6"),
        (0xF5, "BUG_jmp_f5"),
    ],
)
def test_what_no_kernel_knows(opcode: int, line: str) -> None:
    """It is marked, as the kernel marks it."""
    assert line == text(Insn(opcode))


@pytest.mark.parametrize("imm", [0x02, 0x80, 0x101, 0xF0, -1])
def test_atomics_that_do_not_exist(imm: int) -> None:
    """The immediate says which operation it is, all of it."""
    assert text(Insn(0xDB, 1, 2, 8, imm)) == "BUG_db"


def test_names() -> None:
    """Who knows what instructions refer to is asked; helpers by number are known."""

    class Known(Names):
        def function(self, insn: Insn) -> str:
            return f"function_{insn.imm}"

        def subprogram(self, insn: Insn) -> str:
            return f"{insn.off:+d}#sub"

        def constant(self, insn: Insn) -> str:
            return f"map[id:{insn.imm}]"

    assert text(Insn(0x85, src=2, imm=7), Known()) == "(85) call function_7#7"
    assert text(Insn(0x85, imm=300), Known()) == "(85) call function_300#300"
    assert text(Insn(0x85, src=1, off=3, imm=1), Known()) == "(85) call pc+3#sub"
    assert text(Insn(LD_IMM64, 1, 1, 0, 5), Known()) == "(18) r1 = map[id:5]"
    assert text(Insn(0x85, imm=2), Known()) == f"(85) call {helpers()[2]}#2"


@given(st.binary(min_size=16, max_size=16), st.sampled_from(["little", "big"]))
def test_any_words(raw: bytes, order: str) -> None:
    """Whatever is in memory has a text, and what is not wide is the same bytes again."""
    insn = Insn.decode(raw, order)  # type: ignore[arg-type]

    assert text(insn).isprintable()
    if not insn.wide:
        assert raw[:8] == insn.encode(order)  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_any_program(raw: bytes) -> None:
    """It is instructions, or refused with a reason."""
    try:
        insns = list(Insn.decode_all(raw))
    except ValueError:
        assert not raw or len(raw) % 8 or raw[-8] == LD_IMM64
        return
    assert sum(insn.slots for insn in insns) * 8 == len(raw)
    assert all(text(insn) for insn in insns)
