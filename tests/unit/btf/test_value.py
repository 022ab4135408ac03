"""btf.value: bytes in, Python values that know their C type out."""

from __future__ import annotations

import pytest

from btf import types
from btf.errors import BTFError
from btf.read import BTF
from btf.value import Address, Bits, Char, Decoder, Enumerator, Record, Section, decode
from btf.write import Builder

both_orders = pytest.mark.parametrize("order", ["little", "big"])


def decoded(builder, type_id, data):
    return decode(BTF.from_bytes(builder.build()), type_id, data)


@both_orders
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_integers(order, size):
    """Integers of the usual widths are plain ints, signed when their type is."""
    builder = Builder(byteorder=order)
    unsigned = builder.add_int("u", size)
    signed = builder.add_int("s", size, encoding=types.SIGNED)
    data = (-2).to_bytes(size, order, signed=True)

    assert (1 << size * 8) - 2 == decoded(builder, unsigned, data)
    assert decoded(builder, signed, data) == -2
    assert type(decoded(builder, signed, data)) is int


@both_orders
def test_bits_inside_an_integer(order):
    """Old compilers had types of their own for bit fields, which start at any bit."""
    builder = Builder(byteorder=order)
    builder.add_int("bits", 4, nr_bits=7, bits_offset=3)

    assert types.Int(1, "bits", 4, 7, bits_offset=3) == BTF.from_bytes(builder.build()).type(1)


@both_orders
@pytest.mark.parametrize(("encoding", "expected"), [(0, (1 << 128) - 2), (types.SIGNED, -2)])
def test_128_bits(order, encoding, expected):
    """A 128-bit integer is whole, and printers can tell that it is one."""
    builder = Builder(byteorder=order)
    wide = builder.add_int("wide", 16, encoding=encoding)

    value = decoded(builder, wide, (-2).to_bytes(16, order, signed=True))

    assert expected == value
    assert type(value) is Bits
    assert value.width == 128
    assert value.unsigned == (1 << 128) - 2


def test_bool_and_char():
    """Any byte but 0 is true; a char keeps its number."""
    builder = Builder()
    flag = builder.add_int("_Bool", 1, encoding=types.BOOL)
    char = builder.add_int("char", 1, encoding=types.CHAR)

    assert decoded(builder, flag, b"\2") is True
    assert decoded(builder, flag, b"\0") is False
    assert decoded(builder, char, b"\xff") == 0xFF
    assert type(decoded(builder, char, b"A")) is Char


@both_orders
def test_bitfields_by_kind_flag(order):
    """Bitfields are counted from the end of the word that comes first in memory."""
    builder = Builder(byteorder=order)
    u32 = builder.add_int("u32", 4)
    s32 = builder.add_int("s32", 4, encoding=types.SIGNED)
    struct = builder.add_struct("s", 4, [("a", u32, 0, 3), ("b", s32, 3, 7), ("c", u32, 10, 22)])
    fields = (5, 3), (0b1111110, 7), (0x3ABCDE, 22)
    number = shift = 0
    for value, width in fields:
        number |= value << (shift if order == "little" else 32 - shift - width)
        shift += width

    record = decoded(builder, struct, number.to_bytes(4, order))

    assert [value for _, value in record.fields] == [5, -2, 0x3ABCDE]
    assert record["b"].unsigned == 0b1111110
    assert record["b"].width == 7


def test_bitfields_by_integer_width():
    """Before Linux 5.0 the width and place of a bitfield were those of its integer type."""
    builder = Builder()
    three = builder.add_int("u32", 4, nr_bits=3)
    shifted = builder.add_int("u32", 4, nr_bits=4, bits_offset=2)
    struct = builder.add_struct("s", 4, [("a", three, 0), ("b", three, 3), ("c", shifted, 8), ("d", three, 17)])

    record = decoded(builder, struct, (0b101 | 0b011 << 3 | 0b1001 << 10 | 0b110 << 17).to_bytes(4, "little"))

    assert [value for _, value in record.fields] == [5, 3, 9, 6]


@pytest.mark.parametrize("wide", [False, True])
def test_enums(wide):
    """An enum is its number, with the first name for it."""
    builder = Builder()
    values = [("MINUS", -1), ("A", 1), ("B", 1)]
    add = builder.add_enum64 if wide else builder.add_enum
    enum = add("e", values, signed=True)
    size = 8 if wide else 4

    named, unnamed, minus = (
        decoded(builder, enum, number.to_bytes(size, "little", signed=True)) for number in (1, 7, -1)
    )

    assert (named, named.name) == (1, "A")
    assert (unnamed, unnamed.name) == (7, None)
    assert (minus, minus.name) == (-1, "MINUS")
    assert size * 8 == named.width
    assert type(named) is Enumerator


@pytest.mark.parametrize(("size", "data"), [(1, b"\xff"), (2, b"\xff\xff"), (4, b"\xff" * 4), (8, b"\xff" * 8)])
def test_minus_one_of_an_enum_before_signs_were_known(size, data):
    """It has all bits of the enum, and those of others stay."""
    builder = Builder()
    enum = builder.add_enum("e", [("NONE", 0xFFFF_FFFF), ("ONE", 1)], size=size)

    assert decoded(builder, enum, data).name == "NONE"
    assert decoded(builder, enum, b"\1".ljust(size, b"\0")).name == "ONE"


def test_unsigned_enum_of_one_byte():
    """Packed enums are shorter; printers may ask for the number as a signed one."""
    builder = Builder()
    enum = builder.add_enum("e", [("LAST", 255)], size=1)

    value = decoded(builder, enum, b"\xff")

    assert (value, value.name, value.signed) == (255, "LAST", -1)


def test_pointer():
    """A pointer is an address that knows what it points to."""
    builder = Builder()
    target = builder.add_int("u8", 1)
    pointer = builder.add_ptr(target)

    value = decoded(builder, pointer, bytes(range(8)))

    assert value == 0x0706050403020100
    assert type(value) is Address
    assert target == value.type_id


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"text\0\xff\xff\xff", "text"),
        (b"\0\xff\xff\xff\xff\xff\xff\xff", ""),
        (b"no end..", list(b"no end..")),
        (b"esc\x1b\0\0\0\0", list(b"esc\x1b\0\0\0\0")),
        (b"\xc3\xbc\0\0\0\0\0\0", [-61, -68, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_char_arrays(data, expected):
    """Printable ASCII up to a NUL is text; anything else stays numbers."""
    builder = Builder()
    char = builder.add_int("char", 1, encoding=types.SIGNED)
    text = builder.add_array(builder.add_const(char), char, 8)

    assert expected == decoded(builder, text, data)


def test_only_char_itself_makes_text():
    """An array of a typedef to char, or of another one-byte type, means bytes."""
    builder = Builder()
    u8 = builder.add_int("unsigned char", 1)
    char = builder.add_int("char", 1)
    other = builder.add_int("c", 1, encoding=types.CHAR)
    arrays = [builder.add_array(t, u8, 2) for t in (u8, builder.add_typedef("byte", char), other)]

    assert [decoded(builder, array, b"A\0") for array in arrays] == [[65, 0], [65, 0], "A"]


def test_nested_records():
    """Members are found as in C, through members without a name; order and doubles are kept."""
    builder = Builder()
    u8 = builder.add_int("u8", 1)
    inner = builder.add_struct("", 2, [("x", u8), ("y", u8, 8)])
    view = builder.add_union("", 2, [("", inner), ("raw", u8)])
    outer = builder.add_struct("s", 4, [("a", u8), ("", view, 8), ("z", builder.add_array(u8, u8, 0), 32)])

    record = decoded(builder, outer, b"\1\2\3\4")

    assert [name for name, _ in record.fields] == ["a", "", "z"]
    assert tuple(record[name] for name in ("a", "x", "y", "raw", "z")) == (1, 2, 3, 2, [])
    assert "x" in record
    assert "nothing" not in record
    with pytest.raises(KeyError, match="nothing"):
        record["nothing"]
    assert Record([("", Record([("", Record([("x", 2), ("y", 3)])), ("raw", 2)]))]) == Record([record.fields[1]])


def test_section_of_variables():
    """A section holds its variables by name, wherever they lie."""
    builder = Builder()
    u16 = builder.add_int("u16", 2)
    first, second = builder.add_var("first", u16), builder.add_var("second", u16)
    section = builder.add_datasec(".data", 8, [(first, 0, 2), (second, 6, 2)])

    value = decoded(builder, section, b"\1\0......\2\0"[:6] + b"\2\0")

    assert isinstance(value, Section)
    assert value.name == ".data"
    assert value.fields == (("first", 1), ("second", 2))
    assert Record([("first", 1)]) == decoded(builder, first, b"\1\0")


@pytest.mark.parametrize(("size", "data"), [(4, b"\0\0\xc0\x3f"), (8, b"\0\0\0\0\0\0\xf8\x3f")])
def test_floats(size, data):
    """float and double are Python floats."""
    builder = Builder()
    number = builder.add_float("f", size)

    assert decoded(builder, number, data) == 1.5


def test_long_double_keeps_its_bits():
    """Python has no long double; the bits are all there is to give."""
    builder = Builder()
    number = builder.add_float("long double", 16)

    assert Bits(1 << 127, 128) == decoded(builder, number, bytes(15) + b"\x80")


def test_decoder_wants_enough_bytes():
    """A value that is cut off is an error, never a guess."""
    builder = Builder()
    u32 = builder.add_int("u32", 4)
    struct = builder.add_struct("liar", 1, [("a", u32, 64)])
    decoder = Decoder(BTF.from_bytes(builder.build()), struct)

    assert decoder.size == 12
    assert decoder(bytes(8) + b"\1\0\0\0")["a"] == 1
    with pytest.raises(BTFError, match="12 bytes does not fit into 11"):
        decoder(bytes(11))


def test_types_without_values_are_refused():
    """void, functions and forward declarations cannot be decoded."""
    builder = Builder()
    fwd = builder.add_fwd("f")
    proto = builder.add_func_proto(0)
    holder = builder.add_struct("s", 4, [("f", fwd)])
    huge = builder.add_float("f", 0xFFFFFFFF)
    btf = BTF.from_bytes(builder.build())

    for type_id in (0, fwd, proto, holder):
        with pytest.raises(BTFError, match="no values"):
            decode(btf, type_id, bytes(64))
    with pytest.raises(BTFError, match="4294967295 bytes"):
        decode(btf, huge, b"")


def test_a_struct_that_contains_itself_is_refused():
    """Circles by value are found while compiling."""
    builder = Builder()
    builder.add_struct("s", 8, [("s", 1)])

    with pytest.raises(BTFError, match="contains itself"):
        decoded(builder, 1, bytes(8))


def test_explosions_are_refused():
    """Unions of unions, and arrays of nothing, would make any number of values out of one byte."""
    builder = Builder()
    u8 = builder.add_int("u8", 1)
    last = u8
    for _ in range(30):
        last = builder.add_union("", 1, [("a", last), ("b", last)])
    nothing = builder.add_array(builder.add_struct("", 0, []), u8, 0xFFFFFFFF)

    for type_id in (last, nothing):
        with pytest.raises(BTFError, match=r"makes \d+ values"):
            decoded(builder, type_id, b"\0")
