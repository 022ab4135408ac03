"""btf.write and btf.subset: what was read can be written again, whole or in part."""

from __future__ import annotations

from struct import unpack_from

import pytest

from btf import types
from btf.errors import BTFError
from btf.read import BTF
from btf.subset import map_ids, references, subset
from btf.write import Builder


def one_of_each(byteorder="little"):
    """A BTF with a type of each kind and each flag."""
    b = Builder(byteorder=byteorder)
    u32 = b.add_int("u32", 4)
    odd = b.add_int("odd", 4, encoding=types.SIGNED, nr_bits=3, bits_offset=2)
    b.add_ptr(b.add_struct("s", 16, [("bits", u32, 5, 3), ("", odd, 64)]))
    b.add_union("u", 4, [("a", u32), ("b", u32, 8)])
    b.add_array(u32, odd, 7)
    b.add_enum("e", [("A", 0), ("B", 0xFFFFFFFF)])
    b.add_enum("e", [("B", -1)], size=1, signed=True)
    b.add_enum64("e64", [("C", 1 << 63)])
    b.add_enum64("e64", [("D", -(1 << 63))], signed=True)
    b.add_fwd("f")
    b.add_fwd("f", union=True)
    b.add_typedef("t", b.add_volatile(b.add_const(b.add_restrict(b.add_type_tag("user", u32)))))
    b.add_func("fn", b.add_func_proto(u32, [("x", odd), ("", 0)]), 2)
    b.add_datasec(".data", 4, [(b.add_var("v", u32, 1), 0, 4)])
    b.add_float("double", 8)
    b.add_decl_tag("tag", 4, 1)
    b.add_decl_tag("tag", 4, attribute=True)
    b.add_type_tag("user", u32, attribute=True)
    return b.build()


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_what_was_read_is_written_again(byteorder):
    """Every kind survives, byte by byte."""
    raw = one_of_each(byteorder)
    builder = Builder(byteorder=byteorder)

    for each in BTF.from_bytes(raw):
        builder.add_type(each)

    assert builder.build() == raw


def test_header():
    """The header is the kernel's struct btf_header, the sections follow each other."""
    builder = Builder()
    builder.add_int("int", 4)

    raw = builder.build()

    assert unpack_from("<HBBIIIII", raw) == (0xEB9F, 1, 0, 24, 0, 16, 16, 5)
    assert raw.endswith(b"\0int\0")
    assert len(raw) == 24 + 16 + 5


@pytest.mark.parametrize("sign", ["<", ">"])
def test_layout(sign):
    """Sizes of records by kind, between types and strings; whoever knows the kinds reads the same types."""
    builder = Builder(byteorder="little" if sign == "<" else "big")
    builder.add_int("int", 4)

    raw = builder.build(layout=True)

    assert unpack_from(f"{sign}HBBIIIIIII", raw) == (0xEB9F, 1, 0, 32, 0, 16, 96, 5, 16, 80)
    assert raw[48:128] == bytes(4) + b"".join(
        bytes([info, each, 0, 0])
        for info, each in (
            *((4, 0), (0, 0), (12, 0), (0, 12), (0, 12), (0, 8), (0, 0), (0, 0), (0, 0), (0, 0)),
            *((0, 0), (0, 0), (0, 8), (4, 0), (0, 12), (0, 0), (4, 0), (0, 0), (0, 12)),
        )
    )
    assert list(BTF.from_bytes(raw)) == list(BTF.from_bytes(builder.build()))


def test_kind_flag_without_bitfields():
    """It is set where it is asked for, and where there are bitfields."""
    builder = Builder()
    number = builder.add_int("int", 4)
    builder.add_struct("s", 4, [("x", number)], kind_flag=True)
    builder.add_union("u", 4, [("x", number)], kind_flag=True)
    builder.add_struct("s", 4, [("x", number, 0, 3)])
    builder.add_struct("s", 4, [("x", number)])

    assert [True, True, True, False] == [each.kind_flag for each in list(BTF.from_bytes(builder.build()))[1:]]


def test_strings_of_another():
    """Offsets stay what they are, and what is added comes after them."""
    first = Builder()
    first.add_int("int", 4)

    second = Builder(strings=BTF.from_bytes(first.build()).strings)

    assert second.string("long") == 5
    assert BTF.from_bytes(second.build()).strings == b"\0int\0long\0"


def test_strings_lie_in_order_of_use():
    """A type's own name comes before those of its members, as libbpf has it."""
    b = Builder()
    b.add_struct("s", 4, [("m", 0)])
    b.add_enum("e", [("A", 0)])
    b.add_enum64("e64", [("B", 0)])

    assert b"\0s\0m\0e\0A\0e64\0B\0" == BTF.from_bytes(b.build()).strings


@pytest.mark.parametrize("order", ["unused\0u32\0s\0", "s\0u32\0unused\0"])
def test_written_again_with_its_strings(order):
    """Whatever order the strings are in, and whether types use them: with them kept, the same bytes come out."""
    strings = b"\0" + order.encode()
    first = Builder(strings=strings)
    first.add_struct("s", 4, [("u32", first.add_int("u32", 4))])
    data = first.build()
    again = Builder(strings=BTF.from_bytes(data).strings)
    for of in BTF.from_bytes(data):
        again.add_type(of)

    assert strings == BTF.from_bytes(data).strings
    assert data == again.build()


def test_strings_of_the_base():
    """They are used again where that is asked for."""
    base = Builder()
    base.add_int("int", 4)
    base_btf = BTF.from_bytes(base.build())

    assert Builder(base=base_btf, reuse=True).string("int") == 1
    assert Builder(base=base_btf).string("int") == 5


def test_void_and_unknown_kinds_are_not_written():
    """There is no word for them."""
    for of in (types.Void(), types.Unknown(1, "", 25)):
        with pytest.raises(BTFError, match="cannot be written"):
            Builder().add_type(of)


def test_references():
    """Whatever a type refers to is found, void left out."""
    found = {(type(each), *sorted(references(each))) for each in BTF.from_bytes(one_of_each())}

    assert {
        (types.Int,),
        (types.Pointer, 3),
        (types.Struct, 1, 2),
        (types.Array, 1, 2),
        (types.Union, 1),
        (types.FuncProto, 1, 2),
        (types.DeclTag, 4),
    } <= found
    assert not references(types.FuncProto(1, "", 0, (types.Param("", 0),)))


def test_map_ids_keeps_everything_else():
    """Only references change."""
    for each in BTF.from_bytes(one_of_each()):
        assert map_ids(each, int) == each
        assert map_ids(map_ids(each, lambda old: old + 7), lambda old: old - 7) == each


def test_subset_is_whole():
    """The roots come with everything they need, renumbered, and with nothing else."""
    builder = Builder()
    builder.add_int("unused", 8)
    node = builder.next_id
    builder.add_struct("node", 16, [("next", node + 1), ("value", node + 2, 64)])
    builder.add_ptr(node)
    builder.add_typedef("number", node + 3)
    builder.add_int("int", 4)
    builder.add_ptr(0)

    part = BTF.from_bytes(subset(BTF.from_bytes(builder.build()), [node + 1]))

    assert list(part) == [
        types.Struct(1, "node", 16, (types.Member("next", 2, 0), types.Member("value", 3, 64))),
        types.Pointer(2, "", 1),
        types.Typedef(3, "number", 4),
        types.Int(4, "int", 4, 32),
    ]
    assert b"unused" not in part.strings


def test_subset_of_a_split_btf_stands_alone():
    """Types of the base come along."""
    base = Builder()
    base.add_int("int", 4)
    base_btf = BTF.from_bytes(base.build())
    split = Builder(base=base_btf)
    split.add_typedef("number", 1)

    part = BTF.from_bytes(subset(BTF.from_bytes(split.build(), base_btf), [2]))

    assert list(part) == [types.Int(1, "int", 4, 32), types.Typedef(2, "number", 1)]
