"""bpfctl.kernel.entry_codec: what keys and values of all kinds of maps become, and what is refused."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.errors import DoesNotFit
from bpfctl.kernel import entry_codec
from bpfctl.kernel.map import MapInfo
from bpfctl.kernel.map_types import Types
from bpfctl.kernel.per_cpu import PerCPU
from bpfctl.uapi.enums import MapType
from btf import types
from btf.read import BTF
from btf.write import Builder

CPUS = 3


@pytest.fixture(autouse=True)
def cpus(monkeypatch):
    """A machine of three CPUs."""
    monkeypatch.setattr(entry_codec.cpus, "possible", lambda: CPUS)


def info(kind, key=4, value=8):
    return MapInfo(7, kind, key, value, 10, 0, "fake", 0, 0, 0, 0, 0, 0, 0, 0)


def typed():
    b = Builder()
    u32, char = b.add_int("u32", 4), b.add_int("char", 1, encoding=types.SIGNED)
    text = b.add_array(char, u32, 4)
    state = b.add_enum("state", [("ON", 1)])
    value = b.add_struct("value", 8, [("state", state), ("text", text, 32)])
    return Types(BTF.from_bytes(b.build()), u32, value)


EVERY = [*MapType, 99]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.ip_addresses()
    | st.sampled_from(["10.0.0.0/8", "::/0", "1.2.3.4/99", "ON", Fraction(1), object(), PerCPU([1, 2, 3]), int]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["state", "text", "", "x", 5, None]), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("of", [None, typed()], ids=["bytes", "BTF"])
@given(kind=st.sampled_from(EVERY), value=ANYTHING)
def test_anything_is_written_or_refused(of, kind, value):
    """What is written has the size that the kernel reads, and reads back to something that is written alike."""
    size = 8 if kind is MapType.LPM_TRIE else 4
    for codec in (entry_codec.key(info(kind, size), None, None), entry_codec.value(info(kind), of, None)):
        try:
            data = codec.encode(value)
        except DoesNotFit:
            continue
        assert len(data) == codec.size
        assert codec.encode(codec.decode(data)) == data


@pytest.mark.parametrize(
    ("kind", "size", "given", "data"),
    [
        (MapType.HASH, 2, -2, b"\xfe\xff"),
        (MapType.HASH, 16, 1, b"\1" + bytes(15)),
        (MapType.HASH, 4, IPv4Address("1.2.3.4"), bytes([1, 2, 3, 4])),
        (MapType.HASH, 3, memoryview(b"abc"), b"abc"),
        (MapType.LPM_TRIE, 8, "1.2.3.4", struct.pack("=I4B", 32, 1, 2, 3, 4)),
        (MapType.LPM_TRIE, 8, "1.2.3.4/8", struct.pack("=I4B", 8, 1, 2, 3, 4)),
        (MapType.LPM_TRIE, 8, IPv4Network("1.0.0.0/8"), struct.pack("=I4B", 8, 1, 0, 0, 0)),
        (MapType.LPM_TRIE, 8, IPv4Interface("1.2.3.4/8"), struct.pack("=I4B", 8, 1, 2, 3, 4)),
        (MapType.LPM_TRIE, 20, IPv6Address("::1"), struct.pack("=I", 128) + bytes(15) + b"\1"),
        (MapType.ARRAY, 4, 7, struct.pack("=I", 7)),
    ],
)
def test_keys(kind, size, given, data):
    assert entry_codec.key(info(kind, size), None).encode(given) == data


@pytest.mark.parametrize(
    ("size", "wanted", "given", "data"),
    [
        (8, int, 5, struct.pack("=Q", 5)),
        (8, str, "text", b"text\0\0\0\0"),
        (4, IPv4Address, IPv4Address("1.2.3.4"), bytes([1, 2, 3, 4])),
        (3, bytes, b"abc", b"abc"),
    ],
)
def test_values_without_types(size, wanted, given, data):
    codec = entry_codec.value(info(MapType.HASH, value=size), None, wanted)

    assert (codec.encode(given), codec.decode(data), list(codec.each(data * 2, 2))) == (data, given, [given] * 2)


@pytest.mark.parametrize(
    ("size", "wanted", "words"),
    [
        (3, int, "3 bytes are no integer"),
        (8, IPv4Address, "8 bytes cannot be IPv4Address"),
        (8, dict, "the map has no types that could tell how bytes become dict"),
        (8, PerCPU[int], "the map has one for all CPUs"),
    ],
)
def test_values_that_cannot_be_that(size, wanted, words):
    with pytest.raises(DoesNotFit, match=f"value: {words}"):
        entry_codec.value(info(MapType.HASH, value=size), None, wanted)


@pytest.mark.parametrize("size", [1, 4, 8, 12, 16])
def test_slots_of_cpus(size):
    """A value that is no multiple of 8 bytes leaves a gap in its slot."""
    codec = entry_codec.value(info(MapType.PERCPU_ARRAY, value=size), None, PerCPU[bytes])
    parts = [bytes([cpu + 1]) * size for cpu in range(CPUS)]
    data = b"".join(part.ljust(size + 7 & ~7, b"\0") for part in parts)

    assert codec.encode(parts) == codec.encode(PerCPU(parts)) == data
    assert codec.decode(data) == tuple(parts)
    assert list(codec.each(data * 2, 2)) == [tuple(parts)] * 2


def test_what_stands_for_maps_is_held():
    """A handle is taken as it is, and an id is opened until the kernel has the value."""

    class Handle:
        def fileno(self):
            return 77

    codec = entry_codec.value(info(MapType.ARRAY_OF_MAPS, value=4), None)
    handle = Handle()
    with ExitStack() as held:
        assert codec.open(handle, held) is handle
    assert codec.encode(handle) == struct.pack("=I", 77)
    assert codec.decode(struct.pack("=I", 5)) == 5


def test_sums():
    """Numbers are added, what is none is what all agree on."""
    total = PerCPU([{"a": 1, "t": "x", "l": [1, 2]}, {"a": 2, "t": "", "l": [3, 4]}]).sum()

    assert total == {"a": 3, "t": "x", "l": [4, 6]}
    assert PerCPU(["a", "b"]).sum() is None
    assert PerCPU([0.5, 0.25]).sum() == 0.75
    assert PerCPU([1, 2]).replaced(0, 5) == (5, 2)
    assert repr(PerCPU([1, 2])) == "PerCPU([1, 2])"
    with pytest.raises(IndexError):
        PerCPU([1, 2]).replaced(2, 5)
    with pytest.raises(DoesNotFit, match="bytes cannot be added"):
        PerCPU([b"a", b"b"]).sum()
