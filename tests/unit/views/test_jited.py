"""A program's machine code in every voice, from bytes and records that a kernel could tell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bpfctl.asm.native import Disassembler
from bpfctl.host.kallsyms import Symbols
from bpfctl.kernel.jited import Function, Machine, Names
from bpfctl.render.json import dumps
from bpfctl.render.terminal import TerminalOutput
from bpfctl.render.text import safe
from bpfctl.views import items
from bpfctl.views.jited import MachineText
from bpfctl.views.source import Options
from btf.ext import LineInfo
from btf.read import BTF
from tests.kernel.typeblob import SIGNED, Blob
from tests.memory import Memory

if TYPE_CHECKING:
    from pathlib import Path

    from bpfctl.views.view import Listing

MAIN, SUB = 0xFFFFFFFFC0001000, 0xFFFFFFFFC0001100
SYMBOLS = """\
ffffffff81000000 T a_\x1b[31mhelper
ffffffffc0001000 t bpf_prog_1_main\t[bpf]
ffffffffc0001100 t bpf_prog_2_sub\t[bpf]
"""


def call(to: int, at: int) -> bytes:
    """Return a call at a place in the main function."""
    return b"\xe8" + (to - MAIN - at - 5 & 0xFFFFFFFF).to_bytes(4, "little")


# To the leave, to the helper, to the subprogram, into it; and at the end what is no instruction.
MAIN_CODE = b"".join(
    (
        bytes.fromhex("4885c0 740f"),
        call(0xFFFFFFFF81000000, 5),
        call(SUB, 10),
        call(SUB + 3, 15),
        bytes.fromhex("c9 06"),
    )
)
SUB_CODE = bytes.fromhex("554889e5c3")


def machine(
    *functions: Function, code: bytes = MAIN_CODE + SUB_CODE, divided: bool = True, offloaded: bool = False
) -> Machine:
    return Machine(code, functions, divided, offloaded)


@pytest.fixture
def types() -> tuple[BTF, tuple[int, int], tuple[LineInfo, ...]]:
    """Types of two functions, and lines of source that an enemy has written."""
    blob = Blob()
    number = blob.int_("int", 4, SIGNED)
    funcs = blob.func("main", number, [("a", number)]), blob.func("sub", number, [])
    file = blob.string("/a/\x1b]0;b.c")
    texts = [blob.string(text) for text in ('\tif ("x") \x1b[2J', "\tsecond();")]
    lines = tuple(LineInfo(at, file, text, (at + 7) << 10) for at, text in zip((0, 10), texts, strict=True))
    return BTF.from_bytes(blob.raw()), funcs, lines


@pytest.fixture
def names(tmp_path: Path) -> Symbols:
    (tmp_path / "kallsyms").write_text(SYMBOLS)
    return Symbols(str(tmp_path / "kallsyms"))


@pytest.fixture
def known(types: tuple[BTF, tuple[int, int], tuple[LineInfo, ...]], names: Symbols) -> MachineText:
    """All that can be known of a program."""
    btf, (main, sub), lines = types
    return text(machine(Function(MAIN_CODE, MAIN, main, lines), Function(SUB_CODE, SUB, sub, ())), names, btf)


def text(of: Machine, symbols: Symbols, btf: BTF | None = None, *, extra: bool = False, **options: bool) -> MachineText:
    return MachineText(of, Names(of, symbols), Disassembler("x86_64"), btf, Options(**options), extra=extra)


def plain(of: MachineText) -> list[str]:
    return "".join(of.listing({}, "").text(safe)).splitlines()


def in_json(of: MachineText, depth: int | None = None) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(b"[" + b",".join(of.listing({}, "").json(depth, dumps)) + b"]")
    return found


def test_plain(known: MachineText) -> None:
    """Names are harmless, what leads out of the function has a symbol, and a blank line ends each function."""
    assert plain(known) == [
        "int main(int a):",
        "bpf_prog_1_main:",
        '; if ("x") \\x1b[2J',
        "   0:\ttestq\t%rax, %rax",
        "   3:\tje\t0xffffffffc0001014",
        "   5:\tcallq\t0xffffffff81000000 <a_\\x1b[31mhelper>",
        "; second();",
        "   a:\tcallq\t0xffffffffc0001100 <bpf_prog_2_sub>",
        "   f:\tcallq\t0xffffffffc0001103 <bpf_prog_2_sub+0x3>",
        "  14:\tleave",
        "  15:\t.byte\t0x06",
        "",
        "int sub():",
        "bpf_prog_2_sub:",
        "   0:\tpushq\t%rbp",
        "   1:\tmovq\t%rsp, %rbp",
        "   4:\tretq",
        "",
    ]


def test_opcodes_and_places(known: MachineText) -> None:
    """Bytes stand in a line of their own, and end with a blank as bpftool's do."""
    known.options = Options(opcodes=True, linum=True)
    told = plain(known)

    assert told[2:5] == [
        '; if ("x") \\x1b[2J [file:/a/\\x1b]0;b.c line_num:7 line_col:0]',
        "   0:\ttestq\t%rax, %rax",
        "\t48 85 c0 ",
    ]


@pytest.mark.parametrize("depth", [None, 1])
def test_json(known: MachineText, depth: int | None) -> None:
    """bpftool's members in its order, compact and indented."""
    known.options = Options(opcodes=True, linum=True)
    main, sub = in_json(known, depth)

    assert (list(main), main["proto"], main["name"]) == (
        ["proto", "name", "insns"],
        "int main(int a)",
        "bpf_prog_1_main",
    )
    assert main["insns"][0] == {  # type: ignore[index]
        "src": 'if ("x") \x1b[2J',
        "file": "/a/\x1b]0;b.c",
        "line_num": 7,
        "pc": "0x0",
        "operation": "testq",
        "operands": ["%rax", "%rax"],
        "opcodes": ["0x48", "0x85", "0xc0"],
    }
    assert sub["insns"][-1] == {"pc": "0x4", "operation": "retq", "operands": [None], "opcodes": ["0xc3"]}  # type: ignore[index]
    assert "symbol" not in json.dumps(main)


def test_lines_of_json(known: MachineText) -> None:
    """Indented as all other JSON."""
    (main, sub), pieces = in_json(known), known.listing({}, "").json(1, dumps)

    assert [piece.decode() for piece in pieces] == [items.text(each, 1, dumps) for each in (main, sub)]


def test_more_json(known: MachineText) -> None:
    """Symbols are not bpftool's, so they come only if one asks for more."""
    known.extra = True
    main, _ = in_json(known)

    assert [insn.get("symbol") for insn in main["insns"]] == [  # type: ignore[attr-defined]
        *(None, None),
        *("a_\x1b[31mhelper", "bpf_prog_2_sub", "bpf_prog_2_sub+0x3"),
        *(None, None),
    ]


def test_functions_that_are_not_told_apart(names: Symbols) -> None:
    """Before Linux 4.18 all code is told as one: no names, and no symbols, as nobody knows where it is."""
    of = text(machine(Function(MAIN_CODE, None, None, ()), code=MAIN_CODE, divided=False), names)

    assert plain(of)[:2] == ["   0:\ttestq\t%rax, %rax", "   3:\tje\t0x14"]
    assert "<" not in "".join(plain(of))
    assert in_json(of)[1] == {"pc": "0x3", "operation": "je", "operands": ["0x14"]}


def test_functions_without_symbols(tmp_path: Path) -> None:
    """They are called by their address, or unknown if there is none."""
    (tmp_path / "none").write_text("")
    of = text(
        machine(Function(SUB_CODE, SUB, None, ()), Function(SUB_CODE, None, None, ())), Symbols(str(tmp_path / "none"))
    )

    assert [line for line in plain(of) if line.endswith(":")] == ["0xffffffffc0001100:", "unknown:"]


def test_no_code(names: Symbols) -> None:
    """A function may be empty."""
    of = text(machine(Function(b"", MAIN, None, ())), names)

    assert plain(of) == ["bpf_prog_1_main:", ""]
    assert in_json(of, 0) == [{"name": "bpf_prog_1_main", "insns": []}]


def sent(listing: Listing, monkeypatch: pytest.MonkeyPatch, *, term: str = "dumb", lang: str = "en_GB.UTF-8") -> str:
    for name, value in {"TERM": term, "COLUMNS": "40", "LANG": lang}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "COLORTERM", "LC_ALL", "LC_CTYPE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    out = TerminalOutput(Memory())  # type: ignore[arg-type]
    out.listings([listing])
    out.close()
    shown: str = out.sink.text  # type: ignore[attr-defined]
    return shown


def test_a_terminal(known: MachineText, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jumps have arrows, source is set off, functions stand apart, and nothing that an enemy wrote acts on it."""
    assert sent(known.listing({}, ""), monkeypatch).splitlines() == [
        "int main(int a):",
        "bpf_prog_1_main:",
        '         ; if ("x") \\x1b[2J',
        "   0:    testq   %rax, %rax",
        "   3: ╭─ je      0xffffffffc0001014  → 14",
        "   5: │  callq   0xffffffff81000000  a_\\x1b[31mhelper",
        "      │  ; second();",
        "   a: │  callq   0xffffffffc0001100  bpf_prog_2_sub",
        "   f: │  callq   0xffffffffc0001103  bpf_prog_2_sub+0x3",
        "  14: ╰▶ leave",
        "  15:    .byte   0x06",
        "",
        "int sub():",
        "bpf_prog_2_sub:",
        "   0: pushq   %rbp",
        "   1: movq    %rsp, %rbp",
        "   4: retq",
    ]


def test_a_terminal_with_opcodes(known: MachineText, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes stand below, and arrows go on beside them; in ASCII too."""
    known.options = Options(opcodes=True)
    told = sent(known.listing({}, ""), monkeypatch, lang="C").splitlines()

    assert told[5:9] == [
        "   3: +- je      0xffffffffc0001014  -> 14",
        "      |    74 0f",
        "   5: |  callq   0xffffffff81000000  a_\\x1b[31mhelper",
        "      |    e8 f6 ef ff c0",
    ]


def test_colours(known: MachineText, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control flow, registers and symbols differ."""
    shown = sent(known.listing({}, ""), monkeypatch, term="xterm-256color")

    assert "\x1b[1;34mcallq   \x1b[0m\x1b[35m0xffffffffc0001100\x1b[0m\x1b[1;35m  bpf_prog_2_sub\x1b[0m" in shown
    assert "\x1b[36m%rsp\x1b[0m, \x1b[36m%rbp\x1b[0m" in shown


def test_addresses_can_be_read(names: Symbols, monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM spells those that code makes as negative numbers, for which a terminal has the address."""
    code = bytes.fromhex("48be9069c0c08188ffff 4883c0f8")
    of = text(machine(Function(code, MAIN, None, ())), names)

    assert plain(of)[1:3] == ["   0:\tmovabsq\t$-131384110716528, %rsi", "   a:\taddq\t$-8, %rax"]
    assert sent(of.listing({}, ""), monkeypatch).splitlines()[1:] == [
        "   0: movabsq $0xffff8881c0c06990, %rsi",
        "   a: addq    $-8, %rax",
    ]


def test_arm64(names: Symbols, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far calls have their symbol at the call, and conditions of every kind their arrows."""
    code = bytes.fromhex("600000b4 eaff9f92 0a20b0f2 40013fd6 c0035fd6")
    of = MachineText(
        machine(Function(code, MAIN, None, ())), Names(machine(), names), Disassembler("aarch64"), None, Options()
    )

    assert sent(of.listing({}, ""), monkeypatch).splitlines()[1:] == [
        "   0: ╭─ cbz     x0, #0xffffffffc000100c  → c",
        "   4: │  mov     x10, #-0x10000",
        "   8: │  movk    x10, #0x8100, lsl #16",
        "   c: ╰▶ blr     x10  a_\\x1b[31mhelper",
        "  10:    ret",
    ]
