"""Flame graphs in a browser: titles, search and zoom work without anybody else."""

from __future__ import annotations

import pytest

from bpfctl.symbols.frame import Frame
from bpfctl.views.flame import svg
from tests.unit.views.browser import browser
from tests.unit.views.stacks import READ, USER, stack

HOSTILE = '</title><script>window.broken = 1</script>"'
ROWS = [
    (("cat",), stack(READ[:2], USER[:1], hits=30)),
    (("cat",), stack(READ[1:2], USER[:1], hits=10)),
    (("dog",), stack(READ[:1], USER[1:2], hits=55)),
    (("fox",), stack((), [Frame(HOSTILE, 1, HOSTILE)], hits=5)),
]
CONTROL, ESCAPE = "\ue009", "\ue00c"
BOXES = """
return flame.boxes.filter(function (box) { return !box.group.classList.contains("hidden"); }).map(function (box) {
  return [box.name.split(" ")[0], parseFloat(box.rect.getAttribute("x")), parseFloat(box.rect.getAttribute("width"))];
});
"""


@pytest.fixture(scope="module")
def opened():
    """Return a browser."""
    with browser() as found:
        yield found


@pytest.fixture
def page(opened, tmp_path):
    """Return the browser with a flame graph."""
    path = tmp_path / "flame.svg"
    path.write_text("".join(svg(ROWS, f"profile {HOSTILE}", "100 hits", "hits")), encoding="utf-8")
    opened.open(path)
    return opened


def box(name):
    return f"#boxes > g:nth-child({[line[0] for line in ALL].index(name) + 1}) > rect"


def text(page, name):
    return page.run(f"return document.getElementById('{name}').textContent.trim();")


ALL = [
    ("all", 0, 100),
    ("fox", 95, 5),
    ("</title><script>window.broken", 95, 5),
    ("dog", 40, 55),
    ("[program]", 40, 55),
    ("vfs_read", 40, 55),
    ("cat", 0, 40),
    ("read", 0, 40),
    ("ksys_read", 0, 40),
    ("vfs_read", 0, 30),
]


def seen(page):
    return [(name, round(start, 2), round(width, 2)) for name, start, width in page.run(BOXES)]


def test_all_of_it(page):
    assert seen(page) == ALL
    assert page.run("return typeof window.broken;") == "undefined"
    titles = page.run("return flame.boxes.map(function (box) { return box.title; });")
    assert titles[0] == "all: 100 hits, 100.00 %"
    assert titles[-1] == "vfs_read: 30 hits, 30.00 %"
    assert titles[2] == f"{HOSTILE} ({HOSTILE}): 5 hits, 5.00 %"


def test_titles_on_hover(page):
    page.run(
        "arguments[0].dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));".replace(
            "arguments[0]", "flame.boxes[7].group"
        )
    )

    assert text(page, "details").startswith("read (/usr/lib/libc.so.6): 40 hits")


def test_zoom_and_back(page):
    page.click(box("cat"))

    assert seen(page) == [
        ("all", 0, 100),
        ("cat", 0, 100),
        ("read", 0, 100),
        ("ksys_read", 0, 100),
        ("vfs_read", 0, 75),
    ]
    page.click(box("ksys_read"))
    assert [name for name, *_ in seen(page)] == ["all", "cat", "read", "ksys_read", "vfs_read"]
    page.click("#reset")
    assert seen(page) == ALL
    page.click(box("dog"))
    assert len(seen(page)) == 4
    page.press(ESCAPE)
    assert seen(page) == ALL


@pytest.mark.parametrize(
    ("expression", "percent", "found"),
    [
        ("vfs_read", 85, 2),
        ("read", 95, 4),  # one lies in the other
        ("^cat$", 40, 1),
        ("LIBC", 40, 1),
        ("nobody", 0, 0),
        (r"^\[pro+gram\]", 55, 1),  # an expression
        ("[program] (", 55, 1),  # none, so it is a text
    ],
)
def test_search(page, expression, percent, found):
    sum_ = page.run("return flame.search(arguments[0]);", expression)

    assert round(sum_, 2) == percent
    assert page.run("return document.querySelectorAll('.found').length;") == found
    assert text(page, "matched") == f"Matched: {percent}.0 %"
    page.run("flame.clear();")
    assert page.run("return document.querySelectorAll('.found').length;") == 0
    assert text(page, "matched") == ""


@pytest.mark.parametrize("way", ["button", "keys"])
def test_a_person_searches(page, way):
    if way == "button":
        page.click("#search")
    else:
        page.press(CONTROL, "f")
    page.answer("^ksys")

    assert text(page, "matched") == "Matched: 40.0 %"
    page.click("#search")
    assert text(page, "matched") == ""


def test_names_are_cut_to_their_boxes(page):
    wide = page.run("return flame.boxes[0].text.textContent;")
    narrow = page.run("var box = flame.boxes[2]; return [box.text.textContent, box.text.getBBox().width];")

    assert wide == "all"
    assert len(narrow[0]) < len(HOSTILE)
    assert narrow[1] <= page.run("return flame.boxes[2].rect.getBoundingClientRect().width;")


def test_a_drawing_in_a_page(page, tmp_path):
    drawing = "".join(svg(ROWS, "inline", "100 hits", "hits")).split("\n", 1)[1]
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{drawing}</body>", encoding="utf-8")
    page.open(path)

    assert seen(page) == ALL
    assert page.run("return flame.search('^cat$');") == pytest.approx(40, abs=0.01)
    assert page.run("return typeof window.broken;") == "undefined"
