"""What differs between the code of programs, from instructions that a kernel could tell."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, Insn, encode_all
from bpfctl.host.kallsyms import Symbols
from bpfctl.kernel.code import Code
from bpfctl.render.json import dumps
from bpfctl.render.text import safe
from bpfctl.views.code_diff import CodeDiff, Side
from btf.ext import FuncInfo
from btf.read import BTF
from tests.kernel.typeblob import SIGNED, Blob

if TYPE_CHECKING:
    from pathlib import Path

KALLSYMS = """\
ffffffff81000000 T __bpf_call_base
ffffffff81000100 T a_helper
ffffffff82000000 D a_variable
"""


@pytest.fixture(scope="module")
def symbols(tmp_path_factory: pytest.TempPathFactory) -> Symbols:
    path: Path = tmp_path_factory.mktemp("proc") / "kallsyms"
    path.write_text(KALLSYMS)
    return Symbols(str(path))


def compared(first: bytes, second: bytes, symbols: Symbols, **more: object) -> CodeDiff:
    codes = (Code(raw, 0, (), more.get("funcs", ()), ()) for raw in (first, second))  # type: ignore[arg-type]
    sides = (Side(title, code, symbols, more.get("types")) for title, code in zip("ab", codes, strict=True))  # type: ignore[arg-type]
    return CodeDiff(*sides)


def plain(diff: CodeDiff) -> list[str]:
    return "".join(diff.listing().text(safe)).splitlines()


def program(*middle: int) -> bytes:
    prog = Program().mov(R1, 1).jump("jeq", R1, 0, "out").mov(R2, 2)
    for number in middle:
        prog.mov(R0, number)
    return prog.add(R2, 1).add(R2, 2).add(R2, 3).add(R2, 4).add(R2, 5).label("out").mov(R0, 0).exit_().assemble()


def test_what_is_put_in_moves_no_jump(symbols: Symbols) -> None:
    """The jump over it goes further, and is the same; the rest of the program is not shown."""
    assert plain(compared(program(), program(7, 8), symbols)) == [
        "--- a",
        "+++ b",
        "@@ -0,6 +0,8 @@",
        "    0: (b7) r1 = 1",
        "    1: (15) if r1 == 0x0 goto pc+6",
        "    2: (b7) r2 = 2",
        "+   3: (b7) r0 = 7",
        "+   4: (b7) r0 = 8",
        "    3: (07) r2 += 1",
        "    4: (07) r2 += 2",
        "    5: (07) r2 += 3",
    ]


def test_json_is_a_list_of_hunks(symbols: Symbols) -> None:
    """With places in both programs."""
    diff = compared(program(7), program(8), symbols)
    for depth in (None, 1):
        (piece,) = diff.listing().json(depth, dumps)
        hunk = json.loads(piece)

        assert (hunk["function"], hunk["first"], hunk["second"]) == ("", 0, 0)
        assert hunk["lines"][2:6] == [
            {"change": "same", "first": 2, "second": 2, "disasm": "(b7) r2 = 2"},
            {"change": "removed", "first": 3, "disasm": "(b7) r0 = 7"},
            {"change": "added", "second": 3, "disasm": "(b7) r0 = 8"},
            {"change": "same", "first": 4, "second": 4, "disasm": "(07) r2 += 1"},
        ]


def test_changes_far_apart_are_hunks_of_their_own(symbols: Symbols) -> None:
    """Those that are near share one."""
    adds = [Insn(0x07, 1, imm=number) for number in range(20)]
    near = [*adds[:5], *adds[6:11], *adds[12:]]
    far = [*adds[:5], *adds[6:16], *adds[17:]]
    touching, apart = ([*adds[:5], *adds[6:at], *adds[at + 1 :]] for at in (12, 13))

    assert len(compared(encode_all(adds), encode_all(near), symbols).hunks) == 1
    assert len(compared(encode_all(adds), encode_all(far), symbols).hunks) == 2
    assert len(compared(encode_all(adds), encode_all(touching), symbols).hunks) == 1
    assert len(compared(encode_all(adds), encode_all(apart), symbols).hunks) == 2


def wide(number: int, src: int = 0) -> bytes:
    return Insn(0x18, 1, src, 0, number).encode() + Insn(0x95).encode()


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        (0xFFFF_8881_0000_1000, 0xFFFF_8881_0000_2000, False),  # memory of the kernel: of this load alone
        (0xFFFF_FFFF_8200_0000, 0xFFFF_FFFF_8100_0100, True),  # two symbols
        (0xFFFF_FFFF_0000_0000, 0xFFFF_FFFE_0000_0000, True),  # masks, no addresses
        (0xFFFF_FFFF_FFFF_FFFE, 0xFFFF_FFFF_FFFF_FFFF, True),
        (1 << 40, 1 << 41, True),
    ],
)
def test_addresses_are_no_difference(first: int, second: int, differ: bool, symbols: Symbols) -> None:
    """Where the kernel has put something says nothing; what it is says all."""
    assert bool(compared(wide(first), wide(second), symbols).hunks) == differ


def test_calls_by_name(symbols: Symbols) -> None:
    """The number behind a name is of this kernel alone."""
    told = plain(compared(Insn(0x85, imm=0x100).encode(), Insn(0x85, imm=0x104).encode(), symbols))

    assert told[3:] == ["-   0: (85) call a_helper", "+   0: (85) call 0xffffffff81000104"]


def test_a_function_is_known_by_its_name(symbols: Symbols) -> None:
    """Its calls are the same whatever has become of it; the hunk says where it is."""
    blob = Blob()
    number = blob.int_("int", 4, SIGNED)
    funcs = (FuncInfo(0, blob.func("main", number, [])), FuncInfo(2, blob.func("sub", number, [])))
    types = BTF.from_bytes(blob.raw())
    first, second = ([Insn(0x85, src=1, off=1), Insn(0x95), Insn(0xB7, imm=imm), Insn(0x95)] for imm in (1, 2))
    told = plain(compared(encode_all(first), encode_all(second), symbols, funcs=funcs, types=types))

    assert told[2:] == [
        "@@ -0,4 +0,4 @@ int sub()",
        "    0: (85) call sub",
        "    1: (95) exit",
        "-   2: (b7) r0 = 1",
        "+   2: (b7) r0 = 2",
        "    3: (95) exit",
    ]


def test_on_a_terminal(symbols: Symbols) -> None:
    """Places in both programs stand side by side, and jumps tell where they lead."""
    lines = [
        "".join(text for text, _ in line) for line in compared(program(), program(7), symbols).listing().toned(True)
    ]

    assert lines[3:] == [
        "@@ -0,6 +0,7 @@",
        "    0     0   (b7) r1 = 1",
        "    1     1   (15) if r1 == 0x0 goto pc+6  \u2192 8, 9",
        "    2     2   (b7) r2 = 2",
        "          3 + (b7) r0 = 7",
        "    3     4   (07) r2 += 1",
        "    4     5   (07) r2 += 2",
        "    5     6   (07) r2 += 3",
    ]


def test_nothing_differs(symbols: Symbols) -> None:
    """A pipe gets nothing, a person a word."""
    diff = compared(program(), program(), symbols)

    assert plain(diff) == []
    assert list(diff.listing().json(None, dumps)) == []
    assert list(diff.listing().toned(True)) == [[("the same code", "quiet")]]


INSNS = st.builds(
    Insn,
    st.sampled_from([0x05, 0x06, 0x15, 0x85, 0x95, 0xB7, 0x18]),
    st.integers(0, 2),
    st.integers(0, 4),
    st.integers(-4, 4),
    st.integers(0, 3),
)


@given(st.lists(INSNS, min_size=1, max_size=25), st.lists(INSNS, min_size=1, max_size=25))
def test_any_two_programs(symbols: Symbols, first: list[Insn], second: list[Insn]) -> None:
    """Hunks put into the first program make the second, and their heads are true."""
    diff = compared(encode_all(first), encode_all(second), symbols)
    one, other = diff._first, diff._second
    slots = {line.slot: at for at, line in enumerate(one.lines)}
    made, at = [], 0
    for hunk in diff.hunks:
        begin = slots.get(hunk.first, len(one.lines))
        made += one.texts[at:begin]
        removed = [row.text for row in hunk.rows if row.change != "added"]
        assert removed == one.texts[begin : begin + len(removed)]
        for row in hunk.rows:
            if row.second is not None:
                made.append(row.text)
        at = begin + len(removed)
        assert (len(removed), len(hunk.rows) - sum(row.change == "removed" for row in hunk.rows)) == hunk.counts()
    made += one.texts[at:]

    assert without_distance(made) == without_distance(other.texts)
    assert not compared(encode_all(first), encode_all(first), symbols).hunks


def without_distance(texts: list[str]) -> list[str]:
    """Leave out what a jump that is the same may have of its own."""
    return [re.sub(r"(pc|subprog\[)[+-]\d+", "", text) for text in texts]
