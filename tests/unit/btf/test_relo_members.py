"""btf.relo: where members, bit fields and elements of arrays are, and how they are loaded."""

from __future__ import annotations

import pytest

from btf import relo_kind as kind
from btf import types
from btf.read import BTF
from btf.relo import Target
from btf.write import Builder
from tests.unit.btf.relo_world import World, ask, pair, values

FIELD = (
    kind.FIELD_BYTE_OFFSET,
    kind.FIELD_BYTE_SIZE,
    kind.FIELD_EXISTS,
    kind.FIELD_SIGNED,
    kind.FIELD_LSHIFT_U64,
    kind.FIELD_RSHIFT_U64,
)


def fields(local, target, root, access):
    return ask(local, target, *((root, access, one) for one in FIELD))


def test_a_member_that_has_moved():
    """Offset, size, existence, sign and shifts are those of the target."""
    local, target, s = pair(lambda w: [("a", w.int), ("b", w.int, 32)], lambda w: [("b", w.u8, 72)])
    found = fields(local, target, s, "0:1")

    assert [9, 1, 1, 0, 56, 56] == values(found)
    assert [4, 4, 1, 1, 32, 32] == [result.local for result in found]
    assert all(result.exact for result in found)
    assert "byte offset of struct s.b" == found[0].wanted
    assert (4, 1, False) == (found[0].local_size, found[0].size, found[0].resizable)
    assert (0, 0, True) == (found[1].local_size, found[1].size, found[1].resizable)
    assert ("vmlinux", 6, "struct s", 9) == (found[0].chosen.where, *found[0].chosen[2:4], found[0].chosen.value)


@pytest.mark.parametrize(("order", "left"), [("little", 53), ("big", 40)])
def test_bit_field(order, left):
    """A bit field is loaded with the type that it is declared with, and shifted left by the byte order."""
    local, target = World(order=order), World(order=order)
    s = local.add_struct("s", 4, [("bits", local.int, 0, 5)])
    target.add_struct("s", 8, [("bits", target.int, 40, 3)])
    found = fields(local, target, s, "0:0")

    assert [4, 4, 1, 1, left, 61] == values(found)
    assert [False, False, True, True, False, True] == [result.exact for result in found]


def test_a_bit_field_across_two_of_its_type_is_loaded_with_more():
    """The load grows until it holds all bits."""
    local, target, s = pair(lambda w: [("bits", w.u8, 0, 4)], lambda w: [("bits", w.u8, 14, 4)])
    offset, size, *_, left, right = fields(local, target, s, "0:0")

    assert [0, 4, 64 - 18, 60] == values([offset, size, left, right])


def test_a_bit_field_that_nothing_loads():
    """8 bytes is what one instruction loads."""
    local, target, s = pair(lambda w: [("bits", w.u64, 0, 40)], lambda w: [("bits", w.u64, 50, 40)])
    (found,) = ask(local, target, (s, "0:0", kind.FIELD_BYTE_OFFSET))

    assert "struct s [6] in vmlinux the bit field does not fit 8 bytes that one instruction could load" == found.error
    assert found.value is None
    assert not found.poison


def test_what_is_missing_is_poison_but_for_questions():
    """A missing member cannot have an offset; whether it exists has an answer."""
    local, target, s = pair(lambda w: [("gone", w.int)], lambda w: [("other", w.int)])
    found = fields(local, target, s, "0:0")

    assert [None, None, 0, None, None, None] == values(found)
    assert [True, True, False, True, True, True] == [result.poison for result in found]
    assert {"struct s [6] in vmlinux has no member gone"} == {result.reason for result in found}
    assert found[0].chosen is None


def test_members_nested_without_a_name_are_looked_through():
    """Anonymous structs and unions on either side leave no trace but their offset."""
    local, target = World(), World()
    inner = local.add_union("", 8, [("x", local.int), ("y", local.u64)])
    s = local.add_struct("s", 16, [("", inner, 64)])
    deep = target.add_struct("", 8, [("pad", target.int), ("x", target.int, 32)])
    middle = target.add_union("", 8, [("z", target.int), ("", target.add_const(deep))])
    target.add_struct("s", 24, [("y", target.u64), ("", target.add_typedef("hidden", middle), 128)])
    x, y = ask(local, target, (s, "0:0:0", 0), (s, "0:0:1", 0))

    assert [20, 0] == values([x, y])
    assert ((0, 1, 1, 1), 160) == (x.chosen.spec.raw, x.chosen.spec.bit_offset)
    assert "byte offset of struct s.x" == x.wanted


def test_arrays():
    """Elements count in both; an index must be within the target's array."""
    local, target, s = pair(
        lambda w: [("a", w.add_array(w.int, w.int, 8))],
        lambda w: [("pad", w.int), ("a", w.add_array(w.u64, w.int, 4), 64)],
    )
    found = ask(local, target, (s, "0:0:3", 0), (s, "0:0:3", 1), (s, "0:0:4", 0), (s, "2:0:1", 0), (s, "0:0", 1))

    assert [32, 8, None, 64 * 2 + 16, 32] == values(found)
    assert "struct s [7] in vmlinux member a is unsigned long[4], which has no element 4" == found[2].reason
    assert "byte offset of struct s[2].a[1]" == found[3].wanted
    assert (4, 8) == (found[0].local_size, found[0].size)


def test_a_member_of_an_element():
    """The way goes on in a struct of the array."""
    local, target, s = pair(
        lambda w: [("a", w.add_array(w.add_struct("e", 8, [("x", w.int), ("y", w.int, 32)]), w.int, 4))],
        lambda w: [("a", w.add_array(w.add_struct("e", 16, [("y", w.int, 96)]), w.int, 4), 64)],
    )

    assert [8 + 2 * 16 + 12] == values(ask(local, target, (s, "0:0:2:1", kind.FIELD_BYTE_OFFSET)))


def test_a_bit_field_at_the_end_of_its_type():
    """It is loaded with no more than that."""
    local, target, s = pair(lambda w: [("bits", w.int, 0, 4)], lambda w: [("bits", w.int, 28, 4)])

    assert [0, 4] == values(fields(local, target, s, "0:0")[:2])


def test_flexible_arrays_have_any_element():
    """An array of no elements has any, if it ends its struct."""
    local, target, s = pair(
        lambda w: [("n", w.int), ("a", w.add_array(w.int, w.int, 0), 32)],
        lambda w: [("n", w.int), ("a", w.add_array(w.int, w.int, 0), 64)],
    )

    assert [8 + 400] == values(ask(local, target, (s, "0:1:100", 0)))

    local, target, s = pair(
        lambda w: [("a", w.add_array(w.int, w.int, 0))],
        lambda w: [("a", w.add_array(w.int, w.int, 0)), ("n", w.int)],
    )
    (found,) = ask(local, target, (s, "0:0:1", 0))

    assert found.poison
    assert "struct s [7] in vmlinux member a is int[0], which has no element 1" == found.reason


def test_shifts_are_not_for_elements():
    """An array element is no member, so its shifts and sign are not defined."""
    local, target, s = pair(lambda w: [("a", w.add_array(w.int, w.int, 8))], lambda _: [])

    assert ["the signedness of an array element is not defined"] == [
        result.error for result in ask(local, target, (s, "0:0:1", kind.FIELD_SIGNED))
    ]


def several(w):
    return {
        "int": w.int,
        "unsigned long": w.u64,
        "pointer to void": w.ptr,
        "pointer to int": w.add_ptr(w.int),
        "struct a": w.add_struct("a", 4, []),
        "union b": w.add_union("b", 4, []),
        "enum e": w.add_enum("e", [("X", 1)]),
        "enum e___new": w.add_enum64("e___new", [("X", 1)]),
        "enum f": w.add_enum("f", [("X", 1)]),
        "anonymous enum": w.add_enum("", [("X", 1)]),
        "double": w.add_float("double", 8),
        "float": w.add_float("float", 4),
        "int[2]": w.add_array(w.int, w.int, 2),
        "unsigned char[3]": w.add_array(w.u8, w.int, 3),
        "anonymous enum[2]": w.add_array(w.add_enum("", []), w.int, 2),
        "bits of old": w.add_int("old", 4, bits_offset=3, nr_bits=2),
        "typedef": w.add_typedef("int_t", w.add_const(w.int)),
    }


#: What can be read as one another; all else cannot.
ALIKE = [
    {"int", "unsigned long", "typedef"},
    {"pointer to void", "pointer to int"},
    {"struct a", "union b"},
    {"enum e", "enum e___new", "anonymous enum"},
    {"enum f", "anonymous enum"},
    {"double", "float"},
    {"int[2]", "unsigned char[3]"},
    {"anonymous enum[2]"},
]


@pytest.mark.parametrize("mine", several(World()))
def test_which_members_can_be_read_as_which(mine):
    """Kinds decide, not sizes; enums of another name are others; typedefs and modifiers do not count."""
    local = World()
    s = local.add_struct("s", 8, [("m", several(local)[mine])])
    for theirs in several(World()):
        target = World()
        target.add_struct("s", 8, [("m", several(target)[theirs])])
        (found,) = ask(local, target, (s, "0:0", kind.FIELD_EXISTS))

        assert any({mine, theirs} <= alike for alike in ALIKE) == bool(found.value), (mine, theirs)
        if not found.value:
            assert "member m is " in found.reason


def test_reasons_name_both_types():
    """A refusal says what is here and what the program takes it for."""
    local, target, s = pair(lambda w: [("m", w.add_ptr(w.add_struct("sock", 0, [])))], lambda w: [("m", w.u32)])
    (found,) = ask(local, target, (s, "0:0", 0))

    assert "member m is unsigned int here and pointer to struct sock in the program" == found.candidates[0].refusal


@pytest.mark.parametrize(
    ("mine", "theirs", "resizable"),
    [("u32", "u64", True), ("int", "u64", False), ("u32", "s64", False), ("int", "s64", False), ("u32", "int", True)],
)
def test_loads_can_be_resized_when_no_sign_is_lost(mine, theirs, resizable):
    """Unsigned integers may be loaded with another size; those of the same size always."""
    local, target, s = pair(
        lambda w: [("m", getattr(w, mine))],
        lambda w: [("m", w.add_int("long", 8, encoding=types.SIGNED) if theirs == "s64" else getattr(w, theirs))],
    )
    (found,) = ask(local, target, (s, "0:0", 0))

    assert resizable == found.resizable
    assert (4, 4 if theirs == "int" else 8) == (found.local_size, found.size)


def test_pointers_of_another_size():
    """A kernel of 32 bits has pointers that a program loads with 4 bytes."""
    local, target = World(), Builder()
    s = local.add_struct("s", 8, [("p", local.ptr)])
    target.add_int("unsigned long", 4)
    target.add_struct("s", 8, [("p", target.add_ptr(0), 32)])
    (found,) = ask(local, Target(BTF.from_bytes(target.build())), (s, "0:0", 0))

    assert (4, 8, 4, True) == (found.value, found.local_size, found.size, found.resizable)
