"""What lies where in a process, out of maps files of all kinds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.symbols import space
from bpfctl.symbols.space import Mapping, Space, parse
from tests.soon import soon

TEXT = rb"""55f000000000-55f000001000 r--p 00000000 fe:01 100                        /usr/bin/tool
55f000001000-55f000003000 r-xp 00001000 fe:01 100                        /usr/bin/tool
7f0000000000-7f0000002000 r-xp 00028000 00:2b 200                        /opt/a\012b (deleted)
7f0000010000-7f0000011000 rwxp 00000000 00:00 0
7f0000020000-7f0000021000 rwxs 00000000 00:05 31                         /memfd:code (deleted)
7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""
DISK = space.device(0xFE, 1)
TOOL = Mapping(0x55F000001000, 0x55F000003000, 0x1000, DISK, 100, "/usr/bin/tool")


def test_lines():
    found = list(parse(TEXT))

    assert TOOL == found[0]
    assert found[1] == Mapping(0x7F0000000000, 0x7F0000002000, 0x28000, 0x2B, 200, "/opt/a\nb (deleted)")
    assert [one.path for one in found[2:]] == ["", "/memfd:code (deleted)", "[vdso]", "[vsyscall]"]
    assert [one.is_file for one in found] == [True, True, False, True, False, False]
    assert [one.name for one in found[:4]] == ["/usr/bin/tool", "/opt/a\nb", "", "/memfd:code"]


def test_root_folder():
    """Paths are as a process sees them that has a root folder of its own."""
    text = TEXT.replace(b"/usr/bin", b"/srv/jail/bin")

    assert [one.path for one in parse(text, "/srv/jail")][:2] == ["/bin/tool", "/opt/a\nb (deleted)"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"x",
        b"1-2 r-xp",
        b"zz-2 r-xp 0 0:0 0 /a",
        b"1-2 rw-p 0 0:0 1 /a",
        b"11111111111111111-2 r-xp 0 0:0 1 /a",
        b"1-2 r-xp 0 0:0 /a",
    ],
)
def test_lines_that_are_none(line):
    assert list(parse(line + b"\n")) == []


def at(start, end, name):
    return Mapping(start, end, start, 1, 1, f"/{name}")


def test_what_is_mapped_over():
    """The later counts, and what is left of the earlier keeps its place in the file."""
    one = Space()
    one.add(at(0x1000, 0x9000, "a"))
    one.add(at(0x3000, 0x4000, "b"))
    one.add(at(0x8000, 0xA000, "c"))

    assert [one.at(address).path for address in (0x1000, 0x2FFF, 0x3000, 0x3FFF, 0x4000, 0x8000, 0x9FFF)] == [
        *["/a", "/a", "/b", "/b", "/a", "/c", "/c"]
    ]
    assert one.at(0x4000) == Mapping(0x4000, 0x8000, 0x4000, 1, 1, "/a")
    assert one.at(0xFFF) is one.at(0xA000) is None
    one.add(at(0, 0x10000, "d"))
    assert one.size == 1


def test_nothing_is_mapped_there():
    one = Space()
    one.add(at(0x1000, 0x1000, "a"))
    one.add(at(0x2000, 0x1000, "a"))

    assert one.size == 0


def test_programs():
    """An address of the last program counts, then those of earlier ones, of which few are kept."""
    one = Space()
    for number in range(8):
        one.execute()
        one.add(at(0x1000 * number, 0x1000 * number + 0x1800, str(number)))

    assert [one.at(0x1000 * number + 0x100) for number in range(8)][:3] == [None, None, None]
    assert one.at(0x7700).path == "/7"
    assert one.at(0x7000).path == "/7"
    assert one.at(0x6900).path == "/6"


def test_child():
    """It has what its parent had, and goes its own way."""
    parent = Space()
    parent.add(at(0x1000, 0x2000, "a"))
    child = Space(7, parent)
    child.add(at(0x1000, 0x2000, "b"))

    assert (parent.at(0x1000).path, child.at(0x1000).path, child.parent) == ("/a", "/b", 7)


def test_too_much(monkeypatch):
    monkeypatch.setattr(space, "_MOST", 10)
    one = Space()
    for number in range(20):
        one.add(at(number * 0x2000, number * 0x2000 + 0x1000, "a"))

    assert one.size == 10


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=40))
def test_every_order(areas):
    """As if each page was written down, the later over the earlier."""
    one, pages = Space(), {}
    for number, (start, size) in enumerate(areas):
        one.add(Mapping(start, start + size, 100 + start, 1, number + 1, "/a"))
        pages |= dict.fromkeys(range(start, start + size), number + 1)

    for page in range(-1, 100):
        found = one.at(page)
        assert pages.get(page) == (found.inode if found else None)
        assert found is None or found.offset + page - found.start == 100 + page


@given(st.binary(max_size=300) | st.lists(st.sampled_from(TEXT.split(b" ")), max_size=40).map(b" ".join))
def test_text_of_an_enemy(text):
    with soon():
        one = Space()
        for mapping in parse(text):
            one.add(mapping)
        found = one.at(0x7F0000000000)

    assert found is None or found.start <= 0x7F0000000000 < found.end
