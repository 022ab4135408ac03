"""Maps as Python mappings, on the real kernel: keys and values as bytes, numbers, records and classes, and refusals."""

from __future__ import annotations

import ctypes
import os
from dataclasses import replace
from errno import E2BIG, EPERM
from typing import NamedTuple

import pytest

import bpfctl
from bpfctl import DoesNotFit, Map, MapType
from bpfctl.errors import ENOTSUPP
from bpfctl.kernel import mapping
from bpfctl.uapi.flags import MapFlag
from btf.value import Record
from tests.kernel import client
from tests.kernel.mapped import PLAIN, RAW, TASK, U32, U64, Task, make, typed


class Short(NamedTuple):
    comm: bytes
    state: str


def test_a_map_without_types_has_bytes(stack):
    """Integers are taken where they have a width."""
    m = make(stack, MapType.HASH)

    m[b"key1"] = b"value..1"
    m[2] = 22
    m[-1] = -2
    assert m[b"key1"] == b"value..1"
    assert client.map_lookup(m.fileno(), U32(2), 8) == U64(22)
    assert m[U32(2**32 - 1)] == U64(2**64 - 2)
    assert dict(m.items()) == {b"key1": b"value..1", U32(2): U64(22), U32(2**32 - 1): U64(2**64 - 2)}
    assert sorted(m) == sorted(m.keys()) == sorted([b"key1", U32(2), U32(2**32 - 1)])
    assert sorted(m.values()) == sorted([b"value..1", U64(22), U64(2**64 - 2)])
    assert (m.count(), 2 in m, 3 in m) == (3, True, False)
    numbers = m.typed(key=int, value=int)
    assert numbers[2] == 22
    assert dict(numbers.items())[2] == 22


def test_what_is_not_there(stack):
    m = make(stack, MapType.HASH)

    for attempt in (lambda: m[1], lambda: m.pop(1), lambda: m.__delitem__(1)):
        with pytest.raises(KeyError, match="1"):
            attempt()
    assert (m.get(1), m.get(1, 5), m.pop(1, None)) == (None, 5, None)
    assert m.setdefault(1, 10) == 10
    assert m.setdefault(1, 11) == U64(10)
    assert m.pop(1) == U64(10)
    assert m.count() == 0
    m[1] = 1
    del m[1]
    assert list(m) == []


def test_what_does_not_fit(stack):
    """The error is a ValueError, says what is wrong and with which of both, and nothing is written."""
    m = make(stack, MapType.HASH)
    cases = [
        (b"key", b"12345678", "key: 4 bytes are needed, not 3"),
        (b"key1", b"1", "value: 8 bytes are needed, not 1"),
        (1 << 32, 0, "key: 4294967296 is out of the range of 4 bytes"),
        ("word", 0, "key: str 'word' is no integer"),
        (1, True, "value: bool True is no integer"),
    ]
    for key, value, words in cases:
        with pytest.raises(DoesNotFit, match=words) as caught:
            m[key] = value
        assert isinstance(caught.value, ValueError)
    for text, words in (("\ud800", "no text"), ("a\0b", "does not fit"), ("five5", "does not fit")):
        with pytest.raises(DoesNotFit, match=f"key: .*{words}"):
            m.typed(key=str)[text] = 0
    assert m.count() == 0


def test_a_map_with_types(stack):
    """Records by default; dicts, dataclasses and NamedTuples on demand; all of them can be written."""
    m = typed(stack)

    client.map_update(m.fileno(), U32(5), RAW)
    assert isinstance(m[5], Record)
    assert (m[5]["state"].name, m[5]["ids"]["pid"], m[5]["comm"]) == ("STOPPED", 7, "bash")
    assert m.typed(value=dict)[5] == PLAIN
    assert m.typed(value=Task)[5] == TASK
    assert m.typed(value=Short)[5] == (b"bash".ljust(16, b"\0"), "STOPPED")
    assert m.typed(value=bytes)[5] == RAW
    assert m.raw[U32(5)] == RAW
    m[6] = m[5]
    m[7] = PLAIN
    m.typed(value=Task)[8] = TASK
    m.typed(value=Short)[9] = Short(b"bash".ljust(16, b"\0"), "STOPPED")
    m[10] = RAW
    assert [client.map_lookup(m.fileno(), U32(n), 40) for n in (6, 7, 8, 10)] == [RAW] * 4
    assert m.typed(value=dict)[9] == {**PLAIN, "ids": {"pid": 0, "tgid": 0}, "address": 0, "bytes": 0}
    assert dict(m.typed(value=Task).items())[8] == TASK
    with pytest.raises(DoesNotFit, match=r"value: .*struct task has no member 'sate'"):
        m[5] = {"sate": 1}
    with pytest.raises(DoesNotFit, match="value: state: "):
        m[5] = {"state": "ASLEEP"}
    with pytest.raises(DoesNotFit, match="struct task has no member 'b', as Wrong has"):
        m.typed(value=Wrong)
    with pytest.raises(DoesNotFit, match=r"value: Short is no Task"):
        m.typed(value=Task)[5] = Short(b"", "RUNNING")


class Wrong(NamedTuple):
    b: int


def test_classes_made_of_types(stack):
    """They have the members of the type; what they read can be written."""
    m = typed(stack)
    m[5] = RAW

    made = m.value_class()
    value = m.typed(value=made)[5]
    assert made.__name__ == "Task"
    assert (value.ids.pid, value.state.name, value.comm, value.bytes) == (7, "STOPPED", "bash", 1 << 40)
    m.typed(value=made)[6] = replace(value, bytes=3)
    assert m[6]["bytes"] == 3
    with pytest.raises(DoesNotFit, match=r"key: type 1 .Int 'u32'. has no members"):
        m.key_class()


class Pair(ctypes.Structure):
    _fields_ = (("a", ctypes.c_uint32), ("b", ctypes.c_int32))


def test_structures_of_ctypes(stack):
    m = make(stack, MapType.HASH).typed(key=int, value=Pair)

    m[1] = Pair(3, -4)
    assert [(key, value.a, value.b) for key, value in m.items()] == [(1, 3, -4)]
    with pytest.raises(DoesNotFit, match="value: int 5 is no Pair"):
        m[1] = 5


def test_maps_that_are_open_for_reading(stack):
    """Whoever writes to one is told what to do."""
    m = make(stack, MapType.HASH)
    m[1] = 1
    reader = stack.enter_context(Map.by_id(m.info().id))

    assert reader[1] == U64(1)
    for attempt in (
        lambda: reader.__setitem__(1, 2),
        lambda: reader.__delitem__(1),
        lambda: reader.update({1: 2}),
        lambda: reader.delete_many([1]),
        lambda: reader.pop(1),
    ):
        with pytest.raises(bpfctl.KernelError, match="open for reading only: open it with write=True") as caught:
            attempt()
        assert caught.value.errno == EPERM
    with Map.by_id(m.info().id, write=True) as writer:
        writer[1] = 3
    assert reader[1] == U64(3)


def test_why_the_kernel_refuses(stack):
    """Its numbers alone say little."""
    m = make(stack, MapType.HASH, entries=1)
    m[1] = 1

    for attempt in (lambda: m.__setitem__(2, 2), lambda: m.update({2: 2})):
        with pytest.raises(bpfctl.KernelError, match=r"the map has room for 1 entries") as caught:
            attempt()
        assert caught.value.errno == E2BIG
    assert not m.is_frozen()
    m.freeze()
    assert m.is_frozen()
    for attempt in (
        lambda: m.__setitem__(1, 2),
        lambda: m.update({1: 2}),
        lambda: m.__delitem__(1),
        lambda: m.delete_many([1]),
        lambda: m.pop(1),
    ):
        with pytest.raises(bpfctl.KernelError, match="the map is frozen") as caught:
            attempt()
        assert caught.value.errno == EPERM


def test_somebody_takes_a_value_before_us(stack, monkeypatch):
    """Where the kernel finds and deletes in two steps, the one who deletes has it."""
    m = make(stack, MapType.LPM_TRIE, 8, 8, flags=MapFlag.NO_PREALLOC)
    key = U32(32) + bytes([1, 2, 3, 4])
    m[key] = 1
    find = mapping._find

    def and_lose(map_, packed):
        found = find(map_, packed)
        map_.delete(packed)
        return found

    monkeypatch.setattr(mapping, "_find", and_lose)
    monkeypatch.setattr(type(m), "take", refuse)

    assert m.pop(key, None) is None
    m[key] = 1
    with pytest.raises(KeyError):
        m.pop(key)


def refuse(*_):
    raise bpfctl.KernelError("pop failed", ENOTSUPP)


def test_by_name(stack):
    name = f"m{os.getpid()}"
    made = stack.enter_context(Map.create(MapType.HASH, 4, 4, 1, name=name))

    with Map.by_name(name) as m, Map.by_name(name, write=True) as writer:
        writer[1] = 5
        assert m.info().id == made.info().id
        assert m[1] == U32(5)
    with pytest.raises(bpfctl.NotFound):
        Map.by_name("nobody-has-it")
    stack.enter_context(Map.create(MapType.HASH, 4, 4, 1, name=name))
    with pytest.raises(bpfctl.Ambiguous):
        Map.by_name(name)
