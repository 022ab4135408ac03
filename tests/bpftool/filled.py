"""Maps of every type in every size that changes how they look, filled with bytes on which formats break."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pytest

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R3, R6
from tests.kernel import client
from tests.kernel.inhabitants import Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import ExitStack

    from tests.kernel.zoo import Zoo

    Filler = Callable[["Nest", str], Iterator["Filled"]]

T = TypeVar("T")
U32, U64 = struct.Struct("=I").pack, struct.Struct("=Q").pack
NO_PREALLOC, STACK_BUILD_ID, ZERO_SEED = 1 << 0, 1 << 5, 1 << 6
ALLOW_MULTI = 1 << 1  # of BPF_PROG_ATTACH

# Lines break where a key or a value is longer than 16, or both together than 24; per-CPU values are padded to 8.
SIZES = (
    *((1, 1), (2, 3), (3, 5), (4, 8), (5, 19), (7, 18), (8, 16), (8, 17), (9, 15), (12, 12), (12, 13), (15, 9)),
    *((15, 10), (16, 8), (16, 9), (16, 16), (17, 1), (17, 7), (23, 1), (24, 24), (25, 33), (31, 64), (32, 65)),
    *((33, 2), (63, 4), (64, 8), (65, 16), (200, 1), (4, 257)),
)
VALUES = (1, 7, 8, 16, 17, 20, 21, 33)
_GET_STACKID, _GET_LOCAL_STORAGE = 27, 81
_USER_STACK, _REUSE_STACKID = 1 << 8, 1 << 10
_INGRESS = "BPF_CGROUP_INET_INGRESS"
_AF_XDP, _SOL_XDP, _XDP_RX_RING = 44, 283, 2
_SHARED = 8  # the size of a key of a cgroup's storage that all programs there share


class Filled(NamedTuple):
    """A map, the keys to look up in it, and one to which nothing follows because it is not there."""

    fd: int
    keys: Sequence[bytes] = ()
    absent: bytes = b""


class Nest:
    """Makes maps, and closes them in the end."""

    def __init__(self, zoo: Zoo, held: ExitStack) -> None:
        self.zoo = zoo
        self.held = held

    def keep(self, fd: int) -> int:
        """Close a descriptor with the rest."""
        self.held.callback(os.close, fd)
        return fd

    def create(self, kind: str, key: int, value: int, entries: int, **extra: int) -> int:
        """Create a map of a type that the kernel has."""
        number = self.zoo.number(f"BPF_MAP_TYPE_{kind.upper()}")
        return self.keep(client.map_create(number, key, value, entries, name="filled", **extra))

    def made(self, kind: str, makers: Mapping[str, Callable[[Nest, str], Iterable[T]]]) -> list[T]:
        """Return the maps of a type, or what makes them; skip the test where the kernel lacks something."""
        try:
            self.zoo.number(f"BPF_MAP_TYPE_{kind.upper()}")
            return list(makers[kind](self, kind))
        except Missing as error:
            pytest.skip(f"the kernel lacks {error}")

    def filled(self, fd: int, pairs: dict[bytes, bytes], absent: bytes = b"") -> Filled:
        """Fill a map."""
        for key, value in pairs.items():
            client.map_update(fd, key, value)
        return Filled(fd, list(pairs), absent)


# Each CPU takes up to 128 free entries for itself (LOCAL_FREE_TARGET in kernel/bpf/bpf_lru_list.c), so a small map of
# the kind that throws out the least used does so long before it is full.
LRU_ROOM = 256 * client.CPUS


def edges(size: int) -> list[bytes]:
    """Return zero, all ones, the lowest and the highest of both signs, and a byte of each sort."""
    order = bytes((0x20 + at * 37) % 256 for at in range(size))
    ends = b"\0" * (size - 1)
    found = [bytes(size), b"\xff" * size, ends + b"\x80", b"\xff" * (size - 1) + b"\x7f", b"\1" + ends, order]
    return list(dict.fromkeys(each[:size] for each in found))


def _pairs(key: int, value: int) -> dict[bytes, bytes]:
    keys, values = edges(key), edges(value)
    return {each: values[(at + 1) % len(values)] for at, each in enumerate(keys)}


def _each_cpu(value: int, first: int) -> bytes:
    values = edges(value)
    rows = (values[(first + cpu) % len(values)] for cpu in range(client.CPUS))
    return b"".join(row.ljust(value + 7 & ~7, b"\0") for row in rows)


FILLERS: dict[str, Filler] = {}


def _fills(*kinds: str) -> Callable[[Filler], Filler]:
    def remember(filler: Filler) -> Filler:
        FILLERS.update(dict.fromkeys(kinds, filler))
        return filler

    return remember


@_fills("hash", "lru_hash", "rhash")
def _hashes(nest: Nest, kind: str) -> Iterator[Filled]:
    flags, entries = (NO_PREALLOC if kind == "rhash" else 0), (LRU_ROOM if kind == "lru_hash" else 8)
    for key, value in SIZES if kind == "hash" else SIZES[::6]:
        fd = nest.create(kind, key, value, entries, map_flags=flags)
        yield nest.filled(fd, _pairs(key, value), b"\x5a" * key)
    yield Filled(nest.create(kind, 4, 4, 1, map_flags=flags), (), bytes(4))


@_fills("array")
def _arrays(nest: Nest, kind: str) -> Iterator[Filled]:
    for value in VALUES:
        values = edges(value)
        pairs = {U32(2 * at): each for at, each in enumerate(values)}
        yield nest.filled(nest.create(kind, 4, value, 2 * len(values)), pairs, b"\xff\xff\xff\x7f")


@_fills("percpu_hash", "lru_percpu_hash")
def _percpu_hashes(nest: Nest, kind: str) -> Iterator[Filled]:
    for key, value in SIZES[:: 4 if kind == "percpu_hash" else 8]:
        pairs = {each: _each_cpu(value, at) for at, each in enumerate(edges(key))}
        yield nest.filled(nest.create(kind, key, value, LRU_ROOM), pairs, b"\x5a" * key)


@_fills("percpu_array")
def _percpu_arrays(nest: Nest, kind: str) -> Iterator[Filled]:
    for value in VALUES[:-1]:
        pairs = {U32(at): _each_cpu(value, at) for at in range(5)}
        yield nest.filled(nest.create(kind, 4, value, 6), pairs, U32(6))


@_fills("lpm_trie")
def _tries(nest: Nest, kind: str) -> Iterator[Filled]:
    for size, value in ((1, 1), (4, 8), (8, 12), (11, 9), (12, 8), (13, 1), (16, 16), (20, 17), (64, 4), (256, 1)):
        fd = nest.create(kind, 4 + size, value, 16, map_flags=NO_PREALLOC)
        values = edges(value)
        lengths = sorted({0, 1, 7, 8, 8 * size - 1, 8 * size})
        pairs = {
            U32(length) + each: values[at % len(values)]
            for at, length in enumerate(lengths)
            for each in (b"\xa5" * size, b"\x7f" * size)
        }
        # One that is shorter by a bit than what is there: a walk goes on from the nearest.
        yield nest.filled(fd, dict(list(pairs.items())[1:]), U32(8 * size) + b"\x11" * size)


@_fills("prog_array")
def _programs(nest: Nest, kind: str) -> Iterator[Filled]:
    program = U32(nest.zoo.fd("prog:socket_filter"))
    yield nest.filled(nest.create(kind, 4, 4, 6), dict.fromkeys((U32(0), U32(3)), program), U32(1))
    yield Filled(nest.create(kind, 4, 4, 2), (), U32(0))


@_fills("array_of_maps", "hash_of_maps")
def _maps(nest: Nest, kind: str) -> Iterator[Filled]:
    inner = nest.create("array", 4, 8, 1)
    for key in (4,) if kind == "array_of_maps" else (1, 4, 8, 16, 17, 20, 21, 33):
        fd = nest.create(kind, key, 4, 4, inner_map_fd=inner)
        pairs = dict.fromkeys((each.to_bytes(key, "little") for each in (1, 3)), U32(inner))
        yield nest.filled(fd, pairs, (2).to_bytes(key, "little"))


@_fills("devmap", "devmap_hash")
def _devices(nest: Nest, kind: str) -> Iterator[Filled]:
    lo = U32(socket.if_nametoindex("lo"))
    last = b"\xff" * 4 if kind == "devmap_hash" else U32(3)
    yield nest.filled(nest.create(kind, 4, 4, 4), dict.fromkeys((U32(1), last), lo), U32(2))
    both = lo + U32(nest.zoo.fd("prog:xdp_devmap"))
    yield nest.filled(nest.create(kind, 4, 8, 4), {U32(0): lo.ljust(8, b"\0"), U32(1): both}, U32(2))


@_fills("cpumap")
def _cpus(nest: Nest, kind: str) -> Iterator[Filled]:
    queue = U32(192)
    yield nest.filled(nest.create(kind, 4, 4, client.CPUS), {U32(0): queue}, U32(client.CPUS))
    both = queue + U32(nest.zoo.fd("prog:xdp_cpumap"))
    yield nest.filled(nest.create(kind, 4, 8, client.CPUS), {U32(0): both})


@_fills("sockmap", "sockhash")
def _sockets(nest: Nest, kind: str) -> Iterator[Filled]:
    end = tcp(nest)
    sizes = ((4, 4), (4, 8)) if kind == "sockmap" else ((1, 8), (4, 4), (8, 8), (16, 8), (17, 8), (40, 4))
    for key, value in sizes:
        pairs = dict.fromkeys((each.to_bytes(key, "little") for each in (0, 3)), U32(end).ljust(value, b"\0"))
        yield nest.filled(nest.create(kind, key, value, 4), pairs, (2).to_bytes(key, "little"))


def tcp(nest: Nest) -> int:
    """Return one end of a connection."""
    server = nest.held.enter_context(socket.create_server(("127.0.0.1", 0)))
    return nest.held.enter_context(socket.create_connection(server.getsockname())).fileno()


def reuseport(nest: Nest) -> int:
    """Return a socket that shares its port."""
    shared = nest.held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shared.bind(("127.0.0.1", 0))
    return shared.fileno()


def xdp_socket(nest: Nest) -> int:
    """Return a socket for packets that XDP redirects, with a ring to receive them."""
    packets = nest.held.enter_context(socket.socket(_AF_XDP, socket.SOCK_RAW, 0))
    packets.setsockopt(_SOL_XDP, _XDP_RX_RING, 64)
    return packets.fileno()


@_fills("xskmap")
def _xdp_sockets(nest: Nest, kind: str) -> Iterator[Filled]:
    yield nest.filled(nest.create(kind, 4, 4, 3), {U32(1): U32(xdp_socket(nest))}, U32(3))


@_fills("reuseport_sockarray")
def _reuseport(nest: Nest, kind: str) -> Iterator[Filled]:
    for value in (4, 8):
        # A socket can be in one such map only.
        pairs = {U32(1): U32(reuseport(nest)).ljust(value, b"\0")}
        yield nest.filled(nest.create(kind, 4, value, 3), pairs, U32(2))


@_fills("perf_event_array")
def _events(nest: Nest, kind: str) -> Iterator[Filled]:
    yield nest.filled(nest.create(kind, 4, 4, 2), {U32(0): U32(perf_event(nest))}, U32(2))


def perf_event(nest: Nest) -> int:
    """Return an event that counts nothing."""
    software, dummy = 1, 9
    return nest.keep(client.perf_event_open(software, dummy))


@_fills("cgroup_array")
def _cgroups(nest: Nest, kind: str) -> Iterator[Filled]:
    yield nest.filled(nest.create(kind, 4, 4, 2), {U32(1): U32(nest.zoo.place.cgroup_fd)}, U32(2))


@_fills("stack_trace")
def _stacks(nest: Nest, kind: str) -> Iterator[Filled]:
    """Stacks are put in by a program; each frame that it leaves out makes another one."""
    for value, flags in ((8, 0), (16, 0), (24, 0), (8 * 127, 0), (32 * 8, STACK_BUILD_ID)):
        fd = nest.create(kind, 4, value, 16, map_flags=flags)
        program = Program().mov(R6, R1)
        for skip in range(4):
            how = skip | _REUSE_STACKID | (_USER_STACK if flags else 0)
            program.mov(R1, R6).ld_map_fd(R2, fd).mov(R3, how).call(_GET_STACKID)
        insns = program.mov(R0, 0).exit_().assemble()
        raw = client.prog_load(nest.zoo.number("BPF_PROG_TYPE_RAW_TRACEPOINT"), insns)
        try:
            client.run(raw)
        finally:
            os.close(raw)
        yield Filled(fd, (), U32(16))


@_fills("cgroup_storage", "percpu_cgroup_storage")
def _cgroup_storages(nest: Nest, kind: str) -> Iterator[Filled]:
    """A cgroup gets its storage when a program that uses it is attached there."""
    for key, value in ((16, 8), (16, 9), (_SHARED, 17), (16, 40)):
        fd = cgroup_storage(nest, kind, key, value)
        wide = _each_cpu(value, 3) if kind.startswith("percpu") else edges(value)[-1]
        yield nest.filled(fd, {cgroup_key(nest, key): wide}, b"\x5a" * key)


def cgroup_storage(nest: Nest, kind: str, key: int, value: int) -> int:
    """Create the storage of programs of cgroups, and attach one to a cgroup."""
    zoo, fd = nest.zoo, nest.create(kind, key, value, 0)
    insns = Program().ld_map_fd(R1, fd).mov(R2, 0).call(_GET_LOCAL_STORAGE).mov(R0, 1).exit_().assemble()
    program = nest.keep(client.prog_load(zoo.number("BPF_PROG_TYPE_CGROUP_SKB"), insns, name="stores"))
    where = (zoo.place.cgroup_fd, program, zoo.number(_INGRESS))
    client.prog_attach(*where, ALLOW_MULTI)
    nest.held.callback(client.prog_detach, *where)
    return fd


def cgroup_key(nest: Nest, size: int) -> bytes:
    """Return the key of that cgroup's storage: of all programs, or with the type of attachment."""
    group = os.fstat(nest.zoo.place.cgroup_fd).st_ino
    return U64(group) if size == _SHARED else struct.pack("=QI4x", group, nest.zoo.number(_INGRESS))


@_fills("queue", "stack")
def _queues(nest: Nest, kind: str) -> Iterator[Filled]:
    for value in VALUES:
        fd = nest.create(kind, 0, value, 8)
        for each in edges(value):
            client.map_update(fd, None, each)
        yield Filled(fd)
    yield Filled(nest.create(kind, 0, 4, 1))


@_fills("bloom_filter")
def _filters(nest: Nest, kind: str) -> Iterator[Filled]:
    for value in (1, 4, 17, 40):
        fd = nest.create(kind, 0, value, 8, map_extra=3)
        client.map_update(fd, None, bytes(value))
        yield Filled(fd)


@_fills("ringbuf", "user_ringbuf")
def _rings(nest: Nest, kind: str) -> Iterator[Filled]:
    yield Filled(nest.create(kind, 0, 0, 4096))


@_fills("sk_storage", "inode_storage", "task_storage", "cgrp_storage", "arena")
def _of_the_zoo(nest: Nest, kind: str) -> Iterator[Filled]:
    yield Filled(nest.zoo.fd(f"map:{kind}"), (), b"\0" * 4 if kind != "arena" else b"")


@_fills("struct_ops")
def _struct_ops(nest: Nest, kind: str) -> Iterator[Filled]:
    yield Filled(nest.zoo.fd(f"map:{kind}"), [bytes(4)], U32(1))
    if nest.zoo.facts.has("word:BPF_F_LINK"):
        yield Filled(nest.zoo.fd(f"map:{kind}_link"), [bytes(4)], U32(1))


@_fills("insn_array")
def _instructions(nest: Nest, kind: str) -> Iterator[Filled]:
    pairs = {U32(at): struct.pack("=IIII", at, 0, 0, 0) for at in range(3)}
    yield nest.filled(nest.create(kind, 4, 16, 4), pairs, U32(4))
