"""Code on a terminal: arrows, tones, and source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2
from bpfctl.host.kallsyms import Symbols
from bpfctl.kernel.code import Code, References
from bpfctl.render.terminal import TerminalOutput
from bpfctl.views.code import CodeText
from bpfctl.views.code_arrows import ASCII, LINES, Arrows
from bpfctl.views.source import Options
from btf.ext import FuncInfo, LineInfo
from btf.read import BTF
from tests.kernel.typeblob import SIGNED, Blob
from tests.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bpfctl.views.view import Listing


def drawn(jumps: Iterable[tuple[int, int]], places: int) -> list[str]:
    arrows = Arrows(jumps)
    return [arrows.at(place).rstrip() for place in range(places)]


def test_arrows() -> None:
    """Short ones are inside; one that has several sources is one; what passes over another is seen."""
    assert drawn([(0, 2), (1, 5), (3, 5), (4, 3)], 6) == [
        " ╭─",
        "╭┼─",
        "│╰▶",
        "├┬▶",
        "│╰─",
        "╰─▶",
    ]


def test_above_an_instruction() -> None:
    """Only what comes from above is there."""
    arrows = Arrows([(1, 3)])

    assert [arrows.before(place) for place in range(5)] == ["   ", "   ", "│  ", "│  ", "   "]
    assert Arrows([]).at(0) == Arrows([(2, 2)]).at(2) == ""


def test_too_many_arrows() -> None:
    """There is room for eight; the others are left out, the longest first."""
    arrows = Arrows([(at, 100 - at) for at in range(40)])

    assert len(arrows.at(50).rstrip()) == 8
    assert arrows.at(0).strip() == ""
    assert arrows.at(31).strip() == ""
    assert arrows.at(32).strip() == "╭────────"
    assert arrows.at(39).strip() == "│││││││╭─"


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30), st.sampled_from([LINES, ASCII]))
def test_any_arrows(jumps: list[tuple[int, int]], glyphs: object) -> None:
    """Every margin is as wide as the others; an arrow that has a head has a source."""
    arrows = Arrows(jumps, glyphs)  # type: ignore[arg-type]
    rows = [arrows.at(place) for place in range(21)]
    heads = {place for place, row in enumerate(rows) if row.rstrip().endswith(("▶", ">"))}

    assert len({len(row) for row in rows} | {len(arrows.before(place)) for place in range(21)}) == 1
    assert heads <= {target for source, target in jumps if source != target}


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    """A loop with source, a call, a map, and a second function."""
    blob = Blob()
    number = blob.int_("int", 4, SIGNED)
    funcs = [blob.func("main", number, []), blob.func("sub", number, [])]
    text = blob.string("\tloop();\t// \x1b[31m")
    prog = Program().mov(R1, 3).label("top").sub(R1, 1).jump("jne", R1, 0, "top").ld_map_fd(R2, 7).call(5).exit_()
    prog.label("sub").ldx(4, R0, R1, 8).exit_()
    infos = (FuncInfo(0, funcs[0]), FuncInfo(prog.offset("sub"), funcs[1]))
    lines = (LineInfo(prog.offset("top"), blob.string("a.c"), text, 9 << 10 | 2),)
    code = Code(prog.assemble(), 0, (), infos, lines)
    names = References(code, Symbols(str(tmp_path / "none")))
    return CodeText(code, names, BTF.from_bytes(blob.raw()), Options(linum=True)).listing({}, "7: xdp  name a\x1bb")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "40", "LANG": "en_GB.UTF-8"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "COLORTERM", "LC_ALL", "LC_CTYPE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def sent(*listings: Listing) -> str:
    out = TerminalOutput(Memory())  # type: ignore[arg-type]
    out.listings(listings)
    out.close()
    text: str = out.sink.text  # type: ignore[attr-defined]
    return text


def test_without_colours(listing: Listing, terminal: pytest.MonkeyPatch) -> None:
    """Source is set off, functions stand apart, and no line is cut; a dumb terminal gets the same without more."""
    terminal.setenv("TERM", "dumb")

    assert sent(listing).splitlines() == [
        "int main():",
        "   0:    (b7) r1 = 3",
        "         ; loop(); // \\x1b[31m  a.c:9:2",
        "   1: ╭▶ (17) r1 -= 1",
        "   2: ╰─ (55) if r1 != 0x0 goto pc-2  → 1",
        "   3:    (18) r2 = map[id:7]",
        "   5:    (85) call bpf_ktime_get_ns#5",
        "   6:    (95) exit",
        "",
        "int sub():",
        "   7:    (61) r0 = *(u32 *)(r1 +8)",
        "   8:    (95) exit",
    ]


def test_several_programs(listing: Listing, terminal: pytest.MonkeyPatch) -> None:
    """Each has its name over it."""
    terminal.setenv("TERM", "dumb")
    lines = sent(listing, listing).splitlines()

    assert lines.count("7: xdp  name a\\x1bb") == 2
    assert lines[lines.index("7: xdp  name a\\x1bb", 1) - 1] == ""


def test_ascii(listing: Listing, terminal: pytest.MonkeyPatch) -> None:
    """Arrows are made of what every terminal has."""
    terminal.setenv("LANG", "C")
    terminal.setenv("TERM", "dumb")

    assert "   1: +> (17) r1 -= 1" in sent(listing).splitlines()
    assert sent(listing).isascii()


@pytest.mark.usefixtures("terminal")
def test_tones(listing: Listing) -> None:
    """What a word is decides its colour."""
    text = sent(listing)

    for colour, words in {36: "r1", 35: "3", "1;35": "map[id:7]", 32: "loop(); // \\x1b[31m"}.items():
        assert f"\x1b[{colour}m{words}\x1b[0m" in text
    assert "\x1b[1;35mbpf_ktime_get_ns\x1b[0m" in text
    assert "\x1b[1;34mgoto\x1b[0m" in text
    assert "\x1b[31m" not in text
