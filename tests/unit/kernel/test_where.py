"""bpfctl.kernel.where and field: conditions, what they refuse, and what they answer beside a slow evaluation."""

from __future__ import annotations

import operator
import struct
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfctl.errors import UsageError
from bpfctl.kernel.elements import Chunk
from bpfctl.kernel.field import Fields
from bpfctl.kernel.map import MapInfo
from bpfctl.kernel.map_types import Types
from bpfctl.kernel.sieve import Prefix, Sieve, largest, limited
from bpfctl.kernel.where import All, Compare, Holds, Not, Some, Word, parse
from bpfctl.uapi.enums import MapType
from btf import types
from btf.read import BTF
from btf.write import Builder

RECORD = struct.Struct("=IiB3x16sQdHH4s")


def info(key=4, value=RECORD.size, kind=MapType.HASH):
    return MapInfo(7, kind, key, value, 100, 0, "fake", 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def typed():
    return typed_fields()


@cache
def typed_fields():
    b = Builder()
    u8, u16, u32 = b.add_int("u8", 1), b.add_int("u16", 2), b.add_int("u32", 4)
    s32, u64 = b.add_int("s32", 4, encoding=types.SIGNED), b.add_int("u64", 8)
    char, double = b.add_int("char", 1, encoding=types.SIGNED), b.add_float("double", 8)
    color = b.add_enum("color", [("RED", 1), ("GREEN", 2), ("BLUE", 200)], size=1)
    inner = b.add_struct("", 4, [("src", u16), ("dst", u16, 16)])
    value = b.add_struct(
        "record",
        RECORD.size,
        [
            ("pid", u32),
            ("delta", s32, 32),
            ("color", color, 64),
            ("low", u32, 72, 3),
            ("comm", b.add_array(char, u32, 16), 96),
            ("total", u64, 224),
            ("load", double, 288),
            ("", inner, 352),
            ("addr", b.add_array(u8, u32, 4), 384),
            ("self", b.add_ptr(0), 224),
        ],
    )
    return Fields(info(), Types(BTF.from_bytes(b.build()), u32, value))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a == 1", Compare("a", "==", Word("1", "word"))),
        (".a=='x y'", Compare(".a", "==", Word("x y", "text"))),
        ('a != "\\"q\\""', Compare("a", "!=", Word('"q"', "text"))),
        ("a =~ /x\\/( )y/", Compare("a", "=~", Word("x/( )y", "pattern"))),
        ("a =~ b*[0-9]?", Compare("a", "=~", Word("b*[0-9]?", "word"))),
        ("a < .b", Compare("a", "<", None, ".b")),
        ("a < .5", Compare("a", "<", Word(".5", "word"))),
        ("a >= key.b[0]", Compare("a", ">=", None, "key.b[0]")),
        ("a && b || !c", Some((All((Holds("a"), Holds("b"))), Not(Holds("c"))))),
        ("a && (b || c)", All((Holds("a"), Some((Holds("b"), Holds("c")))))),
        ("value[3] > -0x5", Compare("value[3]", ">", Word("-0x5", "word"))),
        ("a == fe80::1", Compare("a", "==", Word("fe80::1", "word"))),
    ],
)
def test_trees(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "in nothing at all: a field is missing"),
        ("a ==", "after 'a ==': a value is missing after =="),
        ("a = 1", "at '= 1': use == to compare"),
        ("a == 1 & b", "at '& b': use && for and"),
        ("a == 1 b == 2", "at 'b == 2': && or || is missing before it"),
        ("(a == 1", "after '(a == 1': a ')' is missing"),
        ("a == 'x", "at ''x': a quote is open"),
        ("== 1", "at '== 1': a field is missing before it"),
        ("7 == a", "at '7 == a': a field is wanted here, such as .pid, key.saddr, value[3]"),
        ("!" * 60 + "a", "nested too deeply"),
        ("(" * 60 + "a" + ")" * 60, "nested too deeply"),
        ("a ) b", "at ') b': && or || is missing before it"),
    ],
)
def test_what_is_no_condition(text, why):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("pidd == 1", "value: struct record has no member 'pidd', did you mean 'pid'?"),
        ("xyzzy == 1", "has no member 'xyzzy'; it has pid, delta, color, low, comm, total, load, src, dst, addr, self"),
        ("pid == -1", "value: pid: -1 is out of the range of u32 (0 to 4294967295)"),
        ("src == 70000", "value: src: 70000 is out of the range of u16 (0 to 65535)"),
        ("low == 8", "value: low: 8 is out of the range of u32:3 (0 to 7)"),
        ("color == GREEEN", "enum color has no member 'GREEEN', did you mean 'GREEN'?"),
        ("pid == much", "value: pid: u32 takes a number, not 'much'"),
        ("pid =~ 1*", "pid: =~ is for text, and this is u32"),
        ("comm == 'a text that is too long'", "do not fit into char[16]"),
        ("comm =~ /(/", "/(/ is no regular expression"),
        ("pid == .comm", "one is text, the other a number"),
        ("value == 1", "name a part of it, such as pid, delta"),
        ("addr[4] == 1", "u8[4] has no item 4"),
        ("pid.x == 1", "u32 has no member 'x'"),
        ("key.x == 1", "key: u32 has no member 'x'"),
        ("pid..b == 1", "is no path to a member"),
        ("cpu == 1", "has no member 'cpu'"),
    ],
)
def test_what_makes_no_sense_for_the_type(typed, text, why):
    with pytest.raises(UsageError) as caught:
        Sieve(typed, [text])
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("size", "text", "why"),
    [
        (4, "pid == 1", "no field 'pid'"),
        (12, "value == 1", "name a byte, value[0] to value[11]"),
        (4, "value[4] == 1", "value has 4 bytes, and no value[4]"),
        (4, "value == 4294967296", "out of the range of 4 bytes (-2147483648 to 4294967295)"),
        (4, "value == RED", "'RED' is no number, and the map has no types that would name it"),
        (0, "value == 1", "map 7 has no values"),
    ],
)
def test_what_makes_no_sense_without_types(size, text, why):
    with pytest.raises(UsageError) as caught:
        Sieve(Fields(info(value=size), None), [text])
    assert why in str(caught.value)


SIGNS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
records = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(-3, 3),
        st.sampled_from([0, 1, 2, 200]),
        st.sampled_from([b"", b"a", b"ab", b"nginx"]),
        st.integers(0, (1 << 64) - 1),
        st.floats(allow_nan=False),
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from([b"\x0a\0\0\1", b"\x0a\0\1\0"]),
    ),
    max_size=20,
)
INTEGERS = {"pid": 0, ".delta": 1, "value.total": 4, "src": 6, "dst": 7}


def chunk(rows):
    keys = b"".join(struct.pack("=I", at) for at in range(len(rows)))
    return Chunk(keys, b"".join(RECORD.pack(*row) for row in rows), len(rows))


def found(fields, rows, *conditions):
    kept = list(Sieve(fields, conditions)([chunk(rows)] if rows else []))
    return [at for each in kept for (at,) in struct.iter_unpack("=I", each.keys)]


@given(records, st.sampled_from(sorted(INTEGERS)), st.sampled_from(sorted(SIGNS)), st.integers(0, 3))
def test_numbers_compare_as_in_python(typed, rows, path, sign, wanted):
    expected = [at for at, row in enumerate(rows) if SIGNS[sign](row[INTEGERS[path]], wanted)]

    assert found(typed, rows, f"{path} {sign} {wanted}") == expected
    assert found(typed, rows, f"!({path} {sign} {wanted})") == [at for at in range(len(rows)) if at not in expected]


@given(records, st.sampled_from(sorted(SIGNS)), st.integers(0, 3), st.integers(0, 3))
def test_conditions_join(typed, rows, sign, one, two):
    left = {at for at, row in enumerate(rows) if SIGNS[sign](row[0], one)}
    right = {at for at, row in enumerate(rows) if row[6] > two}

    assert set(found(typed, rows, f"pid {sign} {one} && src > {two}")) == left & right
    assert set(found(typed, rows, f"pid {sign} {one}", f"src > {two}")) == left & right
    assert set(found(typed, rows, f"pid {sign} {one} || src > {two}")) == left | right
    assert set(found(typed, rows, "src < .dst")) == {at for at, row in enumerate(rows) if row[6] < row[7]}


@given(records, st.integers(0, 7))
def test_bits_of_a_byte(typed, rows, wanted):
    """The three bits of ``low`` begin in the byte behind ``color``, which is padding here."""
    data = chunk(rows)
    values = bytearray(data.values)
    for at in range(len(rows)):
        values[at * RECORD.size + 9] = at % 8 | 0xF8
    kept = list(Sieve(typed, [f"low == {wanted}"])([data._replace(values=bytes(values))])) if rows else []

    assert b"".join(each.keys for each in kept) == b"".join(
        struct.pack("=I", at) for at in range(len(rows)) if at % 8 == wanted
    )


words = st.lists(
    st.sampled_from(
        [
            *(
                "pid",
                ".comm",
                "key",
                "value",
                "cpu",
                "color",
                "addr",
                "load",
                "low",
                "self",
                "value[3]",
                "key[0]",
                ".a[1].b",
            ),
            *SIGNS,
            *(
                "=~",
                "&&",
                "||",
                "!",
                "(",
                ")",
                "RED",
                "1",
                "-5",
                "0x7f",
                "1.5",
                "nan",
                "true",
                "10.0.0.1",
                "10.0.0.0/8",
            ),
            *("'a b'", '"', "/a+/", "/(/", "*", "[", "", "999999999999999999999999", "\0", "\udcff", "é", "=", "|"),
        ]
    ),
    max_size=12,
)
GRIDS = st.sampled_from(
    [
        info(),
        info(key=0),
        info(value=0),
        info(key=6, value=16),
        info(value=3),
        info(value=8, kind=MapType.PERCPU_HASH),
    ]
)


@settings(max_examples=2000)
@given(st.one_of(st.text(max_size=30), words.map(" ".join), words.map("".join)), st.booleans(), GRIDS)
def test_any_text_is_a_condition_or_a_mistake(text, typed, what):
    fields = typed_fields() if typed else Fields(what, None)
    try:
        sieve = Sieve(fields, [text])
    except UsageError:
        return
    room = fields.grid.step * max(fields.grid.cpus, 1)
    packed = Chunk(bytes(fields.grid.key_size * 3), bytes(room * 3), 3)
    assert sum(each.entries for each in sieve([packed])) in (0, 3)


def test_an_entry_of_many_cpus_needs_all_of_a_condition_on_one(monkeypatch):
    monkeypatch.setattr("bpfctl.kernel.map.cpus.possible", lambda: 3)
    fields = Fields(info(value=4, kind=MapType.PERCPU_HASH), None)
    rows = [(1, 2, 3), (5, 0, 0), (0, 0, 5)]
    values = b"".join(struct.pack("=I4x", number) for row in rows for number in row)
    data = Chunk(struct.pack("=3I", 0, 1, 2), values, 3)

    def keys(text):
        return [at for each in Sieve(fields, [text])([data]) for (at,) in struct.iter_unpack("=I", each.keys)]

    assert keys("value == 5") == [1, 2]
    assert keys("value == 5 && cpu == 0") == [1]
    assert keys("value > 1 && value < 3") == [0]
    assert keys("value == 1 && value == 2") == []
    assert keys("key > 0 && cpu == 2 && value") == [2]
    assert keys("key >= 1") == [1, 2]
    assert keys("value == cpu") == [2]
    with pytest.raises(UsageError, match="no number of a CPU"):
        keys("cpu == RED")


def test_entries_without_values_are_judged_by_their_keys(typed):
    silent = Chunk(struct.pack("=3I", 1, 2, 3), b"", 3, 524)

    assert [each.keys for each in Sieve(typed, ["key == 2"])([silent])] == [struct.pack("=I", 2)]
    assert list(Sieve(typed, ["key == 2 && pid == 0"])([silent])) == []


def test_the_largest_first_and_of_equals_the_first(typed):
    rows = [(number, 0, 0, b"", 0, 0.0, 0, 0, bytes(4)) for number in (5, 1, 9, 5, 7, 9)]
    chunks = [chunk(rows[:2]), chunk(rows[2:])._replace(keys=struct.pack("=4I", 2, 3, 4, 5))]

    def keys(most):
        return [at for each in largest(chunks, typed, "pid", most) for (at,) in struct.iter_unpack("=I", each.keys)]

    assert keys(3) == [2, 5, 4]
    assert keys(5) == [2, 5, 4, 0, 3]
    assert keys(10) == [2, 5, 4, 0, 3, 1]
    with pytest.raises(UsageError, match="comm is no number"):
        next(largest(chunks, typed, "comm", 3))


def test_a_limit_reads_no_further(typed):
    def chunks():
        yield chunk([(0,) * 3 + (b"", 0, 0.0, 0, 0, bytes(4))] * 4)
        raise AssertionError

    assert [each.entries for each in limited(chunks(), 3, typed.grid)] == [3]
    assert [each.entries for each in limited(chunks(), 4, typed.grid)] == [4]


@given(
    st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=30), st.binary(min_size=4, max_size=4), st.data()
)
def test_prefixes_compare_bits(typed, keys, data, draw):
    bits = draw.draw(st.integers(0, 32))
    packed = Chunk(b"".join(keys), bytes(RECORD.size * len(keys)), len(keys))
    kept = b"".join(each.keys for each in Prefix(data, bits).sieve([packed], typed.grid))

    def first(raw):
        return int.from_bytes(raw, "big") >> 32 - bits

    assert kept == b"".join(key for key in keys if first(key) == first(data))


def test_variables_of_a_section():
    b = Builder()
    u32 = b.add_int("u32", 4)
    pair = b.add_struct("pair", 8, [("a", u32), ("b", u32, 32)])
    variables = [(b.add_var("limit", u32), 0, 4), (b.add_var("seen", pair), 8, 8)]
    section = b.add_datasec(".bss", 16, variables)
    fields = Fields(info(value=16, kind=MapType.ARRAY), Types(BTF.from_bytes(b.build()), 0, section))
    data = Chunk(bytes(4), struct.pack("=IIII", 5, 0, 7, 8), 1)

    assert [each.entries for each in Sieve(fields, ["limit == 5 && seen.b > .seen.a"])([data])] == [1]
    assert list(Sieve(fields, [".limit == 6"])([data])) == []
    with pytest.raises(UsageError, match=r"section \.bss has no member 'sean', did you mean 'seen'\?"):
        Sieve(fields, ["sean"])


def test_a_bitfield_of_old_compilers_and_big_endian_types():
    """Before Linux 5.0 the integer itself said where its bits are; types may be of another byte order."""
    b = Builder(byteorder="big")
    u32 = b.add_int("u32", 4)
    nibble = b.add_int("nibble", 4, nr_bits=4)
    value = b.add_struct("v", 8, [("first", u32), ("high", nibble, 32), ("low", nibble, 36)])
    fields = Fields(info(value=8), Types(BTF.from_bytes(b.build()), 0, value))
    data = Chunk(bytes(8), bytes.fromhex("00000102 a5000000 00000201 5a000000"), 2)

    def entries(text):
        return sum(each.entries for each in Sieve(fields, [text])([data]))

    assert entries("first == 0x102") == 1
    assert entries("high == 0xa && low == 5") == 1
    assert entries("high == 5 || low == 5") == 2
