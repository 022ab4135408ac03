"""btf.relo: whether types and enumerators exist, match, and which ids, sizes and values they have."""

from __future__ import annotations

import pytest

from btf import relo_kind as kind
from tests.unit.btf.relo_world import World, ask, values


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


@pytest.mark.parametrize(
    ("theirs", "matches"),
    [
        (lambda w: (w.int, [w.u8, w.u64]), True),
        (lambda w: (w.u32, [w.u8, w.u64]), False),
        (lambda w: (w.int, [w.u8, w.u32]), False),
        (lambda w: (w.int, [w.u8]), False),
    ],
)
def test_functions_match_in_results_and_parameters(theirs, matches):
    local, target = World(), World()
    for world, (result, params) in ((local, (local.int, [local.u8, local.u64])), (target, theirs(target))):
        proto = world.add_func_proto(result, [("", param) for param in params])
        world.add_struct("s", 8, [("f", world.add_ptr(proto))])
    (found,) = ask(local, target, (local.next_id - 1, "0", kind.TYPE_MATCHES))

    assert int(matches) == found.value, found.reason


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
