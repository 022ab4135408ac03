"""Flame graphs: what is in the drawing."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from bpfctl.symbols.frame import Frame
from bpfctl.views.flame import boxes, svg
from tests.unit.views.stacks import LIBC, READ, USER, stack

NAME = "{http://www.w3.org/2000/svg}"
ROWS = [
    (("cat",), stack(READ[:2], USER[:1], hits=30)),
    (("cat",), stack(READ[1:2], USER[:1], hits=10)),
    (("dog",), stack((), USER[1:2], hits=60)),
]


def drawn(rows, title="a title", told="what was told", unit="hits"):
    return "".join(svg(rows, title, told, unit))


def titles(text):
    return [box.find(f"{NAME}title").text for box in ET.fromstring(text).iter(f"{NAME}g") if box.get("class") == "box"]


def test_boxes_lie_on_their_callers():
    found = {(box.name, box.depth): (round(box.start, 6), box.amount) for box in boxes(ROWS)}

    assert found == {
        ("all", 0): (0, 100),
        ("cat", 1): (0, 40),
        ("read", 2): (0, 40),
        ("ksys_read", 3): (0, 40),
        ("vfs_read", 4): (0, 30),
        ("dog", 1): (0.4, 60),
        ("[program]", 2): (0.4, 60),
    }


def test_what_cannot_be_seen_is_left_out():
    rows = [(("a",), stack(READ[:1], hits=99_999)), (("b",), stack(READ[:1], hits=1))]

    assert [box.name for box in boxes(rows)] == ["all", "a", "vfs_read"]


def test_nothing_at_all():
    assert boxes([]) == boxes([(("a",), stack(READ, hits=0))]) == []
    assert titles(drawn([])) == []


def test_titles_tell_function_file_and_share():
    assert titles(drawn(ROWS)) == [
        "all: 100 hits, 100.00 %",
        "dog: 60 hits, 60.00 %",
        "[program] (/usr/bin/program): 60 hits, 60.00 %",
        "cat: 40 hits, 40.00 %",
        f"read ({LIBC}): 40 hits, 40.00 %",
        "ksys_read: 40 hits, 40.00 %",
        "vfs_read: 30 hits, 30.00 %",
    ]


def test_all_boxes_are_in_the_drawing():
    """One above the other, with room for a line over them and one below."""
    drawing = ET.fromstring(drawn(ROWS))
    height = int(drawing.get("height"))
    found = [box.find(f"{NAME}rect") for box in drawing.iter(f"{NAME}g") if box.get("class") == "box"]
    tops = {int(rect.get("y")) for rect in found}
    step = int(found[0].get("height")) + 1

    assert sorted(tops) == list(range(min(tops), min(tops) + 5 * step, step))
    assert all(36 < top < height - 10 - step for top in tops)


def test_kernel_files_and_what_is_unknown_have_colours_of_their_own():
    found = ET.fromstring(drawn([(("a",), stack((*READ, Frame("bpf_prog_x", 1, "[bpf]")), USER, hits=1))]))
    hues = [rect.get("fill").split(",")[0] for rect in found.iter(f"{NAME}rect") if rect.get("fill")]

    assert len(set(hues)) == 7  # the thread, the kernel, its modules, BPF, libc, the compiler's, and what is unknown
    assert hues.count("hsl(24") == 3


@pytest.mark.parametrize(
    "name",
    [
        "</title><script>alert(1)</script>",
        "]]><script>",
        "a & b < c > d \" e ' f",
        "nul\0 and \x1b[31m and \x7f",
        "\ud800\udc80 and \ufffe",
        "\u202edesrever",
        "&#0;",
    ],
)
def test_hostile_names(name):
    text = drawn([((name,), stack((), [Frame(name, 1, name)], hits=1))], title=name, told=name, unit=name)
    harmless = ET.fromstring(text.encode())

    assert len(list(harmless.iter(f"{NAME}script"))) == 1
    assert len(titles(text)) == 3
    assert all(char.isprintable() or char == "\n" for char in text)


def test_printable_names_stay_as_they_are():
    name = "std::vector<int, std::allocator<int> >::operator&&(ü)"

    assert f"{name} ({LIBC}): 1 hits, 100.00 %" in titles(drawn([((), stack((), [Frame(name, 1, LIBC)]))]))


def test_the_drawing_asks_nobody():
    text = drawn(ROWS)

    assert text.count("http") == 1  # the name of SVG itself
    assert "href" not in text
    assert "import" not in text
