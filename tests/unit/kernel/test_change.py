"""bpfctl.kernel.change, meter and views.change: what has changed from one look at a map to the next."""

from __future__ import annotations

import math
import struct
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.errors import UsageError
from bpfctl.kernel import change
from bpfctl.kernel.change import Change, Watched
from bpfctl.kernel.elements import Chunk
from bpfctl.kernel.field import Grid
from bpfctl.kernel.map import MapInfo
from bpfctl.kernel.map_types import Types
from bpfctl.kernel.meter import Meter
from bpfctl.uapi.enums import MapType
from bpfctl.views.change import Changes, gathered
from bpfctl.views.element import Shape
from btf.read import BTF
from btf.write import Builder

GRID = Grid(1, 1, 1, 0)
maps = st.dictionaries(st.binary(min_size=1, max_size=1), st.binary(min_size=1, max_size=1), max_size=30)


def info(value=8, key=4):
    return MapInfo(7, MapType.HASH, key, value, 100, 0, "fake", 0, 0, 0, 0, 0, 0, 0, 0)


def chunks(entries, at_once):
    """Return the chunks of a map whose entries come in the order of their keys."""
    pairs = sorted(entries.items())
    parts = [pairs[at : at + at_once] for at in range(0, len(pairs), at_once)]
    return [Chunk(b"".join(key for key, _ in part), b"".join(value for _, value in part), len(part)) for part in parts]


@given(st.lists(st.tuples(maps, st.integers(1, 8)), min_size=1, max_size=5))
def test_changes_are_those_of_dictionaries(rounds):
    watched = Watched(7, GRID)
    assert list(watched.changes(chunks(*rounds[0]))) == []
    for (before, _), (after, at_once) in pairwise(rounds):
        expected = {
            Change(key, before.get(key), after.get(key))
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
        }
        found = list(watched.changes(chunks(after, at_once)))

        assert set(found) == expected
        assert len(found) == len(expected)
        assert watched.entries == len(after)


def test_too_much_to_keep(monkeypatch):
    monkeypatch.setattr(change, "MOST_BYTES", 8)
    watched = Watched(7, GRID)
    with pytest.raises(UsageError, match="choose some with --where or --key-prefix"):
        list(watched.changes(chunks({bytes([n]): b"." for n in range(5)}, 2)))


def test_a_round_counts_all_and_shows_the_fastest():
    pack = struct.Struct("=q").pack
    meter = Meter(info(), None)
    changes = [Change(bytes([n, 0, 0, 0]), pack(0), pack(n if n % 2 else -n)) for n in range(1, 10)]
    changes += [Change(b"new!", None, pack(5)), Change(b"gone", pack(5), None)]
    # without types a value is a number without sign, and a negative one a large one
    found = gathered(iter(changes), meter, 3, 2.0)

    assert (found.added, found.changed, found.deleted, found.left_out) == (1, 9, 1, 8)
    assert [each.key[0] for each in found.first] == [2, 4, 6]
    shown = Changes(Shape(info()), meter, "map 7").board().json(found)
    assert shown["left_out"] == 8
    assert shown["changed"][0]["change"] == {"value": (1 << 64) - 2}


def test_rates_are_by_the_second():
    pack = struct.Struct("=Q").pack
    meter = Meter(info(), None)
    found = gathered([Change(b"key1", pack(100), pack(130))], meter, 3, 2.0)._replace(entries=1)
    board = Changes(Shape(info()), meter, "map 7").board()

    assert board.json(found)["changed"][0]["rate"] == {"value": 15.0}
    assert list(board.plain(found))[1] == "changed  key 6b 65 79 31  value 130 +30 (15.0/s)"
    titles = {column.title: column.get(board.rows(found)[0]) for column in board.columns(found)}
    assert titles == {"key": "6b 65 79 31", "state": None, "value": "130", "+value": "+30", "value/s": "15.0"}


def test_floats_that_are_no_numbers():
    """JSON has none; and they neither stand in front nor hide what does."""
    b = Builder(byteorder=sys.byteorder)
    key, double = b.add_int("u32", 4), b.add_float("double", 8)
    value = b.add_struct("s", 8, [("x", double)])
    types = Types(BTF.from_bytes(b.build()), key, value)
    pack = struct.Struct("=d").pack
    meter = Meter(info(), types)
    moved = [Change(bytes([n, 0, 0, 0]), pack(1), pack(to)) for n, to in enumerate((math.nan, 6, math.inf))]
    shown = Changes(Shape(info(), types), meter, "map 7").board().json(gathered(moved, meter, 3, 2.0))["changed"]

    assert [entry["formatted"]["key"] for entry in shown] == [2, 1, 0]
    assert [entry["change"]["x"] for entry in shown] == ["inf", 5.0, "nan"]
    assert [entry["rate"]["x"] for entry in shown] == ["inf", 2.5, "nan"]


def test_values_that_are_no_numbers():
    meter = Meter(info(value=13), None)
    found = gathered([Change(b"key1", bytes(13), b"some thing!!!"), Change(b"key2", None, bytes(13))], meter, 3, 1.0)
    board = Changes(Shape(info(value=13)), meter, "map 7").board()

    assert list(board.plain(found))[1] == f"changed  key 6b 65 79 31  value {b'some thing!!!'.hex(' ')}"
    assert [column.title for column in board.columns(found)] == ["key", "state", "value"]
    assert board.json(found)["changed"][0]["rate"] == {}


def test_what_entries_cannot_be_ranked_by():
    with pytest.raises(UsageError, match="a part of keys"):
        Meter(info(), None, "key")
    with pytest.raises(UsageError, match="no field 'pid'"):
        Meter(info(), None, "pid")
