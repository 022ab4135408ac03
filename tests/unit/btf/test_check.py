"""Whether an object fits a kernel, relocation by relocation."""

from __future__ import annotations

import pytest

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2
from btf import relo_kind, types
from btf.check import ABSENT, FAILED, GUARDED, RESOLVED, Known, Object, Target, misfit
from btf.errors import BTFError
from btf.read import BTF
from btf.write import Builder
from tests.build.bpf_object import PROGBITS, elf, ext

EXISTS, OFFSET = relo_kind.FIELD_EXISTS, relo_kind.FIELD_BYTE_OFFSET


def kernel(*members, size=4):
    """One that has a struct s with these members."""
    builder = Builder()
    number = builder.add_int("int" if size == 4 else "long", size)
    builder.add_struct("s", 16, [(name, number, 64 * at) for at, name in enumerate(members)])
    return Target(BTF.from_bytes(builder.build()))


def made(prog, *asked, lines=(), functions=(), encoding=0):
    """An object whose instructions ask for something of s.x: (number of the instruction, kind)."""
    builder = Builder()
    record = builder.add_struct("s", 4, [("x", builder.add_int("int", 4, encoding=encoding), 0)])
    relos = {"xdp": [(8 * at, record, "0:0", kind) for at, kind in asked]}
    rows = {"xdp": [(8 * at, file, "", line << 10) for at, file, line in lines]} if lines else None
    starts = {"xdp": [(8 * at, 0) for at in functions]} if functions else None
    extension = ext(builder, relos, func_infos=starts, line_infos=rows)
    sections = [("xdp", prog.assemble("little")), (".BTF", builder.build()), (".BTF.ext", extension)]
    return Object(elf([(name, PROGBITS, 6, data, 0, 0, 0) for name, data in sections]))


def guarded():
    """Make a program that asks whether s.x exists, before it uses it."""
    prog = Program().mov(R1, 1).jump("jeq", R1, 0, "without").mov(R2, 0).label("without").mov(R0, 0).exit_()
    return made(prog, (0, EXISTS), (2, OFFSET))


def statuses(verdicts):
    return [verdict.status for verdict in verdicts]


def test_what_is_there():
    verdicts = guarded().check(kernel("x"))

    assert [RESOLVED, RESOLVED] == statuses(verdicts)
    assert [0, 2] == [verdict.insn for verdict in verdicts]
    assert [("xdp", "", "")] * 2 == [(*verdict[:2], verdict.reason) for verdict in verdicts]


def test_what_a_program_has_asked_for():
    """It does no harm that it comes to nothing where nobody gets."""
    verdicts, reached = guarded().run(kernel("y"))

    assert [ABSENT, GUARDED] == statuses(verdicts)
    assert all("x" in verdict.reason for verdict in verdicts)
    assert {("xdp", at) for at in (0, 1, 3, 4)} == reached


def test_what_a_program_has_not_asked_for():
    (verdict,) = made(Program().mov(R2, 0).exit_(), (0, OFFSET)).check(kernel("y"))

    assert verdict.status == FAILED


@pytest.mark.parametrize("before", [0, 9])
def test_what_comes_to_nothing_is_not_known(before):
    """However far into a program."""
    prog = Program()
    for _ in range(before):
        prog.mov(R0, 0)
    prog.mov(R2, 0).jump("jeq", R2, 0, "end").mov(R0, 1).label("end").exit_()
    verdicts, reached = made(prog, (before, OFFSET)).run(kernel("y"))

    assert [FAILED] == statuses(verdicts)
    assert before == verdicts[0].insn
    assert len(reached) == before + 4


@pytest.mark.parametrize("before", [1, 9])
def test_answers_decide_what_is_reached(before):
    """However far into a program."""
    prog = Program()
    for _ in range(before):
        prog.mov(R0, 0)
    prog.mov(R1, 1).jump("jeq", R1, 0, "without").mov(R2, 0).label("without").exit_()
    verdicts, reached = made(prog, (before, EXISTS), (before + 2, OFFSET)).run(kernel("y"))

    assert [ABSENT, GUARDED] == statuses(verdicts)
    assert ("xdp", before + 2) not in reached


def test_functions_that_are_programs():
    """Each one starts by itself."""
    prog = Program().mov(R0, 0).exit_().mov(R2, 0).exit_()

    assert [FAILED] == statuses(made(prog, (2, OFFSET), functions=(0, 2)).check(kernel("y")))
    assert [GUARDED] == statuses(made(prog, (2, OFFSET)).check(kernel("y")))


def test_a_relocation_behind_the_end():
    """Nobody gets there."""
    assert [GUARDED] == statuses(made(Program().mov(R0, 0).exit_(), (2, OFFSET)).check(kernel("y")))


def test_what_cannot_be_asked_for():
    """No loader goes on, whether anybody gets there or not."""
    prog = Program().mov(R0, 0).exit_().mov(R2, 0).exit_()
    builder = Builder()
    for size in (4, 8):
        number = builder.add_int("int", 4)
        builder.add_struct("s", 16, [("x", number, 8 * size)])
    target = Target(BTF.from_bytes(builder.build()))

    assert [FAILED] == statuses(made(prog, (2, OFFSET)).check(target))


def test_what_is_known_from_elsewhere():
    """Settings of a loader, or memory that it has filled in, decide what is reached."""
    prog = Program().ld_imm64(R1, 0).jump("jeq", R1, 0, "without").mov(R2, 0).label("without").exit_()
    of = made(prog, (3, OFFSET))

    assert [GUARDED] == statuses(of.check(kernel("y")))
    assert [FAILED] == statuses(of.check(kernel("y"), Known({("xdp", 0): 1})))

    prog = Program().ld_imm64(R1, 64).ldx(1, R1, R1).jump("jeq", R1, 0, "without").mov(R2, 0).label("without").exit_()
    of = made(prog, (4, OFFSET))

    assert [FAILED] == statuses(of.check(kernel("y")))
    assert [GUARDED] == statuses(of.check(kernel("y"), Known(memory={64: b"\0"})))


@pytest.mark.parametrize("before", [0, 9])
@pytest.mark.parametrize(
    ("insn", "encoding", "status"),
    [
        (lambda p: p.ldx(4, R2, R1), 0, RESOLVED),
        (lambda p: p.ldx(4, R2, R1), types.SIGNED, FAILED),
        (lambda p: p.stx(4, R1, 0, R2), types.SIGNED, FAILED),
        (lambda p: p.mov(R2, 0), types.SIGNED, RESOLVED),
    ],
)
def test_members_of_another_size(insn, encoding, status, before):
    """An instruction that moves them is made to move as much, unless a sign would be lost."""
    prog = Program()
    for _ in range(before):
        prog.mov(R0, 0)
    of = made(insn(prog).exit_(), (before, OFFSET), encoding=encoding)
    (verdict,) = of.check(kernel("x", size=8))

    assert status == verdict.status
    assert verdict.reason == ("the instruction moves 4 bytes, and there are 8" if status == FAILED else "")


def test_lines():
    """An instruction is of the line that began last; before the first one there is none."""
    prog = Program().mov(R1, 0).mov(R2, 0).mov(R2, 0).exit_()
    of = made(prog, (0, OFFSET), lines=[(1, "a.c", 7), (2, "b.h", 9)])

    assert ["", "a.c:7", "b.h:9", "b.h:9"] == [of.source("xdp", 8 * at) for at in range(4)]
    assert of.source("tc", 0) == ""
    assert made(prog, (0, OFFSET), lines=[(0, 9999, 7)]).source("xdp", 0) == ""
    assert of.sections == {"xdp"}


def test_types_that_cannot_be_another():
    """An int is no struct; modifiers do not matter, and what is out of range is damaged."""
    b = Builder()
    number, record = b.add_int("int", 4), b.add_struct("s", 4, [])
    const = b.add_const(number)
    btf = BTF.from_bytes(b.build())

    assert misfit(btf, const, btf, number) == ""
    assert misfit(btf, const, btf, record) != ""
    with pytest.raises(BTFError):
        misfit(btf, const, btf, 9)
