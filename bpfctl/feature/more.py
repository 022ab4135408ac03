"""Tables of what bpftool does not ask for: flags of maps, batches, loads, attachments, kinds of BTF, perf events."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from errno import EBADF, EFAULT, EMFILE, ENOENT
from typing import TYPE_CHECKING

from bpfctl._sys import perf
from bpfctl._sys.ask import ask
from bpfctl.feature import map_types
from bpfctl.feature.answer import AVAILABLE, ENOTSUPP, MISSING, NO, Answer, refused
from bpfctl.feature.ways import NOBODY, Asker, Probe, answers, exists, has_type, links, links_there, makes
from bpfctl.uapi.commands import Cmd
from bpfctl.uapi.enums import AttachType, ProgType
from bpfctl.uapi.enums import MapType as M
from bpfctl.uapi.flags import MapFlag as F
from bpfctl.uapi.perf import Cache, CacheOp, CacheResult, Hardware, PerfType, Software

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from btf.write import Builder

MAP_FLAGS = (
    Probe("no_prealloc", "4.6", makes(M.HASH, F.NO_PREALLOC)),
    Probe("no_common_lru", "4.10", makes(M.LRU_HASH, F.NO_COMMON_LRU)),
    Probe("numa_node", "4.14", makes(M.HASH, F.NUMA_NODE)),
    Probe("rdonly", "4.15", makes(M.ARRAY, F.RDONLY)),
    Probe("wronly", "4.15", makes(M.ARRAY, F.WRONLY)),
    Probe("stack_build_id", "4.17", makes(M.STACK_TRACE, F.STACK_BUILD_ID, value=32)),
    Probe("zero_seed", "5.0", makes(M.HASH, F.ZERO_SEED)),
    Probe("rdonly_prog", "5.2", makes(M.ARRAY, F.RDONLY_PROG)),
    Probe("wronly_prog", "5.2", makes(M.ARRAY, F.WRONLY_PROG)),
    Probe("clone", "5.4", makes(M.SK_STORAGE, F.CLONE)),
    Probe("mmapable", "5.5", makes(M.ARRAY, F.MMAPABLE)),
    Probe("preserve_elems", "5.10", makes(M.PERF_EVENT_ARRAY, F.PRESERVE_ELEMS)),
    Probe("inner_map", "5.10", makes(M.ARRAY, F.INNER_MAP)),
    Probe("link", "6.4", makes(M.STRUCT_OPS, F.LINK)),
    Probe("segv_on_fault", "6.9", makes(M.ARENA, F.MMAPABLE | F.SEGV_ON_FAULT)),
    Probe("no_user_conv", "6.9", makes(M.ARENA, F.MMAPABLE | F.NO_USER_CONV)),
    Probe("rb_overwrite", "6.19", makes(M.RINGBUF, F.RB_OVERWRITE)),
)

_BATCHES = {
    "lookup": Cmd.MAP_LOOKUP_BATCH,
    "lookup_and_delete": Cmd.MAP_LOOKUP_AND_DELETE_BATCH,
    "update": Cmd.MAP_UPDATE_BATCH,
    "delete": Cmd.MAP_DELETE_BATCH,
}


def _batch(probe: map_types.Probe, command: Cmd) -> Callable[[Asker], Answer]:
    """Ask for a batch of no entries: a map without the operation says so before it counts."""

    def attempt(asker: Asker) -> Answer:
        with ExitStack() as held:
            try:
                made = held.enter_context(map_types.create(probe, held))
            except OSError as error:
                return refused(error.errno or 0, asker.rights)
            rc = ask(command, struct.pack("=QQQQIIQQ", 0, 0, 0, 0, 0, made.fileno(), 0, 0))
        if rc >= 0 or -rc in (EFAULT, ENOENT):
            return AVAILABLE
        return MISSING if -rc == ENOTSUPP else refused(-rc, asker.rights)

    return attempt


# Other types got them one by one, later.
_BATCHES_SINCE = dict.fromkeys((M.HASH, M.ARRAY, M.PERCPU_HASH, M.LRU_HASH, M.LRU_PERCPU_HASH), "5.6")

BATCHES = tuple(
    Probe(f"{probe.type.name.lower()} {word}", _BATCHES_SINCE.get(probe.type, ""), _batch(probe, command))
    for probe in map_types.PROBES.values()
    if not probe.refusal
    for word, command in _BATCHES.items()
)


def _function(types: Builder, linkage: int = 0) -> int:
    return types.add_func("f", types.add_func_proto(1, [("x", 1)]), linkage)


BTF_KINDS = (
    Probe("int", "4.18", has_type(lambda _types: None)),
    Probe("ptr", "4.18", has_type(lambda types: types.add_ptr(1))),
    Probe("array", "4.18", has_type(lambda types: types.add_array(1, 1, 2))),
    Probe("struct", "4.18", has_type(lambda types: types.add_struct("s", 4, [("a", 1, 0)]))),
    Probe("union", "4.18", has_type(lambda types: types.add_union("u", 4, [("a", 1, 0)]))),
    Probe("enum", "4.18", has_type(lambda types: types.add_enum("e", [("A", 1)]))),
    Probe("fwd", "4.18", has_type(lambda types: types.add_fwd("w"))),
    Probe("typedef", "4.18", has_type(lambda types: types.add_typedef("t", 1))),
    Probe("volatile", "4.18", has_type(lambda types: types.add_volatile(1))),
    Probe("const", "4.18", has_type(lambda types: types.add_const(1))),
    Probe("restrict", "4.18", has_type(lambda types: types.add_restrict(types.add_ptr(1)))),
    Probe("func_proto", "5.0", has_type(lambda types: types.add_func_proto(1, [("x", 1)]))),
    Probe("func", "5.0", has_type(_function)),
    Probe("var", "5.2", has_type(lambda types: types.add_var("v", 1))),
    Probe("datasec", "5.2", has_type(lambda types: types.add_datasec(".data", 4, [(types.add_var("v", 1), 0, 4)]))),
    Probe("func with linkage", "5.6", has_type(lambda types: _function(types, 1))),
    Probe("float", "5.13", has_type(lambda types: types.add_float("float", 4))),
    Probe("decl_tag", "5.16", has_type(lambda types: types.add_decl_tag("tag", types.add_var("v", 1)))),
    Probe("type_tag", "5.17", has_type(lambda types: types.add_ptr(types.add_type_tag("tag", 1)))),
    Probe("enum64", "6.0", has_type(lambda types: types.add_enum64("e", [("A", 1 << 40)]))),
)

_PMUS = "/sys/bus/event_source/devices"

ATTACHMENTS = (
    Probe("kprobes of perf", "4.17", exists(f"{_PMUS}/kprobe/type")),
    Probe("tracepoints of perf", "2.6.30", exists(f"{_PMUS}/tracepoint/type")),
    Probe("breakpoints of perf", "2.6.33", exists(f"{_PMUS}/breakpoint/type")),
    Probe("uprobes of perf", "4.17", exists(f"{_PMUS}/uprobe/type")),
    Probe("reference counters of uprobes (USDT semaphores)", "4.20", exists(f"{_PMUS}/uprobe/format/ref_ctr_offset")),
    Probe(
        "cookies of perf links",
        "5.15",
        links(ProgType.KPROBE, AttachType.PERF_EVENT, EBADF, more=struct.pack("=Q", 1)),
    ),
    Probe(
        "cookies of links to functions",
        "5.19",
        links_there(
            ProgType.TRACING,
            AttachType.TRACE_FENTRY,
            ("bpf_fentry_test1", "vfs_read"),
            struct.pack("=I4xQ", 0, 1),
            EMFILE,
        ),
    ),
    Probe(
        "cookies of raw tracepoints",
        "6.10",
        answers(Cmd.RAW_TRACEPOINT_OPEN, struct.pack("=QI4xQ", 0, NOBODY, 1), EBADF),
    ),
    Probe("types of the kernel", "5.4", exists("/sys/kernel/btf/vmlinux")),
)


def _event(kind: PerfType, config: int) -> Callable[[Asker], Answer]:
    """Ask by opening an event of this process, which never counts."""

    def open_(asker: Asker) -> Answer:
        try:
            flags = perf.DISABLED | perf.EXCLUDE_KERNEL | perf.EXCLUDE_HV
            perf.open_event(kind, config, pid=0, flags=flags).close()
        except OSError as error:
            answer = refused(error.errno or 0, asker.rights)
            return answer if answer.can != NO else MISSING
        return AVAILABLE

    return open_


def _caches() -> Iterator[tuple[str, int]]:
    for cache in Cache:
        for op in CacheOp:
            for result in CacheResult:
                yield f"{cache.name}_{op.name}_{result.name}".lower(), cache | op << 8 | result << 16


PERF_EVENTS = (
    *(Probe(f"hardware {event.name.lower()}", "", _event(PerfType.HARDWARE, event)) for event in Hardware),
    *(Probe(f"software {event.name.lower()}", "", _event(PerfType.SOFTWARE, event)) for event in Software),
    *(Probe(f"cache {name}", "", _event(PerfType.HW_CACHE, config)) for name, config in _caches()),
)
