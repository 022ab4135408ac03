"""What holds on every kernel, so that none need be asked: rules for helpers and maps, and who stands in for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from bpfctl.spec import MapSpec

#: Instructions that the verifier takes at most (BPF_COMPLEXITY_LIMIT_INSNS), and before Linux 5.2 (BPF_MAXINSNS).
LONGEST, OLD_LONGEST = 1_000_000, 4096
#: The mere check of these changes the kernel or writes to its log, so others are asked that the same rules let in.
STAND_INS = {
    Helper.trace_printk: Helper.probe_read_kernel,
    Helper.trace_vprintk: Helper.snprintf,
    Helper.probe_write_user: Helper.probe_read_user,
}
#: Helpers for programs that may sleep alone (``might_sleep`` in the kernel's struct bpf_func_proto).
MAY_SLEEP = frozenset(
    {Helper.copy_from_user, Helper.copy_from_user_task, Helper.ima_inode_hash, Helper.ima_file_hash},
)
STORAGES = frozenset({MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGRP_STORAGE})
HOLDERS = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})
#: Maps whose number of entries is none of the object's, or must be 0.
UNCOUNTED = frozenset({*STORAGES, MapType.CGROUP_STORAGE, MapType.PERCPU_CGROUP_STORAGE, MapType.PERF_EVENT_ARRAY})
_INDEXED = frozenset(
    {
        MapType.ARRAY,
        MapType.PERCPU_ARRAY,
        MapType.PROG_ARRAY,
        MapType.PERF_EVENT_ARRAY,
        MapType.CGROUP_ARRAY,
        MapType.ARRAY_OF_MAPS,
        MapType.DEVMAP,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.SOCKMAP,
        MapType.INSN_ARRAY,
    }
)
_KEYLESS = frozenset({MapType.QUEUE, MapType.STACK, MapType.BLOOM_FILTER, MapType.RINGBUF, MapType.USER_RINGBUF})
_EXTRA = frozenset({MapType.BLOOM_FILTER, MapType.ARENA})


def malformed(map_: MapSpec) -> str:
    """Say why no kernel makes such a map; empty if one may (``map_alloc_check`` of the types in kernel/bpf/)."""
    if map_.max_entries == 0 and map_.type not in UNCOUNTED:
        return "it has no entries"
    if map_.type in _INDEXED and map_.key_size != 4:
        return f"its keys are of {map_.key_size} bytes instead of 4"
    if map_.type in _KEYLESS and map_.key_size:
        return "such maps have no keys"
    if map_.type in {*STORAGES, MapType.LPM_TRIE} and not map_.flags & MapFlag.NO_PREALLOC:
        return "such maps want the flag no_prealloc"
    if map_.type in STORAGES and not map_.value:
        return "such maps want types of key and value"
    if map_.extra and map_.type not in _EXTRA:
        return "map_extra is not for such maps"
    return ""
