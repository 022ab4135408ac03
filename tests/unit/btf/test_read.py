"""btf.read on blobs spelled out byte by byte, and on blobs that lie."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from struct import pack

import pytest

from btf import types
from btf.errors import BTFError
from btf.read import BTF, enum_values
from btf.write import Builder


def blob(words=(), strings=b"\0", order="<", *, hdr_len=24, **header):
    """A BTF of these words and strings, with chosen header fields replaced by lies."""
    section = pack(f"{order}{len(words)}I", *words)
    fields = {
        "magic": 0xEB9F,
        "version": 1,
        "flags": 0,
        "hdr_len": hdr_len,
        "type_off": 0,
        "type_len": len(section),
        "str_off": len(section),
        "str_len": len(strings),
    } | header
    return pack(f"{order}HBBIIIII", *fields.values()) + bytes(hdr_len - 24) + section + strings


INT = (1, 1 << 24, 4, 0x01000020)
PTR = (0, 2 << 24, 1)


@pytest.mark.parametrize("order", "<>")
def test_types_are_read_in_either_byte_order(order):
    """The magic number tells the byte order."""
    btf = BTF.from_bytes(blob(INT + PTR, b"\0int\0", order))

    assert [types.Int(1, "int", 4, 32, 0, types.SIGNED), types.Pointer(2, "", 1)] == list(btf)
    assert ("little" if order == "<" else "big") == btf.byteorder
    assert range(1, 3) == btf.ids
    assert btf.name(1) == "int"
    assert btf.kind(2) == 2


def test_no_types():
    """A BTF may be empty; void is there nevertheless."""
    btf = BTF.from_bytes(blob())

    assert list(btf) == []
    assert len(btf) == 0
    assert types.Void() == btf.type(0)
    assert btf.name(0) == ""
    assert btf.find("int") is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((0, 3 << 24, 0, 1, 2, 9), types.Array(1, "", 1, 2, 9)),
        (
            (1, 4 << 24 | 2, 8, 3, 1, 0, 5, 1, 32),
            types.Struct(1, "s", 8, (types.Member("a", 1, 0), types.Member("b", 1, 32))),
        ),
        (
            (1, 1 << 31 | 5 << 24 | 1, 4, 3, 7, 3 << 24 | 5),
            types.Union(1, "s", 4, (types.Member("a", 7, 5, 3),), kind_flag=True),
        ),
        (
            (1, 6 << 24 | 1, 4, 3, 0xFFFFFFFF),
            types.Enum(1, "s", 4, (types.EnumValue("a", 0xFFFFFFFF),)),
        ),
        (
            (1, 1 << 31 | 6 << 24 | 1, 4, 3, 0xFFFFFFFF),
            types.Enum(1, "s", 4, (types.EnumValue("a", -1),), signed=True),
        ),
        (
            (1, 19 << 24 | 1, 8, 3, 1, 0x80000000),
            types.Enum64(1, "s", 8, (types.EnumValue("a", 1 << 63 | 1),)),
        ),
        (
            (1, 1 << 31 | 19 << 24 | 1, 8, 3, 0, 0x80000000),
            types.Enum64(1, "s", 8, (types.EnumValue("a", -(1 << 63)),), signed=True),
        ),
        ((1, 7 << 24, 0), types.Fwd(1, "s")),
        ((1, 1 << 31 | 7 << 24, 0), types.Fwd(1, "s", is_union=True)),
        ((1, 8 << 24, 9), types.Typedef(1, "s", 9)),
        ((0, 9 << 24, 9), types.Volatile(1, "", 9)),
        ((0, 10 << 24, 9), types.Const(1, "", 9)),
        ((0, 11 << 24, 9), types.Restrict(1, "", 9)),
        ((1, 12 << 24 | 2, 9), types.Func(1, "s", 9, linkage=2)),
        (
            (0, 13 << 24 | 2, 5, 3, 1, 0, 0),
            types.FuncProto(1, "", 5, (types.Param("a", 1), types.Param("", 0))),
        ),
        ((1, 14 << 24, 5, 1), types.Var(1, "s", 5, linkage=1)),
        ((1, 15 << 24 | 1, 64, 2, 8, 4), types.Datasec(1, "s", 64, (types.SectionVar(2, 8, 4),))),
        ((1, 16 << 24, 8), types.Float(1, "s", 8)),
        ((1, 17 << 24, 5, 0xFFFFFFFF), types.DeclTag(1, "s", 5, -1)),
        ((1, 1 << 31 | 17 << 24, 5, 2), types.DeclTag(1, "s", 5, 2, kind_flag=True)),
        ((1, 18 << 24, 5), types.TypeTag(1, "s", 5)),
        ((1, 1 << 31 | 18 << 24, 5), types.TypeTag(1, "s", 5, kind_flag=True)),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, tuple) or hasattr(value, "id") else "",
)
def test_each_kind(words, expected):
    """Every kind is read with all that its flag and its extra words say."""
    btf = BTF.from_bytes(blob(words, b"\0s\0a\0b\0"))

    actual = btf.type(1)

    assert expected == actual
    assert type(expected) is type(actual)


def test_more_members_than_16_bits_count():
    """Linux 7.1 widened the member count to 24 bits."""
    values = [v for number in range(70_000) for v in (1, number)]

    btf = BTF.from_bytes(blob((0, 6 << 24 | 70_000, 4, *values), b"\0a\0"))

    assert len(btf.type(1).values) == 70_000


def test_unknown_kind_is_stepped_over_with_the_layout_section():
    """The layout section of Linux 7.1 gives the sizes of kinds that this library does not know."""
    words = (0, 25 << 24 | 2, 0, 7, 8, 8, *INT)
    layout = bytes(4 * 25) + pack("<BBH", 4, 4, 0)
    header = blob(words, b"\0int\0", hdr_len=32)
    section_end = len(header) - 32
    data = header[:24] + pack("<II", section_end, len(layout)) + header[32:] + layout

    btf = BTF.from_bytes(data)

    assert types.Unknown(1, "", 25) == btf.type(1)
    assert btf.name(2) == "int"
    with pytest.raises(BTFError, match="unknown kind 25"):
        BTF.from_bytes(blob(words, b"\0int\0"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "magic"),
        (b"\x9f\xeb", "cut off"),
        (b"\x7fELF" + bytes(60), "magic"),
        (blob(version=2), "version 2"),
        (blob(magic=0x9FEB), "version|header"),
        (blob(hdr_len=24)[:4] + pack("<I", 23) + bytes(24), "header length 23"),
        (blob()[:4] + pack("<I", 0xFFFFFFFF) + bytes(24), "header length"),
        (blob(type_off=0xFFFFFFFC), "type section ends"),
        (blob(INT, type_len=0xFFFFFFFC), "type section ends"),
        (blob(INT, type_len=15), "multiple of 4"),
        (blob(str_off=0xFFFFFFFF), "string section ends"),
        (blob(str_len=2), "string section ends"),
        (blob(strings=b""), "first string"),
        (blob(strings=b"a\0"), "first string"),
        (blob(strings=b"\0a"), "no end"),
        (blob((0,)), "type 1 is cut off"),
        (blob((0, 0, 0)), "type 1 is of unknown kind 0"),
        (blob((*PTR, 0, 20 << 24, 0)), "type 2 is of unknown kind 20"),
        (blob((*PTR, 0, 2 << 24)), "type 2 is cut off"),
        (blob((0, 4 << 24 | 0xFFFFFF, 0)), "type 1 is cut off"),
        (blob((0, 1 << 24, 4)), "type 1 is cut off"),
    ],
)
def test_damage_is_found_while_indexing(data, message):
    """Whatever does not fit is refused with a sentence that says where."""
    with pytest.raises(BTFError, match=message):
        BTF.from_bytes(data)


def test_bad_references_are_found_when_read():
    """An index says nothing about names and ids; reading them does."""
    btf = BTF.from_bytes(blob((99, 2 << 24, 77), b"\0"))

    for read in (btf.name, btf.type):
        with pytest.raises(BTFError, match="string offset 99"):
            read(1)
    for type_id in (2, 77, -1):
        with pytest.raises(BTFError, match="out of range"):
            btf.type(type_id)


def test_names_are_bytes():
    """A name that is not UTF-8 keeps every byte and can be looked up."""
    builder = Builder()
    odd = b"a\xff\x1b[31m"
    builder.add_int(odd, 4)
    btf = BTF.from_bytes(builder.build())

    name = btf.name(1)

    assert odd == name.encode("utf-8", "surrogateescape")
    assert btf.find(name).id == 1


def test_find_by_name_and_kind():
    """A name may belong to several types; asking for a kind takes its first."""
    builder = Builder()
    number = builder.add_int("x", 4)
    struct = builder.add_struct("x", 0, [])
    second = builder.add_struct("x", 4, [])
    builder.add_struct("", 4, [])
    btf = BTF.from_bytes(builder.build())

    for _ in range(40):  # the first answers come from scanning, later ones from a dictionary
        assert number == btf.find("x").id
        assert struct == btf.find("x", types.Struct).id
        assert [number, struct, second] == [found.id for found in btf.find_all("x")]
        assert [struct, second] == [found.id for found in btf.find_all("x", types.Struct)]
        assert btf.find("x", types.Enum) is None
        assert btf.find("y") is None
        assert btf.find("") is None
        assert btf.find("x\0") is None


def test_strings_may_share_their_ends():
    """A name offset may point into the middle of another string."""
    btf = BTF.from_bytes(blob((*INT, 2, 1 << 24, 1, 8), b"\0sint\0"))

    assert [btf.name(1), btf.name(2)] == ["sint", "int"]
    for _ in range(20):
        assert btf.find("int").id == 2
        assert btf.find("sint").id == 1


@pytest.fixture
def split():
    """A split BTF over a base, both with a type called ``both``."""
    base = Builder()
    base.add_int("int", 4)
    base.add_struct("both", 4, [("a", 1)])
    base_btf = BTF.from_bytes(base.build())
    module = Builder(base=base_btf)
    module.add_struct("both", 8, [("a", 1), ("b", 1, 32)])
    module.add_typedef("int", 3)
    module.add(8, size_or_type=1)
    raw = bytearray(module.build())
    raw[24 + 12 + 24 + 12 : 24 + 12 + 24 + 16] = pack("<I", 1)  # the name of type 5: "int" of the base
    return BTF.from_bytes(bytes(raw), base_btf)


def test_split_btf_continues_ids_and_strings(split):
    """Ids and string offsets of a split BTF start where those of its base end."""
    assert range(3, 6) == split.ids
    assert [each.id for each in split] == [3, 4, 5]
    assert split.type(1).name == "int"
    assert types.Typedef(5, "int", 1) == split.type(5)
    assert [found.id for found in split.find_all("both")] == [2, 3]
    assert split.find("both").id == 2
    assert [found.id for found in split.find_all("int")] == [1, 4, 5]
    assert [found.id for found in split.find_all("int", types.Typedef)] == [4, 5]
    assert split.size_of(4) == 8
    with pytest.raises(BTFError):
        split.type(6)


def test_split_btf_finds_the_same_from_its_dictionary(split):
    """Scanning and the dictionary agree, also for names that live in the base."""
    for _ in range(40):
        assert [found.id for found in split.find_all("int")] == [1, 4, 5]


def test_names_that_begin_alike():
    """Those of a base, of types of a split BTF that have them from there, and the first one of its own strings."""
    base = Builder()
    base.add_struct("outer", 4, [("inner", base.add_int("int", 4))])
    base_btf = BTF.from_bytes(base.build())
    module = Builder(base=base_btf, reuse=True)
    module.add_typedef("into", 1)
    module.add_typedef("inner", 1)
    btf = BTF.from_bytes(module.build(), base_btf)

    assert {"int", "into", "inner"} == btf.names("in")
    assert {"int"} == base_btf.names("in")
    assert set() == btf.names("nt") == btf.names("")


def test_resolve_ends_at_void_and_refuses_circles():
    """Modifiers and typedefs are skipped; void is an answer, a circle is not."""
    builder = Builder()
    builder.add_const(0)
    builder.add_typedef("t", 1)
    builder.add_volatile(4)
    builder.add_restrict(3)
    builder.add_ptr(5)
    builder.add_type_tag("user", 5)
    btf = BTF.from_bytes(builder.build())

    assert btf.resolve(2) == 0
    assert btf.resolve(5) == 5
    assert btf.resolve(6) == 5
    with pytest.raises(BTFError, match="circle"):
        btf.resolve(3)


def test_size_of():
    """Sizes go through typedefs, arrays of arrays and variables; what has none is an error."""
    builder = Builder()
    u32 = builder.add_int("unsigned int", 4)
    row = builder.add_array(u32, u32, 3)
    table = builder.add_array(row, u32, 5)
    name = builder.add_typedef("table", table)
    var = builder.add_var("v", name)
    pointer = builder.add_ptr(0)
    proto = builder.add_func_proto(0)
    loop = builder.next_id
    builder.add_array(loop, u32, 2)
    btf = BTF.from_bytes(builder.build())

    assert [btf.size_of(i) for i in (u32, row, table, name, var, pointer)] == [4, 12, 60, 60, 60, 8]
    for type_id in (0, proto, loop):
        with pytest.raises(BTFError, match="no size"):
            btf.size_of(type_id)


def test_pointers_are_as_long_as_long():
    """BTF does not say how long a pointer is; the size of ``long`` does."""
    builder = Builder()
    builder.add_int("long unsigned int", 4)
    pointer = builder.add_ptr(0)
    btf = BTF.from_bytes(builder.build())

    assert btf.pointer_size == 4
    assert btf.size_of(pointer) == 4


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_enum_values_alone(byteorder):
    """The short cut finds an enum among other uses of its name and of its name's offset."""
    builder = Builder(byteorder=byteorder)
    offset = builder.string("kind")
    builder.add_struct("kind", offset, [("kind", offset, offset)])
    builder.add(4, "bait", vlen=1, flag=True, rest=[offset, offset, 6 << 24 | 1])
    builder.add_enum("other", [("kind", 6 << 24 | 1), ("A", 1)])
    builder.add_enum("kind", [("B", -1), ("C", 2)], signed=True)
    builder.add_enum64("wide", [("D", 1 << 40)])
    raw = builder.build()

    assert enum_values(raw, "kind") == {"B": -1, "C": 2}
    assert enum_values(raw, "wide") == {"D": 1 << 40}
    assert enum_values(raw, "bait") == {}
    assert enum_values(raw, "nothing") == {}
    with pytest.raises(BTFError):
        enum_values(raw[:30], "kind")


def test_reading_needs_no_heavy_imports():
    """Reading one name out of BTF is on the start-up path of a command line."""
    heavy = {"typing", "re", "dataclasses", "enum", "collections", "inspect"}
    code = "import sys; sys.path.insert(0, sys.argv[1]); import btf.read; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, Path(types.__file__).parents[1]],
        capture_output=True,
        text=True,
        check=True,
    )

    assert set() == heavy & set(done.stdout.split())


def test_short_names_are_those_of_the_modules():
    """``btf.X`` is imported on first use."""
    import btf

    assert BTF is btf.BTF
    for name in btf.__all__:
        assert name == getattr(btf, name).__name__
    with pytest.raises(AttributeError, match="nothing"):
        btf.nothing  # noqa: B018


def test_base_without_types():
    """A base may hold strings alone."""
    base = BTF.from_bytes(blob(strings=b"\0int\0"))
    btf = BTF.from_bytes(blob(INT, b"x\0"), base)

    assert btf.type(1) == types.Int(1, "int", 4, 32, 0, types.SIGNED)
    assert btf.string(5) == "x"
    assert btf.find("int").id == 1
    assert Builder(base=base).string("y") == 5
