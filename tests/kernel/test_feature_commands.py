"""Commands of bpf(2) that the full report tells of, each proven by being used for what it is for."""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.kernel import client
from tests.kernel.asked import works

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.zoo import Zoo

SOCKET_FILTER, SK_MSG, RAW_TRACEPOINT, SYSCALL = 1, 16, 17, 31
HASH, ARRAY, SOCKMAP, QUEUE = 1, 2, 15, 22
SK_MSG_VERDICT = 7
RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
RETURN_1 = bytes.fromhex("b700000001000000 9500000000000000")
INT = struct.pack("=4I", 1, 1 << 24, 4, 32)  # struct btf_type of an int, and how many bits it has
INT_BTF = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(INT), len(INT), 5) + INT + b"\0int\0"

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


def _run(here):
    assert client.run(_filter(here), bytes(64)) == 0


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
    "prog_test_run": _run,
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
