"""Where members lie."""

from __future__ import annotations

import pytest

from btf import types
from btf.declare import declare
from btf.errors import BTFError
from btf.layout import layout
from btf.read import BTF
from btf.write import Builder


def made(add):
    """The layout of what ``add`` adds last, to a builder that has a char, an int and a long."""
    b = Builder()
    last = add(b, b.add_int("char", 1), b.add_int("int", 4), b.add_int("long", 8))
    return layout(BTF.from_bytes(b.build()), last)


def test_holes_and_padding():
    of = made(lambda b, char, _, long: b.add_struct("s", 24, [("a", char), ("b", long, 64), ("c", char, 128)]))

    assert [(field.name, field.offset, field.size, field.hole) for field in of.fields] == [
        ("a", 0, 1, 7),
        ("b", 8, 8, 0),
        ("c", 16, 1, 0),
    ]
    assert (of.size, of.padding, of.holes, of.used, of.cache_lines) == (24, 7, [7], 10, 1)


@pytest.mark.parametrize(("size", "lines"), [(64, 1), (65, 2)])
def test_cache_lines(size, lines):
    assert lines == made(lambda b, char, *_: b.add_struct("s", size, [("a", char)])).cache_lines


def test_a_hole_before_the_first_member():
    of = made(lambda b, _, number, __: b.add_struct("s", 8, [("a", number, 32)]))

    assert (of.hole, of.padding) == (4, 0)


def test_bit_fields():
    """Bits that are free in the integer of a bit field are a bit hole, what is free behind it is a hole."""
    members = [("a", 2, 3 << 24), ("b", 2, 4 | 2 << 24), ("c", 3, 64), ("d", 2, 128 | 1 << 24)]
    of = made(lambda b, *_: b.add_struct("s", 24, members, kind_flag=True))

    assert [(field.offset, field.bit, field.width, field.hole, field.bit_hole) for field in of.fields] == [
        (0, 0, 3, 0, 1),
        (0, 4, 2, 4, 26),
        (8, 0, 0, 0, 0),
        (16, 0, 1, 0, 0),
    ]
    assert (of.bit_padding, of.padding) == (31, 4)


def test_bit_fields_as_they_were_before_kind_flag():
    """Their width and place stand in an integer type of their own."""

    def add(b, *_):
        return b.add_struct("s", 4, [("a", b.add_int("int", 4, nr_bits=3)), ("b", b.add_int("int", 4, nr_bits=5), 3)])

    of = made(add)

    assert [(field.offset, field.bit, field.width) for field in of.fields] == [(0, 0, 3), (0, 3, 5)]
    assert of.bit_padding == 24


def test_offsets_inside_count_from_the_same_start():
    def add(b, char, _, long):
        inner = b.add_struct("", 16, [("x", char), ("y", long, 64)])
        return b.add_struct("s", 24, [("a", long), ("", inner, 64)])

    of = made(add)

    assert [(depth, field.name, field.offset, field.hole) for depth, field in of.walk()] == [
        (0, "a", 0, 0),
        (0, "", 8, 0),
        (1, "x", 8, 7),
        (1, "y", 16, 0),
    ]
    assert of.holes == []


def test_types_without_members_are_refused():
    with pytest.raises(BTFError, match="has no members"):
        made(lambda b, *_: b.add_enum("e", [("A", 1)]))


def test_a_struct_that_contains_itself_is_an_error():
    with pytest.raises(BTFError, match=r"contains itself|circle"):
        made(lambda b, *_: b.add_struct("", 4, [("", 4)]))


@pytest.mark.parametrize(
    ("add", "text"),
    [
        (lambda b, _: b.add_ptr(b.add_const(b.add_struct("s", 0, []))), "const struct s *x"),
        (lambda b, n: b.add_array(b.add_ptr(n), n, 4), "int *x[4]"),
        (lambda b, n: b.add_ptr(b.add_array(n, n, 4)), "int (*x)[4]"),
        (lambda b, n: b.add_ptr(b.add_func_proto(n, [("a", n), ("", 0)])), "int (*x)(int a, ...)"),
        (lambda b, _: b.add_ptr(b.add_func_proto(0, [])), "void (*x)(void)"),
        (lambda b, n: b.add_ptr(b.add_type_tag("user", n)), "int *x"),
        (lambda b, n: b.add_union("", 4, [("a", n)]), "union {...} x"),
        (lambda b, _: b.add_fwd("f", union=True), "union f x"),
    ],
)
def test_declarations(add, text):
    b = Builder()
    type_id = add(b, b.add_int("int", 4))
    btf = BTF.from_bytes(b.build())

    assert declare(btf, type_id, "x") == text


def test_a_function_brings_its_name_along():
    b = Builder()
    b.add_func("f", b.add_func_proto(0, [("a", b.add_int("int", 4))]))
    btf = BTF.from_bytes(b.build())

    assert declare(btf, btf.find("f", types.Func).id) == "void f(int a)"


def test_a_declaration_without_end_is_an_error():
    b = Builder()
    b.add_ptr(1)

    with pytest.raises(BTFError, match="circle"):
        declare(BTF.from_bytes(b.build()), 1)
