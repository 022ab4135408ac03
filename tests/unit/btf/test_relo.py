"""btf.relo: every kind of CO-RE relocation and every rule, on types spelled out."""

from __future__ import annotations

import pytest

from btf import relo_kind as kind
from btf import types
from btf.ext import CoreRelo
from btf.read import BTF
from btf.relo import Resolver, Target, _Index
from btf.write import Builder


class World:
    """A BTF under construction, with the types that every one has."""

    def __init__(self, *, order="little", base=None):
        self.build = Builder(byteorder=order, base=base)
        if base is None:
            self.int = self.build.add_int("int", 4, encoding=types.SIGNED)
            self.u8 = self.build.add_int("unsigned char", 1)
            self.u32 = self.build.add_int("unsigned int", 4)
            self.u64 = self.build.add_int("unsigned long", 8)
            self.ptr = self.build.add_ptr(0)

    def __getattr__(self, name):
        return getattr(self.build, name)


def btf(world, base=None):
    return BTF.from_bytes(world.build.build(), base)


def ask(local, target, *asked):
    """The results of (type id, access, kind) on the target, in order."""
    target = target if isinstance(target, Target) else Target(btf(target))
    resolver = Resolver(btf(local), target)
    return [resolver.resolve(CoreRelo(8, *one)) for one in asked]


def pair(mine, theirs):
    """What is in a struct s of the program, and of the kernel: callables of a World."""
    local, target = World(), World()
    ids = local.add_struct("s", 64, mine(local)), target.add_struct("s", 64, theirs(target))
    return local, target, ids[0]


def values(results):
    assert [None] * len(results) == [result.error for result in results]
    return [result.value for result in results]


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
    ("name", "plain"),
    [
        ("s___x", "s"),
        ("s___x___y", "s___x"),
        ("s____x", "s____x"),
        ("___x", "___x"),
        ("s___x____y", "s"),
        ("a_b___c", "a_b"),
        ("s", "s"),
    ],
)
def test_flavours(name, plain):
    """What comes behind the last three underscores, no more and no fewer, does not count."""
    local, target = World(), World()
    s = local.add_struct(name, 4, [])
    target.add_struct(plain, 8, [])
    other = World()
    other.add_struct(f"{plain}___other", 8, [])

    assert [8] == values(ask(local, target, (s, "0", kind.TYPE_SIZE)))
    assert [8] == values(ask(local, other, (s, "0", kind.TYPE_SIZE)))


def test_underscores_at_the_end_are_no_flavour():
    """A flavour has a name."""
    local, target = World(), World()
    s = local.add_struct("s___", 4, [])
    target.add_struct("s", 8, [])

    assert [0] == values(ask(local, target, (s, "0", kind.TYPE_SIZE)))


def test_candidates_must_agree():
    """Several candidates are fine as long as it does not matter which; else the relocation is an error."""
    local, target = World(), World()
    s = local.add_struct("s", 4, [("a", local.int), ("b", local.int)])
    target.add_struct("s", 8, [("a", target.int), ("b", target.int, 32)])
    target.add_struct("s___2", 16, [("a", target.int), ("b", target.int, 64)])
    a, b, size = ask(local, target, (s, "0:0", 0), (s, "0:1", 0), (s, "0:1", 1))

    assert (0, None) == (a.value, a.error)
    assert 2 == len(a.candidates)
    assert "ambiguous: 4 by struct s [6] in vmlinux, 8 by struct s___2 [7] in vmlinux" == b.error
    assert "ambiguous: bit 32 by struct s [6] in vmlinux, bit 64 by struct s___2 [7] in vmlinux" == size.error


def test_a_candidate_that_failed_once_is_out():
    """All facts about one type of the program are to come from the same types of the kernel."""
    local, target = World(), World()
    s = local.add_struct("s", 4, [("a", local.int), ("b", local.int)])
    target.add_struct("s", 8, [("a", target.int)])
    target.add_struct("s", 8, [("b", target.int), ("a", target.int, 32)])
    both, only, a = ask(local, target, (s, "0:1", 2), (s, "0:1", 0), (s, "0:0", 0))

    assert [1, 0, 4] == values([both, only, a])
    assert "is out since the existence of struct s.b, as it has no member b" == a.candidates[0].refusal


def test_other_kinds_are_no_candidates():
    """A union is no struct; the reason says that there is one."""
    local, target = World(), World()
    s = local.add_struct("s", 4, [("a", local.int)])
    target.add_union("s___x", 4, [("a", target.int)])
    (found,) = ask(local, target, (s, "0:0", 0))

    assert found.poison
    assert "no struct s in vmlinux, only union s___x [6]" == found.reason


def test_modules_are_asked_when_vmlinux_has_no_candidate():
    """Modules are read when they are needed; types of vmlinux come first."""
    kernel = World()
    kernel.add_struct("s", 4, [("a", kernel.int)])
    vmlinux = btf(kernel)
    module = World(base=vmlinux)
    m = module.add_struct("m", 8, [("a", 1, 32)])
    module.add_struct("s", 8, [("a", 1, 32)])
    read = []

    def modules():
        for name in ("nf", "xt"):
            read.append(name)
            yield name, btf(module, vmlinux)

    local = World()
    mine = local.add_struct("s", 4, [("a", local.int)]), local.add_struct("m", 4, [("a", local.int)])
    gone = local.add_struct("gone", 4, [])
    target = Target(vmlinux, modules())

    assert [0] == values(ask(local, target, (mine[0], "0:0", 0)))
    assert [] == read
    found, where, nothing = ask(local, target, (mine[1], "0:0", 0), (mine[1], "0", 7), (gone, "0", 8))
    assert [4, m, 0] == values([found, where, nothing])
    assert ["nf", "xt"] == read == [candidate.where for candidate in found.candidates]
    assert "no struct gone in vmlinux, nf, xt" == nothing.reason


def test_type_ids_sizes_and_existence():
    """Types that are missing have id and size 0 and no existence; none of that is poison."""
    local, target = World(), World()
    there, gone = local.add_union("there", 4, []), local.add_typedef("gone", local.int)
    target.add_typedef("other", target.int)
    theirs = target.add_union("there", 24, [])
    kinds = (kind.TYPE_ID_LOCAL, kind.TYPE_ID_TARGET, kind.TYPE_EXISTS, kind.TYPE_SIZE, kind.TYPE_MATCHES)
    found = ask(local, target, *((there, "0", one) for one in kinds))
    missing = ask(local, target, *((gone, "0", one) for one in kinds))

    assert [there, theirs, 1, 24, 1] == values(found)
    assert [False, False, True, True, True] == [result.exact for result in found]
    assert [gone, 0, 0, 0, 0] == values(missing)
    assert ["", *["no typedef gone in vmlinux"] * 4] == [result.reason for result in missing]
    assert not any(result.poison for result in missing)


def prototypes(w):
    s = w.add_struct("s", 8, [])
    return {
        "int (int)": w.add_func_proto(w.int, [("", w.int)]),
        "u64 (u64)": w.add_func_proto(w.u64, [("", w.u64)]),
        "int (int, int)": w.add_func_proto(w.int, [("", w.int), ("", w.int)]),
        "void (int)": w.add_func_proto(0, [("", w.int)]),
        "int (struct s *)": w.add_func_proto(w.int, [("", w.add_ptr(s))]),
        "int (const struct t *)": w.add_func_proto(w.int, [("", w.add_ptr(w.add_const(w.add_struct("t", 4, []))))]),
        "int (union u *)": w.add_func_proto(w.int, [("", w.add_ptr(w.add_union("u", 4, [])))]),
        "int[3]": w.add_array(w.int, w.int, 3),
        "u8[4]": w.add_array(w.u8, w.int, 4),
    }


SAME_SHAPE = [
    {"int (int)", "u64 (u64)"},
    {"int (struct s *)", "int (const struct t *)"},
    {"int[3]", "u8[4]"},
]


@pytest.mark.parametrize("mine", prototypes(World()))
def test_types_of_one_shape(mine):
    """Existence takes kinds, through pointers, arrays and functions; not names, sizes or numbers of elements."""
    local = World()
    t = local.add_typedef("t", prototypes(local)[mine])
    for theirs in prototypes(World()):
        target = World()
        target.add_typedef("t", prototypes(target)[theirs])
        (found,) = ask(local, target, (t, "0", kind.TYPE_EXISTS))

        alike = mine == theirs or any({mine, theirs} <= shape for shape in SAME_SHAPE)
        assert alike == bool(found.value), (mine, theirs, found.reason)


def point(w, **change):
    """Struct point, all of it or otherwise than usual."""
    usual = {
        "x": w.int,
        "next": w.add_ptr(w.add_fwd("other")),
        "mode": w.add_enum("mode", [("ON", 1), ("OFF", 2)]),
        "name": w.add_array(w.u8, w.int, 4),
    }
    members = {**usual, **{name: make(w) for name, make in change.items()}}
    return w.add_struct("point", 64, [(name, type_id) for name, type_id in members.items() if type_id])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"more": lambda w: w.int}, None),
        ({"x": lambda w: w.add_const(w.int)}, None),
        ({"x": lambda _: None}, "has no member x"),
        ({"x": lambda w: w.u32}, "member x is unsigned int here and int in the program"),
        ({"x": lambda w: w.add_int("int", 8)}, "member x int is of another size or sign"),
        ({"next": lambda w: w.add_ptr(w.add_struct("other", 8, []))}, None),
        (
            {"next": lambda w: w.add_ptr(w.add_union("other", 8, []))},
            "member next is union other here and undefined struct other in the program",
        ),
        ({"name": lambda w: w.add_array(w.u8, w.int, 5)}, "member name is unsigned char[5] here and unsigned char[4]"),
        ({"mode": lambda w: w.add_enum("mode", [("OFF", 7), ("MORE", 1), ("ON___x", 0)])}, None),
        ({"mode": lambda w: w.add_enum64("mode", [("OFF", 7), ("ON", 0)], size=4)}, None),
        ({"mode": lambda w: w.add_enum("mode", [("OFF", 7), ("MORE", 1)])}, "member mode has no value ON"),
        (
            {"mode": lambda w: w.add_enum("mode", [("OFF", 7), ("ON", 1)], size=8)},
            "enum mode is of another size",
        ),
    ],
)
def test_type_matches(change, reason):
    """A type matches when the kernel's has all that is in the program's."""
    local, target = World(), World()
    p = point(local)
    point(target, **change)
    (found,) = ask(local, target, (p, "0", kind.TYPE_MATCHES))

    assert (0 if reason else 1) == found.value, found.reason
    assert (reason or "") in found.reason
    assert found.error is None


def test_a_match_behind_a_pointer_is_by_name():
    """Members of what a pointer leads to do not count; with functions, pointers go on."""
    local, target = World(), World()
    for world, members in ((local, [("a", local.int)]), (target, [])):
        inner = world.add_struct("inner", 4, members)
        proto = world.add_func_proto(0, [("", world.add_ptr(inner))])
        world.add_struct("s", 16, [("p", world.add_ptr(inner)), ("f", world.add_ptr(proto), 64)])
    s = local.next_id - 1

    assert [1] == values(ask(local, target, (s, "0", kind.TYPE_MATCHES)))


def test_enumerators():
    """Enumerators are found by name; flavours do not count, and values with a sign keep it."""
    local, target = World(), World()
    e = local.add_enum("e___mine", [("A", 1), ("B___x", 2), ("GONE", 3), ("BIG", 4)])
    t = local.add_typedef("e", e)
    target.add_enum64("e", [("BIG", 1 << 40), ("B", 7), ("A", -3)], signed=True)
    target.add_typedef("e", target.next_id - 1)
    asked = [(type_id, str(index), one) for type_id in (e, t) for index in range(4) for one in (10, 11)]
    found = ask(local, target, *asked)

    assert [1, -3, 1, 7, 0, None, 1, 1 << 40] * 2 == values(found)
    assert [False] * 5 + [True, False, False] == [result.poison for result in found[:8]]
    assert "enum e [6] in vmlinux has no value GONE" == found[5].reason
    assert "value of enum e___mine::GONE" == found[5].wanted


def test_old_compilers_lose_the_sign_of_enumerators():
    """32 bits are read with a sign whatever the enum says, as libbpf does and clang's instructions have it."""
    local, target = World(), World()
    e = local.add_enum("e", [("A", 0xFFFFFFFB)])
    target.add_enum("e", [("A", 0xFFFFFFFE)])
    (found,) = ask(local, target, (e, "0", kind.ENUMVAL_VALUE))

    assert (-2, -5) == (found.value, found.local)


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


def test_the_same_question_has_the_same_answer():
    """An answer is computed once; each relocation keeps its place."""
    local, target, s = pair(lambda w: [("a", w.int)], lambda w: [("a", w.int, 32)])
    resolver = Resolver(btf(local), Target(btf(target)))
    first, second = (resolver.resolve(CoreRelo(offset, s, "0:0", 0)) for offset in (0, 64))

    assert (0, 64) == (first.relo.insn_off, second.relo.insn_off)
    assert first[1:] == second[1:]


def test_types_are_found_with_and_without_an_index():
    """The first few types are looked for one by one, later ones in an index: flavours and all, the same ids."""
    b = Builder()
    names = [
        "task",
        "task___old",
        "task___",
        "task___a___b",
        "___task",
        "tasks___old",
        "x_task___old",
        "task__",
        "other",
    ]
    for name in names * 2:
        b.add_struct(name, 0, [])
    index = _Index("vmlinux", BTF.from_bytes(b.build()))
    wanted = ["task", "___task", "tasks", "x_task", "task__", "other", "none", "tas"]
    first = {name: index.ids(name) for name in wanted}

    assert first == {name: index.ids(name) for name in wanted}
    assert first["task"] == [1, 2, 10, 11]
    assert first["none"] == first["tas"] == []
