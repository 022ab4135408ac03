"""Tables of what bpftool does not ask for: flags of maps, batches, attachments, kinds of BTF, perf events."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from errno import EBADF, EFAULT, EMFILE, ENOENT
from typing import TYPE_CHECKING

from bpfctl._sys import perf
from bpfctl._sys.ask import ask
from bpfctl.feature import attach_types, map_types
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


def _no_fd(kind: M, flag: F) -> bytes:
    """Return the attributes of a map that comes with a descriptor which cannot exist."""
    value_type = int(kind == M.STRUCT_OPS)  # of the kernel's own; any will do
    return struct.pack("=5I40xI8xII", kind, 4, 4, 1, flag, value_type, NOBODY, NOBODY)


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
    # Of pins and not of maps, although it stands among their flags.
    Probe("path_fd", "6.5", answers(Cmd.OBJ_GET, struct.pack("=QIIi4x", 0, 0, F.PATH_FD, 0), EFAULT)),
    Probe("vtype_btf_obj_fd", "6.9", answers(Cmd.MAP_CREATE, _no_fd(M.STRUCT_OPS, F.VTYPE_BTF_OBJ_FD), EBADF)),
    Probe("token_fd", "6.9", answers(Cmd.MAP_CREATE, _no_fd(M.ARRAY, F.TOKEN_FD), EBADF)),
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


_ALL, _KEPT = tuple(_BATCHES), ("lookup", "update")  # entries of arrays stay
#: What came when; other maps have no batches.
_BATCHES_SINCE = {
    (kind, word): since
    for kinds, words, since in (
        ((M.HASH, M.LRU_HASH, M.PERCPU_HASH, M.LRU_PERCPU_HASH), _ALL, "5.6"),
        ((M.ARRAY,), _KEPT, "5.6"),
        ((M.PERCPU_ARRAY,), _KEPT, "5.13"),
        ((M.LPM_TRIE,), (*_KEPT, "delete"), "5.13"),
        ((M.HASH_OF_MAPS,), _ALL, "5.19"),
        ((M.ARRAY_OF_MAPS,), _KEPT, "5.19"),
    )
    for kind in kinds
    for word in words
}

BATCHES = tuple(
    Probe(f"{probe.type.name.lower()} {word}", _BATCHES_SINCE.get((probe.type, word), ""), _batch(probe, command))
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

# Links to many places have had cookies from their beginning.
ATTACHMENTS = (
    Probe("tracepoints of perf", "2.6.30", exists(f"{_PMUS}/tracepoint/type")),
    Probe("breakpoints of perf", "2.6.33", exists(f"{_PMUS}/breakpoint/type")),
    Probe("kprobes of perf", "4.17", exists(f"{_PMUS}/kprobe/type")),
    Probe("uprobes of perf", "4.17", exists(f"{_PMUS}/uprobe/type")),
    Probe("reference counters of uprobes (USDT semaphores)", "4.20", exists(f"{_PMUS}/uprobe/format/ref_ctr_offset")),
    Probe(
        "cookies of perf links",
        "5.15",
        links(ProgType.KPROBE, AttachType.PERF_EVENT, EBADF, more=struct.pack("=Q", 1)),
    ),
    Probe("cookies of kprobe_multi links", "5.18", attach_types.kprobes(AttachType.TRACE_KPROBE_MULTI)),
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
    Probe("cookies of uprobe_multi links", "6.6", attach_types.uprobes(AttachType.TRACE_UPROBE_MULTI)),
    Probe(
        "cookies of raw tracepoints",
        "6.10",
        answers(Cmd.RAW_TRACEPOINT_OPEN, struct.pack("=QI4xQ", 0, NOBODY, 1), EBADF),
    ),
    Probe("cookies of tracing_multi links", "7.2", attach_types.MULTI[0]),
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


def _caches() -> Iterator[tuple[str, str, int]]:
    for cache in Cache:
        since = "3.1" if cache == Cache.NODE else _FIRST
        for op in CacheOp:
            for result in CacheResult:
                yield f"{cache.name}_{op.name}_{result.name}".lower(), since, cache | op << 8 | result << 16


_FIRST = "2.6.31"  # which had the first of them
_HARDWARE_SINCE: dict[int, str] = {
    Hardware.STALLED_CYCLES_FRONTEND: "3.0",
    Hardware.STALLED_CYCLES_BACKEND: "3.0",
    Hardware.REF_CPU_CYCLES: "3.3",
}
_SOFTWARE_SINCE: dict[int, str] = {
    Software.ALIGNMENT_FAULTS: "2.6.33",
    Software.EMULATION_FAULTS: "2.6.33",
    Software.DUMMY: "3.12",
    Software.BPF_OUTPUT: "4.4",
    Software.CGROUP_SWITCHES: "5.13",
}


def _numbered(kind: PerfType, events: type[Hardware | Software], since: dict[int, str]) -> Iterator[Probe]:
    for event in events:
        yield Probe(f"{kind.name} {event.name}".lower(), since.get(event, _FIRST), _event(kind, event))


PERF_EVENTS = (
    *_numbered(PerfType.HARDWARE, Hardware, _HARDWARE_SINCE),
    *_numbered(PerfType.SOFTWARE, Software, _SOFTWARE_SINCE),
    *(Probe(f"cache {name}", since, _event(PerfType.HW_CACHE, config)) for name, since, config in _caches()),
)
