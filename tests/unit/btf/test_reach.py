"""Which instructions are reached: programs whose last jump goes one way, or the other, or either."""

from __future__ import annotations

from struct import pack

import pytest

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R3, R6, R10, Insn
from btf import _reach
from btf.errors import BTFError
from tests.build.bpf_object import PROGBITS, SYMTAB, elf

REL = 9
ON, TAKEN, EITHER = "on", "taken", "either"
MEMORY = {0x1000: bytes(range(0x81, 0x91))}


def way(prog, op, dst, src, *, width=64, order="little", **known):
    """Return which way a last jump of a program goes."""
    at = len(prog)
    prog.jump(op, dst, src, "taken", width=width).exit_().label("taken").exit_()
    code = _reach.read(elf([("xdp", PROGBITS, 6, prog.assemble(order), 0, 0, 0)], order), ["xdp"], {})
    reached = code.reached(known.pop("values", {}), **known)
    assert ("xdp", at) in reached
    return {(True, False): ON, (False, True): TAKEN, (True, True): EITHER}[
        ("xdp", at + 1) in reached, ("xdp", at + 2) in reached
    ]


@pytest.mark.parametrize("by", ["immediate", "register"])
@pytest.mark.parametrize(
    ("op", "width", "one", "other", "result"),
    [
        ("mov", 64, 1, -5, -5),
        ("add", 64, 5, 7, 12),
        ("sub", 64, 5, 7, -2),
        ("mul", 64, -3, 4, -12),
        ("or", 64, 5, 2, 7),
        ("and", 64, 7, 20, 4),
        ("xor", 64, 6, 3, 5),
        ("lsh", 64, 3, 2, 12),
        ("lsh", 64, 3, 65, 6),
        ("rsh", 64, -1, 60, 15),
        ("arsh", 64, -8, 1, -4),
        ("arsh", 64, 8, 1, 4),
        ("mov", 32, 1, 5, 5),
        ("add", 32, -1, 1, 0),
        ("sub", 32, 1, 1, 0),
        ("lsh", 32, 3, 33, 6),
        ("rsh", 32, -1, 28, 15),
    ],
)
def test_arithmetic(op, width, one, other, result, *, by):
    """What is computed is known, in all 64 bits."""

    def computed():
        prog = Program().mov(R1, one).mov(R2, other)
        return prog.alu(op, R1, R2 if by == "register" else other, width=width)

    assert way(computed(), "jeq", R1, result) == TAKEN
    assert way(computed(), "jeq", R1, result + 1) == ON


def test_signs_of_32_bits():
    """They are those of the lower half, and the upper one is empty."""
    prog = Program().mov(R1, -8).alu("arsh", R1, 1, width=32).ld_imm64(R2, 0xFFFF_FFFC)

    assert way(prog, "jeq", R1, R2) == TAKEN


@pytest.mark.parametrize("op", ["div", "mod", "neg", "sdiv", "movsx8"])
def test_arithmetic_that_is_not_followed(op):
    prog = Program().mov(R1, 4).mov(R2, 4)
    prog.alu(op, R1, 0 if op == "neg" else R2)

    assert way(prog, "jeq", R1, 1) == EITHER


@pytest.mark.parametrize("by", ["immediate", "register"])
@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize(
    ("op", "one", "other", "goes"),
    [
        ("jeq", 5, 5, TAKEN),
        ("jeq", 5, 6, ON),
        ("jne", 5, 6, TAKEN),
        ("jne", 5, 5, ON),
        ("jset", 6, 2, TAKEN),
        ("jset", 6, 1, ON),
        ("jgt", -1, 1, TAKEN),
        ("jgt", 5, 5, ON),
        ("jge", 5, 5, TAKEN),
        ("jge", 1, -1, ON),
        ("jlt", 1, -1, TAKEN),
        ("jlt", 5, 5, ON),
        ("jle", 5, 5, TAKEN),
        ("jle", -1, 1, ON),
        ("jsgt", 1, -1, TAKEN),
        ("jsgt", 1, 1, ON),
        ("jsge", 1, 1, TAKEN),
        ("jsge", -1, 1, ON),
        ("jslt", -1, 1, TAKEN),
        ("jslt", 1, 1, ON),
        ("jsle", 1, 1, TAKEN),
        ("jsle", 1, -1, ON),
    ],
)
def test_comparisons(op, one, other, goes, *, width, by):
    """A jump between constants goes one way."""
    prog = Program().mov(R1, one).mov(R2, other)

    assert way(prog, op, R1, R2 if by == "register" else other, width=width) == goes


def test_halves_of_64_bits():
    """A comparison of 32 bits sees the lower one, a constant has both."""
    assert way(Program().ld_imm64(R1, 7 << 32 | 9), "jeq", R1, 9, width=32) == TAKEN
    assert way(Program().ld_imm64(R1, 7 << 32 | 9), "jeq", R1, 9) == ON
    assert way(Program().ld_imm64(R1, 7 << 32 | 9).rsh(R1, 32), "jeq", R1, 7) == TAKEN
    assert way(Program().ld_imm64(R1, 1 << 31), "jeq", R1, 0, width=32) == ON


@pytest.mark.parametrize(
    ("prog", "why"),
    [
        (Program(), "what a program is called with"),
        (Program().ld_map_fd(R1, 1), "an address"),
        (Program().mov(R1, R10), "the stack"),
        (Program().mov(R1, 1).call(7), "what a helper leaves behind"),
        (Program().mov(R1, 1).atomic("fetch_add", 8, R10, -8, R1), "what was in memory"),
        (Program().mov(R1, 1).ldx(8, R1, R10, -8), "what is in memory"),
        (Program().mov(R1, 1).ldx_signed(4, R1, R10, -8), "what is in memory, with a sign"),
    ],
)
def test_what_is_not_known(prog, why):
    """Then a jump may go either way."""
    assert way(prog, "jeq", R1, 1) == EITHER, why


def test_what_is_in_packets_and_before_an_exchange_is_not_known():
    """Both come in register 0."""
    assert way(Program().mov(R0, 1).ld_abs(4, 0), "jeq", R0, 1) == EITHER
    assert way(Program().mov(R0, 1).atomic("cmpxchg", 8, R10, -8, R3), "jeq", R0, 1) == EITHER


def test_what_stays():
    """Helpers leave registers from 6 on, and stores all of them."""
    prog = Program().mov(R6, 1).call(7)
    assert way(prog, "jeq", R6, 1) == TAKEN

    prog = Program().mov(R1, 1).mov(R0, 1).stx(8, R10, -8, R1).st(8, R10, -8, 2).atomic_add(8, R10, -8, R1)
    assert way(prog.and_(R1, R0), "jeq", R1, 1) == TAKEN


def test_ways_that_meet():
    """A constant is one if it is the same on each of them."""

    def met(one, other):
        prog = Program().jump("jeq", R2, 0, "other").mov(R1, one).jmp("on")
        return prog.label("other").mov(R1, other).jmp_long("on").exit_().label("on")

    assert way(met(1, 1), "jeq", R1, 1) == TAKEN
    assert way(met(1, 2), "jeq", R1, 1) == EITHER


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_memory_that_never_changes(size, order):
    """Is read as far as it reaches."""
    value = int.from_bytes(MEMORY[0x1000][16 - size :], order)

    def loaded(off):
        return Program().ld_imm64(R1, 0x1004).ldx(size, R1, R1, off).ld_imm64(R2, value)

    assert way(loaded(12 - size), "jeq", R1, R2, order=order, memory=MEMORY) == TAKEN
    assert way(loaded(-4), "jeq", R1, R2, order=order, memory=MEMORY) == ON
    assert way(loaded(13 - size), "jeq", R1, R2, order=order, memory=MEMORY) == EITHER
    assert way(loaded(-5), "jeq", R1, R2, order=order, memory=MEMORY) == EITHER
    elsewhere = Program().ldx(size, R1, R10, -8).ld_imm64(R2, value)
    assert way(elsewhere, "jeq", R1, R2, order=order, memory=MEMORY) == EITHER


def test_values_from_elsewhere():
    """They stand for those of the instructions, and of what is unknown there is none."""
    first = ("xdp", 0)
    assert way(Program().mov(R1, 0), "jeq", R1, 1, values={first: 1}) == TAKEN
    assert way(Program().mov(R1, 1), "jeq", R1, 1, unknown=[first]) == EITHER
    assert way(Program().ld_imm64(R1, 0), "jgt", R1, 1, values={first: -1}) == TAKEN
    assert way(Program().ld_imm64(R1, 1), "jeq", R1, 1, unknown=[first]) == EITHER


@pytest.mark.parametrize(
    ("code", "reached"),
    [
        ("b7000000 00000000", {0}),
        ("18000000 00000000", {0}),
        ("0500faff 00000000", {0}),
        ("05000100 00000000 b7000000 00000000", {0}),
        ("070b0000 01000000 95000000 00000000", {0, 1}),  # r11 += 1
        ("0fb10000 00000000 95000000 00000000", {0, 1}),  # r1 += r11
        ("b70b0000 01000000 79b10000 00000000 95000000 00000000", {0, 1, 2}),  # r1 = *(u64 *)r11
        ("1d0b0000 00000000 95000000 00000000", {0, 1}),  # if r11 == r0 goto +0
        ("1db00000 00000000 95000000 00000000", {0, 1}),  # if r0 == r11 goto +0
    ],
)
def test_what_no_kernel_takes(code, reached):
    """What runs over an end is left, and registers that do not exist hold nothing known."""
    found = _reach.read(elf([("xdp", PROGBITS, 6, bytes.fromhex(code), 0, 0, 0)]), ["xdp"], {}).reached({})

    assert {at for _, at in found} == reached


def test_functions_of_a_section():
    """One runs when it is called, or when nothing in the object refers to it."""
    prog = Program().call_sub("called").exit_().label("called").jump("jeq", R1, 1, "end").label("end").exit_()
    prog.label("alone").exit_().exit_()
    data = elf([(".text", PROGBITS, 6, prog.assemble("little"), 0, 0, 0)])
    code = _reach.read(data, [], {".text": [0, 16, 32]})

    assert code.entries == ((".text", 0), (".text", 4))
    assert [at for _, at in sorted(code.reached({}))] == [0, 1, 2, 3, 4]


def linked(prog, relocated, order="little", *, info=1):
    """Return the code of a program whose instructions refer to symbols: of a section, and of a function in it.

    Both tables end in half an entry.
    """
    sign = "<" if order == "little" else ">"
    text = Program()
    for _ in range(12):
        text.mov(R0, 0).exit_()
    symbols = [(0, 0, 0, 0, 0, 0), (0, 3, 0, 2, 0, 0), (0, 0x12, 0, 2, 128, 16), (0, 0x11, 0, 6, 0, 8)]
    sections = [
        ("xdp", PROGBITS, 6, prog.assemble(order), 0, 0, 0),
        (".text", PROGBITS, 6, text.assemble(order), 0, 0, 0),
        (".symtab", SYMTAB, 0, b"".join(pack(f"{sign}IBBHQQ", *row) for row in symbols) + bytes(5), 0, 1, 24),
    ]
    rows = b"".join(pack(f"{sign}QQ", 8 * at, of << 32 | 10) for at, of in relocated)
    sections.append((".relxdp", REL, 0, rows + bytes(7), 3, info, 16))
    return _reach.read(elf(sections, order), ["xdp"], {".text": [*range(0, 192, 16)], "xdp": [0]})


@pytest.mark.parametrize("order", ["little", "big"])
def test_calls_that_a_linker_finishes(order):
    """They lead where the symbol is, and from the start of a section as far as the instruction says."""
    by_section = Program().raw(_call(1)).exit_()
    by_function = Program().raw(_call(-1)).exit_()

    assert linked(by_section, [(0, 1)], order).calls == {("xdp", 0): (".text", 2)}
    assert linked(by_function, [(0, 2)], order).calls == {("xdp", 0): (".text", 16)}
    assert {(".text", 16), (".text", 17)} <= linked(by_function, [(0, 2)], order).reached({})


def test_a_call_far_into_a_program():
    prog = Program()
    for _ in range(9):
        prog.mov(R0, 0)

    assert linked(prog.raw(_call(1)).exit_(), [(9, 1)]).calls == {("xdp", 9): (".text", 2)}


def test_callbacks_that_a_linker_finishes():
    """The instruction says in bytes how far they are."""
    prog = Program().ld_imm64(R1, 144).ld_imm64(R2, 0).ld_imm64(R3, 0).exit_()
    code = linked(prog, [(0, 1), (2, 2), (4, 3)])

    assert code.calls == {("xdp", 0): (".text", 18), ("xdp", 2): (".text", 16)}
    assert code.addresses == {("xdp", 0), ("xdp", 2), ("xdp", 4)}


def test_what_a_linker_does_not_find_is_called_by_nobody():
    assert linked(Program().raw(_call(1)).exit_(), [(0, 3)]).calls == {}


def test_relocations_of_a_section_that_is_not_there():
    """They are nobody's."""
    assert linked(Program().raw(_call(0)).exit_(), [(0, 1)], info=6).calls == {("xdp", 0): ("xdp", 1)}


@pytest.mark.parametrize("order", ["little", "big"])
def test_jump_tables(order):
    """What only they lead to is reached, with nothing known of what was computed before; half an entry is none."""
    prog = Program().mov(R1, 1).raw(Insn(0x0D, 0, 0, 0, 0)).exit_()
    prog.jump("jeq", R1, 1, "taken").exit_().label("taken").exit_().exit_()
    table = pack(f"{'<' if order == 'little' else '>'}3Q", 24, 8 * 7, 1 << 63) + bytes(4)
    sections = [("xdp", PROGBITS, 6, prog.assemble(order), 0, 0, 0), (".jumptables", PROGBITS, 0, table, 0, 0, 0)]
    code = _reach.read(elf(sections, order), ["xdp"], {})

    assert {at for _, at in code.reached({})} == {0, 1, 3, 4, 5}


@pytest.mark.parametrize("row", [(2, 1), (0, 4)])
def test_relocations_out_of_range(row):
    with pytest.raises(BTFError, match="a relocation of section xdp is out of range"):
        linked(Program().raw(_call(1)).exit_(), [row])


def test_half_an_instruction():
    with pytest.raises(BTFError, match="12 bytes of code"):
        _reach.read(elf([("xdp", PROGBITS, 6, bytes(12), 0, 0, 0)]), ["xdp"], {})


def _call(imm):
    return Program().label("x").call_sub("x").insns()[0]._replace(imm=imm)
