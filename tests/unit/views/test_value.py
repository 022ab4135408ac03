"""bpfctl.views.value: both forms of every sort of value."""

from __future__ import annotations

import json
from math import inf, nan

import pytest

from bpfctl.views import value
from btf.value import Address, Bits, Char, Enumerator, Record, Section


@pytest.mark.parametrize(
    ("given", "as_json", "as_text"),
    [
        (7, 7, "7"),
        (-7, -7, "-7"),
        (1 << 64, 1 << 64, "18446744073709551616"),
        (True, True, "true"),
        (False, False, "false"),
        (Char(0x41), "A", '"A"'),
        (Char(0x22), '"', '"\\""'),
        (Char(0), "\0", "0x0"),
        (Char(0xFF), "\xff", "0xff"),
        (Bits(5, 3), "0x5", "0x5"),
        (Bits(-1, 3), "0x7", "0x7"),
        (Bits(-1, 128), "0x" + "f" * 32, "0x" + "f" * 32),
        (Enumerator(1, "ONE", 32), "ONE", '"ONE"'),
        (Enumerator(0x80000000, None, 32), -0x80000000, "-2147483648"),
        (Address(0, 1), 0, '"(nil)"'),
        (Address(0xFFFF888000000000, 1), 0xFFFF888000000000, '"0xffff888000000000"'),
        (1.5, 1.5, "1.5"),
        (inf, "inf", "inf"),
        (nan, "nan", "nan"),
        ("text", "text", '"text"'),
        ('"\\', '"\\', '"\\"\\\\"'),
        ([], [], "[]"),
        ([1, Char(0x42), [Bits(1, 1)]], [1, "B", ["0x1"]], '[1,"B",[0x1]]'),
        (Record([("a", 1), ("p", Address(1, 2))]), {"a": 1, "p": 1}, '{"a":1,"p":"0x1"}'),
        (Record([]), {}, "{}"),
        (
            Record([("", Record([("a", 1)])), ("b", Record([("c", 2)]))]),
            {"": {"a": 1}, "b": {"c": 2}},
            '{"":{"a":1},"b":{"c":2}}',
        ),
        (Section(".data", [("a", 1), ("b", "x")]), {".data": [{"a": 1}, {"b": "x"}]}, '{".data":[{"a":1},{"b":"x"}]}'),
    ],
    ids=repr,
)
def test_both_forms(given, as_json, as_text):
    assert value.json(given) == as_json
    assert type(value.json(given)) is type(as_json)
    assert value.plain(given) == as_text


def test_members_without_name_do_not_hide_each_other():
    """bpftool writes the empty key once for each, of which readers keep the last; here they are one object."""
    record = Record([("", Record([("a", 1)])), ("b", 2), ("", Record([("c", 3)]))])

    assert json.dumps(value.json(record)) == '{"": {"a": 1, "c": 3}, "b": 2}'
    assert value.plain(record) == '{"":{"a":1},"b":2,"":{"c":3}}'


def test_enumerators_are_escaped():
    """Their names come from a BTF blob, which may hold anything."""
    assert value.plain(Enumerator(1, 'E"\\', 32)) == '"E\\"\\\\"'
