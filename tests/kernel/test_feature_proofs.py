"""What bpfctl feature probe --full-report says beyond bpftool, proven feature by feature: by doing it."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.kernel import client
from tests.kernel.asked import answers, report
from tests.kernel.zoo import Zoo

if TYPE_CHECKING:
    from collections.abc import Callable

SOCKET_FILTER, KPROBE, TRACEPOINT, XDP, SK_MSG, RAW_TRACEPOINT, SYSCALL = 1, 2, 5, 6, 16, 17, 31
HASH, ARRAY, SOCKMAP, QUEUE, ARENA, INSN_ARRAY = 1, 2, 15, 22, 33, 34
SK_MSG_VERDICT = 7
RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
RETURN_1 = bytes.fromhex("b700000001000000 9500000000000000")
INT = struct.pack("=4I", 1, 1 << 24, 4, 32)  # struct btf_type of an int, and how many bits it has
INT_BTF = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(INT), len(INT), 5) + INT + b"\0int\0"


@pytest.fixture(scope="module")
def zoo():
    with Zoo() as place:
        yield place


@pytest.fixture(scope="module")
def told():
    return answers(report())


@pytest.fixture
def held():
    """Descriptors that are closed at the end."""
    with ExitStack() as stack:

        def keep(fd):
            stack.callback(os.close, fd)
            return fd

        yield keep


def works(act, *arguments):
    """Return whether it can be done; a descriptor that it returns is closed."""
    try:
        made = act(*arguments)
    except OSError:
        return False
    if isinstance(made, int) and made > 2:
        os.close(made)
    return True


# Commands.

TASK_FD_QUERY = client.Layout("I pid, I fd, I flags, I buf_len, p buf, I prog_id, I fd_type, Q offset, Q address")
ENABLE_STATS = client.Layout("I type")
LINK_UPDATE = client.Layout("I link_fd, I new_prog_fd, I flags, I old_prog_fd")
LINK_DETACH = client.Layout("I link_fd")
TOKEN = client.Layout("I flags, I bpffs_fd")
STREAM = client.Layout("p buf, I buf_len, I stream_id, I prog_fd")
ASSOC = client.Layout("I map_fd, I prog_fd, I flags")
BATCH = client.Layout("Q in_batch, p out_batch, p keys, p values, I count, I map_fd, Q elem_flags, Q flags")
ONE_KEY, ONE_VALUE = struct.pack("=I", 1), struct.pack("=I", 7)


class Here(NamedTuple):
    """What a deed may use."""

    zoo: Zoo
    keep: Callable[[int], int]


def _array(here):
    return here.keep(client.map_create(ARRAY, 4, 4, 2))


def _hash(here):
    made = here.keep(client.map_create(HASH, 4, 4, 2))
    client.map_update(made, ONE_KEY, ONE_VALUE)
    return made


def _filter(here):
    return here.keep(client.prog_load(SOCKET_FILTER, RETURN_0))


def _attach(here):
    target, prog = here.keep(client.map_create(SOCKMAP, 4, 4, 1)), here.keep(client.prog_load(SK_MSG, RETURN_1))
    client.prog_attach(target, prog, SK_MSG_VERDICT)
    return target, prog


def _pin(here):
    path = here.zoo.place.bpffs / "proof"
    client.obj_pin(_array(here), str(path))
    path.unlink()


def _take(here):
    queue = here.keep(client.map_create(QUEUE, 0, 4, 1))
    client.map_update(queue, None, ONE_VALUE)
    value = ctypes.create_string_buffer(4)
    client.bpf("map_lookup_and_delete_elem", client.MAP_ELEM, map_fd=queue, value=value)
    assert value.raw == ONE_VALUE


def _batch(here, command):
    """Write or delete an entry that is given, or read the one that is there."""
    room = [ctypes.create_string_buffer(64) for _ in range(3)]
    given = {"keys": ONE_KEY, "values": ONE_VALUE}
    if "lookup" in command:
        given = {"out_batch": room[0], "keys": room[1], "values": room[2]}
    with suppress(FileNotFoundError):  # the end of the map
        client.bpf(command, BATCH, map_fd=_hash(here), count=1, **given)
    assert "lookup" not in command or room[2].raw.startswith(ONE_VALUE)


def _query_link(here):
    buffer = ctypes.create_string_buffer(64)
    values = {"pid": os.getpid(), "fd": here.zoo.fd("link:raw_tracepoint"), "buf": buffer, "buf_len": 64}
    client.bpf("task_fd_query", TASK_FD_QUERY, **values)
    assert buffer.value == b"sched_process_exec"


def _cgroup_link(here):
    cgroup_skb, ingress = 8, 0
    prog = here.keep(client.prog_load(cgroup_skb, RETURN_1))
    return here.keep(client.link_create(prog, here.zoo.place.cgroup_fd, ingress))


def _update(here):
    prog = here.keep(client.prog_load(8, RETURN_1))
    client.bpf("link_update", LINK_UPDATE, link_fd=_cgroup_link(here), new_prog_fd=prog)


def _token(here):
    """Only within a user namespace is one made, which is what a kernel with tokens says."""
    folder = here.keep(os.open(here.zoo.place.bpffs, os.O_RDONLY))
    try:
        client.bpf("token_create", TOKEN, bpffs_fd=folder)
    except OSError as error:
        if error.strerror not in ("Operation not supported", "No such file or directory"):
            raise


def _associate(here):
    struct_ops = here.keep(os.dup(here.zoo.fd("map:struct_ops")))
    prog = here.keep(client.prog_load(SYSCALL, RETURN_0, prog_flags=16))
    client.bpf("prog_assoc_struct_ops", ASSOC, map_fd=struct_ops, prog_fd=prog)


def _next(kind):
    return lambda _: client.bpf(f"{kind}_get_next_id", client.GET_ID) and None


def _by_id(kind):
    return lambda here: client.fd_by_id(kind, next(made.id for made in here.zoo.created.values() if made.kind == kind))


DEEDS = {
    "map_create": lambda _: client.map_create(ARRAY, 4, 4, 1),
    "map_lookup_elem": lambda here: client.map_lookup(_hash(here), ONE_KEY, 4),
    "map_update_elem": lambda here: client.map_update(_array(here), ONE_KEY, ONE_VALUE),
    "map_delete_elem": lambda here: client.bpf("map_delete_elem", client.MAP_ELEM, map_fd=_hash(here), key=ONE_KEY),
    "map_get_next_key": lambda here: client.map_next_key(_hash(here), None),
    "prog_load": lambda _: client.prog_load(SOCKET_FILTER, RETURN_0),
    "obj_pin": _pin,
    "obj_get": lambda here: client.obj_get(str(next(iter(here.zoo.pins)))),
    "prog_attach": _attach,
    "prog_detach": lambda here: client.prog_detach(*_attach(here), SK_MSG_VERDICT),
    "prog_test_run": lambda here: client.run(_filter(here), bytes(64)),
    "prog_get_next_id": _next("prog"),
    "map_get_next_id": _next("map"),
    "prog_get_fd_by_id": _by_id("prog"),
    "map_get_fd_by_id": _by_id("map"),
    "obj_get_info_by_fd": lambda here: client.info(_array(here)),
    "prog_query": lambda here: client.prog_query(here.zoo.place.cgroup_fd, 0),
    "raw_tracepoint_open": lambda here: client.raw_tracepoint_open(
        "task_rename", here.keep(client.prog_load(RAW_TRACEPOINT, RETURN_0))
    ),
    "btf_load": lambda _: client.btf_load(INT_BTF),
    "btf_get_fd_by_id": _by_id("btf"),
    "task_fd_query": _query_link,
    "map_lookup_and_delete_elem": _take,
    "map_freeze": lambda here: client.map_freeze(_array(here)),
    "btf_get_next_id": _next("btf"),
    **{
        f"map_{word}_batch": lambda here, word=word: _batch(here, f"map_{word}_batch")
        for word in ("lookup", "lookup_and_delete", "update", "delete")
    },
    "link_create": lambda here: os.dup(_cgroup_link(here)),
    "link_update": _update,
    "link_get_fd_by_id": _by_id("link"),
    "link_get_next_id": _next("link"),
    "enable_stats": lambda _: client.bpf("enable_stats", ENABLE_STATS)[0],
    "iter_create": lambda here: client.iter_create(here.zoo.fd("link:iter_task")),
    "link_detach": lambda here: client.bpf("link_detach", LINK_DETACH, link_fd=_cgroup_link(here)),
    "prog_bind_map": lambda here: client.prog_bind_map(_filter(here), _array(here)),
    "token_create": _token,
    "prog_stream_read_by_fd": lambda here: client.bpf(
        "prog_stream_read_by_fd",
        STREAM,
        buf=ctypes.create_string_buffer(64),
        buf_len=64,
        stream_id=1,
        prog_fd=_filter(here),
    ),
    "prog_assoc_struct_ops": _associate,
}


def test_every_command_has_a_proof(told):
    assert set(DEEDS) == {name for group, name in told if group == "commands"}


@pytest.mark.parametrize("name", DEEDS)
def test_commands(zoo, told, held, name):
    """Each is used for what it is for."""
    assert told["commands", name] is works(DEEDS[name], Here(zoo, held))


# Instructions, flags and what else a load may say.

SAVE = "b700000000000000 7b0af8ff00000000"  # r0 = 0; *(u64 *)(r10 - 8) = r0
END = "b700000000000000 9500000000000000"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("signed comparisons", f"b700000000000000 c500000001000000 {END}"),
        ("calls of functions in the program", f"8510000001000000 9500000000000000 {END}"),
        ("32-bit comparisons", f"b700000000000000 a600000001000000 {END}"),
        ("atomic add", f"{SAVE} db0af8ff00000000 {END}"),
        ("atomic fetch and add", f"{SAVE} b701000001000000 db1af8ff01000000 {END}"),
        ("atomic exchange", f"{SAVE} b701000001000000 db1af8ffe1000000 {END}"),
        ("atomic compare and exchange", f"{SAVE} b701000001000000 db1af8fff1000000 {END}"),
        ("sign-extending loads", f"{SAVE} 81a1f8ff00000000 {END}"),
        ("sign-extending moves", f"b701000001000000 bf11080000000000 {END}"),
        ("signed division", f"b701000004000000 3701010002000000 {END}"),
        ("unconditional byte swaps", f"b700000001000000 d700000040000000 {END}"),
        ("long jumps", f"b700000000000000 1500010001000000 0600000001000000 b702000001000000 {END}"),
        ("may_goto", f"e500010000000000 b702000001000000 {END}"),
        ("load-acquire", f"{SAVE} dba1f8ff00010000 {END}"),
        ("store-release", f"{SAVE} b701000001000000 db1af8ff10010000 {END}"),
    ],
)
def test_instructions(told, name, code):
    raw = bytes.fromhex(code)
    if sys.byteorder == "big":
        pytest.skip("the instructions are written down for little endian machines")

    assert told["instructions", name] is works(client.prog_load, SOCKET_FILTER, raw)


def _imm64(register, source, low, high=0):
    return struct.pack("=BBhi BBhi", 0x18, source << 4 | register, 0, low, 0, 0, 0, high)


def test_casts_between_address_spaces(told, held):
    """An arena, which is known by the address that it would be mapped at."""

    def load():
        arena = held(client.map_create(ARENA, 0, 0, 1, map_flags=1 << 10, map_extra=1 << 44))
        cast = bytes.fromhex("b702000000000000 bf22010001000000")
        return client.prog_load(SOCKET_FILTER, _imm64(1, 1, arena) + cast + RETURN_0)

    assert told["instructions", "casts between address spaces"] is works(load)


def test_indirect_jumps(told, held):
    """A program that runs, and comes to where the map says that it jumps to."""

    def run():
        table = held(client.map_create(INSN_ARRAY, 4, 16, 2))
        # After the jump: r0 = 1; exit; r0 = 2; exit.
        for at, target in enumerate((4, 6)):
            client.map_update(table, struct.pack("=I", at), struct.pack("=4I", target, 0, 0, 0))
        client.map_freeze(table)
        code = _imm64(1, 2, table, 8) + bytes.fromhex("7911000000000000 0d01000000000000") + RETURN_1
        prog = held(client.prog_load(SOCKET_FILTER, code + bytes.fromhex("b700000002000000 9500000000000000")))
        assert client.run(prog, bytes(64)) == 2

    assert told["instructions", "indirect jumps (gotox)"] is works(run)


@pytest.mark.parametrize(
    ("name", "kind", "flag"),
    [
        ("strict_alignment", SOCKET_FILTER, 1 << 0),
        ("any_alignment", SOCKET_FILTER, 1 << 1),
        ("test_rnd_hi32", SOCKET_FILTER, 1 << 2),
        ("test_state_freq", SOCKET_FILTER, 1 << 3),
        ("xdp_has_frags", XDP, 1 << 5),
        ("test_reg_invariants", SOCKET_FILTER, 1 << 7),
    ],
)
def test_flags_of_programs(told, name, kind, flag):
    assert told["program_flags", name] is works(lambda: client.prog_load(kind, RETURN_0, prog_flags=flag))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("syscall", SYSCALL), ("uprobe.s", KPROBE), ("tp.s", TRACEPOINT), ("raw_tp.s", RAW_TRACEPOINT)],
)
def test_programs_that_may_sleep(told, name, kind):
    assert told["sleepable", name] is works(lambda: client.prog_load(kind, RETURN_0, prog_flags=16))


def test_global_data(told, held):
    """A program that returns what is in its map."""

    def run():
        made = held(client.map_create(ARRAY, 4, 8, 1))
        client.map_update(made, bytes(4), struct.pack("=Q", 7))
        code = _imm64(1, 2, made) + bytes.fromhex("7910000000000000 9500000000000000")
        assert client.run(held(client.prog_load(SOCKET_FILTER, code)), bytes(64)) == 7

    assert told["loading", "global data"] is works(run)


def test_maps_by_their_place_in_an_array(told, held):
    def load():
        made = held(client.map_create(ARRAY, 4, 8, 1))
        return client.prog_load(SOCKET_FILTER, _imm64(1, 5, 0) + RETURN_0, fd_array=struct.pack("=i", made))

    assert told["loading", "maps by their place in an array"] is works(load)


def test_relocations_by_the_kernel(told, held):
    """The program returns the id that the kernel has for a struct, where the program has another one."""
    strings = b"\0int\0f\0task_struct\0pid\x000\0"
    at = {word: strings.index(b"\0" + word + b"\0") + 1 for word in (b"int", b"f", b"task_struct", b"pid", b"0")}
    words = [
        (at[b"int"], 1 << 24, 4, 32),
        (0, 13 << 24, 1),
        (at[b"f"], 12 << 24, 2),
        (at[b"task_struct"], 4 << 24 | 1, 4, at[b"pid"], 1, 0),
    ]
    types = b"".join(struct.pack(f"={len(row)}I", *row) for row in words)
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    target_id = 7  # BPF_CORE_TYPE_ID_TARGET

    def run():
        prog = client.prog_load(
            SOCKET_FILTER,
            bytes.fromhex("b700000004000000 9500000000000000"),
            prog_btf_fd=held(client.btf_load(header + types + strings)),
            func_info_rec_size=8,
            func_info=struct.pack("=II", 0, 3),
            func_info_cnt=1,
            core_relo_cnt=1,
            core_relo_rec_size=16,
            core_relos=struct.pack("=IIII", 0, 4, at[b"0"], target_id),
        )
        assert client.run(held(prog), bytes(64)) > 4

    assert told["loading", "relocations by the kernel (CO-RE)"] is works(run)


def test_one_million_instructions(told):
    """As many as the verifier looks at are enough; it need not see them all, as a jump leads over the most."""
    count = 1_000_000
    far = struct.pack("=BBhi", 5, 0, 0x7FFF, 0)  # goto, as far as one can

    def load():
        code = bytearray(RETURN_0[:8] * (count - 1) + RETURN_0[8:])
        at = 0
        while at + 0x8000 < count:
            code[8 * at : 8 * at + 8] = far
            at += 0x8000
        return client.prog_load(SOCKET_FILTER, bytes(code))

    answer = told["limits", "one million instructions"]
    if not answer:
        assert not works(load)
        return
    # What no jump leads to is refused, so that only what is said of the length tells.
    with pytest.raises(OSError) as error:
        os.close(load())
    assert error.value.strerror != "Argument list too long"
    assert "unreachable insn" in error.value.log
