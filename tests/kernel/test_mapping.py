"""Maps as Python mappings, of every type, on the real kernel; what is there is checked by an independent client."""

from __future__ import annotations

import ctypes
import os
import random
import socket
import struct
import sys
import tracemalloc
from dataclasses import dataclass, replace
from enum import IntEnum
from errno import E2BIG, EPERM
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

import bpfctl
from bpfctl import DoesNotFit, Map, MapType, PerCPU, Unfinished
from bpfctl._sys import maps as calls
from bpfctl.asm.build import Program as Code
from bpfctl.asm.insn import R0
from bpfctl.host import cpus
from bpfctl.uapi.flags import MapFlag, UpdateFlag
from btf import types
from btf.value import Record
from btf.write import Builder
from tests.kernel import client
from tests.kernel.facts import Facts

U32, U64 = struct.Struct("=I").pack, struct.Struct("=Q").pack
CPUS = cpus.possible()


def make(stack, kind, key=4, value=8, entries=100, **more):
    """Create a map; skip the test where the kernel has none of its type."""
    need = f"enum:BPF_MAP_TYPE_{kind.name}"
    if not Facts("").has(need):
        pytest.skip(f"the kernel lacks {need}")
    return stack.enter_context(Map.create(kind, key, value, entries, name="mapping", **more))


class State(IntEnum):
    RUNNING = 1
    STOPPED = 2


@dataclass(frozen=True)
class Ids:
    pid: int
    tgid: int


@dataclass(frozen=True)
class Task:
    ids: Ids
    state: State
    address: IPv4Address
    bytes_: int
    comm: str


class Short(NamedTuple):
    comm: bytes
    state: str


def task_btf(stack):
    """Types of a key and a value, and BTF that has them."""
    builder = Builder()
    u32, u64 = builder.add_int("u32", 4), builder.add_int("u64", 8)
    char = builder.add_int("char", 1, encoding=types.SIGNED)
    comm = builder.add_array(char, u32, 16)
    state = builder.add_enum("state", [("RUNNING", 1), ("STOPPED", 2)])
    ids = builder.add_struct("ids", 8, [("pid", u32), ("tgid", u32, 32)])
    members = [("ids", ids), ("state", state, 64), ("address", u32, 96), ("bytes", u64, 128), ("comm", comm, 192)]
    task = builder.add_struct("task", 40, members)
    return stack.enter_context(bpfctl.Btf.load(builder.build())), {"u32": u32, "task": task, "state": state, "u64": u64}


def typed(stack, kind=MapType.HASH, key="u32", value="task", sizes=(4, 40), **more):
    btf, ids = task_btf(stack)
    return make(stack, kind, *sizes, btf=btf, key_type=ids[key], value_type=ids[value], **more)


RAW = struct.pack("=III4sQ16s", 7, 6, 2, bytes([10, 0, 0, 1]), 1 << 40, b"bash")
TASK = Task(Ids(7, 6), State.STOPPED, IPv4Address("10.0.0.1"), 1 << 40, "bash")
PLAIN = {
    "ids": {"pid": 7, "tgid": 6},
    "state": "STOPPED",
    "address": int.from_bytes(bytes([10, 0, 0, 1]), "little"),
    "bytes": 1 << 40,
    "comm": "bash",
}


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
        assert isinstance(caught.value, ValueError | bpfctl.BpfctlError)
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


@pytest.mark.parametrize("kind", [MapType.HASH, MapType.LRU_HASH, MapType.LPM_TRIE])
@pytest.mark.parametrize("batches", [True, False])
def test_many_entries(stack, monkeypatch, kind, batches):
    """By batch and without: all are written, and all are deleted that are there."""
    flags = MapFlag.NO_PREALLOC if kind is MapType.LPM_TRIE else 0
    m = make(stack, kind, 8, 4, 20_000, flags=flags)
    if not batches:
        refuse(monkeypatch)
    many = {U32(32) + n.to_bytes(4, "big"): U32(n) for n in range(9000)}

    assert m.update(many) == 9000
    assert dict(m.items()) == many
    assert m.update((key, bytes(4)) for key in islice(many, 10)) == 10
    gone = list(many)[::2]
    assert m.delete_many(gone) == 4500
    assert m.delete_many(many) == 4500
    assert m.count() == 0
    assert m.update({}) == m.delete_many([]) == 0


def refuse(monkeypatch):
    def refusing(*_args, **_more):
        raise calls.BatchError(524, "no batches")

    monkeypatch.setattr(calls, "update_batch", refusing)
    monkeypatch.setattr(calls, "delete_batch", refusing)


@pytest.mark.parametrize("batches", [True, False])
def test_many_entries_that_do_not_all_fit(stack, monkeypatch, batches):
    """The error says how many were written, and those are there."""
    m = make(stack, MapType.HASH, entries=5000)
    if not batches:
        refuse(monkeypatch)

    with pytest.raises(Unfinished, match="failed") as caught:
        m.update((n, n) for n in range(7000))
    assert (caught.value.errno, caught.value.done) == (E2BIG, m.count())
    assert {key for key, _ in m.items()} == {U32(n) for n in range(caught.value.done)}
    m.delete_many(list(m))
    with pytest.raises(DoesNotFit, match="key") as refused:
        m.update((n if n < 4500 else "word", n) for n in range(5000))
    assert refused.value.done == m.count() <= 4500


def test_flags_of_an_update(stack):
    m = make(stack, MapType.HASH)
    m[1] = 1

    with pytest.raises(Unfinished) as caught:
        m.update({0: 5, 1: 5}, UpdateFlag.NOEXIST)
    assert caught.value.done == 1
    assert m.update({0: 7, 1: 7}, UpdateFlag.EXIST) == 2


def test_one_map_into_another(stack):
    m, other = typed(stack), typed(stack)
    m.update({n: {**PLAIN, "bytes": n} for n in range(50)})

    assert other.update(m) == 50
    assert dict(other.raw.items()) == dict(m.raw.items())


def test_keys_of_arrays_are_numbers(stack):
    m = make(stack, MapType.ARRAY, 4, 8, 4)

    m[3] = 30
    assert list(m.items()) == [(0, bytes(8)), (1, bytes(8)), (2, bytes(8)), (3, U64(30))]
    assert list(m.typed(value=int).values()) == [0, 0, 0, 30]
    with pytest.raises(KeyError, match="4"):
        _ = m[4]
    with pytest.raises(bpfctl.KernelError, match="delete failed"):
        del m[0]


@pytest.mark.parametrize("kind", [MapType.PERCPU_ARRAY, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH])
@pytest.mark.parametrize("size", [4, 8])
def test_values_by_cpu(stack, kind, size):
    """Each CPU has its own; the kernel's slots are a multiple of 8 bytes."""
    m = make(stack, kind, 4, size, 10).typed(key=int, value=PerCPU[int])

    m[1] = list(range(5, 5 + CPUS))
    m[2] = PerCPU.all(7)
    m[3] = m[1].replaced(CPUS - 1, 99)
    slots = b"".join(n.to_bytes(size, "little").ljust(8, b"\0") for n in range(5, 5 + CPUS))
    assert client.map_lookup(m._access().map.fileno(), U32(1), 8 * CPUS) == slots
    assert (m[1][CPUS - 1], m[1].sum(), m[2].sum()) == (4 + CPUS, sum(range(5, 5 + CPUS)), 7 * CPUS)
    assert m[3][-1] == 99
    found = {key: value for key, value in m.items() if sum(value)}
    assert (found[1], found[2]) == (tuple(range(5, 5 + CPUS)), (7,) * CPUS)
    for wrong, words in ((5, r"PerCPU.all\(value\)"), ([1] * (CPUS + 1), f"each of {CPUS} CPUs, not {CPUS + 1}")):
        with pytest.raises(DoesNotFit, match=words):
            m[1] = wrong
    with pytest.raises(TypeError):
        m[1][0] = 5


def test_records_by_cpu(stack):
    """Sums are part by part; what all agree on stays."""
    m = typed(stack, MapType.PERCPU_HASH)

    m[5] = PerCPU.all(PLAIN)
    total = m[5].sum()
    assert (total["bytes"], total["comm"], total["state"].name) == (CPUS << 40, "bash", "STOPPED")
    tasks = m.typed(value=PerCPU[Task])
    total = tasks[5].sum()
    assert (total.bytes_, total.ids.pid, total.address) == (CPUS << 40, 7 * CPUS, IPv4Address("10.0.0.1"))
    assert m.typed(value=PerCPU[dict])[5].sum()["ids"] == {"pid": 7 * CPUS, "tgid": 6 * CPUS}
    tasks[6] = PerCPU.all(TASK)
    assert dict(tasks.items())[6] == (TASK,) * CPUS
    assert len(m.raw[U32(5)]) == 40 * CPUS
    with pytest.raises(DoesNotFit, match=r"PerCPU\[Task\]"):
        m.typed(value=Task)
    with pytest.raises(DoesNotFit, match="one for all CPUs"):
        typed(stack).typed(value=PerCPU[Task])
    with pytest.raises(DoesNotFit, match=r"say what they are"):
        make(stack, MapType.PERCPU_ARRAY)[0].sum()


@pytest.mark.parametrize("kind", [MapType.QUEUE, MapType.STACK])
def test_queues_and_stacks(stack, kind):
    m = make(stack, kind, 0, 4, 3)

    for attempt in (m.pop, m.peek):
        with pytest.raises(IndexError, match="is empty"):
            attempt()
    for number in range(3):
        m.push(number)
    first = 0 if kind is MapType.QUEUE else 2
    assert m.typed(value=int).peek() == first
    assert m.pop() == U32(first)
    m.push(8)
    with pytest.raises(bpfctl.KernelError) as caught:
        m.push(9)
    assert caught.value.errno == E2BIG
    m.push(9, overwrite=True)
    assert [m.typed(value=int).pop() for _ in range(3)] == ([2, 8, 9] if kind is MapType.QUEUE else [9, 8, 1])
    with pytest.raises(DoesNotFit, match=r"no keys: use push\(\), peek\(\) and pop\(\)"):
        m[1] = 1
    with pytest.raises(bpfctl.NotSupported, match="no keys"):
        list(m.items())
    with pytest.raises(DoesNotFit, match="neither a queue nor a stack"):
        make(stack, MapType.HASH).push(1)


def test_a_bloom_filter(stack):
    m = make(stack, MapType.BLOOM_FILTER, 0, 4, 1000)

    m.push(5)
    assert 5 in m
    assert sum(n in m for n in range(1000, 2000)) < 100  # it may be wrong about a few
    with pytest.raises(bpfctl.NotSupported, match="bloom filter"):
        list(m)


@pytest.mark.parametrize(
    ("kind", "address", "text", "inside"),
    [(IPv4Network, IPv4Address, "10.1.0.0/16", "10.1.2.3"), (IPv6Network, IPv6Address, "fe80::/10", "fe80::1")],
)
def test_tries(stack, kind, address, text, inside):
    """Keys are also text, networks and addresses; a lookup finds the longest prefix."""
    m = make(stack, MapType.LPM_TRIE, 4 + len(address(inside).packed), 4, flags=MapFlag.NO_PREALLOC)

    m[text] = 1
    assert [m[key] for key in (text, kind(text), inside, address(inside))] == [U32(1)] * 4
    m[kind(text).supernet()] = 2
    assert dict(m.typed(key=kind, value=int).items()) == {kind(text): 1, kind(text).supernet(): 2}
    assert set(m.typed(key=str)) == {text, str(kind(text).supernet())}
    assert m.typed(key=str)[text] == U32(1)
    assert list(m) == list(m.raw)
    assert m.delete_many([kind(text)]) == 1
    with pytest.raises(DoesNotFit, match="key: 'nowhere' does not appear"):
        _ = m["nowhere"]
    with pytest.raises(DoesNotFit, match="another kind of address"):
        _ = m["::1" if kind is IPv4Network else "127.0.0.1"]
    with pytest.raises(DoesNotFit, match="prefixes of up to"):
        m.typed(key=IPv6Network if kind is IPv4Network else IPv4Network)


def test_addresses_as_keys(stack):
    m = make(stack, MapType.HASH, 4, 4)

    m[IPv4Address("10.0.0.1")] = 1
    assert dict(m.typed(key=IPv4Address, value=int).items()) == {IPv4Address("10.0.0.1"): 1}
    assert m[bytes([10, 0, 0, 1])] == U32(1)


@pytest.mark.parametrize("kind", [MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS])
def test_maps_of_maps(stack, kind):
    """A value is the id of a map; what is put in is a map or an id, whose descriptor is closed again."""
    inner, second = make(stack, MapType.ARRAY, 4, 4, 1), make(stack, MapType.ARRAY, 4, 4, 1)
    m = make(stack, kind, 4, 4, 4, inner=inner)

    m[0] = inner
    m[1] = second.info().id
    assert (m[1], m.typed(key=int)[0]) == (second.info().id, inner.info().id)
    assert m.update({2: inner, 3: m[1]}) == 2
    assert sorted(m.values()) == sorted([inner.info().id, second.info().id] * 2)
    with pytest.raises(bpfctl.KernelError):
        m[0] = 2**31 - 1


def program(stack):
    code = Code().mov(R0, 0).exit_().assemble()
    return stack.enter_context(bpfctl.Program.load(bpfctl.ProgType.SOCKET_FILTER, code, name="mapping"))


def test_program_arrays(stack):
    """Empty slots are not there."""
    m = make(stack, MapType.PROG_ARRAY, 4, 4, 4)
    loaded = program(stack)

    m[1] = loaded
    assert m[1] == loaded.info().id
    m[2] = m[1]
    assert dict(m.items()) == {1: loaded.info().id, 2: loaded.info().id}
    assert (0 in m, 1 in m, list(m), m.count()) == (False, True, [1, 2], 2)
    del m[1]
    assert list(m) == [2]


def test_what_the_kernel_keeps_to_itself(stack):
    """An array of cgroups takes descriptors, and tells none."""
    m = make(stack, MapType.CGROUP_ARRAY, 4, 4, 1)
    m[0] = stack.enter_context(Descriptor(os.open(cgroup(), os.O_RDONLY)))
    with pytest.raises(bpfctl.NotSupported, match="does not tell the values of a cgroup_array map"):
        list(m.items())
    with pytest.raises(bpfctl.NotSupported, match="does not tell"):
        _ = m[0]
    assert list(m) == [0]


def test_sockets(stack):
    """Sockets are put in as they are; what comes out is the kernel's cookie."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    m = make(stack, MapType.SOCKHASH, 4, 8, 4)

    m[5] = server
    cookie = int.from_bytes(server.getsockopt(socket.SOL_SOCKET, 57, 8), sys.byteorder)  # SO_COOKIE
    assert m[5] == cookie
    assert list(m) == [U32(5)]
    server.close()
    with pytest.raises(DoesNotFit, match="value: socket is closed"):
        m[6] = server


@pytest.mark.parametrize(
    ("kind", "number"), [(MapType.DEVMAP, None), (MapType.DEVMAP_HASH, None), (MapType.CPUMAP, 192)]
)
def test_devices_and_cpus(stack, kind, number):
    number = number or socket.if_nametoindex("lo")
    m = make(stack, kind, 4, 4, 4)

    m[1] = number
    assert m[1] == number
    assert m.typed(key=int)[1] == number


def cgroup():
    """Return the folder of the root of the cgroup2 hierarchy, wherever it is mounted."""
    lines = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return next(where for _, where, kind, *_ in lines if kind == "cgroup2")


STORAGES = [MapType.SK_STORAGE, MapType.TASK_STORAGE, MapType.INODE_STORAGE, MapType.CGRP_STORAGE]


@pytest.mark.parametrize("kind", STORAGES)
def test_storage_by_descriptor(stack, kind):
    """The key is an object with a descriptor, or its number."""
    btf, ids = task_btf(stack)
    more = {"btf": btf, "key_type": ids["u32"], "value_type": ids["task"], "flags": MapFlag.NO_PREALLOC}
    m = make(stack, kind, 4, 40, 0, **more)
    opened = {
        MapType.SK_STORAGE: lambda: socket.socket().detach(),
        MapType.TASK_STORAGE: lambda: os.pidfd_open(os.getpid()),
        MapType.INODE_STORAGE: lambda: os.open("/proc/self/exe", os.O_RDONLY),
        MapType.CGRP_STORAGE: lambda: os.open(cgroup(), os.O_RDONLY),
    }
    owner = stack.enter_context(Descriptor(opened[kind]()))

    assert owner not in m
    m[owner] = PLAIN
    assert m.typed(value=dict)[owner.fileno()] == PLAIN
    del m[owner]
    with pytest.raises(bpfctl.NotSupported, match="cannot list it"):
        list(m)


class Descriptor:
    """An object with a descriptor."""

    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


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
    for attempt in (lambda: m.__setitem__(1, 2), lambda: m.update({1: 2}), lambda: m.__delitem__(1)):
        with pytest.raises(bpfctl.KernelError, match="the map is frozen") as caught:
            attempt()
        assert caught.value.errno == EPERM


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


def test_breaking_out_of_a_loop(stack):
    """Memory does not grow with the map, and a walk that is left leaves nothing behind."""
    m = make(stack, MapType.HASH, 8, 16, 100_000)
    rng = random.Random(1)
    m.update((U64(n), rng.randbytes(16)) for n in range(100_000))

    tracemalloc.start()
    for key, value in m.items():
        assert (len(key), len(value)) == (8, 16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    walk = m.items()
    next(walk)
    del walk
    assert len(list(islice(m.items(), 70_000))) == 70_000
