"""Control flow, beside a walk over single instructions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bpfctl.asm.build import Program
from bpfctl.asm.cfg import Block, Edge, functions
from bpfctl.asm.insn import R0, R1, R2, Insn


def diamond() -> Program:
    """Make a condition with two ways that meet again, of which one has a wide instruction."""
    prog = Program().jump("jeq", R1, 0, "other").ld_imm64(R0, 5).jmp("out")
    return prog.label("other").mov(R0, 1).label("out").exit_()


def test_blocks_and_edges() -> None:
    """A block ends behind a jump and before a target; the one that is not taken comes first."""
    (main,) = functions(diamond().insns())

    assert main.blocks == (Block(0, 1), Block(1, 4), Block(4, 5), Block(5, 6))
    assert main.edges == (Edge(0, 1), Edge(0, 2), Edge(1, 3), Edge(2, 3), Edge(3, None))


def test_no_instructions() -> None:
    """Nothing starts there, whatever is known to start somewhere."""
    assert functions([], [0, 5]) == []


def test_an_exit_in_the_middle() -> None:
    """What stands behind it does not follow it."""
    prog = Program().jump("jeq", R1, 0, "other").exit_().label("other").mov(R0, 1).exit_()
    (main,) = functions(prog.insns())

    assert main.edges == (Edge(0, 1), Edge(0, 2), Edge(1, None), Edge(2, None))


def test_long_and_hopeful_jumps() -> None:
    """The distance of gotol is its immediate; may_goto may or may not; gotox goes where a register says."""
    prog = Program().label("top").may_goto("end").jmp_long("top").label("end").jump_to(R2).exit_()
    (main,) = functions(prog.insns())

    assert [block.start for block in main.blocks] == [0, 1, 2, 3]
    assert main.edges == (Edge(0, 1), Edge(0, 2), Edge(1, 0), Edge(3, None))


def test_subprograms() -> None:
    """They are numbered as they are called, callbacks too, and stand by address."""
    prog = Program().call_sub("late").call_sub("early").ld_func(R2, "callback").exit_()
    prog.label("early").exit_().label("late").exit_().label("callback").mov(R0, 0).exit_().mov(R0, 0).exit_()
    found = functions(prog.insns(), [9])

    assert [(function.number, function.start, function.end) for function in found] == [
        (0, 0, 5),
        (2, 5, 6),
        (1, 6, 7),
        (3, 7, 9),
        (4, 9, 11),
    ]


def test_a_callback_that_stands_before() -> None:
    """Its address is told by a negative distance."""
    prog = Program().exit_().label("odd").mov(R0, 0).label("even").exit_()
    prog.ld_func(R2, "odd").ld_func(R2, "even").exit_()

    assert [function.start for function in functions(prog.insns())] == [0, 1, 2]


def test_a_call_is_no_jump() -> None:
    """Its offset is where a module stands in fd_array."""
    prog = Program().call_kfunc(99, 1).label("top").jump("jeq", R1, 0, "top").exit_()
    (main,) = functions(prog.insns())

    assert main.edges == (Edge(0, 1), Edge(1, 2), Edge(1, 1), Edge(2, None))


def test_calls_of_a_loaded_program() -> None:
    """The kernel leaves the distance in the offset, and puts the number of the subprogram into the immediate."""
    insns = [Insn(0x85, src=1, off=1, imm=1), Insn(0x95), Insn(0x95)]

    assert [function.start for function in functions(insns)] == [0, 2]


JUMPS = [0x05, 0x06, 0x15, 0x1D, 0x16, 0x95, 0xE5, 0x0D, 0x85, 0xB7, 0xBF, 0x18]
INSNS = st.builds(
    Insn, st.sampled_from(JUMPS), st.integers(0, 10), st.integers(0, 4), st.integers(-9, 9), st.integers(0, 9)
)


@given(st.lists(INSNS, min_size=1, max_size=30))
def test_any_program(insns: list[Insn]) -> None:
    """Blocks cover everything once; edges are what single steps between blocks are."""
    found = functions(insns)
    total = sum(insn.slots for insn in insns)
    assert [slot for function in found for block in function.blocks for slot in range(*block)] == list(range(total))

    places, at = {}, 0
    for insn in insns:
        places[at] = insn
        at += insn.slots
    for function in found:
        owner = {slot: index for index, block in enumerate(function.blocks) for slot in range(*block)}
        steps: set[tuple[int, int | None]] = set()
        for slot in (slot for slot in places if slot in owner):
            insn = places[slot]
            leaves = {place for place in following(slot, insn) if place is None or place in places}
            here = {place if place in owner else None for place in leaves if place is None or place in owner}
            # Running on over the function's end is to leave it, jumping there is not.
            if slot + insn.slots == function.end and falls(insn):
                here.add(None)
            for place in here:
                if place is None:
                    steps.add((owner[slot], None))
                elif owner[place] != owner[slot] or place <= slot:
                    steps.add((owner[slot], owner[place]))
                    assert function.blocks[owner[place]].start == place
        assert {tuple(edge) for edge in function.edges} == steps


def falls(insn: Insn) -> bool:
    """Return whether the next instruction may follow."""
    return insn.opcode not in {0x05, 0x06, 0x0D, 0x95}


def following(slot: int, insn: Insn) -> set[int | None]:
    """Return what may run after an instruction; None for nothing."""
    if insn.opcode == 0x95:
        return {None}
    found: set[int | None] = {slot + insn.slots} if falls(insn) else set()
    if insn.opcode in {0x05, 0x15, 0x1D, 0x16, 0xE5}:
        found.add(slot + 1 + insn.off)
    if insn.opcode == 0x06:
        found.add(slot + 1 + insn.imm)
    return found
