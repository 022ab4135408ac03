"""Every map type, and maps with BTF, flags, inner maps and owners."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from tests.kernel import client
from tests.kernel.inhabitants import Inhabitant
from tests.kernel.inhabitants.types import METADATA

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.zoo import Zoo

BPF_F_NO_PREALLOC = 1 << 0
BPF_F_NUMA_NODE = 1 << 2
BPF_F_ZERO_SEED = 1 << 6
BPF_F_RDONLY_PROG = 1 << 7
BPF_F_MMAPABLE = 1 << 10
BPF_F_INNER_MAP = 1 << 12
BPF_F_LINK = 1 << 13

_NO_PREALLOC = {"map_flags": BPF_F_NO_PREALLOC}
_LSM = "func:bpf_inode_storage_get"


def _map(
    type_: str,
    key: int,
    value: int,
    entries: int,
    *needs: str,
    name: str = "",
    since: str = "",
    extra: dict[str, Any] | Callable[[Zoo], dict[str, Any]] | None = None,
) -> Inhabitant:
    """Describe a map; ``extra`` is more attributes, or a function of the zoo where they are fds and ids."""
    name = name or type_
    enumerator = f"BPF_MAP_TYPE_{type_.upper()}"

    def make(zoo: Zoo) -> int:
        more = extra(zoo) if callable(extra) else extra or {}
        return client.map_create(zoo.number(enumerator), key, value, entries, **{"name": name[:15], **more})

    return Inhabitant("map", name, enumerator, make, (f"enum:{enumerator}", *needs), since)


def _made(name: str, type_: str, make: Callable[[Zoo], int], *needs: str, since: str = "") -> Inhabitant:
    """Describe a map that takes more than one call."""
    return Inhabitant("map", name, f"BPF_MAP_TYPE_{type_.upper()}", make, needs, since)


def _inner(zoo: Zoo) -> dict[str, Any]:
    return {"inner_map_fd": zoo.fd("map:array")}


def _btf(key: str, value: str, **more: Any) -> Callable[[Zoo], dict[str, Any]]:
    def attributes(zoo: Zoo) -> dict[str, Any]:
        types = zoo.types
        return {
            "btf_fd": zoo.fd("btf:zoo"),
            "btf_key_type_id": getattr(types, key) if key else 0,
            "btf_value_type_id": getattr(types, value),
            **more,
        }

    return attributes


def _storage(zoo: Zoo) -> dict[str, Any]:
    return _btf("u32", "value", **_NO_PREALLOC)(zoo)


def _frozen(zoo: Zoo) -> int:
    fd = client.map_create(zoo.number("BPF_MAP_TYPE_ARRAY"), 4, 8, 1, name="frozen")
    client.map_freeze(fd)
    return fd


def _rodata(zoo: Zoo) -> int:
    """Make the map that libbpf would make of a program's constants, with the names that hold metadata."""
    more = _btf("", "rodata", map_flags=BPF_F_RDONLY_PROG)(zoo)
    fd = client.map_create(zoo.number("BPF_MAP_TYPE_ARRAY"), 4, len(METADATA), 1, name="zoo.rodata", **more)
    client.map_update(fd, bytes(4), METADATA)
    client.map_freeze(fd)
    return fd


def _filled(zoo: Zoo) -> int:
    """Make a hash with two elements that its BTF can spell."""
    more = _btf("key", "value")(zoo)
    fd = client.map_create(zoo.number("BPF_MAP_TYPE_HASH"), 8, 24, 16, name="hash_with_btf", **more)
    client.map_update(fd, struct.pack("=Ii", 0, -1), struct.pack("=Q12si", 1, b"first", -5))
    client.map_update(fd, struct.pack("=Ii", 1, 2), struct.pack("=Q12si", 1 << 63, b"second", 5))
    return fd


def _owned(zoo: Zoo) -> int:
    """Make a program array, whose owner is the type of the program put into it."""
    fd = client.map_create(zoo.number("BPF_MAP_TYPE_PROG_ARRAY"), 4, 4, 4, name="owned")
    client.map_update(fd, bytes(4), struct.pack("=I", zoo.fd("prog:socket_filter")))
    return fd


def _outer(zoo: Zoo) -> int:
    fd = client.map_create(zoo.number("BPF_MAP_TYPE_HASH_OF_MAPS"), 4, 4, 4, name="filled_outer", **_inner(zoo))
    client.map_update(fd, struct.pack("=I", 7), struct.pack("=I", zoo.fd("map:array")))
    return fd


def _struct_ops(flags: int) -> Callable[[Zoo], int]:
    """Make a congestion control of three programs; with BPF_F_LINK it waits for a link to register it."""

    def make(zoo: Zoo) -> int:
        btf = zoo.facts.btf
        wrapper, ops = "bpf_struct_ops_tcp_congestion_ops", "tcp_congestion_ops"
        value = bytearray(btf.size(wrapper))
        start = next(off for member, _, off in btf.members(wrapper) if member == "data")
        for member, _, off in btf.members(ops):
            if member in ("ssthresh", "undo_cwnd", "cong_avoid"):
                struct.pack_into("=Q", value, start + off, zoo.fd(f"prog:struct_ops_{member}"))
            elif member == "name":
                struct.pack_into("=16s", value, start + off, b"zoo_%x" % flags)
        fd = client.map_create(
            zoo.number("BPF_MAP_TYPE_STRUCT_OPS"),
            4,
            len(value),
            1,
            name=f"zoo_{flags:x}",
            btf_fd=zoo.fd("btf:zoo"),
            btf_vmlinux_value_type_id=btf.id("struct", wrapper),
            map_flags=flags,
        )
        if flags & BPF_F_LINK:
            client.map_update(fd, bytes(4), bytes(value))
        return fd

    return make


_CONGESTION = "struct:bpf_struct_ops_tcp_congestion_ops"
_LOCKDOWN = "lockdown:none"

MAPS = [
    _map("hash", 4, 8, 16),
    _map("array", 4, 8, 4),
    _map("prog_array", 4, 4, 4),
    _map("perf_event_array", 4, 4, 2),
    _map("percpu_hash", 4, 8, 16),
    _map("percpu_array", 4, 8, 4),
    _map("stack_trace", 4, 8 * 16, 16),
    _map("cgroup_array", 4, 4, 2),
    _map("lru_hash", 4, 8, 16),
    _map("lru_percpu_hash", 4, 8, 16),
    _map("lpm_trie", 8, 8, 16, extra=_NO_PREALLOC),
    _map("array_of_maps", 4, 4, 2, extra=_inner),
    _map("hash_of_maps", 4, 4, 2, extra=_inner),
    _map("devmap", 4, 4, 4),
    _map("sockmap", 4, 4, 4),
    _map("cpumap", 4, 4, 1),
    _map("xskmap", 4, 4, 4, "func:xsk_map_try_sock_delete"),
    _map("sockhash", 4, 4, 4),
    _map("cgroup_storage", 16, 8, 0),
    _map("reuseport_sockarray", 4, 4, 4),
    _map("percpu_cgroup_storage", 16, 8, 0),
    _map("queue", 0, 4, 8),
    _map("stack", 0, 4, 8),
    _map("sk_storage", 4, 24, 0, extra=_storage),
    _map("devmap_hash", 4, 4, 4),
    _map("ringbuf", 0, 0, 4096),
    _map("inode_storage", 4, 24, 0, _LSM, extra=_storage, since="5.10, CONFIG_BPF_LSM"),
    _map("task_storage", 4, 24, 0, extra=_storage, since="5.11"),
    _map("bloom_filter", 0, 4, 16, extra={"map_extra": 3}, since="5.16"),
    _map("user_ringbuf", 0, 0, 4096, since="6.1"),
    _map("cgrp_storage", 4, 24, 0, extra=_storage, since="6.2"),
    _map("arena", 0, 0, 4, extra={"map_flags": BPF_F_MMAPABLE}, since="6.9"),
    _map("insn_array", 4, 16, 4, since="6.19"),
    _map("rhash", 4, 8, 16, extra=_NO_PREALLOC, since="7.2"),
    _map("hash", 4, 8, 16, name="hash_flags", extra={"map_flags": BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED}),
    _map("hash", 4, 8, 16, name="hash_numa", extra={"map_flags": BPF_F_NUMA_NODE}),
    _map("hash", 4, 8, 16, name="hash_unnamed", extra={"name": ""}),
    _map("array", 4, 8, 4, name="array_mmapable", extra={"map_flags": BPF_F_MMAPABLE}),
    _map("array", 4, 8, 4, "word:BPF_F_INNER_MAP", name="array_inner", extra={"map_flags": BPF_F_INNER_MAP}),
    _map("array", 4, 24, 1, name="array_with_btf", extra=_btf("u32", "value")),
    _map("devmap", 4, 8, 4, name="devmap_prog"),
    _map("cpumap", 4, 8, 1, name="cpumap_prog"),
    _made("hash_with_btf", "hash", _filled),
    _made("frozen", "array", _frozen),
    _made("zoo.rodata", "array", _rodata),
    _made("prog_array_owned", "prog_array", _owned),
    _made("hash_of_maps_filled", "hash_of_maps", _outer),
    _made("struct_ops", "struct_ops", _struct_ops(0), _CONGESTION, _LOCKDOWN),
    _made(
        "struct_ops_link",
        "struct_ops",
        _struct_ops(BPF_F_LINK),
        *(_CONGESTION, _LOCKDOWN, "word:BPF_F_LINK"),
        since="6.4",
    ),
]
