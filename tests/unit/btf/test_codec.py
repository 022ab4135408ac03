"""btf.codec and btf.classes: values as objects of classes, both ways, one by one and many at a time."""

from __future__ import annotations

import dataclasses
import enum
import struct
import sys
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from types import ModuleType
from typing import Annotated, Any, NamedTuple, NewType, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btf import classes, place, types
from btf.codec import Codec, fields, plain
from btf.errors import BTFError
from btf.read import BTF
from btf.write import Builder


def make(byteorder="little"):
    """Types with one of everything, and the ids of those that tests ask for."""
    b = Builder(byteorder=byteorder)
    u8, u16 = b.add_int("u8", 1), b.add_int("u16", 2)
    u32, u64 = b.add_int("u32", 4), b.add_int("u64", 8)
    s32 = b.add_int("int", 4, encoding=types.SIGNED)
    char, boolean = b.add_int("char", 1, encoding=types.SIGNED), b.add_int("_Bool", 1, encoding=types.BOOL)
    double = b.add_float("double", 8)
    state = b.add_enum("state", [("RUNNING", 1), ("STOPPED", 2)])
    comm, bytes6, three = b.add_array(char, u32, 8), b.add_array(u8, u32, 6), b.add_array(u16, u32, 3)
    pair = b.add_struct("pair", 8, [("a", u32), ("b", s32, 32)])
    pairs = b.add_array(pair, u32, 2)
    halves = b.add_struct("", 8, [("low", u32), ("high", u32, 32)])
    whole = b.add_union("", 8, [("whole", u64), ("", halves)])
    all_ = b.add_struct(
        "everything_here",
        96,
        [
            ("address", u32),
            ("state", state, 32),
            ("count", u64, 64),
            ("delta", s32, 128),
            ("on", boolean, 160),
            ("from", u8, 168),
            ("mac", bytes6, 176),
            ("ratio", double, 256),
            ("comm", comm, 320),
            ("three", three, 384),
            ("pairs", pairs, 448),
            ("", whole, 576),
            ("low_bits", u32, 640, 3),
            ("high_bits", s32, 643, 29),
            ("next", b.add_ptr(0), 704),
        ],
    )
    flat = b.add_struct("flat", 24, [("count", u64), ("delta", s32, 64), ("ratio", double, 128)])
    section = b.add_datasec(".bss", 12, [(b.add_var("hits", u64), 0, 8), (b.add_var("level", s32), 8, 4)])
    return BTF.from_bytes(b.build()), {"all": all_, "flat": flat, "pair": pair, "u32": u32, "section": section}


BTFS = {order: make(order) for order in ("little", "big")}
LITTLE, IDS = BTFS["little"]
DATA = (
    bytes([10, 0, 0, 1])
    + struct.pack("<IQi?B6s4x", 2, 1 << 40, -5, True, 7, b"\1\2\3\4\5\6")
    + struct.pack("<d8s3H2x", 0.5, b"bash\0old", 1, 2, 3)
    + struct.pack("<IiIiQI4xQ", 1, -1, 2, -2, 6 << 32 | 5, -9 << 3 & 0xFFFFFFFF | 5, 0)
)


class State(enum.IntEnum):
    RUNNING = 1
    STOPPED = 2


class Pair(NamedTuple):
    a: int
    b: int


Count = NewType("Count", int)


@dataclass(frozen=True)
class Everything:
    address: IPv4Address
    state: State
    count: Count
    delta: Annotated[int, "bytes"]
    on: bool
    from_: int
    mac: bytes
    ratio: float
    comm: str
    three: list[int]
    pairs: tuple[Pair, ...]
    whole: int | None
    low: int | None
    low_bits: int
    high_bits: int
    next: int


EVERYTHING = Everything(
    IPv4Address("10.0.0.1"),
    State.STOPPED,
    Count(1 << 40),
    -5,
    True,
    7,
    bytes(range(1, 7)),
    0.5,
    "bash",
    [1, 2, 3],
    (Pair(1, -1), Pair(2, -2)),
    6 << 32 | 5,
    5,
    5,
    -9,
    0,
)


class Flat(NamedTuple):
    count: int
    delta: int
    ratio: float


@dataclass
class Turned:
    """The fields of `Flat` in another order, and one that is not read."""

    ratio: float
    count: int
    seen: int = field(default=3, init=False)


class FlatDict(TypedDict):
    count: int
    delta: int


@dataclass(kw_only=True)
class ByName:
    ratio: float
    delta: int


def test_everything():
    codec = Codec(LITTLE, IDS["all"], Everything)

    assert codec.decode(DATA) == EVERYTHING
    assert codec.encode(EVERYTHING, DATA) == DATA.replace(b"bash\0old", b"bash\0\0\0\0")
    assert codec.decode(codec.encode(EVERYTHING)) == EVERYTHING
    assert list(codec.each(DATA * 3, 96)) == [EVERYTHING] * 3


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("as_", [Flat, Turned, FlatDict, ByName, dict, Any])
@given(values=st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(-(2**31), 2**31 - 1), st.floats()), max_size=4))
def test_many_at_a_time_are_what_they_are_one_by_one(order, as_, values):
    btf, ids = BTFS[order]
    codec = Codec(btf, ids["flat"], as_)
    layout = struct.Struct(f"{'<' if order == 'little' else '>'}Qi4xd")
    packed = [layout.pack(*value) for value in values]

    assert list(map(repr, codec.each(b"".join(packed), 24))) == [repr(codec.decode(data)) for data in packed]
    wide = b"".join(data + b"slot" for data in packed)
    assert list(map(repr, codec.each(wide, 28))) == [repr(codec.decode(data)) for data in packed]
    for data in packed:
        assert codec.encode(codec.decode(data), data) == data


def test_numbers_alone():
    codec = Codec(LITTLE, IDS["u32"], int)

    assert list(codec.each(bytes([1, 0, 0, 0, 9, 9, 9, 9]), 8)) == [1]
    assert Codec(LITTLE, IDS["u32"], IPv4Address).decode(bytes([10, 0, 0, 1])) == IPv4Address("10.0.0.1")
    assert type(Codec(LITTLE, IDS["u32"], float).decode(bytes(4))) is float
    assert [type(each) for each in Codec(LITTLE, IDS["u32"], float).each(bytes(8), 4)] == [float] * 2


def test_dicts_are_plain():
    """Members of members without name are among the others."""
    value = Codec(LITTLE, IDS["all"], dict).decode(DATA)

    assert value == plain(Codec(LITTLE, IDS["all"]).decode(DATA))
    assert value["state"] == "STOPPED"
    assert (value["whole"], value["low"], value["high"]) == (6 << 32 | 5, 5, 6)
    assert value["pairs"] == [{"a": 1, "b": -1}, {"a": 2, "b": -2}]
    assert {type(item) for item in value.values()} <= {int, str, float, bool, list, dict}
    assert Codec(LITTLE, IDS["all"], dict).encode(value, DATA) == DATA


def test_sections_of_variables():
    codec = Codec(LITTLE, IDS["section"], SectionOf)

    assert codec.decode(struct.pack("<Qi", 5, -1)) == SectionOf(5, -1)
    assert codec.encode(SectionOf(5, -1)) == struct.pack("<Qi", 5, -1)
    assert list(fields(LITTLE, IDS["section"])) == ["hits", "level"]


class SectionOf(NamedTuple):
    hits: int
    level: int


def test_fields_that_share_their_bytes():
    """None is not written; values that do not agree are refused."""
    codec = Codec(LITTLE, IDS["all"], Everything)

    changed = codec.encode(dataclasses.replace(EVERYTHING, low=8, whole=None), DATA)
    assert codec.decode(changed).whole == 6 << 32 | 8
    with pytest.raises(BTFError, match="share their bytes"):
        codec.encode(dataclasses.replace(EVERYTHING, low=8))


class HasTime(NamedTuple):
    time: int


class HasWrongPart(NamedTuple):
    pairs: list[HasTime]


class HasTextCount(NamedTuple):
    count: str


class HasUnknown(NamedTuple):
    count: Nothing  # noqa: F821 - it is the point of it


@pytest.mark.parametrize(
    ("as_", "words"),
    [
        (HasTime, "struct everything_here has no member 'time', as HasTime has"),
        (HasWrongPart, "struct pair has no member 'time'"),
        (HasTextCount, "u64 cannot be str"),
        (HasUnknown, "a field of HasUnknown is of an unknown class"),
        (int, "cannot be int"),
        (bytes, "cannot be bytes"),
        (list[int], r"cannot be list\[int\]"),
        (int | str, "cannot be"),
        (Exception, "cannot be Exception"),
    ],
)
def test_classes_that_do_not_fit(as_, words):
    with pytest.raises(BTFError, match=words):
        Codec(LITTLE, IDS["all"], as_)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": -1}, "count: -1 is out of the range"),
        ({"comm": "a very long word"}, "comm: text of 16 bytes does not fit"),
        ({"comm": 5}, "comm: 5 is no text"),
        ({"mac": b"1"}, "mac: .* has 6 bytes, not 1"),
        ({"pairs": (Pair(1, 2),)}, "pairs: .* has 2 items, not 1"),
        ({"pairs": (Pair(1, 2), 7)}, r"pairs\[1\]: int is no Pair"),
        ({"address": "nowhere"}, "address: Expected 4 octets"),
        ({"three": 3}, "three: .* takes a list, not 3"),
    ],
)
def test_values_that_do_not_fit(change, words):
    with pytest.raises(BTFError, match=words):
        Codec(LITTLE, IDS["all"], Everything).encode(dataclasses.replace(EVERYTHING, **change))


def test_what_is_no_member_of_an_enum():
    with pytest.raises(BTFError, match="0 is no State"):
        Codec(LITTLE, IDS["all"], Everything).decode(bytes(96))


def test_data_that_is_too_short():
    codec = Codec(LITTLE, IDS["flat"], Flat)

    with pytest.raises(BTFError, match="does not fit into 23"):
        codec.decode(bytes(23))
    for packed, step in ((bytes(23), 24), (bytes(46), 23), (b"", 0)):
        with pytest.raises(BTFError):
            list(codec.each(packed, step))


def test_classes_from_types():
    """They read and write what they were made from."""
    made = classes.make(LITTLE, IDS["all"])
    codec = Codec(LITTLE, IDS["all"], made)
    value = codec.decode(DATA)

    assert made.__name__ == "EverythingHere"
    assert (value.count, value.state.name, value.comm, value.from_) == (1 << 40, "STOPPED", "bash", 7)
    assert value.mac == b"\1\2\3\4\5\6"
    assert (value.pairs[1].b, value.whole, value.high, value.high_bits) == (-2, 6 << 32 | 5, 6, -9)
    assert codec.decode(codec.encode(value)) == value
    changed = dataclasses.replace(value, whole=None, low=1, high=None)
    assert codec.decode(codec.encode(changed, DATA)).whole == 6 << 32 | 1
    with pytest.raises(BTFError, match="has no members"):
        classes.make(LITTLE, IDS["u32"])


def test_classes_as_text(monkeypatch):
    """The text makes the same classes."""
    text = classes.source(LITTLE, IDS["all"])
    room = ModuleType("made_of_types")
    monkeypatch.setitem(sys.modules, room.__name__, room)
    exec("from dataclasses import dataclass\nfrom btf.value import Enumerator\n" + text, room.__dict__)

    made = classes.make(LITTLE, IDS["all"])
    assert text.index("class Pair") < text.index("class EverythingHere")
    assert repr(Codec(LITTLE, IDS["all"], room.EverythingHere).decode(DATA)) == repr(
        Codec(LITTLE, IDS["all"], made).decode(DATA)
    )


def test_what_has_to_be_given():
    """All fields that share their bits with no others, such as bitfields of one integer."""
    b = Builder()
    number = b.add_int("int", 4)
    either = b.add_union("", 4, [("a", number), ("b", number)])
    members = [("x", number), ("low", number, 5 << 24 | 32), ("high", number, 3 << 24 | 37), ("", either, 64)]
    id_ = b.add_struct("some", 12, members, kind_flag=True)
    made = classes.make(BTF.from_bytes(b.build()), id_)

    assert [field.name for field in dataclasses.fields(made) if field.default is None] == ["a", "b"]
    assert not hasattr(made(x=1, low=2, high=3), "__dict__")


def test_the_last_byte_of_another_field():
    """It is shared, and need not be given."""
    b = Builder()
    id_ = b.add_struct("s", 8, [("whole", b.add_int("long", 8)), ("last", b.add_int("char", 1), 56)])
    made = classes.make(BTF.from_bytes(b.build()), id_)

    assert [None, None] == [field.default for field in dataclasses.fields(made)]


def test_what_is_no_variable():
    b = Builder()
    section = b.add_datasec(".data", 4, [(b.add_int("int", 4), 0, 4)])

    with pytest.raises(BTFError, match="type 1 is no variable"):
        fields(BTF.from_bytes(b.build()), section)


def test_addresses_in_structs():
    """As struct in6_addr, which is a union of arrays in a struct."""
    b = Builder()
    u8, u32 = b.add_int("__u8", 1), b.add_int("__u32", 4)
    octets, words = b.add_array(u8, u32, 16), b.add_array(u32, u32, 4)
    inner = b.add_union("", 16, [("u6_addr8", octets), ("u6_addr32", words)])
    in6 = b.add_struct("in6_addr", 16, [("in6_u", inner)])
    peer = b.add_struct("peer", 16, [("address", in6)])
    btf = BTF.from_bytes(b.build())

    class Peer(NamedTuple):
        address: Any

    assert Codec(btf, in6, IPv6Address).decode(bytes(15) + b"\1") == IPv6Address("::1")
    assert Codec(btf, in6, IPv6Address).encode(IPv6Address("::1")) == bytes(15) + b"\1"
    assert classes.make(btf, peer).__dataclass_fields__["address"].type.__name__ == "In6Addr"


def nested(times, *, name="", size=8):
    """Structs in structs, each with two members of the one before at the same place."""
    b = Builder()
    inner = b.add_int("int", 4)
    for _ in range(times):
        inner = b.add_struct("s", size, [(name, inner), (name and "b", inner)])
    return BTF.from_bytes(b.build()), inner


@pytest.mark.parametrize("name", ["", "a"])
@pytest.mark.parametrize("size", [8, 0x7FFFFFFF])
def test_types_that_double(name, size):
    """Structs that have 2 ** 40 members by way of 80 are refused, soon."""
    btf, last = nested(40, name=name, size=size)

    for use in (classes.make, classes.source, *(() if name else (fields,))):
        with pytest.raises(BTFError):
            use(btf, last)


def test_a_struct_that_contains_itself():
    """It has neither classes nor, where members have no names, an end of fields."""
    b = Builder()
    named, unnamed = b.add_struct("s", 8, [("s", b.next_id)]), b.add_struct("", 8, [("", b.next_id)])
    none_of_it = b.add_struct("s", 8, [("s", b.next_id + 1)])
    b.add_array(none_of_it, 0, 0)
    btf = BTF.from_bytes(b.build())

    for type_id in (named, unnamed, none_of_it):
        for use in (classes.make, classes.source):
            with pytest.raises(BTFError):
                use(btf, type_id)
    with pytest.raises(BTFError, match="more than 65536 members"):
        fields(btf, unnamed)


def test_parts_of_what_has_no_end():
    """Paths through members without name, which contain one another."""
    btf, last = nested(40)

    with pytest.raises(BTFError, match="more than 65536 members"):
        place.find(btf, last, "x")


def test_a_bitfield_of_structs_has_no_members():
    """A struct that is a bitfield of itself would have no end of them; what has a bitfield of such has a number."""
    b = Builder()
    s = b.add_struct("s", 4, [("", b.next_id, 0, 1)])
    endless = b.add_struct("", 8, [("", b.next_id)])
    other = b.add_struct("other", 8, [("bit", endless, 0, 1)])
    btf = BTF.from_bytes(b.build())

    assert "    bit: int\n" in classes.source(btf, other)
    assert Codec(btf, other).decode(b"\1" + bytes(7))["bit"] == 1

    assert list(place.members(btf, place.find(btf, s, ""))) == []
    assert fields(btf, s) == {}


def test_depth():
    """Thousands of structs in each other end in an error, not in Python's limit."""
    b = Builder()
    inner = b.add_int("int", 4)
    for _ in range(5000):
        inner = b.add_struct("", 4, [("", inner)])
    btf = BTF.from_bytes(b.build())

    assert fields(btf, inner) == {}
    with pytest.raises(BTFError):
        classes.source(btf, inner)
