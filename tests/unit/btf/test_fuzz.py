"""btf on input from an enemy: a result or BTFError, nothing else."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from btf.errors import BTFError
from btf.read import BTF, enum_values
from btf.value import Decoder
from btf.write import Builder
from tests.unit.btf.enemy import any_types


def every_kind():
    """A sound BTF with a type of each kind."""
    b = Builder()
    u32 = b.add_int("u32", 4)
    char = b.add_int("char", 1, encoding=1)
    b.add_ptr(b.next_id + 1)
    b.add_struct("s", 16, [("bits", u32, 0, 3), ("next", 3, 64), ("c", char, 32)])
    b.add_union("u", 4, [("a", u32), ("b", char)])
    b.add_array(char, u32, 4)
    b.add_enum("e", [("A", 0), ("B", -1)], signed=True)
    b.add_enum64("e64", [("C", 1 << 40)])
    b.add_fwd("f")
    b.add_typedef("t", b.add_volatile(b.add_const(b.add_restrict(b.add_type_tag("tag", u32)))))
    b.add_func("fn", b.add_func_proto(u32, [("x", u32), ("", 0)]), 1)
    b.add_datasec(".data", 4, [(b.add_var("v", u32, 1), 0, 4)])
    b.add_float("double", 8)
    b.add_decl_tag("tag", 4, 1)
    return b.build()


SOUND = every_kind()


def exercise(data, base=None):
    """Use all of the library on a blob."""
    with suppress(BTFError):
        enum_values(data, "e")
    try:
        btf = BTF.from_bytes(data, base)
    except BTFError:
        return
    for name in ("e", "s", "nothing"):
        with suppress(BTFError):
            btf.find_all(name)
    with suppress(BTFError):
        list(btf)
    for type_id in (-1, 0, *btf.ids, btf.ids.stop):
        for use in (btf.name, btf.kind, btf.type, btf.resolve, btf.size_of):
            with suppress(BTFError):
                use(type_id)
        with suppress(BTFError):
            decoder = Decoder(btf, type_id)
            if decoder.size < 1 << 16:
                decoder(bytes(decoder.size))
                decoder(b"a" * decoder.size)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data):
    """Arbitrary bytes after a magic number are a BTF or an error."""
    exercise(b"\x9f\xeb\1\0" + data)


@settings(max_examples=300, deadline=None)
@given(any_types(40))
def test_any_types(data):
    """Arbitrary words as type section are a BTF or an error."""
    exercise(data)
    exercise(data, BTF.from_bytes(SOUND))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=4), st.integers(0, 40))
def test_damaged_types(damage, cut):
    """A sound BTF with some bytes changed and some cut off is a BTF or an error."""
    data = bytearray(SOUND)
    for at, byte in damage:
        data[at] = byte
    exercise(bytes(data[: len(data) - cut]))


names = st.one_of(st.just(""), st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6))
pairs = st.lists(st.tuples(names, st.integers(0, 50)), max_size=5)


@settings(deadline=None)
@given(st.sampled_from(["little", "big"]), st.lists(st.tuples(names, pairs, st.booleans()), max_size=8))
def test_what_is_written_is_read(order, content):
    """Whatever the builder takes comes back, in both byte orders."""
    builder = Builder(byteorder=order)
    for name, members, flag in content:
        builder.add_struct(name, 8, members)
        builder.add_enum(name, members, signed=flag)
        builder.add_func_proto(len(members), members)
        builder.add_fwd(name, union=flag)

    btf = BTF.from_bytes(builder.build())

    for number, (name, members, flag) in enumerate(content):
        struct, enum, proto, fwd = (btf.type(number * 4 + 1 + each) for each in range(4))
        assert (name, members) == (struct.name, [(m.name, m.type_id) for m in struct.members])
        assert (name, members, flag) == (enum.name, list(enum.values), enum.signed)
        assert (len(members), members) == (proto.ret_type_id, list(proto.params))
        assert (name, flag) == (fwd.name, fwd.is_union)
