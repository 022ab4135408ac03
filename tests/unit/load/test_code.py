"""Programs joined into what the kernel takes, without a kernel: calls, maps, symbols, and what is told of functions."""

from __future__ import annotations

from struct import iter_unpack

import pytest

from bpfctl.asm.insn import (
    BPF_CALL,
    BPF_JMP,
    BPF_PSEUDO_BTF_ID,
    BPF_PSEUDO_CALL,
    BPF_PSEUDO_FUNC,
    BPF_PSEUDO_KFUNC_CALL,
    BPF_PSEUDO_MAP_FD,
    BPF_PSEUDO_MAP_VALUE,
    Insn,
)
from bpfctl.elf.read import read
from bpfctl.errors import ObjectError
from bpfctl.load.code import Linker
from bpfctl.load.core import POISON
from bpfctl.load.externs import Externs, Supply
from tests.build.compiled import compiled, source

CALL = BPF_JMP | BPF_CALL
NOTHING = Externs({}, b"", {})


def linked(spec, name="classify", maps=None, externs=NOTHING):
    code = {section: list(one.insns) for section, one in spec.code.items()}
    (main,) = [program.function for program in spec.programs if program.name == name]
    return Linker(spec, code, maps or {}, externs, lambda module: {"nf_nat": 70}[module]).link(main)


def by_slot(insns):
    found, slot = {}, 0
    for insn in Insn.decode_all(insns):
        found[slot] = insn
        slot += insn.slots
    return found


@pytest.mark.parametrize(
    ("program", "names"), [("classify", ["classify", "each", "quadrupled", "doubled"]), ("pass", ["pass", "doubled"])]
)
def test_calls_lead_to_functions(program, names):
    """A call, and a reference to a function, are the distance to where the kernel is told that a function begins."""
    spec = read(compiled("load_functions"))
    joined = linked(spec, program)
    code, starts = by_slot(joined.insns), dict(iter_unpack("=II", joined.func_info))
    targets = {
        slot + 1 + (insn.imm if insn.opcode == CALL else (insn.imm & 0xFFFF_FFFF ^ 1 << 31) - (1 << 31))
        for slot, insn in code.items()
        if (insn.opcode, insn.src) == (CALL, BPF_PSEUDO_CALL) or (insn.wide and insn.src == BPF_PSEUDO_FUNC)
    }

    assert sorted(spec.btf.name(type_id) for type_id in starts.values()) == sorted(names)
    assert targets == starts.keys() - {0}


def test_lines_follow_their_functions():
    spec = read(compiled("load_functions"))
    joined = linked(spec)
    lines = [(slot, spec.btf.string(text).strip()) for slot, _, text, _ in iter_unpack("=IIII", joined.line_info)]
    starts = [slot for slot, _ in iter_unpack("=II", joined.func_info)]

    assert [slot for slot, _ in lines] == sorted({slot for slot, _ in lines})
    assert set(starts) <= {slot for slot, _ in lines}
    assert ("return number * 2;" in [text for slot, text in lines if slot >= starts[-1]]) == (len(starts) == 4)


def test_what_is_not_told_of_all_is_told_of_none():
    """The kernel wants to be told of each function, or of none."""
    joined = linked(read(source('#include "bpf.h"\nSEC("tc") int classify(void *c) { return 0; }', "-g0")))

    assert (joined.func_info, joined.line_info) == (b"", b"")


def test_variables_and_maps():
    """A map is its descriptor; a variable also its offset in the upper half."""
    spec, maps = read(compiled("load_data")), {".data": 5, ".bss": 6, ".rodata": 7, ".data.more": 8}
    wide = [insn for insn in by_slot(linked(spec, maps=maps).insns).values() if insn.wide]
    places = {(maps[".rodata"], spec.places[".rodata", name]) for name in ("limit", "word")}

    assert {insn.src for insn in wide} == {BPF_PSEUDO_MAP_VALUE}
    assert {(insn.imm & 0xFFFF_FFFF, insn.imm >> 32) for insn in wide} > places
    assert len(places) == 2
    of_map = by_slot(linked(read(compiled("map_buffers")), maps={"ring": 9, "from_user": 10, "events": 11}).insns)
    assert [(insn.src, insn.imm) for insn in of_map.values() if insn.wide] == [(BPF_PSEUDO_MAP_FD, 9)]


def test_a_map_that_nobody_made():
    insns = by_slot(linked(read(compiled("map_buffers"))).insns)

    assert [insn for insn in insns.values() if insn == POISON] == [POISON] * 2


def test_what_the_kernel_supplies():
    """A function of a module has its number in the list of those; one that is missing must not be called."""
    spec = read(compiled("load_kfuncs"))
    supplies = {
        "bpf_rcu_read_lock": Supply(100),
        "bpf_rcu_read_unlock": Supply(101, "nf_nat"),
        "bpf_no_such_kfunc": Supply(),
        "bpf_no_such_variable": Supply(300, "nf_nat"),
    }
    joined = linked(spec, externs=Externs({}, b"", supplies))
    insns = list(by_slot(joined.insns).values())

    assert joined.modules == ("nf_nat",)
    calls = [(insn.imm, insn.off) for insn in insns if insn.opcode == CALL and insn.src == BPF_PSEUDO_KFUNC_CALL]
    assert calls == [(100, 0), (101, 1)]
    assert POISON in insns
    symbols = [insn for insn in insns if insn.wide]
    assert {(insn.src, insn.imm) for insn in symbols} == {(0, 0), (BPF_PSEUDO_BTF_ID, 70 << 32 | 300)}


def test_settings_lie_in_a_map():
    spec = read(compiled("kconfig"))
    names = [one.name for one in spec.externs]
    externs = Externs({name: 8 * at for at, name in enumerate(names)}, bytes(8 * len(names)), {})
    wide = [insn for insn in by_slot(linked(spec, maps={".kconfig": 3}, externs=externs).insns).values() if insn.wide]

    assert {(insn.src, insn.imm & 0xFFFF_FFFF) for insn in wide} == {(BPF_PSEUDO_MAP_VALUE, 3)}
    assert {insn.imm >> 32 for insn in wide} <= set(externs.places.values())


def test_a_call_to_nowhere():
    spec = read(compiled("load_functions"))
    with pytest.raises(ObjectError, match="leads to no function"):
        linked(spec._replace(functions=spec.functions[:1]))
