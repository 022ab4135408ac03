"""ELF files, .BTF.ext and relocations from an enemy: a result or BTFError, nothing else, and soon."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from btf import elf
from btf.errors import BTFError
from btf.ext import CoreRelo, Ext
from btf.read import BTF
from btf.relo import Resolver, Target
from btf.write import Builder
from tests.build.bpf_object import Relo, bpf_object, ext
from tests.unit.btf.test_fuzz import SOUND

RELOS = [Relo(4, "0:1", 0), Relo(4, "0", 8), Relo(7, "1", 11), Relo(4, "0:0", 12)]


def sound_object():
    builder = Builder()
    for of in BTF.from_bytes(SOUND):
        builder.add_type(of)
    return bpf_object(builder, RELOS)


OBJECT = sound_object()
TARGET = Target(BTF.from_bytes(SOUND))


@st.composite
def damaged(draw, sound):
    """The sound bytes with some of them changed, or cut off."""
    data = bytearray(sound)
    for _ in range(draw(st.integers(1, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))])


def resolve(image, target):
    if image.ext is not None:
        resolver = Resolver(image.btf, target)
        for relos in image.ext.core_relos.values():
            for relo in relos:
                result = resolver.resolve(relo)
                assert (result.value is None) == (result.poison or result.error is not None)


@given(damaged(OBJECT))
@settings(deadline=timedelta(seconds=1))
def test_objects(data):
    """Any object."""
    with suppress(BTFError):
        resolve(elf.read(data), TARGET)


@given(damaged(SOUND))
@settings(deadline=timedelta(seconds=1))
def test_targets(data):
    """Any target."""
    with suppress(BTFError):
        resolve(elf.read(OBJECT), Target(BTF.from_bytes(data)))


@given(st.data())
@settings(deadline=timedelta(seconds=1))
def test_ext(data):
    """Any .BTF.ext."""
    builder = Builder()
    sound = ext(builder, {"s": [(0, 1, "0:1", 0)]}, func_infos={"s": [(0, 1)]}, line_infos={"s": [(0, "f", "l", 1)]})
    btf = BTF.from_bytes(builder.build())
    with suppress(BTFError):
        Ext.from_bytes(data.draw(damaged(sound)), btf)


@st.composite
def worlds(draw):
    """Types that refer to one another in every way, names few enough to meet."""
    builder, count = Builder(), draw(st.integers(1, 12))
    ids, names = st.integers(0, count), st.sampled_from(["", "s", "s___x", "t"])
    labels = st.sampled_from(["", "a", "b"])
    for _ in range(count):
        match draw(st.integers(0, 8)):
            case 0:
                builder.add_int(draw(names), draw(st.integers(0, 9)), bits_offset=draw(st.integers(0, 1)))
            case 1 | 2 | 3:
                rows = st.tuples(labels, ids, st.integers(0, 1 << 24), st.integers(0, 255))
                add = draw(st.sampled_from([builder.add_struct, builder.add_union]))
                add(draw(names), draw(st.integers(0, 1 << 32 - 1)), draw(st.lists(rows, max_size=4)))
            case 4:
                builder.add_array(draw(ids), draw(ids), draw(st.integers(0, 1 << 32 - 1)))
            case 5:
                draw(st.sampled_from([builder.add_ptr, builder.add_const]))(draw(ids))
            case 6:
                builder.add_typedef(draw(names), draw(ids))
            case 7:
                builder.add_enum(draw(names), draw(st.lists(st.tuples(labels, st.integers(0, 9)), max_size=3)))
            case _:
                params = draw(st.lists(st.tuples(labels, ids), max_size=3))
                builder.add_typedef("t", builder.add_func_proto(draw(ids), params))
    return BTF.from_bytes(builder.build())


relocations = st.builds(
    CoreRelo,
    st.just(0),
    st.integers(0, 14),
    st.one_of(
        st.lists(st.integers(0, 3), min_size=1, max_size=5).map(lambda path: ":".join(map(str, path))),
        st.text("0123456789:-x", max_size=70),
    ),
    st.integers(0, 13),
)


@given(worlds(), worlds(), st.lists(relocations, max_size=12))
@settings(deadline=timedelta(seconds=1))
def test_types(local, target, relos):
    """Any types on both sides."""
    resolver = Resolver(local, Target(target))
    for relo in relos:
        result = resolver.resolve(relo)
        assert (result.value is None) == (result.poison or result.error is not None)
