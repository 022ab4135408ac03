"""A program's code in words, from instructions and records that a kernel could tell."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1
from bpfctl.host.kallsyms import Symbols
from bpfctl.kernel.code import Code, References
from bpfctl.render.json import dumps
from bpfctl.render.text import safe
from bpfctl.views.code import CodeText
from bpfctl.views.code_graph import Graph
from bpfctl.views.source import Options
from btf.ext import FuncInfo, LineInfo
from btf.read import BTF
from tests.kernel.typeblob import SIGNED, Blob

if TYPE_CHECKING:
    from pathlib import Path

SYMBOLS = """\
ffffffff81000000 T __bpf_call_base
ffffffff81000100 T a_helper
ffffffff81000200 t bpf_prog_1_main\t[bpf]
"""
HIDDEN = "".join("0" * 16 + line[16:] + "\n" for line in SYMBOLS.splitlines())
CALLS = b"".join(
    struct.pack("=BBhi", 0x85, src << 4, off, imm)
    for src, off, imm in ((0, 0, 0x100), (2, 0, -8), (1, 5, 0), (1, 6, 1))
)


def code(insns: bytes = CALLS, ksyms: tuple[int, ...] = (), count: int = 0) -> Code:
    return Code(insns, count, ksyms, (), ())


def plain(of: Code, tmp_path: Path, symbols: str = SYMBOLS, types: BTF | None = None, **options: bool) -> list[str]:
    (tmp_path / "kallsyms").write_text(symbols)
    names = References(of, Symbols(str(tmp_path / "kallsyms")))
    text = CodeText(of, names, types, Options(**options)).listing({}, "").text(safe)
    return "".join(text).splitlines()


def test_calls_by_symbol(tmp_path: Path) -> None:
    """What is at no symbol has its address; a subprogram that has no address of its own is counted as a helper is."""
    told = plain(code(ksyms=(0xFFFFFFFF81000200,), count=1), tmp_path)

    assert told == [
        "   0: (85) call a_helper#256",
        "   1: (85) call 0xffffffff80fffff8#-8",
        "   2: (85) call pc+5#bpf_prog_1_main",
        "   3: (85) call pc+6#0xffffffff81000001",
    ]


def test_calls_where_addresses_are_hidden(tmp_path: Path) -> None:
    """There are only the numbers that the kernel tells."""
    told = plain(code(count=2), tmp_path, HIDDEN)

    assert told == [
        "   0: (85) call 0x100#256",
        "   1: (85) call 0xfffffffffffffff8#-8",
        "   2: (85) call pc+5#0x0",
        "   3: (85) call pc+6#0x1",
    ]


def test_calls_of_an_interpreted_program(tmp_path: Path) -> None:
    """Its subprograms have no machine code, so no symbols."""
    assert plain(code(), tmp_path)[2:] == ["   2: (85) call pc+5", "   3: (85) call pc+6"]


def test_constants(tmp_path: Path) -> None:
    """Maps by id or place, with the offset in the value; callbacks by distance; all else is a number."""
    prog = Program()
    for pseudo in range(1, 8):
        prog.ld_imm64(R1, 0xFFFFFFFE_00000005, pseudo)

    assert [line.partition(" = ")[2] for line in plain(code(prog.assemble()), tmp_path)] == [
        "map[id:5]",
        "map[id:5][0]+-2",
        "0xfffffffe00000005",
        "subprog[+5]",
        "0xfffffffe00000005",
        "map[idx:5]+-2",
        "0xfffffffe00000005",
    ]


@pytest.fixture
def sourced() -> tuple[Code, BTF]:
    """A program of two functions with source, of which some is hostile, and records that lead nowhere."""
    blob = Blob()
    number = blob.int_("int", 4, SIGNED)
    funcs = [blob.func("main", number, [("a", number)]), 99]
    file = blob.string("/a/folder/in/a/folder/in/a/folder/of/files.c")
    texts = [blob.string(" \t first;\t\x1b[31m\xe9"), blob.string('"{x}" | <y>\\'), 1 << 20, 0]
    insns = Program().mov(R0, 1).exit_().ld_imm64(R0, 5).exit_().assemble()
    lines = [LineInfo(at, file, text, (at + 1) << 10 | at) for at, text in zip((0, 1, 2, 4), texts, strict=True)]
    infos = [FuncInfo(at, func) for at, func in zip((0, 2), funcs, strict=True)]
    return Code(insns, 0, (), tuple(infos), tuple(lines)), BTF.from_bytes(blob.raw())


def test_source(sourced: tuple[Code, BTF], tmp_path: Path) -> None:
    """What cannot be shown is spelled; what is not there is left out."""
    of, types = sourced
    place = "[file:/a/folder/in/a/folder/in/a/folder/of/files.c line_num:"

    assert plain(of, tmp_path, types=types, linum=True) == [
        "int main(int a):",
        f"; first;\t\\x1b[31m\xe9 {place}1 line_col:0]",
        "   0: (b7) r0 = 1",
        f'; "{{x}}" | <y>\\ {place}2 line_col:1]',
        "   1: (95) exit",
        "   2: (18) r0 = 0x5",
        f";  {place}5 line_col:4]",
        "   4: (95) exit",
    ]


@pytest.mark.parametrize("depth", [None, 1])
def test_source_in_json(sourced: tuple[Code, BTF], tmp_path: Path, depth: int | None) -> None:
    """It can be read, compact and indented; a place that is zero is left out."""
    of, types = sourced
    names = References(of, Symbols(str(tmp_path / "none")))
    listing = CodeText(of, names, types, Options(linum=True, opcodes=True)).listing({}, "")
    found = json.loads(b"[" + b",".join(listing.json(depth, dumps)) + b"]")

    assert [row.get("src") for row in found] == ["first;\t\x1b[31m\xe9", '"{x}" | <y>\\', None, ""]
    assert [row.get("line_col") for row in found] == [None, 1, 2, 4]
    assert [row.get("proto") for row in found] == ["int main(int a)", None, None, None]
    assert len(found[2]["opcodes"]["imm"]) == 12


def test_graph_of_source(sourced: tuple[Code, BTF], tmp_path: Path) -> None:
    """What has a meaning in a label is escaped, and a path is cut at a slash."""
    of, types = sourced
    names = References(of, Symbols(str(tmp_path / "none")))
    graph = "".join(Graph(CodeText(of, names, types, Options(linum=True))).text(safe))

    assert "; [.../a/folder/in/a/folder/of/files.c line:1 col:0]\\l\\\n" in graph
    assert r"; \"\{x\}\"\ \|\ \<y\>\\\l" in graph
    assert "\x1b" not in graph


def test_records_that_lag_behind(tmp_path: Path) -> None:
    """Where a kernel tells several lines of one instruction, libbpf's search decides: the last, then what is left."""
    blob = Blob()
    texts = [blob.string(text) for text in ("one", "two", "three")]
    lines = tuple(LineInfo(at, 0, text, 0) for at, text in zip((0, 0, 1), texts, strict=True))
    of = Code(Program().mov(R0, 1).mov(R0, 2).exit_().assemble(), 0, (), (), lines)
    blob.int_("int", 4)
    told = plain(of, tmp_path, types=BTF.from_bytes(blob.raw()))

    assert [line for line in told if line.startswith(";")] == ["; two", "; three", "; three"]
