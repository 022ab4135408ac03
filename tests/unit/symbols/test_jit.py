"""Functions that a process tells of, in files as compilers write them, and as nobody should."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpfctl.symbols import jit
from bpfctl.symbols.jit import Map, Owner
from tests.soon import soon


@pytest.fixture
def told(tmp_path):
    """What is told by process 7 in a root folder of its own."""

    def tell(text, how="wb"):
        with open(tmp_path / "tmp" / "perf-7.map", how) as file:
            file.write(text)

    (tmp_path / "tmp").mkdir(exist_ok=True)
    tell.map = Map(Owner(7, frozenset({os.getuid()}), str(tmp_path)))
    return tell


def grown(told, *addresses):
    told.map.grow()
    return [told.map.find(address) for address in addresses]


def test_lines(told):
    """With and without 0x; names may have blanks."""
    told(b"1000 20 one\n0x2000 0x10 two words here\n3000 0 empty\n")

    assert grown(told, 0xFFF, 0x1000, 0x101F, 0x1020, 0x2008, 0x3000) == [
        *[None, ("one", 0x1000), ("one", 0x1000), None, ("two words here", 0x2000), None]
    ]


def test_growth(told):
    """What was read is not read again; a line that is not whole yet waits."""
    told(b"1000 20 one\n2000 20 tw")
    assert grown(told, 0x1000, 0x2000) == [("one", 0x1000), None]
    told(b"o\n1000 20 again\n", "ab")

    assert grown(told, 0x1000, 0x2000) == [("again", 0x1000), ("two", 0x2000)]


def test_many_pieces(told):
    """Pieces are put together when they get many; the later counts."""
    told(b"")
    for number in range(3 * jit._RUNS):
        told(b"%x 10 name%d\n1000 10 last%d\n" % (0x2000 + 0x10 * number, number, number), "ab")
        told.map.grow()

    assert len(told.map._runs) <= jit._RUNS
    assert grown(told, 0x1004, 0x2000, 0x2155) == [
        *[(f"last{3 * jit._RUNS - 1}", 0x1000), ("name0", 0x2000), ("name21", 0x2150)]
    ]


def test_file_written_anew(told):
    told(b"1000 20 one\n2000 20 two\n")
    told.map.grow()
    told(b"2000 20 new\n")

    assert grown(told, 0x1000, 0x2000) == [None, ("new", 0x2000)]


def test_file_that_is_gone(told, tmp_path):
    told(b"1000 20 one\n")
    told.map.grow()
    (tmp_path / "tmp" / "perf-7.map").unlink()

    assert grown(told, 0x1000) == [None]


def test_too_much(told, monkeypatch):
    """Of a file without end only so much is read."""
    monkeypatch.setattr(jit, "_MOST", 1000)
    monkeypatch.setattr(jit, "_PIECE", 1 << 12)
    told(b"".join(b"%x 10 name\n" % (0x1000 + 0x10 * number) for number in range(5000)))

    assert grown(told, 0x1000, 0x1000 + 0x10 * 4999) == [("name", 0x1000), None]
    assert sum(len(run.starts) for run in told.map._runs) < 1300


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n\n\n",
        b"nothing of the kind\n",
        b"-1000 20 minus\n",
        b"1000 20\n",
        b"1000 20 \n",
        b"10000000000000000 20 wide\n",
        b"x" * (3 << 20),
        b"\0" * 5000 + b"\n",
    ],
)
def test_lines_that_are_none(told, text):
    told(text)

    assert grown(told, 0x1000, 0) == [None, None]


def test_names_of_an_enemy(told):
    """They are as they are, but not without end."""
    told(b"1000 20 \x1b[31mred\xff\n2000 20 " + b"y" * 100_000 + b"\nffffffffffffffff ffffffffffffffff all\n")
    red, long, far = grown(told, 0x1000, 0x2000, (1 << 64) - 1)

    assert red == ("\x1b[31mred\udcff", 0x1000)
    assert len(long[0]) == jit._LONGEST
    assert far == ("all", (1 << 64) - 1)


@pytest.mark.parametrize("kind", ["folder", "device", "nothing"])
def test_what_is_no_file(told, tmp_path, kind):
    path = tmp_path / "tmp" / "perf-7.map"
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")

    assert grown(told, 0x1000) == [None]


def test_process_that_is_not_there():
    assert jit.owner(1 << 22) is None
    assert jit.owner(os.getpid()) == Owner(os.getpid(), frozenset({0, os.getuid(), os.geteuid()}), "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(0, 1 << 64), st.integers(0, 1 << 33), st.binary(max_size=8))
        | st.binary(max_size=30).map(lambda noise: (None, None, noise)),
        max_size=30,
    ),
    st.integers(0, (1 << 64) - 1),
)
def test_file_of_an_enemy(told, lines, address):
    told(b"\n".join(noise if start is None else b"%x %x %s" % (start, size, noise) for start, size, noise in lines))
    told.map = Map(told.map.owner)
    with soon():
        (found,) = grown(told, address)

    assert found is None or found[1] <= address
