"""BTF that no compiler makes: each sort of it is answered or refused, in every use of the library, and soon."""

from __future__ import annotations

import pytest

from btf import dump_raw, kind
from btf.codec import Codec
from btf.dump_c import declaration, header
from btf.encode import Encoder
from btf.errors import BTFError
from btf.layout import layout
from btf.read import BTF
from btf.value import Decoder
from btf.write import Builder
from tests.fuzz.every_use import LAST, WAYS, exercise
from tests.soon import soon

INT = 1  # id of the first type


def hostile(*add):
    """Return the bytes of an ``int`` and what the functions add to it; all uses of them end soon, if in BTFError."""
    b = Builder()
    b.add_int("int", 4, encoding=1)
    for one in add:
        one(b)
    data = b.build()
    for way in range(len(WAYS)):
        with soon():
            exercise(data, LAST | way)
    return data


def refusals(data, type_id):
    """Return what values, layouts and headers of a type have to say."""
    btf, said = BTF.from_bytes(data), []
    for use in (
        lambda: Decoder(btf, type_id),
        lambda: Encoder(btf, type_id),
        lambda: Codec(btf, type_id),
        lambda: layout(btf, type_id, expand=True),
        lambda: list(header(btf, roots=[type_id])),
    ):
        with pytest.raises(BTFError) as refused:
            use()
        said.append(str(refused.value))
    return said


@pytest.mark.parametrize("name", ["typedef", "const", "volatile", "restrict", "type_tag"])
def test_cycles_of_references(name):
    """A typedef or modifier of itself, or of another one of it, has no end, thus neither size nor values."""
    words = ("x",) if name in ("typedef", "type_tag") else ()

    def add(b, target):
        getattr(b, f"add_{name}")(*words, target)

    alone = hostile(lambda b: add(b, 2))
    pair = hostile(lambda b: add(b, 3), lambda b: add(b, 2))
    within = hostile(lambda b: add(b, 2), lambda b: b.add_struct("s", 4, [("m", 2)]))

    for data, type_id in ((alone, 2), (pair, 3), (within, 3)):
        assert len(refusals(data, type_id)) == 5
        with pytest.raises(BTFError, match="circle"):
            BTF.from_bytes(data).resolve(2)


def test_cycles_of_pointers():
    """A pointer to itself is an address like any other, and has no declaration in C."""
    data = hostile(lambda b: b.add_ptr(2), lambda b: b.add_struct("s", 8, [("p", 2)]))
    btf = BTF.from_bytes(data)

    assert Decoder(btf, 3)(bytes(8))["p"] == 0
    assert layout(btf, 3).size == 8
    with pytest.raises(BTFError):
        list(header(btf, roots=[3]))


def test_cycles_of_functions():
    """A function that takes and returns itself."""
    data = hostile(lambda b: b.add_func_proto(2, [("a", 2)]), lambda b: b.add_func("f", 2), lambda b: b.add_ptr(2))

    assert len(refusals(data, 2)) == 5
    with pytest.raises(BTFError):
        declaration(BTF.from_bytes(data), 4, "f")


@pytest.mark.parametrize("of", [kind.STRUCT, kind.UNION, kind.ENUM, kind.ENUM64, kind.FUNC_PROTO, kind.DATASEC])
def test_more_members_than_there_are_bytes(of):
    """16,777,215 members are announced, and one is there."""
    with pytest.raises(BTFError, match="type 2 is cut off"):
        BTF.from_bytes(hostile(lambda b: b.add(of, "x", 4, vlen=0xFFFFFF, rest=[0, INT, 0])))


def test_members_of_a_kind_that_has_none():
    """A pointer that announces members has none; what follows is the next type."""
    data = hostile(lambda b: b.add(kind.PTR, "", INT, vlen=0xFFFFFF), lambda b: b.add_float("f", 4))

    assert BTF.from_bytes(data).name(3) == "f"


def test_overlapping_members():
    """Members that share bytes, in any order: values have both, and C no way to say it."""
    members = [("b", INT, 64), ("a", INT, 0), ("c", INT, 16)]
    data = hostile(lambda b: b.add_struct("s", 16, members))
    btf = BTF.from_bytes(data)

    assert Decoder(btf, 2)(bytes(range(16))).fields == (("b", 0x0B0A0908), ("a", 0x03020100), ("c", 0x05040302))
    assert [field.offset for field in layout(btf, 2).fields] == [8, 0, 2]


def test_offsets_at_the_end_of_32_bits():
    """Members half a gigabyte behind their struct: nothing wraps, and no header counts that far."""
    data = hostile(lambda b: b.add_struct("s", 8, [("a", INT, 0xFFFFFFE0), ("b", INT, 0xFFFFFFFF)]))
    btf = BTF.from_bytes(data)

    with pytest.raises(BTFError, match="536870916 bytes does not fit into 8"):
        Decoder(btf, 2)(bytes(8))
    assert [8 * field.offset + field.bit for field in layout(btf, 2).fields] == [0xFFFFFFE0, 0xFFFFFFFF]
    with pytest.raises(BTFError, match="too large to be filled"):
        list(header(btf))


def test_sizes_beyond_64_bits():
    """An array of arrays of arrays, of 2 ** 98 bytes."""
    arrays = [lambda b, of=of: b.add_array(of, INT, 0xFFFFFFFF) for of in (INT, 2, 3)]
    data = hostile(*arrays, lambda b: b.add_struct("s", 4, [("a", 4)]))
    btf = BTF.from_bytes(data)

    assert Decoder(btf, 5).size == 4 * 0xFFFFFFFF**3
    with pytest.raises(BTFError, match="does not fit"):
        Decoder(btf, 5)(bytes(4096))


def test_many_values_of_no_size():
    """Four billion structs without members would take no bytes, and all memory."""
    data = hostile(
        lambda b: b.add_struct("", 0, []),
        lambda b: b.add_array(2, INT, 0xFFFFFFFF),
        lambda b: b.add_struct("s", 4, [("a", 3)]),
    )

    for use in (Decoder, Encoder, Codec):
        with pytest.raises(BTFError, match="makes 4294967296 values"):
            use(BTF.from_bytes(data), 4)


@pytest.mark.parametrize("offset", [0x100, 0x7FFFFFFF, 0xFFFFFFFF])
def test_names_out_of_range(offset):
    """The name of a type or of a member lies behind the strings."""
    named = hostile(lambda b: b.add_words([offset, kind.FLOAT << 24, 4]))
    member = hostile(lambda b: b.add_words([0, kind.STRUCT << 24 | 1, 4, offset, INT, 0]))

    for data in (named, member):
        btf = BTF.from_bytes(data)
        for use in (btf.type, lambda _, btf=btf: list(dump_raw.text(btf)), lambda _, btf=btf: list(btf)):
            with pytest.raises(BTFError, match=f"string offset {offset} is out of range"):
                use(2)
    assert BTF.from_bytes(named).find_all("") == []


def test_strings_without_an_end():
    with pytest.raises(BTFError, match="the last string has no end"):
        BTF.from_bytes(hostile(lambda b: b.add_float("f", 4))[:-1] + b"x")


def test_arrays_of_themselves():
    """By their items, directly and through another one: no size, no values, no declaration."""
    alone = hostile(lambda b: b.add_array(2, INT, 2))
    pair = hostile(lambda b: b.add_array(3, INT, 2), lambda b: b.add_array(2, INT, 2))
    empty = hostile(lambda b: b.add_array(2, INT, 0))

    for data in (alone, pair, empty):
        assert len(refusals(data, 2)) == 5
        with pytest.raises(BTFError, match="has no size"):
            BTF.from_bytes(data).size_of(2)


def test_arrays_that_are_their_own_index():
    """What counts the items does not matter, except that it is a type that cannot end."""
    data = hostile(lambda b: b.add_array(INT, 2, 2))

    assert Decoder(BTF.from_bytes(data), 2)(bytes(8)) == [0, 0]


def test_structs_that_contain_themselves_by_value():
    """Directly, through another one, through an array and a typedef, and without a name."""
    alone = hostile(lambda b: b.add_struct("s", 8, [("s", 2)]))
    pair = hostile(lambda b: b.add_struct("s", 8, [("t", 3)]), lambda b: b.add_union("t", 8, [("s", 2)]))
    array = hostile(
        lambda b: b.add_struct("s", 8, [("all", 3)]),
        lambda b: b.add_array(4, INT, 2),
        lambda b: b.add_typedef("s_t", 2),
    )
    unnamed = hostile(lambda b: b.add_struct("", 8, [("", 2)]))

    for data in (alone, pair, array, unnamed):
        assert len(refusals(data, 2)) == 5


def test_structs_that_contain_themselves_as_a_bitfield():
    """One bit of itself is a number; it has no members of its own."""
    data = hostile(lambda b: b.add_struct("s", 4, [("", 2, 0, 1), ("x", INT, 1, 2)]))

    assert Decoder(BTF.from_bytes(data), 2)(b"\3\0\0\0").fields == (("", 1), ("x", 1))


def test_bits_of_an_enum_without_measure():
    """An enum of half a gigabyte is none, and its enumerators are not made that long."""
    data = hostile(
        lambda b: b.add_enum("e", [("A", 1)], size=0x20000000),
        lambda b: b.add_struct("s", 4, [("x", 2, 0, 3)]),
    )

    with pytest.raises(BTFError, match="enum 2 has 536870912 bytes"):
        Encoder(BTF.from_bytes(data), 3)


def test_a_floating_point_number_without_measure():
    data = hostile(lambda b: b.add_float("f", 0x20000000), lambda b: b.add_struct("s", 4, [("x", 2)]))

    for use in (Decoder, Encoder):
        with pytest.raises(BTFError, match="floating point number of 536870912 bytes"):
            use(BTF.from_bytes(data), 3)
