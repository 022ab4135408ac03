"""Changes to maps of every type: what may be done, what is refused, and what is there afterwards."""

from __future__ import annotations

import os
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tests.bpftool.alike import spelled
from tests.bpftool.filled import (
    LRU_ROOM,
    NO_PREALLOC,
    U32,
    ZERO_SEED,
    Nest,
    cgroup_key,
    cgroup_storage,
    edges,
    perf_event,
    tcp,
    xdp_socket,
)
from tests.kernel import client
from tests.kernel.inhabitants.maps import MAPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Changer = Callable[[Nest, str], Iterator["Changes"]]


class Changes(NamedTuple):
    """What makes a map, and the commands for it, where ``{}`` is the map; stdin is what descriptor 0 shall be."""

    make: Callable[[], int]
    lines: Sequence[str]
    stdin: int | None = None


CHANGERS: dict[str, Changer] = {}


def _changes(*kinds: str) -> Callable[[Changer], Changer]:
    def remember(changer: Changer) -> Changer:
        CHANGERS.update(dict.fromkeys(kinds, changer))
        return changer

    return remember


def _lines(keys: Sequence[bytes], values: Sequence[str], *, dump: bool = True) -> list[str]:
    """Return what can be done with three keys, of which there is a value each in the end, and then no more."""
    first, second, third = (f"key {spelled(key)}" for key in keys)
    one, other = (f"value {value}" for value in values)
    lines = [
        f"map update {{}} {first} {one}",
        "map dump {}",
        f"map update {{}} {other} {second} any",
        f"map update {{}} {first} {other} exist",
        f"map update {{}} noexist {third} {one}",
        "map dump {}",
        f"map lookup {{}} {second}",
        f"map delete {{}} {second}",
        # What fails stands together, so that few batches are needed.
        f"map update {{}} {first} {other} noexist",
        f"map update {{}} {second} {one} exist",
        f"map delete {{}} {second}",
        f"map lookup {{}} {second}",
        "map getnext {}",
        "map dump {}",
        f"map update {{}} {second} {one}",
        "map freeze {}",
        f"map update {{}} {first} {one}",
        f"map delete {{}} {first}",
        "map dump {}",
    ]
    return [line for line in lines if dump or "dump" not in line]


def _bytes(size: int) -> list[str]:
    values = edges(size)
    return [spelled(values[-1]), spelled(values[1])]


@_changes("hash", "lru_hash", "percpu_hash", "lru_percpu_hash", "rhash")
def _hashes(nest: Nest, kind: str) -> Iterator[Changes]:
    # Entries of maps alike are in the same order only if these hash alike.
    flags = NO_PREALLOC if kind == "rhash" else ZERO_SEED
    for key, value in ((4, 8), (17, 9)) if kind == "hash" else ((8, 12),):
        lines = _lines(edges(key)[:3], _bytes(value), dump=kind != "rhash")
        # The last key is one too many, but where the least used is thrown out.
        lines.insert(8, f"map update {{}} key {spelled(b'Z' * key)} value {_bytes(value)[0]}")
        entries = LRU_ROOM if "lru" in kind else 3
        yield Changes(partial(nest.create, kind, key, value, entries, map_flags=flags), lines)


@_changes("array", "percpu_array")
def _arrays(nest: Nest, kind: str) -> Iterator[Changes]:
    for value in (8, 20):
        lines = _lines([U32(0), U32(2), U32(3)], _bytes(value))
        yield Changes(partial(nest.create, kind, 4, value, 3), lines)


@_changes("lpm_trie")
def _tries(nest: Nest, kind: str) -> Iterator[Changes]:
    for size in (4, 16):
        keys = [U32(8 * size) + b"\xa5" * size, U32(7) + b"\xa5" * size, U32(0) + bytes(size)]
        lines = _lines(keys, _bytes(12))
        lines.insert(8, f"map update {{}} key {spelled(U32(8 * size + 1) + bytes(size))} value {_bytes(12)[0]}")
        yield Changes(partial(nest.create, kind, 4 + size, 12, 3, map_flags=NO_PREALLOC), lines)


@_changes("prog_array")
def _programs(nest: Nest, kind: str) -> Iterator[Changes]:
    path = nest.zoo.place.bpffs / "put_into_maps"
    client.obj_pin(nest.zoo.fd("prog:socket_filter"), str(path))
    nest.held.callback(path.unlink)
    lines = _lines([U32(0), U32(1), U32(3)], [f"pinned {path}", f"pinned {path}"])
    lines += ["map update {} key 0 0 0 0 value id", "map update {} key 0 0 0 0 value id 4000000000"]
    lines.append("map update {} key 0 0 0 0 value 1 0 0 0")
    yield Changes(partial(nest.create, kind, 4, 4, 3), lines)


@_changes("array_of_maps", "hash_of_maps")
def _maps(nest: Nest, kind: str) -> Iterator[Changes]:
    inner = [nest.create("array", 4, 8, 1) for _ in range(2)]
    values = [f"id {client.id_of('map', fd)}" for fd in inner]
    flags = ZERO_SEED if kind == "hash_of_maps" else 0
    lines = _lines([U32(0), U32(1), U32(2)], values)
    lines.append("map update {} key 0 0 0 0 value 1 0 0 0")
    other = nest.create("array", 4, 16, 1)
    lines.insert(2, f"map update {{}} key 0 0 0 0 value id {client.id_of('map', other)}")
    yield Changes(partial(nest.create, kind, 4, 4, 3, inner_map_fd=inner[0], map_flags=flags), lines)


@_changes("devmap", "devmap_hash")
def _devices(nest: Nest, kind: str) -> Iterator[Changes]:
    lo = U32(socket.if_nametoindex("lo"))
    for value in (4, 8):
        values = [spelled(lo.ljust(value, b"\0")), spelled(U32(99).ljust(value, b"\0"))]
        yield Changes(partial(nest.create, kind, 4, value, 3), _lines([U32(0), U32(1), U32(2)], [values[0]] * 2))
        yield Changes(partial(nest.create, kind, 4, value, 3), _lines([U32(0), U32(1), U32(3)], values))


@_changes("cpumap")
def _cpus(nest: Nest, kind: str) -> Iterator[Changes]:
    lines = _lines([U32(0), U32(1 << 20), U32(0)], [spelled(U32(192)), spelled(U32(64))])
    yield Changes(partial(nest.create, kind, 4, 4, 1), lines)


@_changes("sockmap", "sockhash")
def _sockets(nest: Nest, kind: str) -> Iterator[Changes]:
    zero = spelled(bytes(8))
    lines = _lines([U32(0), U32(1), U32(2)], [zero, zero], dump=kind == "sockmap")
    yield Changes(partial(nest.create, kind, 4, 8, 3), lines, tcp(nest))


@_changes("reuseport_sockarray")
def _reuseport(nest: Nest, kind: str) -> Iterator[Changes]:
    """Such a socket can be in one map only, so none is put in."""
    lines = _lines([U32(0), U32(1), U32(2)], [spelled(bytes(8))] * 2)
    yield Changes(partial(nest.create, kind, 4, 8, 3), lines)


@_changes("xskmap")
def _xdp_sockets(nest: Nest, kind: str) -> Iterator[Changes]:
    lines = _lines([U32(0), U32(1), U32(2)], [spelled(bytes(4))] * 2)
    yield Changes(partial(nest.create, kind, 4, 4, 3), lines, xdp_socket(nest))


@_changes("perf_event_array")
def _events(nest: Nest, kind: str) -> Iterator[Changes]:
    lines = _lines([U32(0), U32(1), U32(2)], [spelled(bytes(4))] * 2)
    yield Changes(partial(nest.create, kind, 4, 4, 3), lines, perf_event(nest))


@_changes("cgroup_array")
def _cgroups(nest: Nest, kind: str) -> Iterator[Changes]:
    lines = _lines([U32(0), U32(1), U32(2)], [spelled(bytes(4))] * 2)
    yield Changes(partial(nest.create, kind, 4, 4, 3), lines, nest.zoo.place.cgroup_fd)


@_changes("stack_trace")
def _stacks(nest: Nest, kind: str) -> Iterator[Changes]:
    yield Changes(partial(nest.create, kind, 4, 24, 8), _lines([U32(0), U32(1), U32(2)], _bytes(24)))


@_changes("insn_array")
def _instructions(nest: Nest, kind: str) -> Iterator[Changes]:
    values = [spelled(struct.pack("=IIII", at, 0, 0, 0)) for at in range(2)]
    yield Changes(partial(nest.create, kind, 4, 16, 3), _lines([U32(0), U32(1), U32(2)], values))


@_changes("cgroup_storage", "percpu_cgroup_storage")
def _cgroup_storages(nest: Nest, kind: str) -> Iterator[Changes]:
    for key in (8, 16):
        lines = _lines([cgroup_key(nest, key), bytes(key), b"\x5a" * key], _bytes(12))
        yield Changes(partial(cgroup_storage, nest, kind, key, 12), lines)


@_changes("sk_storage", "inode_storage", "task_storage", "cgrp_storage")
def _storages(nest: Nest, kind: str) -> Iterator[Changes]:
    """Keys are descriptors: 0 is a socket, file, process or cgroup, 77 is none."""
    owners = {
        "sk_storage": lambda: tcp(nest),
        "inode_storage": lambda: nest.keep(os.memfd_create("owner")),
        "task_storage": lambda: nest.keep(os.pidfd_open(os.getpid())),
        "cgrp_storage": lambda: nest.zoo.place.cgroup_fd,
    }
    recipe = next(recipe for recipe in MAPS if recipe.name == kind)
    lines = _lines([U32(0), U32(77), U32(0)], _bytes(24), dump=False)
    yield Changes(lambda: nest.keep(recipe.make(nest.zoo)), lines, owners[kind]())


@_changes("struct_ops")
def _struct_ops(nest: Nest, kind: str) -> Iterator[Changes]:
    recipe = next(recipe for recipe in MAPS if recipe.name == kind)
    size = nest.zoo.facts.btf.size("bpf_struct_ops_tcp_congestion_ops")
    zero, ones = f"value {spelled(bytes(size))}", f"value {spelled(bytes([255]) * size)}"
    key = "key 0 0 0 0"
    lines = ["map dump {}", f"map update {{}} {key} {zero}", f"map update {{}} {key} {ones}", f"map delete {{}} {key}"]
    yield Changes(lambda: nest.keep(recipe.make(nest.zoo)), [*lines, "map dump {}", "map freeze {}"])


@_changes("queue", "stack")
def _queues(nest: Nest, kind: str) -> Iterator[Changes]:
    for size in (8, 20):
        values = [f"value {spelled(value)}" for value in edges(size)]
        lines = [
            "map pop {}",
            f"map push {{}} {values[0]}",
            f"map enqueue {{}} {values[1]}",
            f"map update {{}} {values[-1]}",
            f"map push {{}} {values[-1]}",
            f"map push {{}} {values[-1]} exist",
            f"map push {{}} {values[-1]} noexist",
            f"map push {{}} key 1 {values[0]}",
            "map peek {}",
            "map pop {}",
            "map lookup {}",
            "map getnext {}",
            "map delete {}",
            "map dequeue {}",
            "map freeze {}",
            "map pop {}",
            "map peek {}",
        ]
        yield Changes(partial(nest.create, kind, 0, size, 3), lines)


@_changes("bloom_filter")
def _filters(nest: Nest, kind: str) -> Iterator[Changes]:
    value = f"value {spelled(edges(8)[-1])}"
    lines = ["map getnext {}", f"map push {{}} {value}", f"map update {{}} {value}", f"map push {{}} {value} exist"]
    lines += [f"map push {{}} {value} noexist", "map pop {}", "map delete {}", "map freeze {}"]
    yield Changes(partial(nest.create, kind, 0, 8, 3, map_extra=3), [*lines, f"map push {{}} {value}"])


@_changes("ringbuf", "user_ringbuf", "arena")
def _rings(nest: Nest, kind: str) -> Iterator[Changes]:
    recipe = next(recipe for recipe in MAPS if recipe.name == kind)
    commands = (
        "update",
        "push",
        "update {} value 1",
        "delete",
        "getnext",
        "lookup",
        "peek",
        "pop",
        "dequeue",
        "freeze",
    )
    lines = [f"map {command}" if "{}" in command else f"map {command} {{}}" for command in commands]
    yield Changes(lambda: nest.keep(recipe.make(nest.zoo)), [*lines, "map update {} key 1 value 1"])


# What a map of each type may be: sizes of key and value, entries, flags. Some need more than words can say.
SIZES_OF = {
    **dict.fromkeys(("hash", "lru_hash", "percpu_hash", "lru_percpu_hash"), (4, 8, 16, 0)),
    **dict.fromkeys(("array", "percpu_array"), (4, 20, 3, 0)),
    **dict.fromkeys(("prog_array", "perf_event_array", "cgroup_array", "xskmap"), (4, 4, 4, 0)),
    **dict.fromkeys(("devmap", "devmap_hash", "sockmap", "sockhash", "reuseport_sockarray"), (4, 8, 4, 0)),
    **dict.fromkeys(("cgroup_storage", "percpu_cgroup_storage"), (16, 8, 0, 0)),
    **dict.fromkeys(("sk_storage", "inode_storage", "task_storage", "cgrp_storage"), (4, 8, 0, NO_PREALLOC)),
    **dict.fromkeys(("queue", "stack", "bloom_filter"), (0, 8, 4, 0)),
    **dict.fromkeys(("ringbuf", "user_ringbuf"), (0, 0, 4096, 0)),
    **dict.fromkeys(("array_of_maps", "hash_of_maps"), (4, 4, 2, 0)),
    "lpm_trie": (8, 8, 4, NO_PREALLOC),
    "rhash": (4, 8, 4, NO_PREALLOC),
    "cpumap": (4, 4, 1, 0),
    "stack_trace": (4, 24, 4, 0),
    "arena": (0, 0, 4, 1 << 10),
    "insn_array": (4, 16, 4, 0),
    "struct_ops": (4, 64, 1, 0),
}
