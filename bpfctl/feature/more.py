"""Tables of what bpftool does not ask for: commands, flags of maps, batches, instructions, BTF, perf events."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from errno import EBADF, EFAULT, ENOENT
from typing import TYPE_CHECKING

from bpfctl._sys import perf, programs
from bpfctl._sys.ask import ask
from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R10
from bpfctl.feature import map_types
from bpfctl.feature.answer import AVAILABLE, ENOTSUPP, MISSING, NO, Answer, refused
from bpfctl.feature.ways import NO_ID, NOBODY, Asker, Probe, answers, exists, loads, makes
from bpfctl.uapi.commands import Cmd
from bpfctl.uapi.enums import MapType as M
from bpfctl.uapi.flags import MapFlag as F
from bpfctl.uapi.perf import Cache, CacheOp, CacheResult, Hardware, PerfType, Software
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NO_LINK = struct.pack("=IIII", NOBODY, NOBODY, 0, 0)
_NO_ELEMENT = struct.pack("=I4xQQQ", NOBODY, 0, 0, 0)
_NO_BATCH = struct.pack("=QQQQIIQQ", 0, 0, 0, 0, 0, NOBODY, 0, 0)
_NEXT_ID = struct.pack("=III", NO_ID, 0, 0)


def _command(command: Cmd, since: str, attributes: bytes, *known: int) -> Probe:
    return Probe(command.name.lower(), since, answers(command, attributes, *(known or (EBADF,))))


#: ENABLE_STATS is not among them: to know whether it is there, one would have to switch statistics on.
COMMANDS = (
    _command(Cmd.MAP_LOOKUP_ELEM, "3.19", _NO_ELEMENT),
    _command(Cmd.MAP_UPDATE_ELEM, "3.19", _NO_ELEMENT),
    _command(Cmd.MAP_DELETE_ELEM, "3.19", _NO_ELEMENT),
    _command(Cmd.MAP_GET_NEXT_KEY, "3.19", _NO_ELEMENT),
    _command(Cmd.OBJ_GET, "4.4", struct.pack("=QII", 0, 0, 0), EFAULT),
    _command(Cmd.PROG_ATTACH, "4.10", _NO_LINK),
    _command(Cmd.PROG_TEST_RUN, "4.12", struct.pack("=I", NOBODY) + bytes(60)),
    _command(Cmd.PROG_GET_NEXT_ID, "4.13", _NEXT_ID, ENOENT),
    _command(Cmd.MAP_GET_NEXT_ID, "4.13", _NEXT_ID, ENOENT),
    _command(Cmd.PROG_GET_FD_BY_ID, "4.13", _NEXT_ID, ENOENT),
    _command(Cmd.MAP_GET_FD_BY_ID, "4.13", _NEXT_ID, ENOENT),
    _command(Cmd.PROG_QUERY, "4.15", struct.pack("=IIIIQQ", NOBODY, 0, 0, 0, 0, 0)),
    _command(Cmd.RAW_TRACEPOINT_OPEN, "4.17", struct.pack("=QI4x", 0, NOBODY)),
    _command(Cmd.BTF_GET_FD_BY_ID, "4.18", _NEXT_ID, ENOENT),
    _command(Cmd.TASK_FD_QUERY, "4.18", bytes(48), ENOENT),
    _command(Cmd.MAP_LOOKUP_AND_DELETE_ELEM, "4.20", _NO_ELEMENT),
    _command(Cmd.MAP_FREEZE, "5.2", struct.pack("=I", NOBODY)),
    _command(Cmd.BTF_GET_NEXT_ID, "5.4", _NEXT_ID, ENOENT),
    _command(Cmd.MAP_LOOKUP_BATCH, "5.6", _NO_BATCH),
    _command(Cmd.MAP_LOOKUP_AND_DELETE_BATCH, "5.6", _NO_BATCH),
    _command(Cmd.MAP_UPDATE_BATCH, "5.6", _NO_BATCH),
    _command(Cmd.MAP_DELETE_BATCH, "5.6", _NO_BATCH),
    _command(Cmd.LINK_CREATE, "5.7", _NO_LINK),
    _command(Cmd.LINK_UPDATE, "5.7", _NO_LINK),
    _command(Cmd.LINK_GET_FD_BY_ID, "5.8", _NEXT_ID, ENOENT),
    _command(Cmd.LINK_GET_NEXT_ID, "5.8", _NEXT_ID, ENOENT),
    _command(Cmd.ITER_CREATE, "5.8", struct.pack("=II", NOBODY, 0)),
    _command(Cmd.LINK_DETACH, "5.9", struct.pack("=I", NOBODY)),
    _command(Cmd.PROG_BIND_MAP, "5.10", struct.pack("=III", NOBODY, NOBODY, 0)),
    _command(Cmd.TOKEN_CREATE, "6.9", struct.pack("=II", 0, NOBODY)),
    _command(Cmd.PROG_STREAM_READ_BY_FD, "6.17", struct.pack("=QIII", 0, 0, 1, NOBODY)),
    _command(Cmd.PROG_ASSOC_STRUCT_OPS, "", struct.pack("=III", NOBODY, NOBODY, 0)),
)

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


def _stack(program: Program) -> Program:
    return program.mov(R0, 0).stx(8, R10, -8, R0)


def _ending(program: Program) -> Callable[[Asker], Answer]:
    return loads(program.mov(R0, 0).exit_().assemble())


INSTRUCTIONS = (
    Probe(
        "calls of functions in the program",
        "4.16",
        loads(Program().call_sub("f").exit_().label("f").mov(R0, 0).exit_().assemble()),
    ),
    Probe("signed comparisons", "4.14", _ending(Program().mov(R0, 0).jump("jslt", R0, 1, "x").mov(R0, 1).label("x"))),
    Probe(
        "32-bit comparisons",
        "5.1",
        _ending(Program().mov(R0, 0).jump("jlt", R0, 1, "x", width=32).mov(R0, 1).label("x")),
    ),
    Probe("atomic add", "3.18", _ending(_stack(Program()).atomic("add", 8, R10, -8, R0))),
    Probe("atomic fetch and add", "5.12", _ending(_stack(Program()).mov(R1, 1).atomic("fetch_add", 8, R10, -8, R1))),
    Probe("atomic exchange", "5.12", _ending(_stack(Program()).mov(R1, 1).atomic("xchg", 8, R10, -8, R1))),
    Probe(
        "atomic compare and exchange", "5.12", _ending(_stack(Program()).mov(R1, 1).atomic("cmpxchg", 8, R10, -8, R1))
    ),
    Probe("sign-extending loads", "6.6", _ending(_stack(Program()).ldx_signed(4, R1, R10, -8))),
    Probe("unconditional byte swaps", "6.6", _ending(Program().mov(R0, 1).swap("bswap", R0, 64))),
    Probe(
        "long jumps",
        "6.6",
        _ending(Program().mov(R0, 0).jump("jeq", R0, 1, "y").jmp_long("x").label("y").mov(R2, 1).label("x")),
    ),
    Probe("may_goto", "6.9", _ending(Program().may_goto("x").mov(R2, 1).label("x"))),
    Probe("load-acquire", "6.15", _ending(_stack(Program()).load_acquire(8, R1, R10, -8))),
    Probe("store-release", "6.15", _ending(_stack(Program()).mov(R1, 1).store_release(8, R10, -8, R1))),
)


def _types(add: Callable[[Builder], object]) -> Callable[[Asker], Answer]:
    """Ask by loading BTF that has such a type."""

    def load(asker: Asker) -> Answer:
        types = Builder()
        types.add_int("int", 4)  # type 1
        add(types)
        try:
            programs.btf_load(types.build()).fd.close()
        except programs.LoadError as error:
            return refused(error.errno or 0, asker.rights)
        return AVAILABLE

    return load


def _function(types: Builder, linkage: int = 0) -> int:
    return types.add_func("f", types.add_func_proto(1, [("x", 1)]), linkage)


BTF_KINDS = (
    Probe("int", "4.18", _types(lambda _types: None)),
    Probe("ptr", "4.18", _types(lambda types: types.add_ptr(1))),
    Probe("array", "4.18", _types(lambda types: types.add_array(1, 1, 2))),
    Probe("struct", "4.18", _types(lambda types: types.add_struct("s", 4, [("a", 1, 0)]))),
    Probe("union", "4.18", _types(lambda types: types.add_union("u", 4, [("a", 1, 0)]))),
    Probe("enum", "4.18", _types(lambda types: types.add_enum("e", [("A", 1)]))),
    Probe("fwd", "4.18", _types(lambda types: types.add_fwd("w"))),
    Probe("typedef", "4.18", _types(lambda types: types.add_typedef("t", 1))),
    Probe("volatile", "4.18", _types(lambda types: types.add_volatile(1))),
    Probe("const", "4.18", _types(lambda types: types.add_const(1))),
    Probe("restrict", "4.18", _types(lambda types: types.add_restrict(types.add_ptr(1)))),
    Probe("func_proto", "5.0", _types(lambda types: types.add_func_proto(1, [("x", 1)]))),
    Probe("func", "5.0", _types(_function)),
    Probe("var", "5.2", _types(lambda types: types.add_var("v", 1))),
    Probe("datasec", "5.2", _types(lambda types: types.add_datasec(".data", 4, [(types.add_var("v", 1), 0, 4)]))),
    Probe("func with linkage", "5.6", _types(lambda types: _function(types, 1))),
    Probe("float", "5.13", _types(lambda types: types.add_float("float", 4))),
    Probe("decl_tag", "5.16", _types(lambda types: types.add_decl_tag("tag", types.add_var("v", 1)))),
    Probe("type_tag", "5.17", _types(lambda types: types.add_ptr(types.add_type_tag("tag", 1)))),
    Probe("enum64", "6.0", _types(lambda types: types.add_enum64("e", [("A", 1 << 40)]))),
)

_PMUS = "/sys/bus/event_source/devices"

ATTACHMENTS = (
    Probe("kprobes of perf", "4.17", exists(f"{_PMUS}/kprobe/type")),
    Probe("uprobes of perf", "4.17", exists(f"{_PMUS}/uprobe/type")),
    Probe("reference counters of uprobes (USDT semaphores)", "4.20", exists(f"{_PMUS}/uprobe/format/ref_ctr_offset")),
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
