"""bpfctl.views.entry_table: entries of maps as rows of a table."""

from __future__ import annotations

import sys
from errno import ENOENT, EPERM

from bpfctl.host import cpus
from bpfctl.kernel.elements import Chunk
from bpfctl.kernel.map import MapInfo
from bpfctl.kernel.map_types import Types
from bpfctl.uapi.enums import MapType
from bpfctl.views import entry_table
from bpfctl.views.element import Shape
from btf.read import BTF
from btf.types import CHAR
from btf.write import Builder


def told(shape, *chunks):
    """Return what the cells of each row have, by title."""
    columns = entry_table.columns(shape)
    return [{column.title: column.get(row) for column in columns} for row in entry_table.rows(shape, chunks)]


def info(type_, value):
    return MapInfo(7, type_, 4, value, 100, 0, "fake", 0, 0, 0, 0, 0, 0, 0, 0)


def test_a_slot_that_cannot_be_read_has_no_id():
    """Nor 0, which would be that of no program."""
    key, id_ = (5).to_bytes(4, sys.byteorder), (260).to_bytes(4, sys.byteorder)
    rows = told(Shape(info(MapType.PROG_ARRAY, 4)), Chunk(key, id_, 1), Chunk(key, b"", 1, EPERM))

    assert [row["program"] for row in rows] == [260, None]
    assert [row["error"] for row in rows] == [None, "Operation not permitted"]


def test_characters():
    """Those that can be printed stand for themselves, also a quote."""
    b = Builder(byteorder=sys.byteorder)
    char, u32 = b.add_int("char", 1, encoding=CHAR), b.add_int("u32", 4)
    value = b.add_struct("s", 3, [("a", char), ("b", char, 8), ("c", char, 16)])
    types = Types(BTF.from_bytes(b.build()), u32, value)
    (row,) = told(Shape(info(MapType.HASH, 3), types), Chunk(bytes(4), b'"x\x1b', 1))

    assert (row["a"], row["b"], row["c"]) == ('"', "x", "0x1b")


def test_an_empty_slot_is_no_row():
    """But an entry of another map that has gone meanwhile is one."""
    key = (5).to_bytes(4, sys.byteorder)

    assert told(Shape(info(MapType.PROG_ARRAY, 4)), Chunk(key, b"", 1, ENOENT)) == []
    assert [row["error"] for row in told(Shape(info(MapType.HASH, 4)), Chunk(key, b"", 1, ENOENT))] == [
        "No such file or directory"
    ]


def test_what_each_cpu_has(monkeypatch):
    """In slots of a multiple of 8 bytes."""
    monkeypatch.setattr(cpus, "possible", lambda: 3)
    value = b"".join(bytes([cpu] * 4 + [0xFF] * 4) for cpu in range(3))
    rows = told(Shape(info(MapType.PERCPU_HASH, 4)), Chunk(bytes(8), value * 2, 2))

    assert [row["cpu"] for row in rows] == [0, 1, 2] * 2
    assert [row["value"] for row in rows] == ["00 00 00 00", "01 01 01 01", "02 02 02 02"] * 2


def test_variables():
    """Each is a row, a struct as well."""
    b = Builder(byteorder=sys.byteorder)
    u32 = b.add_int("u32", 4)
    pair = b.add_struct("pair", 8, [("a", u32), ("b", u32, 32)])
    places = [(b.add_var("limit", u32), 0, 4), (b.add_var("two", pair), 4, 8)]
    section = b.add_datasec(".data", 12, places)
    types = Types(BTF.from_bytes(b.build()), 0, section)
    value = b"".join(number.to_bytes(4, sys.byteorder) for number in (7, 8, 9))

    assert told(Shape(info(MapType.ARRAY, 12), types), Chunk(bytes(4), value, 1)) == [
        {"variable": "limit", "value": "7", "error": None},
        {"variable": "two", "value": '{"a":8,"b":9}', "error": None},
    ]
