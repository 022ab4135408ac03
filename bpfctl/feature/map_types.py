"""Map types: one line each, and whether the kernel makes the smallest map of one."""

from __future__ import annotations

import os
from contextlib import ExitStack
from errno import E2BIG, EINVAL
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import maps, programs
from bpfctl.feature.answer import AVAILABLE, ENOTSUPP, MISSING, Answer, Rights, refused
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag

if TYPE_CHECKING:
    from bpfctl._sys.fd import FD


class Probe(NamedTuple):
    """How a map type is asked for; ``refusal`` is the errno that proves as much as a map would."""

    type: MapType
    since: str
    key: int = 4
    value: int = 4
    entries: int = 1
    flags: int = 0
    inner: bool = False  # wants a map to hold
    storage: bool = False  # wants BTF of key and value
    struct_ops: bool = False
    refusal: int = 0


_PAGE = os.sysconf("SC_PAGE_SIZE")
_NO_PREALLOC = MapFlag.NO_PREALLOC

PROBES = {
    probe.type: probe
    for probe in (
        Probe(MapType.HASH, "3.19"),
        Probe(MapType.ARRAY, "3.19"),
        Probe(MapType.PROG_ARRAY, "4.2"),
        Probe(MapType.PERF_EVENT_ARRAY, "4.3"),
        Probe(MapType.PERCPU_HASH, "4.6"),
        Probe(MapType.PERCPU_ARRAY, "4.6"),
        Probe(MapType.STACK_TRACE, "4.6", value=8),
        Probe(MapType.CGROUP_ARRAY, "4.8"),
        Probe(MapType.LRU_HASH, "4.10"),
        Probe(MapType.LRU_PERCPU_HASH, "4.10"),
        Probe(MapType.LPM_TRIE, "4.11", key=8, value=8, flags=_NO_PREALLOC),
        Probe(MapType.ARRAY_OF_MAPS, "4.12", inner=True),
        Probe(MapType.HASH_OF_MAPS, "4.12", inner=True),
        Probe(MapType.DEVMAP, "4.14"),
        Probe(MapType.SOCKMAP, "4.14"),
        Probe(MapType.CPUMAP, "4.15"),
        Probe(MapType.XSKMAP, "4.18"),
        Probe(MapType.SOCKHASH, "4.18"),
        Probe(MapType.CGROUP_STORAGE, "4.19", key=16, value=8, entries=0),
        Probe(MapType.REUSEPORT_SOCKARRAY, "4.19"),
        Probe(MapType.PERCPU_CGROUP_STORAGE, "4.20", key=16, value=8, entries=0),
        Probe(MapType.QUEUE, "4.20", key=0),
        Probe(MapType.STACK, "4.20", key=0),
        Probe(MapType.SK_STORAGE, "5.2", storage=True),
        Probe(MapType.DEVMAP_HASH, "5.4"),
        Probe(MapType.STRUCT_OPS, "5.6", struct_ops=True, refusal=ENOTSUPP),
        Probe(MapType.RINGBUF, "5.8", key=0, value=0, entries=_PAGE),
        Probe(MapType.INODE_STORAGE, "5.10", storage=True),
        Probe(MapType.TASK_STORAGE, "5.11", storage=True),
        Probe(MapType.BLOOM_FILTER, "5.16", key=0),
        Probe(MapType.USER_RINGBUF, "6.1", key=0, value=0, entries=_PAGE),
        Probe(MapType.CGRP_STORAGE, "6.2", storage=True),
        Probe(MapType.ARENA, "6.9", key=0, value=0, flags=MapFlag.MMAPABLE),
        Probe(MapType.INSN_ARRAY, "6.19", value=16),
        Probe(MapType.RHASH, "7.2", flags=_NO_PREALLOC),
    )
}


def on_kernel(probe: Probe, rights: Rights) -> Answer:
    """Make the smallest map of a type."""
    with ExitStack() as held:
        try:
            held.enter_context(create(probe, held))
        except OSError as error:
            errno = error.errno or 0
            if probe.struct_ops and errno in (E2BIG, EINVAL):
                return _older_struct_ops(probe, rights)
            return AVAILABLE if probe.refusal and errno == probe.refusal else refused(errno, rights)
    return MISSING if probe.refusal else AVAILABLE


def _older_struct_ops(probe: Probe, rights: Rights) -> Answer:
    """Ask without the descriptor of a module's BTF, of which kernels before 6.9 know nothing; bpftool denies them."""
    try:
        maps.create(probe.type, probe.key, probe.value, probe.entries, btf_vmlinux_value_type_id=1).close()
    except OSError as error:
        if error.errno == probe.refusal:
            return AVAILABLE._replace(bpftool=False)
        return refused(error.errno or 0, rights)
    return MISSING


def on_device(kind: MapType, ifindex: int, rights: Rights) -> Answer:
    """Make a map in the hardware of a network device."""
    try:
        maps.create(kind, 4, 4, 1, ifindex=ifindex).close()
    except OSError as error:
        return refused(error.errno or 0, rights)
    return AVAILABLE


def create(probe: Probe, held: ExitStack, *, flags: int = 0) -> FD:
    """Make a map; what it needs besides goes into ``held``. OSError where the kernel refuses."""
    key, value, entries, flags = probe.key, probe.value, probe.entries, probe.flags | flags
    if probe.inner:
        inner = held.enter_context(maps.create(MapType.HASH, 4, 4, 1))
        return maps.create(probe.type, key, value, entries, flags=flags, inner_map_fd=inner.fileno())
    if probe.storage:
        types = held.enter_context(programs.btf_load(storage_types()).fd)
        return maps.create(
            probe.type,
            4,
            8,
            0,
            flags=flags | _NO_PREALLOC,
            btf_fd=types.fileno(),
            btf_key_type_id=1,
            btf_value_type_id=3,
        )
    if probe.struct_ops:
        return maps.create(
            probe.type, key, value, entries, flags=flags, btf_vmlinux_value_type_id=1, value_type_btf_obj_fd=-1
        )
    return maps.create(probe.type, key, value, entries, flags=flags)


def storage_types() -> bytes:
    """Return BTF for the key (type 1) and the value (type 3) of a local storage: an int, a struct with a spin lock."""
    from btf.write import Builder  # noqa: PLC0415 - few probes need it

    types = Builder()
    int_ = types.add_int("int", 4)
    lock = types.add_struct("bpf_spin_lock", 4, [("val", int_, 0)])
    types.add_struct("val", 8, [("cnt", int_, 0), ("l", lock, 32)])
    return types.build()
