"""Where parts of a value are."""

from __future__ import annotations

import pytest

from btf.errors import BTFError
from btf.place import Place, find, members, what
from btf.read import BTF
from btf.write import Builder

BUILDER = Builder()
INT = BUILDER.add_int("int", 4)
PAIR = BUILDER.add_struct("pair", 8, [("a", INT), ("b", BUILDER.add_const(INT), 32)])
ROWS = BUILDER.add_array(BUILDER.add_array(PAIR, INT, 3), INT, 2)
EITHER = BUILDER.add_union("", 4, [("whole", INT), ("bits", INT, 3 << 24 | 5)], kind_flag=True)
OUTER = BUILDER.add_struct("outer", 64, [("first", INT), ("rows", ROWS, 64), ("", EITHER, 448)])
BTF_ = BTF.from_bytes(BUILDER.build())


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", Place("", OUTER, 0)),
        ("first", Place("first", INT, 0)),
        ("rows[1][2].b", Place("rows[1][2].b", INT, 8 + 24 + 16 + 4)),
        ("whole", Place("whole", INT, 56)),
        ("bits", Place("bits", INT, 56, 5, 3)),
    ],
)
def test_a_part(path, place):
    assert place == find(BTF_, OUTER, path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("rows[2]", r"rows: struct pair\[3\]\[2\] has no item 2"),
        ("first[0]", "int is no array"),
        ("frist", "struct outer has no member 'frist'"),
    ],
)
def test_what_is_no_part(path, message):
    with pytest.raises(BTFError, match=message):
        find(BTF_, OUTER, path)


def test_parts():
    """Those of members without a name too, and the items of an array."""
    assert [part.path for part in members(BTF_, find(BTF_, OUTER, ""))] == ["first", "rows", "whole", "bits"]
    assert [part.offset for part in members(BTF_, find(BTF_, OUTER, "rows"))] == [8, 32]


def test_words():
    assert what(BTF_, ROWS) == "struct pair[3][2]"
