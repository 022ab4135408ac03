"""Cells for programs: CSV that any reader takes apart again, and tabs."""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.render.cells import CellsOutput, exact
from bpfctl.render.text import safe
from bpfctl.views.view import Column, View
from tests.memory import Memory


class Row(NamedTuple):
    """An object."""

    name: str | None
    size: int | None = None
    maps: tuple[str, ...] = ()


VIEW = View(
    "things",
    lambda row: row._asdict(),
    lambda row: iter([str(row)]),
    (
        Column("the name", lambda row: row.name),
        Column("size", lambda row: row.size, "bytes"),
        Column("maps", lambda row: row.maps, "list"),
    ),
    lambda _: {},
)


def written(*rows, as_csv, view=VIEW):
    out = CellsOutput(Memory(), csv=as_csv)
    out.show(view, rows, listing=True)
    out.close()
    return out.sink.text


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("plain", "plain"),
        ("a,b", '"a,b"'),
        ('say "so"', '"say ""so"""'),
        (" blanks ", " blanks "),
        ("=1+1", "=1+1"),
        ("\x1b[31m", r"\x1b[31m"),
        ("two\nlines", r"two\x0alines"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_cell_of_csv(name, cell):
    assert written(Row(name, 4096), as_csv=True) == f"the name,size,maps\r\n{cell},4096,\r\n"


@given(st.lists(st.tuples(st.text(), st.integers(0), st.lists(st.text(alphabet="ab,\" '/"), max_size=3))))
def test_csv_is_read_back_as_it_was(found):
    """By Python's reader; what a terminal would act on is spelled out."""
    text = written(*(Row(name, size, tuple(maps)) for name, size, maps in found), as_csv=True)

    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["the name", "size", "maps"],
        *([safe(name), str(size), ",".join(maps)] for name, size, maps in found),
    ]


@given(st.lists(st.tuples(st.text(), st.integers(0))))
def test_lines_have_as_many_cells_as_columns_whatever_is_in_them(found):
    lines = written(*(Row(name, size) for name, size in found), as_csv=False).split("\n")

    assert [line.split("\t") for line in lines[:-1]] == [[safe(name) or "-", str(size), "-"] for name, size in found]


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (None, "text", None),
        ((), "list", None),
        (4096, "bytes", 4096),
        ("-7", "number", -7),  # a member of a key or a value, which is text
        ("0xffff", "number", "0xffff"),
        ("7", "text", "7"),
        (("1", "2"), "list", ["1", "2"]),
        (True, "text", True),
    ],
)
def test_a_value_for_json(value, hint, expected):
    found = exact(Column("title", lambda row: row, hint), value)

    assert found == expected
    assert type(found) is type(expected)
