"""Comparing two sets of types."""

from __future__ import annotations

import pytest

from btf.diff import Change, diff
from btf.errors import BTFError
from btf.read import BTF
from btf.write import Builder
from tests.unit.btf.enemy import bomb


def types(make):
    """The types that ``make`` adds to a builder, behind some that both sides have with other ids."""
    b = Builder()
    make(b, b.add_int("int", 4), b.add_int("long", 8))
    return BTF.from_bytes(b.build())


def changes(first, second):
    (only,) = diff(types(first), types(second))
    return only.changes


def test_equal_types_of_other_ids_and_order():
    def first(b, number, long):
        b.add_struct("s", 16, [("a", number), ("", b.add_struct("", 8, [("b", long)]), 64)])
        b.add_func("f", b.add_func_proto(0, [("x", number)]))

    def second(b, number, long):
        b.add_func("f", b.add_func_proto(0, [("renamed", number)]))
        b.add_ptr(long)
        b.add_struct("s", 16, [("a", number), ("", b.add_union("", 8, [("b", long)]), 64)])

    assert list(diff(types(first), types(second))) == []


def test_types_that_only_one_has():
    found = diff(
        types(lambda b, number, _: b.add_struct("old", 4, [("a", number)])),
        types(lambda b, number, _: b.add_typedef("new", number)),
    )

    assert [(one.kind, one.name, one.first, one.second) for one in found] == [
        ("struct", "old", 3, None),
        ("typedef", "new", None, 3),
    ]


def test_members():
    def first(b, number, long):
        inner = b.add_struct("", 4, [("deep", number)])
        grows = b.add_struct("g", 4, [("x", number)])
        b.add_struct("s", 24, [("gone", number), ("", inner, 32), ("grows", grows, 64), ("typed", long, 128)])

    def second(b, number, long):
        inner = b.add_struct("", 4, [("deep", number)])
        grows = b.add_struct("g", 8, [("x", number), ("y", number, 32)])
        members = [("new", number), ("", inner, 64), ("grows", grows, 128), ("typed", b.add_ptr(long), 192)]
        b.add_struct("s", 32, members)

    found = {one.name: one.changes for one in diff(types(first), types(second))}

    assert found["g"] == (Change("size", "", 4, 8), Change("added", "y", None, "int"))
    assert found["s"] == (
        Change("size", "", 24, 32),
        Change("removed", "gone", "int"),
        Change("added", "new", None, "int"),
        Change("moved", "deep", 32, 64),
        Change("moved", "grows", 64, 128),
        Change("resized", "grows", 4, 8),
        Change("moved", "typed", 128, 192),
        Change("retyped", "typed", "long", "long *"),
    )


def test_a_bit_field_that_becomes_wider():
    def side(width):
        return lambda b, number, _: b.add_struct("s", 4, [("a", number, width << 24)], kind_flag=True)

    assert changes(side(3), side(5)) == (Change("resized", "a", 3, 5),)


def test_a_bit_field_that_moves():
    def side(bit):
        return lambda b, number, _: b.add_struct("s", 4, [("a", number, 3 << 24 | bit)], kind_flag=True)

    assert changes(side(3), side(8)) == (Change("moved", "a", 3, 8),)


def test_values_of_an_enum():
    assert changes(
        lambda b, *_: b.add_enum("e", [("A", 0), ("B", 1), ("C", 2)]),
        lambda b, *_: b.add_enum("e", [("A", 0), ("C", 1), ("D", 2)]),
    ) == (Change("value removed", "B", 1), Change("value changed", "C", 2, 1), Change("value added", "D", None, 2))


def test_the_size_of_an_enum():
    assert changes(
        lambda b, *_: b.add_enum("e", [("A", 0)], size=4),
        lambda b, *_: b.add_enum("e", [("A", 0)], size=8),
    ) == (Change("size", "", 4, 8),)


def test_how_an_integer_is_read():
    """Of the same size."""
    assert changes(
        lambda b, *_: b.add_int("n", 4),
        lambda b, *_: b.add_int("n", 4, encoding=1, nr_bits=7, bits_offset=3),
    ) == (Change("encoding", "", "32 bits", "7 bits from 3 signed"),)


def test_prototypes_and_typedefs():
    def side(at):
        def make(b, *numbers):
            b.add_func("f", b.add_func_proto(numbers[at], [("x", numbers[0])]))
            b.add_typedef("t", numbers[at])

        return make

    found = {one.name: one.changes for one in diff(types(side(0)), types(side(1)))}

    assert found == {
        "f": (Change("prototype", "", "int f(int x)", "long f(int x)"),),
        "t": (Change("type", "", "int", "long"),),
    }


def test_a_typedef_of_a_struct_without_a_name_is_compared_inside():
    def side(*names):
        def make(b, number, _):
            b.add_typedef("t", b.add_struct("", 8, [(name, number, 32 * at) for at, name in enumerate(names)]))

        return make

    assert changes(side("a", "b"), side("b", "a")) == (Change("moved", "b", 32, 0), Change("moved", "a", 0, 32))


def test_several_types_of_one_name():
    """What both have is left out, wherever it stands."""

    def side(*sizes):
        def make(b, number, _):
            for size in sizes:
                b.add_struct("s", size, [("a", number)])

        return make

    assert list(diff(types(side(4, 8)), types(side(8, 4)))) == []
    assert changes(side(4, 8), side(8, 16)) == (Change("size", "", 4, 16),)


def test_only_types_that_are_wanted():
    first, second = types(lambda *_: None), types(lambda b, number, _: [b.add_typedef(name, number) for name in "abc"])

    assert [one.name for one in diff(first, second, name="b".__eq__)] == ["b"]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda b: b.add_struct("s", 8, [("a", 99)]), id="out of range"),
        pytest.param(lambda b: b.add_typedef("t", b.add_ptr(1)), id="circle"),
        pytest.param(lambda b: (b.add_struct("", 8, [("", 1)]), b.add_typedef("t", 1)), id="inside itself"),
    ],
)
def test_damaged_types(make):
    b = Builder()
    make(b)
    damaged = BTF.from_bytes(b.build())

    with pytest.raises(BTFError):
        list(diff(damaged, damaged))


def test_the_order_of_members_of_a_union_is_no_difference():
    def side(*names):
        return lambda b, number, _: b.add_union("u", 4, [(name, number) for name in names])

    assert list(diff(types(side("a", "b")), types(side("b", "a")))) == []


def test_types_that_expand_without_end():
    with pytest.raises(BTFError, match="too deep"):
        list(diff(bomb(), bomb()))
