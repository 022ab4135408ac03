"""Searching types by name and by use."""

from __future__ import annotations

import re

import pytest

from btf.errors import BTFError
from btf.find import Wanted, search
from btf.read import BTF
from btf.write import Builder
from tests.unit.btf.enemy import bomb


@pytest.fixture(scope="module")
def btf():
    b = Builder()
    number = b.add_int("int", 4)
    head = b.add_struct("head", 4, [("number", number)])
    of_head = b.add_ptr(head)
    head_t = b.add_typedef("head_t", b.add_const(head))
    inner = b.add_struct("", 8, [("deep", b.add_array(head_t, number, 2))])
    union = b.add_union("", 8, [("", inner), ("near", of_head)])
    b.add_struct("outer", 16, [("first", of_head), ("", union, 64)])
    b.add_typedef("alone_t", b.add_struct("", 8, [("first", b.add_ptr(of_head))]))
    b.add_enum("colour", [("RED", 1), ("FIRST", 2)])
    b.add_func("first", b.add_func_proto(0, [("of", of_head)]))
    b.add_func("second", b.add_func_proto(number, []))
    return BTF.from_bytes(b.build())


def found(btf, **wanted):
    return [(one.kind, one.title, one.bits) for one in search(btf, Wanted(**wanted))]


def test_names_of_all_kinds(btf):
    assert found(btf, name=re.compile("(?i)first$").match) == [
        ("member", "struct outer.first", 0),
        ("member", "alone_t.first", 0),
        ("enumerator", "enum colour::FIRST", None),
        ("func", "func first", None),
    ]


def test_members_of_structs_without_a_name_are_those_of_the_one_around_them(btf):
    assert found(btf, name={"deep", "near"}.__contains__) == [
        ("member", "struct outer.near", 64),
        ("member", "struct outer.deep", 64),
    ]


def test_who_embeds_a_type_through_arrays_typedefs_and_modifiers(btf):
    assert found(btf, embeds=frozenset(btf.ids_named("head"))) == [("member", "struct outer.deep", 64)]


def test_who_points_to_a_type(btf):
    head = frozenset(btf.ids_named("head"))

    assert found(btf, points_to=head) == [
        ("member", "struct outer.first", 0),
        ("member", "struct outer.near", 64),
        ("member", "alone_t.first", 0),
    ]
    assert found(btf, points_to=head, kinds=frozenset({"func"})) == [("func", "func first", None)]


def test_kinds_limit_what_is_found(btf):
    assert [title for _, title, _ in found(btf, kinds=frozenset({"struct", "typedef"}))] == [
        "struct head",
        "typedef head_t",
        "struct outer",
        "typedef alone_t",
    ]


def test_a_struct_that_contains_itself_is_an_error():
    b = Builder()
    b.add_struct("loop", 8, [("", 2)])
    b.add_struct("", 8, [("", 2), ("here", 1)])

    with pytest.raises(BTFError, match="contains itself"):
        found(BTF.from_bytes(b.build()), name="here".__eq__)


def test_types_that_expand_without_end():
    with pytest.raises(BTFError, match="too deep"):
        found(bomb(), name="x".__eq__)


def test_members_of_items():
    """Those of an array whose struct has no name."""
    b = Builder()
    number = b.add_int("int", 4)
    b.add_struct("rows", 8, [("row", b.add_array(b.add_struct("", 4, [("cell", number)]), number, 2))])
    btf = BTF.from_bytes(b.build())

    assert found(btf, name=re.compile("cell").fullmatch) == [("member", "struct rows.row.cell", 0)]
