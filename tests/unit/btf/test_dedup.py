"""btf.dedup and btf.merge: each type once, and none lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btf import kind, types
from btf.dedup import dedup
from btf.dump_c import header
from btf.errors import BTFError
from btf.merge import merge
from btf.read import BTF
from btf.subset import map_ids
from btf.write import Builder
from tests.soon import soon
from tests.unit.btf.test_write import one_of_each


def read(builder, base=None):
    return BTF.from_bytes(builder.build(), base)


def deduped(builder, base=None):
    """The types that are left, and the ids."""
    result = dedup(read(builder, base))
    return list(BTF.from_bytes(result.data, base)), result.ids


def node(b, *, full=True, name="node", payload=None):
    """A unit of compilation: a list node that points to itself, or only its announcement."""
    number = b.add_int("int", 4)
    if not full:
        return b.add_fwd(name), number
    target = b.next_id
    b.add_struct(name, 16, [("next", target + 1), ("value", payload or number, 64)])
    b.add_ptr(target)
    return target, number


def test_cycles():
    """A struct that leads back to itself is found again, with all that hangs on it."""
    b = Builder()
    for _ in range(3):
        target, _ = node(b)
        b.add_typedef("node_t", b.add_const(target))

    found, ids = deduped(b)

    assert found == [
        types.Int(1, "int", 4, 32),
        types.Struct(2, "node", 16, (types.Member("next", 3, 0), types.Member("value", 1, 64))),
        types.Pointer(3, "", 2),
        types.Const(4, "", 2),
        types.Typedef(5, "node_t", 4),
    ]
    assert ids == [0, *[1, 2, 3, 4, 5] * 3]


def test_what_differs_far_away_differs():
    """Circles of the same look are different when one of them leads elsewhere."""
    b = Builder()
    node(b)
    long = b.add_int("long", 8)
    node(b, payload=long)

    found, ids = deduped(b)

    assert ids == [0, 1, 2, 3, 4, 1, 5, 6]
    assert found[4] == types.Struct(5, "node", 16, (types.Member("next", 6, 0), types.Member("value", 4, 64)))


def test_one_more_turn_of_the_circle_is_the_same():
    """Two nodes that point to each other say the same as one that points to itself."""
    b = Builder()
    b.add_struct("node", 8, [("next", 2)])
    b.add_ptr(3)
    b.add_struct("node", 8, [("next", 4)])
    b.add_ptr(1)

    found, ids = deduped(b)

    assert found == [types.Struct(1, "node", 8, (types.Member("next", 2, 0),)), types.Pointer(2, "", 1)]
    assert ids == [0, 1, 2, 1, 2]


@pytest.mark.parametrize("first", [True, False])
def test_announcements(first):
    """A forward declaration becomes the struct, in whatever order they come; so do pointers to it."""
    b = Builder()
    one, _ = node(b, full=first)
    b.add_struct("user", 8, [("node", b.add_ptr(one))])
    other, _ = node(b, full=not first)
    b.add_struct("user", 8, [("node", b.add_ptr(other))])

    result = dedup(read(b))
    found = BTF.from_bytes(result.data)

    assert ["int", "node", "user"] == sorted(each.name for each in found if each.name)
    assert result.ids[one] == result.ids[other] == found.find("node").id
    assert len(found) == 4


def test_announcements_know_their_kind():
    """``union x`` is not ``struct x``, and a struct without a name is announced by nobody."""
    b = Builder()
    b.add_struct("x", 4, [])
    b.add_fwd("x", union=True)
    b.add_struct("", 4, [])
    b.add_fwd("")

    found, ids = deduped(b)

    assert ids == [0, 1, 2, 3, 4]
    assert found[1] == types.Fwd(2, "x", is_union=True)


@pytest.mark.parametrize("deep", [True, False])
def test_two_of_a_name(deep):
    """An announcement of one of two different structs stays what it is."""
    b = Builder()
    number, long = b.add_int("int", 4), b.add_int("long", 8)
    b.add_struct("x", 8, [("value", b.add_ptr(number))])
    b.add_struct("x", 8, [("value" if deep else "other", b.add_ptr(long) if deep else 3)])
    for _ in range(2):
        b.add_ptr(b.add_fwd("x"))

    result = dedup(read(b))
    found = BTF.from_bytes(result.data)

    assert [types.Struct, types.Struct, types.Fwd] == [type(each) for each in found.find_all("x")]
    assert found.type(result.ids[-1]).type_id == found.find("x", types.Fwd).id
    assert result.ids[-1] == result.ids[-3]


def test_the_company_an_announcement_keeps():
    """Of two structs of a name it means the one that stands in its place elsewhere."""
    b = Builder()
    mine = b.add_struct("x", 8, [("mine", b.add_int("long", 8))])
    b.add_struct("x", 4, [("theirs", b.add_int("int", 4))])
    b.add_struct("user", 8, [("x", b.add_ptr(b.add_const(mine)))])
    announced = b.add_fwd("x")
    user = b.add_struct("user", 8, [("x", b.add_ptr(b.add_const(announced)))])

    found, ids = deduped(b)

    assert ids[announced] == ids[mine]
    assert ids[user] == ids[user - 4]
    assert sum(each.name == "user" for each in found) == 1


def test_company_that_disagrees():
    """Both could be meant: nothing is guessed."""
    b = Builder()
    structs = [b.add_struct("x", size, []) for size in (4, 8)]
    announced = b.add_fwd("x")
    for target in (*structs, announced):
        b.add_struct("user", 8, [("x", b.add_ptr(target))])

    found, ids = deduped(b)

    assert isinstance(found[ids[announced] - 1], types.Fwd)
    assert sum(each.name == "user" for each in found) == 3


def test_company_that_meets_in_many_ways():
    """Circles of 2, 3, 5, ... types, of which each could tell what is meant, are in step after 200 million turns."""
    b = Builder()
    announced = b.add_fwd("x")
    b.add_typedef("user", b.add_ptr(announced))
    for size in (2, 3, 5, 7, 11, 13, 17, 19, 23):
        pointer, first = b.add_ptr(b.add_struct("x", size, [])), b.next_id
        for turn in range(1, size + 1):
            b.add_struct("", 16, [("next", b.next_id + 1), ("x", pointer, 64)])
            b.add_ptr(first + 2 * (turn % size))
        b.add_typedef("circle", first)

    with soon():
        found, ids = deduped(b)

    assert isinstance(found[ids[announced] - 1], types.Fwd)


def test_enums():
    """An enum without values announces one with values, of whatever width."""
    b = Builder()
    b.add_enum("e", [])
    b.add_enum64("e", [("BIG", 1 << 40)])
    b.add_enum("e", [], size=8)
    b.add_enum("", [])
    b.add_enum("", [("A", 1)])
    b.add_enum("", [("A", 1)])
    b.add_enum("", [("A", 2)])

    _, ids = deduped(b)

    assert ids == [0, 1, 1, 1, 2, 3, 3, 4]


def test_names_and_numbers_matter():
    """Types that differ in anything that BTF can say are different."""
    b = Builder()
    number = b.add_int("int", 4)
    b.add_int("int", 4, encoding=types.SIGNED)
    b.add_int("int", 4, nr_bits=31)
    for name, offset in (("a", 0), ("b", 0), ("a", 32)):
        b.add_struct("s", 8, [(name, number, offset)])
    b.add_struct("s", 8, [("a", number, 0, 3)])
    b.add_union("s", 8, [("a", number)])
    for name in ("x", "y"):
        b.add_func_proto(number, [(name, number)])
    b.add_func("f", 9, 0)
    b.add_func("f", 9, 1)
    b.add_func("f", 10, 0)
    b.add_decl_tag("t", 4, -1)
    b.add_decl_tag("t", 4, 0)
    b.add_decl_tag("t", 4, attribute=True)
    b.add_type_tag("t", 1)
    b.add_type_tag("t", 1, attribute=True)
    b.add_array(1, 1, 2)
    b.add_array(1, 1, 3)
    b.add_array(1, 2, 2)
    b.add_float("f", 4)
    b.add_float("f", 8)

    _, ids = deduped(b)

    assert ids == list(range(24))


def test_variables_stay():
    """Two static variables of a name and type are two; what they refer to is one."""
    b = Builder()
    for _ in range(2):
        b.add_datasec(".bss", 4, [(b.add_var("counter", b.add_int("int", 4)), 0, 4)])

    found, ids = deduped(b)

    assert ids == [0, 1, 2, 3, 1, 4, 5]
    assert [types.Var(2, "counter", 1), types.Var(4, "counter", 1)] == [found[1], found[3]]
    assert found[4].vars == (types.SectionVar(4, 0, 4),)


def test_strings():
    """Strings too are there once, and only those that are used."""
    b = Builder()
    b.string("unused")
    b.add_int("int", 4)
    raw = b.build()
    # two units of compilation, each with strings of its own
    twice = Builder()
    twice._strings += b"int\0int\0"
    for offset in (1, 5):
        twice.add_words([offset, kind.INT << 24, 4, 32])

    assert BTF.from_bytes(dedup(BTF.from_bytes(raw)).data).strings == b"\0int\0"
    assert BTF.from_bytes(dedup(read(twice)).data).strings == b"\0int\0"
    assert dedup(read(twice)).ids == [0, 1, 1]


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_every_kind(byteorder):
    """What is there once is not touched, in either byte order."""
    raw = one_of_each(byteorder)

    result = dedup(BTF.from_bytes(raw))

    assert result.ids == list(range(len(result.ids)))
    assert list(BTF.from_bytes(result.data)) == list(BTF.from_bytes(raw))
    assert BTF.from_bytes(result.data).byteorder == byteorder


def test_split():
    """What the base has is not needed again; strings and ids of the base are used."""
    b = Builder()
    target, _ = node(b)
    b.add_fwd("unknown")
    base = read(b)
    split = Builder(base=base)
    again, number = node(split)
    pointer = split.add_ptr(again)
    mine = split.add_struct("mine", 8, [("value", pointer)])
    announced = split.add_ptr(split.add_fwd("unknown"))

    result = dedup(read(split, base))
    found = BTF.from_bytes(result.data, base)

    assert result.ids[again] == target
    assert result.ids[number] == 1
    assert result.ids[pointer] == 3
    assert result.ids[mine] == base.ids.stop
    assert list(found) == [
        types.Struct(5, "mine", 8, (types.Member("value", 3, 0),)),
        types.Pointer(6, "", base.find("unknown").id),
    ]
    assert result.ids[announced] == 6
    assert found.strings == b"mine\0"


def test_the_base_is_not_changed():
    """Its forward declarations and its duplicates stay; who refers to a duplicate then refers to the first."""
    b = Builder()
    b.add_int("int", 4)
    b.add_int("int", 4)
    b.add_struct("user", 8, [("x", b.add_ptr(b.add_fwd("x")))])
    base = read(b)
    split = Builder(base=base)
    split.add_typedef("number", 2)
    full = split.add_struct("x", 4, [])
    user = split.add_struct("user", 8, [("x", split.add_ptr(split.add_fwd("x")))])

    result = dedup(read(split, base))
    found = BTF.from_bytes(result.data, base)

    assert result.ids[: base.ids.stop] == list(range(base.ids.stop))
    assert found.find("number").type_id == 1
    assert result.ids[user] != base.find("user").id
    assert found.type(found.type(result.ids[user]).members[0].type_id).type_id == result.ids[full]


def test_damage():
    """References and strings out of range, and kinds that nobody knows, are errors."""
    b = Builder()
    b.add_ptr(7)
    with pytest.raises(BTFError, match="type 1 refers to type 7, which is out of range"):
        dedup(read(b))
    with pytest.raises(BTFError, match="type 1 refers to a type that is out of range"):
        merge([read(b)])
    b = Builder()
    b.add_words([99, kind.FWD << 24, 0])
    with pytest.raises(BTFError, match="string offset 99 is out of range"):
        dedup(read(b))


def test_merge():
    """Several BTFs in one; each one's ids lead to the same types as before."""
    first, second = Builder(), Builder(byteorder="big")
    node(first)
    second.add_float("double", 8)
    node(second)

    merged = merge([read(first), read(second)])
    found = BTF.from_bytes(merged.data)

    assert merged.ids == [[0, 1, 2, 3], [0, 4, 1, 2, 3]]
    assert found.byteorder == "little"
    assert ["int", "node", "", "double"] == [each.name for each in found]


def test_merge_of_nothing():
    """No parts, or parts without types, are a BTF without types."""
    assert len(BTF.from_bytes(merge([]).data)) == 0
    assert merge([read(Builder()), read(Builder())]).ids == [[0], [0]]


def test_merge_takes_bases_in_once():
    """Modules and their kernel become one BTF; over their kernel they stay split."""
    b = Builder()
    target, _ = node(b)
    base = read(b)
    modules = []
    for name in ("one", "two"):
        module = Builder(base=base)
        module.add_struct(name, 8, [("node", module.add_ptr(target))])
        modules.append(read(module, base))

    flat = merge(modules)
    split = merge(modules, base)

    assert flat.ids == [[0, 1, 2, 3, 3, 4], [0, 1, 2, 3, 3, 5]]
    assert ["int", "node", "", "one", "two"] == [each.name for each in BTF.from_bytes(flat.data)]
    assert split.ids == flat.ids
    assert [4, 5] == [each.id for each in BTF.from_bytes(split.data, base)]


def test_vmlinux_twice():
    """A kernel's types appended to themselves are the kernel's types again, as C and in number."""
    raw = Path("/sys/kernel/btf/vmlinux").read_bytes()
    once, again = BTF.from_bytes(raw), BTF.from_bytes(raw)

    merged = merge([once, again])
    found = BTF.from_bytes(merged.data)

    stays = (kind.VAR, kind.DATASEC)
    kinds = [found.kind(type_id) for type_id in found.ids]
    assert [each for each in kinds[len(once) :] if each not in stays] == []
    assert len(found) == len(once) + sum(once.kind(type_id) in stays for type_id in once.ids)
    assert list(range(len(once) + 1)) == merged.ids[0]
    assert "".join(header(found)) == "".join(header(once))


# Graphs of few names, so that much is equal, with circles and announcements.
names = st.sampled_from(["", "a", "b"])
shapes = st.tuples(
    st.sampled_from(["int", "ptr", "const", "typedef", "struct", "union", "fwd", "array", "proto", "func", "enum"]),
    names,
    st.lists(st.integers(0, 11), min_size=2, max_size=3),
)


def build(shapes, *, announcements=True):
    b = Builder()
    count = len(shapes) + 1
    for shape, name, raw_targets in shapes:
        targets = [target % count for target in raw_targets]
        match shape:
            case "ptr":
                b.add_ptr(targets[0])
            case "const":
                b.add_const(targets[0])
            case "typedef":
                b.add_typedef(name or "t", targets[0])
            case "struct" | "union":
                members = [("m", target, 64 * at) for at, target in enumerate(targets)]
                (b.add_struct if shape == "struct" else b.add_union)(name, 24, members)
            case "fwd" if announcements:
                b.add_fwd(name or "a")
            case "array":
                b.add_array(*targets[:2], 3)
            case "proto":
                b.add_func_proto(targets[0], [(name, target) for target in targets[1:]])
            case "func":
                b.add_func(name or "f", targets[0])
            case "enum":
                b.add_enum(name, [("A", 1)] if not announcements or targets[0] % 2 else [])
            case _:
                b.add_int(name or "int", 4)
    return read(b)


def bisimilar(btf):
    """Classes of equal types by the definition, in as many passes as there are types."""
    classes = dict.fromkeys(range(btf.ids.stop), 0)
    for _ in range(btf.ids.stop):
        looks = {}
        classes = {
            type_id: looks.setdefault(
                (classes[type_id], repr(map_ids(btf.type(type_id), classes.__getitem__)._replace(id=0))), len(looks)
            )
            for type_id in classes
        }
    return classes


@settings(max_examples=200, deadline=None)
@given(st.lists(shapes, max_size=12))
def test_equal_by_definition(shapes):
    """Without announcements, types become one if and only if nothing tells them apart."""
    btf = build(shapes, announcements=False)

    ids = dedup(btf).ids

    expected = bisimilar(btf)
    for one in range(btf.ids.stop):
        for other in range(btf.ids.stop):
            assert (ids[one] == ids[other]) == (expected[one] == expected[other])


@settings(max_examples=300, deadline=None)
@given(st.lists(shapes, max_size=12), st.lists(shapes, max_size=12))
def test_properties(shapes, others):
    """What any input must hold to: done twice is done once, and every type says what it said."""
    btf = merge([build(shapes), build(others)])
    found = BTF.from_bytes(btf.data)

    assert dedup(found) == (btf.data, list(range(found.ids.stop)))
    for part, ids in zip((build(shapes), build(others)), btf.ids, strict=True):
        for each in part:
            kept = found.type(ids[each.id])
            if isinstance(each, types.Fwd):
                assert kept.name == each.name
                assert isinstance(kept, types.Fwd | (types.Union if each.is_union else types.Struct))
            elif not (isinstance(each, types.Enum) and not each.values):
                assert map_ids(each, ids.__getitem__)._replace(id=kept.id) == kept


@settings(max_examples=200, deadline=None)
@given(st.lists(shapes, max_size=12), st.randoms())
def test_order_does_not_matter(shapes, random):
    """However the types come, the same become one."""
    order = list(range(len(shapes)))
    random.shuffle(order)
    new = {old + 1: at + 1 for at, old in enumerate(order)} | {0: 0}
    count = len(shapes) + 1
    moved = [(shapes[old][0], shapes[old][1], [new[target % count] for target in shapes[old][2]]) for old in order]

    ids, other = dedup(build(shapes, announcements=False)).ids, dedup(build(moved, announcements=False)).ids

    for one in new:
        for two in new:
            assert (ids[one] == ids[two]) == (other[new[one]] == other[new[two]])
