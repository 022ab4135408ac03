"""Maps of every type as Python mappings, on the real kernel, checked by an independent client."""

from __future__ import annotations

import os
import socket
import sys
from errno import E2BIG
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

import bpfctl
from bpfctl import DoesNotFit, MapType, PerCPU
from bpfctl.asm.build import Program as Code
from bpfctl.asm.insn import R0
from bpfctl.uapi.flags import MapFlag
from tests.kernel import client
from tests.kernel.mapped import CPUS, PLAIN, TASK, U32, U64, Task, make, task_btf, typed


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


def test_a_ring_buffer_has_no_entries(stack):
    m = make(stack, MapType.RINGBUF, 0, 0, os.sysconf("SC_PAGESIZE"))

    for attempt in (lambda: m.update({1: 2}), lambda: m.delete_many([1]), lambda: m.get(1)):
        with pytest.raises(DoesNotFit, match="no keys"):
            attempt()


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
    ("kind", "at", "number"),
    [(MapType.DEVMAP, 1, None), (MapType.DEVMAP_HASH, 1, None), (MapType.CPUMAP, min(1, CPUS - 1), 192)],
)
def test_devices_and_cpus(stack, kind, at, number):
    number = number or socket.if_nametoindex("lo")
    m = make(stack, kind, 4, 4, at + 1)

    m[at] = number
    assert m[at] == number
    assert m.typed(key=int)[at] == number


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
