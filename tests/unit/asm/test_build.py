"""The assembler, against what llvm-mc and llvm-objdump print for the line (ISA v4: the standard's tables)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpfctl.asm.build import Program
from bpfctl.asm.insn import BPF_PSEUDO_MAP_FD, R0, R1, R2, R3, R10, Insn

if TYPE_CHECKING:
    from collections.abc import Callable

LINES: list[tuple[str, Callable[[Program], object], str]] = [
    ("r1 = 5", lambda p: p.mov(R1, 5), "b7 01 00 00 05 00 00 00"),
    ("r1 = r2", lambda p: p.mov(R1, R2), "bf 21 00 00 00 00 00 00"),
    ("w1 = -1", lambda p: p.mov32(R1, -1), "b4 01 00 00 ff ff ff ff"),
    ("w1 = w2", lambda p: p.mov32(R1, R2), "bc 21 00 00 00 00 00 00"),
    ("r1 += 7", lambda p: p.add(R1, 7), "07 01 00 00 07 00 00 00"),
    ("r1 -= r2", lambda p: p.sub(R1, R2), "1f 21 00 00 00 00 00 00"),
    ("r1 *= 3", lambda p: p.mul(R1, 3), "27 01 00 00 03 00 00 00"),
    ("r1 /= r2", lambda p: p.alu("div", R1, R2), "3f 21 00 00 00 00 00 00"),
    ("r1 |= r2", lambda p: p.or_(R1, R2), "4f 21 00 00 00 00 00 00"),
    ("r1 &= 255", lambda p: p.and_(R1, 255), "57 01 00 00 ff 00 00 00"),
    ("r1 <<= 3", lambda p: p.lsh(R1, 3), "67 01 00 00 03 00 00 00"),
    ("r1 >>= r2", lambda p: p.rsh(R1, R2), "7f 21 00 00 00 00 00 00"),
    ("r1 = -r1", lambda p: p.neg(R1), "87 01 00 00 00 00 00 00"),
    ("r1 %= 10", lambda p: p.alu("mod", R1, 10), "97 01 00 00 0a 00 00 00"),
    ("r1 ^= r2", lambda p: p.xor(R1, R2), "af 21 00 00 00 00 00 00"),
    ("r1 s>>= 63", lambda p: p.arsh(R1, 63), "c7 01 00 00 3f 00 00 00"),
    ("w1 += w2", lambda p: p.alu("add", R1, R2, width=32), "0c 21 00 00 00 00 00 00"),
    ("w1 s>>= 5", lambda p: p.alu("arsh", R1, 5, width=32), "c4 01 00 00 05 00 00 00"),
    ("r1 s/= r2", lambda p: p.alu("sdiv", R1, R2), "3f 21 01 00 00 00 00 00"),
    ("r1 = (s8)r2", lambda p: p.alu("movsx8", R1, R2), "bf 21 08 00 00 00 00 00"),
    ("w1 = (s16)w2", lambda p: p.alu("movsx16", R1, R2, width=32), "bc 21 10 00 00 00 00 00"),
    ("r1 = addr_space_cast(r2, 0, 1)", lambda p: p.cast(R1, R2, 0, 1), "bf 21 01 00 01 00 00 00"),
    ("gotox r2", lambda p: p.jump_to(R2), "0d 02 00 00 00 00 00 00"),
    ("r1 = be16 r1", lambda p: p.swap("be", R1, 16), "dc 01 00 00 10 00 00 00"),
    ("r1 = le64 r1", lambda p: p.swap("le", R1, 64), "d4 01 00 00 40 00 00 00"),
    ("r1 = bswap32 r1", lambda p: p.swap("bswap", R1, 32), "d7 01 00 00 20 00 00 00"),
    ("r1 = *(u8 *)(r2 + 4)", lambda p: p.ldx(1, R1, R2, 4), "71 21 04 00 00 00 00 00"),
    ("r1 = *(u16 *)(r2 - 8)", lambda p: p.ldx(2, R1, R2, -8), "69 21 f8 ff 00 00 00 00"),
    ("r1 = *(u32 *)(r2 + 0)", lambda p: p.ldx(4, R1, R2), "61 21 00 00 00 00 00 00"),
    ("r1 = *(u64 *)(r10 - 16)", lambda p: p.ldx(8, R1, R10, -16), "79 a1 f0 ff 00 00 00 00"),
    ("r1 = *(s8 *)(r2 + 4)", lambda p: p.ldx_signed(1, R1, R2, 4), "91 21 04 00 00 00 00 00"),
    ("*(u64 *)(r10 - 8) = r1", lambda p: p.stx(8, R10, -8, R1), "7b 1a f8 ff 00 00 00 00"),
    ("*(u8 *)(r10 - 1) = r1", lambda p: p.stx(1, R10, -1, R1), "73 1a ff ff 00 00 00 00"),
    ("*(u32 *)(r10 - 4) = 7", lambda p: p.st(4, R10, -4, 7), "62 0a fc ff 07 00 00 00"),
    ("r0 = *(u16 *)skb[12]", lambda p: p.ld_abs(2, 12), "28 00 00 00 0c 00 00 00"),
    ("r0 = *(u32 *)skb[r3]", lambda p: p.ld_ind(4, R3, 0), "40 30 00 00 00 00 00 00"),
    ("lock *(u64 *)(r1 + 8) += r2", lambda p: p.atomic_add(8, R1, 8, R2), "db 21 08 00 00 00 00 00"),
    ("lock *(u32 *)(r1 + 0) += r2", lambda p: p.atomic_add(4, R1, 0, R2), "c3 21 00 00 00 00 00 00"),
    ("r2 = atomic_fetch_add", lambda p: p.atomic("fetch_add", 8, R1, 8, R2), "db 21 08 00 01 00 00 00"),
    ("w2 = atomic_fetch_xor", lambda p: p.atomic("fetch_xor", 4, R1, 0, R2), "c3 21 00 00 a1 00 00 00"),
    ("r2 = xchg_64", lambda p: p.atomic("xchg", 8, R1, 8, R2), "db 21 08 00 e1 00 00 00"),
    ("r0 = cmpxchg_64", lambda p: p.atomic("cmpxchg", 8, R1, 8, R3), "db 31 08 00 f1 00 00 00"),
    ("r1 = load_acquire", lambda p: p.load_acquire(8, R1, R2, 8), "db 21 08 00 00 01 00 00"),
    ("store_release", lambda p: p.store_release(4, R1, 8, R2), "c3 21 08 00 10 01 00 00"),
    (
        "r1 = 0x1122334455667788 ll",
        lambda p: p.ld_imm64(R1, 0x1122334455667788),
        "18 01 00 00 88 77 66 55 00 00 00 00 44 33 22 11",
    ),
    ("r1 = map[fd:5]", lambda p: p.ld_map_fd(R1, 5), "18 11 00 00 05 00 00 00 00 00 00 00 00 00 00 00"),
    (
        "r1 = map[fd:5][0]+8",
        lambda p: p.ld_map_value(R1, 5, 8),
        "18 21 00 00 05 00 00 00 00 00 00 00 08 00 00 00",
    ),
    ("r1 = map[idx:2]", lambda p: p.ld_map_idx(R1, 2), "18 51 00 00 02 00 00 00 00 00 00 00 00 00 00 00"),
    (
        "r1 = map[idx:2][0]+8",
        lambda p: p.ld_map_idx_value(R1, 2, 8),
        "18 61 00 00 02 00 00 00 00 00 00 00 08 00 00 00",
    ),
    ("r1 = &ksym", lambda p: p.ld_btf_id(R1, 99), "18 31 00 00 63 00 00 00 00 00 00 00 00 00 00 00"),
    (
        "r1 = &ksym of a module",
        lambda p: p.ld_btf_id(R1, 99, 7),
        "18 31 00 00 63 00 00 00 00 00 00 00 07 00 00 00",
    ),
    ("call 14", lambda p: p.call(14), "85 00 00 00 0e 00 00 00"),
    ("call kfunc", lambda p: p.call_kfunc(99, 1), "85 20 01 00 63 00 00 00"),
    ("exit", lambda p: p.exit_(), "95 00 00 00 00 00 00 00"),
]


@pytest.mark.parametrize(("append", "text"), [pytest.param(line[1], line[2], id=line[0]) for line in LINES])
def test_one_line(append: Callable[[Program], object], text: str) -> None:
    """Each method writes the bytes that LLVM writes for the line."""
    prog = Program()
    append(prog)

    assert bytes.fromhex(text) == prog.assemble("little")


def test_jumps_count_slots_from_the_next_instruction() -> None:
    """A 64-bit immediate between a jump and its label counts twice; labels work in both directions."""
    prog = Program()
    prog.jmp("end")
    prog.label("loop")
    prog.ld_imm64(R1, 1)
    prog.jump("jslt", R1, R2, "loop")
    prog.jump("jne", R1, 9, "end", width=32)
    prog.jmp_long("loop")
    prog.label("end").may_goto("loop").exit_()

    assert [insn.off for insn in prog.insns()] == [5, 0, -3, 1, 0, -6, 0]
    assert prog.insns()[4].imm == -5
    assert prog.insns()[2].encode("little").hex(" ") == "cd 21 fd ff 00 00 00 00"
    assert prog.insns()[3].encode("little").hex(" ") == "56 01 01 00 09 00 00 00"
    assert prog.insns()[4].encode("little").hex(" ") == "06 00 00 00 fb ff ff ff"
    assert prog.insns()[5].encode("little").hex(" ") == "e5 00 fa ff 00 00 00 00"


def test_subprograms_are_called_by_distance() -> None:
    """The same bytes as clang's for a static function behind its caller, and the slot for func_info."""
    prog = Program()
    prog.call_sub("triple").add(R0, 1).exit_()
    prog.label("triple").mov(R0, R1).mul(R0, 3).exit_()

    assert prog.insns()[0].encode("little").hex(" ") == "85 10 00 00 02 00 00 00"
    assert prog.offset("triple") == 3


def test_a_callback_is_addressed_from_the_slot_after_its_first() -> None:
    """The kernel adds the immediate and one to the slot of the first half, forwards or backwards."""
    prog = Program()
    prog.label("before").exit_()
    prog.ld_func(R2, "after").ld_func(R2, "before").exit_()
    prog.label("after").exit_()

    assert [insn.imm for insn in prog.insns()[1:3]] == [4, 0xFFFF_FFFC]
    assert prog.insns()[1].encode("little").hex(" ") == "18 42 00 00 04 00 00 00 00 00 00 00 00 00 00 00"


def test_length_counts_slots() -> None:
    """insn_cnt counts a wide instruction twice."""
    prog = Program().ld_map_fd(R1, 3).exit_()

    assert len(prog) == 3
    assert [Insn(0x18, 1, BPF_PSEUDO_MAP_FD, 0, 3), Insn(0x95)] == prog.insns()


def test_a_label_set_twice_is_refused() -> None:
    """A label names one place."""
    with pytest.raises(ValueError, match="label 'a' is set twice"):
        Program().label("a").label("a")


def test_a_missing_label_is_refused() -> None:
    """The message names the label."""
    with pytest.raises(ValueError, match="label 'nowhere' is not set"):
        Program().jmp("nowhere").assemble()


def test_a_label_out_of_reach_is_refused() -> None:
    """A 16-bit jump never wraps around silently."""
    prog = Program().jmp("far")
    for _ in range(0x8000):
        prog.exit_()
    prog.label("far").exit_()

    with pytest.raises(ValueError, match="label 'far' is 32768 slots away"):
        prog.assemble()


@pytest.mark.parametrize(
    "append",
    [lambda p: p.alu("add", R1, 1, width=16), lambda p: p.jump("jeq", R1, 1, "x", width=16)],
)
def test_a_width_that_does_not_exist_is_refused(append: Callable[[Program], object]) -> None:
    """Arithmetic and comparisons are 32 or 64 bits wide."""
    with pytest.raises(ValueError, match="32 or 64 bits wide, not 16"):
        append(Program())


@pytest.mark.parametrize("size", [1, 2])
def test_an_atomic_operation_that_no_kernel_takes_is_refused(size: int) -> None:
    """Only loads and stores with an order are that small."""
    with pytest.raises(ValueError, match=f"4 or 8 bytes wide, not {size}"):
        Program().atomic_add(size, R1, 0, R2)
    Program().load_acquire(size, R1, R2).store_release(size, R1, 0, R2)
