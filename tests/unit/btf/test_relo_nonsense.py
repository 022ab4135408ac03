"""btf.relo: records and types that make no sense, and those that lead in circles."""

from __future__ import annotations

import pytest

from btf import relo_kind as kind
from btf.relo import Target
from tests.unit.btf.relo_world import World, ask, btf, pair


@pytest.mark.parametrize(
    ("access", "number", "error"),
    [
        ("", 0, "access string '' is not numbers and colons"),
        ("0:", 0, "access string '0:' is not numbers and colons"),
        (":0", 0, "access string ':0' is not numbers and colons"),
        ("0:-1", 0, "access string '0:-1' is not numbers and colons"),
        ("0:0\n", 0, "is not numbers and colons"),
        ("0:٣", 0, "is not numbers and colons"),
        ("0:99999999999999999999", 0, "has numbers that are too large"),
        ("2147483648", 0, "has numbers that are too large"),
        ("0:7", 0, "struct s has no member number 7"),
        ("0:0:0", 0, "int has no members"),
        ("0:1:2", 0, "int[2] has no element 2"),
        (":".join("0" * 65), 0, "access through 65 members, more than 64"),
        ("0:0", kind.TYPE_SIZE, "access string '0:0' for a type as a whole"),
        ("0", kind.ENUMVAL_VALUE, "struct s has no value number 0"),
        ("0", 13, "relocation kind 13 is unknown"),
        ("2000000000:1", 0, "is too large"),
    ],
)
def test_nonsense_is_an_error(access, number, error):
    """What makes no sense on the program's own types has an error that says so."""
    local, target, s = pair(lambda w: [("a", w.int), ("b", w.add_array(w.int, w.int, 2), 32)], lambda w: [("a", w.int)])
    (found,) = ask(local, target, (s, access, number))

    assert error in found.error
    assert found.error == found.reason
    assert found.value is None


def test_types_that_cannot_be_asked_for():
    """Types without a name, of no size, or that do not exist."""
    local, target = World(), World()
    nameless = local.add_struct("", 4, [("a", local.int)])
    fwd = local.add_fwd("f")
    target.add_fwd("f")
    found = ask(local, target, (nameless, "0:0", 0), (fwd, "0", kind.TYPE_SIZE), (99, "0:0", 0), (0, "0", 8))

    assert [
        "anonymous struct has no name to look for",
        f"type {fwd} has no size",
        "type id 99 is out of range",
        "void has no name to look for",
    ] == [result.error for result in found]


def test_structs_within_themselves_come_to_an_end():
    """Types of an enemy: structs that contain themselves, pointers to themselves, functions of functions."""
    hostile = World()
    s = hostile.next_id
    hostile.add_struct("s", 4, [("", s), ("", s), ("x", s), ("y", s)])
    hostile.add_typedef("t", hostile.next_id + 1)
    hostile.add_ptr(hostile.next_id)
    hostile.add_typedef("f", hostile.next_id + 1)
    f = hostile.next_id
    hostile.add_func_proto(f, [("", f), ("", f)])
    hostile.add_typedef("loop", hostile.next_id)
    wide = hostile.next_id
    for level in range(40):
        hostile.add_func_proto(0, [("", wide + level + 1)] * 4)
    hostile.add_typedef("wide", wide)
    kernel = Target(btf(hostile))
    asked = [(type_id, "0", one) for type_id in (s, s + 1, s + 3, s + 5, wide + 40) for one in (7, 8, 9, 12)]
    asked += [(s, "0:2" + ":2" * 62, 0), (s, "0:1:0:2", 2)]
    found = ask(hostile, kernel, *asked)

    assert all(result.error or result.value is not None for result in found)
    assert sum(result.error is not None for result in found) > 8
