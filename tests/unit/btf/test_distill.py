"""btf.distill: a module's types over little of its kernel, and found again in another build of it."""

from __future__ import annotations

import pytest

from btf import types
from btf.dedup import dedup
from btf.distill import distill, relocate
from btf.errors import BTFError
from btf.read import BTF
from btf.write import Builder


def read(builder, base=None):
    return BTF.from_bytes(builder.build(), base)


def kernel(*, before=()):
    """A base of each kind of type, at ids that depend on what is built before."""
    b = Builder()
    for name in before:
        b.add_int(name, 8)
    number = b.add_int("int", 4, encoding=types.SIGNED)
    b.add_float("double", 8)
    b.add_enum("color", [("RED", 0)], signed=True)
    b.add_enum64("flags", [("BIG", 1 << 40)])
    b.add_fwd("unknown")
    inner = b.add_struct("", 4, [("hidden", number)])
    task = b.add_struct("task", 8, [("inner", inner), ("bits", number, 32, 3)])
    b.add_union("either", 8, [("task", task)])
    b.add_typedef("task_t", b.add_const(task))
    b.add_func_proto(number, [("task", b.add_ptr(b.add_type_tag("rcu", task)))])
    b.add_array(inner, number, 3)
    b.add_func("run", 0)
    return read(b)


def module(base):
    """A split BTF that refers to each type of the base but functions."""
    b = Builder(base=base, reuse=True)
    ids = {type(each): each.id for each in base}
    task = base.find("task").id
    b.add_struct(
        "state",
        64,
        [
            ("task", task),
            ("color", base.find("color").id, 64),
            ("flags", base.find("flags").id, 128),
            ("alias", base.find("task_t").id, 192),
            ("numbers", ids[types.Array], 256),
        ],
    )
    b.add_ptr(b.next_id - 1)
    b.add_ptr(base.find("unknown").id)
    b.add_ptr(ids[types.FuncProto])
    b.add_ptr(base.find("either").id)
    b.add_typedef("real", base.find("double").id)
    return read(b, base)


def test_distilled_base():
    """Names and sizes, and nothing else; what has no name moves to the module."""
    split = module(kernel(before=["unused"]))

    small = distill(split)
    base = BTF.from_bytes(small.base)
    found = BTF.from_bytes(small.data, base)

    assert list(base) == [
        types.Int(1, "int", 4, 32, 0, types.SIGNED),
        types.Float(2, "double", 8),
        types.Enum(3, "color", 4, ()),
        types.Enum(4, "flags", 8, ()),
        types.Fwd(5, "unknown"),
        types.Struct(6, "task", 8, ()),
        types.Union(7, "either", 8, ()),
    ]
    assert [type(each) for each in found][:6] == [type(each) for each in split]
    assert {"hidden", "rcu", "task_t"} <= {text.decode() for text in found.strings.split(b"\0")}
    assert b"unused" not in small.base + small.data
    for each in split:
        assert found.name(small.ids[each.id]) == each.name


def test_there_and_back():
    """Over another build of its kernel a module is what it would have been, had it been made there."""
    old, new = kernel(before=["a", "b"]), kernel(before=["c"])

    small = distill(module(old))
    found = relocate(BTF.from_bytes(small.data, BTF.from_bytes(small.base)), new)

    assert list(BTF.from_bytes(dedup(BTF.from_bytes(found.data, new)).data, new)) == list(module(new))
    assert found.ids[1] == new.find("int").id


def outlined(add, *, embed=True):
    """A module over a distilled base of one type, which it contains or only points to."""
    b = Builder()
    target = add(b)
    base = read(b)
    b = Builder(base=base)
    b.add_struct("mine", 64, [("x", target if embed else b.add_ptr(target))])
    return read(b, base)


def base_of(*adds):
    b = Builder()
    b.add_int("other", 1)
    for add in adds:
        add(b)
    return read(b)


def struct(size, name="s"):
    return lambda b: b.add_struct(name, size, [])


def test_sizes():
    """A struct may have grown if it is only pointed to and nothing else has its name."""
    assert relocate(outlined(struct(8), embed=False), base_of(struct(16))).ids[1] == 2
    assert relocate(outlined(struct(8), embed=False), base_of(struct(16), struct(8))).ids[1] == 3
    with pytest.raises(BTFError, match="no type for Struct s, size 8"):
        relocate(outlined(struct(8)), base_of(struct(16)))
    with pytest.raises(BTFError, match="no type for Struct s, size 8"):
        relocate(outlined(struct(8), embed=False), base_of(struct(16), struct(32)))
    with pytest.raises(BTFError, match="2 types for Struct s, size 8"):
        relocate(outlined(struct(8)), base_of(struct(8), struct(8)))


@pytest.mark.parametrize(
    "add",
    [
        lambda b: b.add_int("s", 8),
        lambda b: b.add_float("s", 8),
        lambda b: b.add_enum("s", [], size=8),
        lambda b: b.add_struct("s", 8, []),
        lambda b: b.add_union("s", 8, []),
        lambda b: b.add_fwd("s", union=True),
    ],
)
def test_kinds(add):
    """A type is found among others of its name and size by its kind."""
    every = [
        lambda b: b.add_typedef("s", 1),
        lambda b: b.add_int("s", 8, encoding=types.SIGNED),
        lambda b: b.add_int("s", 8),
        lambda b: b.add_float("s", 8),
        lambda b: b.add_enum("s", [("A", 1)], size=8),
        lambda b: b.add_struct("s", 8, [("x", 1)]),
        lambda b: b.add_union("s", 8, [("x", 1)]),
        lambda b: b.add_fwd("s"),
        lambda b: b.add_fwd("s", union=True),
    ]
    base = base_of(*every)
    split = outlined(add)

    found = base.type(relocate(split, base).ids[1])

    assert type(found) is type(split.type(1))
    assert getattr(found, "is_union", True)
    assert not getattr(found, "encoding", 0)


def test_enums_may_have_become_wide():
    """A distilled base has one kind for enums of all widths."""
    split = outlined(lambda b: b.add_enum("e", [], size=8))

    assert relocate(split, base_of(lambda b: b.add_enum64("e", [("A", 1)]))).ids[1] == 2


def test_announcements_may_have_been_defined():
    """A forward declaration is content with the struct that it announces."""
    split = outlined(lambda b: b.add_fwd("s"), embed=False)

    assert relocate(split, base_of(struct(8))).ids[1] == 2
    with pytest.raises(BTFError, match="no type for Fwd s, size unknown"):
        relocate(split, base_of(lambda b: b.add_union("s", 8, [])))


def test_what_cannot_be():
    """Distilled bases have types with names only; and without a base there is nothing to do."""
    with pytest.raises(BTFError, match=r"type 1 \(Pointer\) cannot be part of a distilled base"):
        relocate(outlined(lambda b: b.add_ptr(0)), base_of())
    with pytest.raises(BTFError, match=r"type 1 \(Struct\) cannot be part of a distilled base"):
        relocate(outlined(struct(8, "")), base_of(struct(8, "")))
    with pytest.raises(BTFError, match="only a split BTF can be relocated"):
        relocate(base_of(), base_of())
    with pytest.raises(BTFError, match="only a split BTF has a base"):
        distill(base_of())
    base = kernel()
    b = Builder(base=base)
    b.add_decl_tag("bpf_kfunc", base.find("run").id)
    with pytest.raises(BTFError, match=r"\(Func\) of the base cannot be distilled"):
        distill(read(b, base))


def test_arrays_in_circles():
    """What is in an array that is in itself is in nothing."""
    b = Builder()
    b.add_int("int", 4)
    base = read(b)
    b = Builder(base=base)
    b.add_array(2, 1, 3)
    b.add_struct("s", 4, [("x", 2)])

    assert relocate(read(b, base), base_of(lambda b: b.add_int("int", 4))).ids == [0, 2, 3, 4]
