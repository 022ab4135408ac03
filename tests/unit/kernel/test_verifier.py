"""Verifier logs as kernels have written them, and texts that none would write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.asm.insn import Insn, encode_all
from bpfctl.kernel import verifier
from bpfctl.kernel.verifier import read
from bpfctl.kernel.verifier_words import sentence

if TYPE_CHECKING:
    from random import Random

FIGURES = "processed 9 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0\n"

# Linux 5.10: states on lines of their own, source without its place.
OLD = f"""\
; int value = lookup();
0: (62) *(u32 *)(r10 -4) = 1
5: (85) call bpf_map_lookup_elem#1
; if (!value)
6: (55) if r0 != 0x0 goto pc+2

from 6 to 9: R0=map_value(id=0,off=0,ks=4,vs=8,imm=0) R6_w=inv(id=0,umax=255,var=(0x0; 0xff)) R10=fp0 fp-8=mm
; return *(value + index);
9: (0f) r6 += r0
last_idx 9 first_idx 9
regs=40 stack=0 before 6: (55) if r0 != 0x0 goto pc+2
 R0=map_value(id=0,off=0,ks=4,vs=8,imm=0) R6_w=map_value(id=0,off=0,ks=4,vs=8,umax=255,var=(0x0; 0xff)) R10=fp0
10: (71) r1 = *(u8 *)(r6 +0)
 R0=map_value(id=0,off=0,ks=4,vs=8,imm=0) R6_w=map_value(id=0,off=0,ks=4,vs=8,umax=255,var=(0x0; 0xff)) R10=fp0
invalid access to map value, value_size=8 off=255 size=1
R6 max value is outside of the allowed memory range
{FIGURES}"""

# Linux 6.12: states behind instructions, source with its place, frames.
NEW = f"""\
func#0 @0
func#1 @7
Live regs before insn:
      0: .1........ (bf) r6 = r1
0: R1=ctx() R10=fp0
; int main(void *ctx) @ prog.c:10
0: (bf) r6 = r1                       ; R1=ctx() R6_w=ctx()
1: (85) call pc+5
caller:
 R6_w=ctx() R10=fp0
callee:
 frame1: R1=ctx() R10=fp0
; return *(int *)counter; @ src/prog.c:21
7: frame1: R1=ctx() R10=fp0
7: (b7) r1 = 0                        ; frame1: R1_w=0
mark_precise: frame1: last_idx 7 first_idx 7 subseq_idx -1
8: (61) r0 = *(u32 *)(r1 +0)
R1 invalid mem access 'scalar'
{FIGURES}"""


def test_an_old_log() -> None:
    """Registers come from the lines between instructions, with the blanks that are in them."""
    refusal = read(OLD)

    assert (refusal.slot, refusal.insn) == (10, "(71) r1 = *(u8 *)(r6 +0)")
    assert refusal.sentence == "an access of 1 byte at 255 leaves the map's value, which has 8 bytes"
    assert refusal.complaint == (
        "invalid access to map value, value_size=8 off=255 size=1",
        "R6 max value is outside of the allowed memory range",
    )
    assert (refusal.source, refusal.place) == ("return *(value + index);", "")
    assert refusal.registers == (("R6", "map_value(id=0,off=0,ks=4,vs=8,umax=255,var=(0x0; 0xff))"),)
    assert refusal.last[-1] == refusal.complaint[-1]
    assert refusal.lines == len(OLD.splitlines())


def test_a_new_log() -> None:
    """Registers are those of the function in which the program is."""
    refusal = read(NEW)

    assert (refusal.slot, refusal.insn) == (8, "(61) r0 = *(u32 *)(r1 +0)")
    assert refusal.sentence == "R1 is a number, and no pointer that can be followed"
    assert (refusal.source, refusal.place) == ("return *(int *)counter;", "src/prog.c:21")
    assert refusal.registers == (("R1", "0"),)


def test_notes() -> None:
    """What a person is shown, in this order."""
    assert list(verifier.notes(read(NEW)))[:5] == [
        "8: (61) r0 = *(u32 *)(r1 +0)",
        "source: return *(int *)counter;  (src/prog.c:21)",
        "known: R1=0",
        "the kernel's words: R1 invalid mem access 'scalar'",
        "the last of 19 lines of its log:",
    ]


def test_what_is_known_is_not_what_was_known() -> None:
    """A register that was written since, or that a call has cleared, is not shown with what it was before."""
    log = """\
0: R1=ctx() R2=5 R10=fp0
0: (bf) r6 = r1
1: (07) r2 += 1
2: (85) call bpf_get_prandom_u32#7
3: (bf) r0 = r1
R1 !read_ok
"""
    refusal = read(log)

    assert refusal.sentence == "R1 is read before anything is written to it: a call before has cleared it"
    assert refusal.registers == ()


def test_a_state_says_more_than_an_instruction() -> None:
    """At level 2 Linux 5.10 tells all registers between two instructions: those that the first one has changed, too."""
    log = """\
0: R1=ctx(id=0,off=0,imm=0) R10=fp0
0: (85) call bpf_map_lookup_elem#1
1: R0_w=map_value_or_null(id=1,off=0,ks=4,vs=8,imm=0) R10_D=fp0
1: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
"""
    assert read(log).registers == (("R0", "map_value_or_null(id=1,off=0,ks=4,vs=8,imm=0)"),)


def test_the_call_that_is_refused_has_its_arguments() -> None:
    """They are not cleared by a call that is not made."""
    refusal = read("0: R1=ctx() R2=5 R10=fp0\n0: (85) call bpf_foo#999\nR2 type=scalar expected=map_ptr\n")

    assert refusal.registers == (("R2", "5"),)
    assert refusal.sentence == "R2 is a number, where bpf_foo wants a map"


def test_a_complaint_before_anything_runs() -> None:
    """The instruction that it numbers is looked up in the program."""
    insns = encode_all([Insn(0x18, 1, imm=5), Insn(0xB7), Insn(0x95)])

    assert (read("unreachable insn 2\n", insns).slot, read("unreachable insn 2\n", insns).insn) == (2, "(b7) r0 = 0")
    assert read("unreachable insn 1\n", insns).insn == ""  # the second half of the first
    assert read("unreachable insn 2\n").slot == 2
    assert read("unknown opcode 95\n", insns).slot == 3
    assert read("unknown opcode 95\n", insns[:5]).slot is None


def test_a_jump_into_a_constant() -> None:
    """Newer kernels see the jump, older ones what it leads to."""
    insns = encode_all([Insn(0x15, 1, off=1), Insn(0x18, 1, imm=1), Insn(0x95)])
    new = read("jump into the middle of ldimm64 insn 1\n", insns)
    old = read(
        "0: (15) if r1 == 0x0 goto pc+1\n\nfrom 0 to 2: R1=ctx() R10=fp0\n2: BUG_ld_00\ninvalid BPF_LD_IMM insn\n"
    )

    assert (new.slot, new.insn) == (1, "(18) r1 = 0x1")
    assert new.sentence == "a jump leads into the middle of this instruction"
    assert (old.slot, old.insn) == (2, "BUG_ld_00")
    assert old.sentence == "a 64-bit constant lacks its other half, or a jump leads into its middle"


def test_a_log_without_its_end() -> None:
    """There is no complaint then; what is there is shown."""
    refusal = read(NEW[: NEW.index("R1 invalid")])

    assert refusal.sentence == ""
    assert refusal.slot == 8
    assert verifier.refused("can't load it", 13, "", read("")).sentence == "can't load it: Permission denied"


@pytest.mark.parametrize(
    ("complaint", "told"),
    [
        ("back-edge from insn 3 to 1", "a loop that never ends, or has no end that the kernel sees"),
        ("R2 pointer comparison prohibited", "R2 is a pointer: who has no CAP_PERFMON cannot compare those"),
        ("R0 invalid mem access 'inv'", "R0 is a number, and no pointer that can be followed"),
        ("R1 invalid mem access 'ptr_or_null_'", "R1 may be null: compare it with 0 before you use it"),
        ("R2 type=inv expected=fp", "R2 is a number, where the function wants a pointer to the stack"),
        (
            "R1 type=ptr_ expected=sock, map_ptr",
            "R1 is a pointer to a structure of the kernel, where the function wants a socket or a map",
        ),
        ("invalid stack off=-520 size=8", "an access of 8 bytes at -520 leaves the stack, which is from -512 to 0"),
        (
            "invalid stack type R1 off=-520 access_size=8",
            "an access of 8 bytes at -520 leaves the stack, which is from -512 to 0",
        ),
        ("unknown func bpf_probe_read#4", "programs of this type cannot call bpf_probe_read"),
        (
            "At program exit the register R0 has value (0x4d; 0x0) should have been in (0x0; 0x3)",
            "the result in R0 must be from 0 to 3",
        ),
        (  # a line of source of anybody's making
            "At program exit the register R0 has value (0x4d; 0x0) should have been in (0xzz; 0x3)",
            "the result in R0 must be from 0xzz to 3",
        ),
        (
            "At program exit the register R0 has unknown scalar value should have been in [1, 3]",
            "the result in R0 must be from 1 to 3",
        ),
        (
            "calling kernel function bpf_task_acquire is not allowed",
            "programs of this type cannot call bpf_task_acquire",
        ),
        (
            "Possibly NULL pointer passed to trusted arg0",
            "argument 0 may be null: compare it with 0 before you pass it",
        ),
        ("the call stack of 9 frames is too deep !", "functions call each other 9 deep, and 8 are allowed"),
        (
            "invalid read from stack R1 off -8+4 size 8",
            "8 bytes at -8 of the stack are read, where nothing has been written at -4",
        ),
        (
            "value 1073741823 makes fp pointer be out of bounds",
            "what is added to a pointer to the stack may be too large: compare it with the size of what is pointed to",
        ),
        (
            "R1 unbounded memory access, make sure to bounds check any such access",
            "R1 may point anywhere: compare the number that was added to it with the size of what is pointed to",
        ),
        (
            "R7 min value is negative, either use unsigned index or do a if (index >=0) check.",
            "R7 may be negative: compare it with 0, or use an unsigned number",
        ),
    ],
)
def test_complaints_of_other_kernels(complaint: str, told: str) -> None:
    """The same thing is told in the same way."""
    assert sentence([complaint]) == told


def test_a_complaint_that_we_do_not_know() -> None:
    """The kernel's words are the best there are, and are not said twice."""
    refusal = read("0: (95) exit\nthe moon is too bright\n")

    assert refusal.sentence == "the moon is too bright"
    assert not any("kernel's words" in note for note in verifier.notes(refusal))


def sound(log: str, insns: bytes = b"") -> None:
    """Check what holds for any text."""
    refusal = read(log, insns)
    notes = list(verifier.notes(refusal))
    assert len(refusal.last) <= 8
    assert all("\n" not in note for note in notes)
    assert all(len(line) <= 160 for line in refusal.last)
    assert verifier.refused("tried", 22, log, refusal).sentence.startswith("tried: ")


@given(st.text(max_size=500), st.binary(max_size=40))
def test_any_text(log: str, insns: bytes) -> None:
    """Something is made of it."""
    sound(log, insns)


PIECES = st.sampled_from(
    [
        *OLD.splitlines(keepends=True),
        *NEW.splitlines(keepends=True),
        *("R", "0: (", "; ", "frame9999999: R1=", "\r", "\0", " @ :1", "\n", "12: R99=", "R1=(((\n"),
        *("unreachable insn 99999999999\n", "unknown opcode zz\n", "invalid shift -\n", "{sentence}\n"),
        *("R1 type=x expected=\n", "invalid access to map value, value_size=1 off=-99999999999999999999 size=1\n"),
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join), st.binary(max_size=40))
def test_any_pieces_of_logs(log: str, insns: bytes) -> None:
    """In any order."""
    sound(log, insns)


@given(st.sampled_from([OLD, NEW]), st.randoms(use_true_random=False), st.integers(1, 8))
def test_damaged_logs(log: str, rng: Random, times: int) -> None:
    """With bytes that are changed, cut out or repeated."""
    for _ in range(times):
        at, end = sorted(rng.randrange(len(log) + 1) for _ in range(2))
        what = rng.random()
        if what < 0.4:
            log = log[:at] + chr(rng.choice((0, 10, 27, 40, 41, 48, 61, 0x20AC, rng.randrange(128)))) + log[at + 1 :]
        elif what < 0.7:
            log = log[:at] + log[min(end, at + 40) :]
        else:
            log = log[:at] + log[at : at + 40] + log[at:]
    sound(log)


def test_a_log_of_one_endless_line() -> None:
    """Time goes with its length alone."""
    sound("R1=" + "(" * 200_000)
    sound("0: (95) " + " ; R1=" * 50_000)
    sound("; " + " @ " * 100_000)
    sound(" " * 300_000 + "x")
    sound("At " + " the register R0 has " * 20_000)
    sound(("; " + " @ " * 2000 + "\n") * 100)
