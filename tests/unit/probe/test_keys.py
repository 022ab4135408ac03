"""What lies where in a key, and by which type it is told."""

from __future__ import annotations

import pytest

from bpfctl.errors import UsageError
from bpfctl.probe.action import Part, common_type
from bpfctl.probe.field import Bytes, Field, Integer, Numbers, Text
from bpfctl.probe.keys import Keys
from bpfctl.probe.source import ProbePoint

COLORS = ((0, "red"), (1, "green"))


@pytest.mark.parametrize(
    ("types", "common"),
    [
        ([Integer(4), Integer(2)], Integer(8)),
        ([Integer(4), Integer(4, signed=True)], Integer(8, signed=True)),
        ([Integer(8, hexadecimal=True), Integer(8)], Integer(8)),
        ([Integer(8, hexadecimal=True)], Integer(8, hexadecimal=True)),
        ([Integer(4, names=COLORS)], Integer(8, names=COLORS)),
        ([Integer(4, names=COLORS), Integer(1, names=COLORS)], Integer(8, names=COLORS)),
        ([Integer(4, names=COLORS), Integer(4)], Integer(8)),
        ([Text(16), Text(64, may_be_cut=True)], Text(64, may_be_cut=True)),
    ],
)
def test_one_type_for_all_points(types, common):
    assert common_type("x", types) == common


@pytest.mark.parametrize("types", [[Integer(4), Text(16)], [Bytes(8), Bytes(16)]])
def test_no_type_for_all_points(types):
    with pytest.raises(UsageError, match="'x' is "):
        common_type("x", types)


def test_each_field_lies_where_it_can_be_written():
    """The kernel takes no number that does not lie at a multiple of its size, not even on the stack."""
    types = {"odd": Text(10), "bytes": Bytes(3), "number": Integer(2), "two": Numbers(Integer(2), 1), "last": Bytes(8)}
    keys = Keys(["probe", *types])
    keys.settle([Part((ProbePoint("a", "b"),), 0, lambda name: Field(name, types[name], print, None))])

    assert {slot.name: slot.at for slot in keys.slots} == {"odd": 4, "bytes": 16, "number": 24, "two": 32, "last": 36}
