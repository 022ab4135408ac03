"""As little of a kernel's types as relocations need."""

from __future__ import annotations

import pytest

from btf import elf, relo_kind, types
from btf.errors import BTFError
from btf.minimal import Minimal
from btf.read import BTF
from btf.write import Builder
from tests.build.bpf_object import Relo, bpf_object

SIZE = 24


def declared():
    """A kernel and an object that have the same types, and the ids of those that are asked for."""
    b = Builder()
    ids = {"int": b.add_int("int", 4)}
    ids["far"] = b.add_struct("far", 4, [("x", ids["int"], 0)])
    ids["unused"] = b.add_struct("unused", 4, [("x", ids["int"], 0)])
    ids["pointer"] = b.add_ptr(b.add_const(ids["far"]))
    ids["inner"] = b.add_struct("inner", 8, [("skipped", ids["int"], 0), ("deep", ids["int"], 32)])
    ids["array"] = b.add_array(b.add_typedef("inner_t", ids["inner"]), ids["int"], 2)
    members = [("p", ids["pointer"], 0), ("a", ids["array"], 64), ("b", ids["int"], 3 << 24 | 192)]
    ids["outer"] = b.add_struct("outer", SIZE + 8, members, kind_flag=True)
    ids["direct"] = b.add_struct("direct", 8, [("i", ids["inner"], 0)])
    ids["outer_t"] = b.add_typedef("outer_t", ids["outer"])
    ids["pointer_t"] = b.add_typedef("pointer_t", ids["pointer"])
    int_t = b.add_typedef("int_t", ids["int"])
    function = b.add_func_proto(ids["far"], [("a", int_t), ("b", b.add_const(int_t)), ("", 0)])
    ids["function_t"] = b.add_typedef("function_t", function)
    ids["list"] = b.add_struct("list", 16, [("next", b.next_id + 1, 0), ("any", b.next_id + 2, 64)])
    b.add_ptr(ids["list"])
    b.add_ptr(0)
    ids["word"] = b.add_enum("word", [("ONE", 1), ("TWO", 2)])
    return b, ids


def minimal(*asked):
    """What is left for relocations of (type, access, kind)."""
    builder, ids = declared()
    kernel = BTF.from_bytes(builder.build())
    of = Minimal(kernel)
    of.add(elf.read(bpf_object(builder, [Relo(ids[name], access, kind) for name, access, kind in asked])))
    return BTF.from_bytes(of.build())


def told(btf):
    """The types by name, or else by what they are, and the names of members."""
    found = []
    for of in btf:
        name = of.name or type(of).__name__
        members = [member.name for member in of.members] if isinstance(of, types.Struct) else None
        found.append(name if members is None else (name, *members))
    return found


def test_a_member():
    """The others are gone, the record has its size all the same."""
    btf = minimal(("inner", "0:1", relo_kind.FIELD_BYTE_OFFSET))

    assert told(btf) == ["int", ("inner", "deep")]
    assert btf.type(2) == types.Struct(2, "inner", 8, (types.Member("deep", 1, 32),))


def test_a_way_through_an_array():
    """What it leads through is needed, and of other members nothing."""
    assert told(minimal(("outer_t", "0:1:1:1", relo_kind.FIELD_EXISTS))) == [
        "int",
        ("inner", "deep"),
        "inner_t",
        "Array",
        ("outer", "a"),
        "outer_t",
    ]


def test_a_pointer_leads_to_nothing():
    """Unless something is asked of what is behind it."""
    btf = minimal(("outer", "0:0", relo_kind.FIELD_RSHIFT_U64))

    assert told(btf) == ["Pointer", ("outer", "p")]
    assert btf.type(1).type_id == 0


def test_a_bit_field():
    btf = minimal(("outer", "0:2", relo_kind.FIELD_LSHIFT_U64))

    (member,) = btf.type(2).members
    assert (member.bits_offset, member.bitfield_size) == (192, 3)


def test_members_of_several_relocations():
    """Types stand in their old order."""
    btf = minimal(("outer", "0:2", 0), ("inner", "0:0", 0), ("outer", "0:0", 0))

    assert told(btf) == ["int", "Pointer", ("inner", "skipped"), ("outer", "p", "b")]


@pytest.mark.parametrize("kind", [relo_kind.TYPE_ID_TARGET, relo_kind.TYPE_EXISTS, relo_kind.TYPE_SIZE])
def test_a_type(kind):
    """Of a record the name is enough; behind a pointer in a type without members there is more."""
    assert told(minimal(("outer", "0", kind))) == [("outer",)]
    assert told(minimal(("pointer_t", "0", kind))) == [("far",), "Const", "Pointer", "pointer_t"]


def test_a_function():
    """What it returns and takes is needed, each type once."""
    assert told(minimal(("function_t", "0", relo_kind.TYPE_EXISTS))) == [
        "int",
        ("far",),
        "int_t",
        "Const",
        "FuncProto",
        "function_t",
    ]


def test_a_list_that_is_compared():
    assert told(minimal(("list", "0", relo_kind.TYPE_MATCHES))) == [("list", "next", "any"), "Pointer", "Pointer"]


def test_a_type_that_is_compared():
    """It has all its members, and those behind pointers are there by name."""
    assert told(minimal(("outer", "0", relo_kind.TYPE_MATCHES))) == [
        "int",
        ("far",),
        "Const",
        "Pointer",
        ("inner", "skipped", "deep"),
        "inner_t",
        "Array",
        ("outer", "p", "a", "b"),
    ]


def test_a_record_in_one_that_is_compared():
    """It has its members too."""
    assert told(minimal(("direct", "0", relo_kind.TYPE_MATCHES))) == [
        "int",
        ("inner", "skipped", "deep"),
        ("direct", "i"),
    ]


def test_an_enum():
    """It keeps its values, whichever is asked for."""
    btf = minimal(("word", "1", relo_kind.ENUMVAL_VALUE))

    assert [("ONE", 1), ("TWO", 2)] == [tuple(one) for one in btf.type(1).values]


def test_what_the_kernel_has_not_is_not_needed():
    builder, ids = declared()
    of = Minimal(BTF.from_bytes(Builder().build()))
    of.add(elf.read(bpf_object(builder, [Relo(ids["outer"], "0:1", relo_kind.FIELD_EXISTS)])))

    assert told(BTF.from_bytes(of.build())) == []


def test_what_cannot_be_relocated():
    """A kernel that has two of them leaves it open which one is meant."""
    builder, ids = declared()
    kernel, _ = declared()
    kernel.add_struct("inner", 4, [("deep", ids["int"], 0)])
    data = bpf_object(builder, [Relo(ids["inner"], "0:1", relo_kind.FIELD_BYTE_OFFSET)])

    with pytest.raises(BTFError, match="cannot be relocated"):
        Minimal(BTF.from_bytes(kernel.build())).add(elf.read(data))


def test_an_object_without_relocations():
    builder, ids = declared()
    image = elf.read(bpf_object(builder, [Relo(ids["int"], "0", relo_kind.TYPE_SIZE)]))

    with pytest.raises(BTFError, match="no relocations"):
        Minimal(BTF.from_bytes(declared()[0].build())).add(image._replace(ext=None))
