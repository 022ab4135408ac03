"""Maps for tests, with types and without; those that this kernel has not are skipped."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

import pytest

import bpfctl
from bpfctl import Map, MapType
from btf import types
from btf.write import Builder
from tests.kernel import client
from tests.kernel.facts import Facts

U32, U64 = struct.Struct("=I").pack, struct.Struct("=Q").pack
CPUS = client.CPUS


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
