"""What bpfctl explain says of errors: those that can be provoked are, and answered for the cause that is told."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
from contextlib import ExitStack

import pytest

from bpfctl.explain import answer
from tests.kernel import client

FROZEN = "what is frozen already"
HASH, ARRAY, CGROUP_ARRAY, XSKMAP, QUEUE = 1, 2, 8, 17, 22
SOCKET_FILTER, XDP, CGROUP_SKB, CGROUP_DEVICE, RAW_TRACEPOINT = 1, 6, 8, 15, 17
INGRESS, ATTACH_XDP, LO, SKB_MODE = 0, 37, 1, 2
NOEXIST, EXIST, RDONLY, MMAPABLE = 1, 2, 8, 1024
ONE, TWO, VALUE = b"\1\0\0\0", b"\2\0\0\0", b"\0\0\0\0"
RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
LOADS_FROM_NOTHING = bytes.fromhex("b700000000000000 7900000000000000 9500000000000000")
NO_REGISTER = bytes.fromhex("b70f000000000000 9500000000000000")
NOBODY = (1 << 31) - 1
BATCH = client.Layout("Q in_batch, Q out_batch, Q keys, Q values, I count, I map_fd, Q elem_flags, Q flags")
LINK_DETACH = client.Layout("I link_fd")
MAP_CREATE_AND_MORE = client.Layout("I map_type, I key_size, I value_size, I max_entries, 240s later")


class Here:
    """What a deed may use, closed when it is done."""

    def __init__(self, held, place):
        self.held, self.place = held, place

    def keep(self, fd):
        self.held.callback(os.close, fd)
        return fd

    def link(self, program):
        """Attach a program to a cgroup in which nobody is."""
        return self.keep(client.link_create(program, self.place.cgroup_fd, INGRESS))

    def map(self, kind=HASH, entries=1, **extra):
        return self.keep(client.map_create(kind, 0 if kind == QUEUE else 4, 4, entries, **extra))

    def program(self, kind=SOCKET_FILTER):
        return self.keep(client.prog_load(kind, RETURN_0))


def _full(here):
    made = here.map()
    client.map_update(made, ONE, VALUE)
    client.map_update(made, TWO, VALUE)


def _frozen(here):
    made = here.map()
    client.map_freeze(made)
    client.map_update(made, ONE, VALUE)


def _mapped(here):
    made = here.map(ARRAY, map_flags=MMAPABLE)
    with mmap.mmap(made, mmap.PAGESIZE):
        client.map_freeze(made)


def _twice(here):
    made = here.map()
    client.map_update(made, ONE, VALUE)
    client.map_update(made, ONE, VALUE, NOEXIST)


def _small_log(_):
    log = ctypes.create_string_buffer(128)  # the least that every kernel accepts
    values = {"prog_type": SOCKET_FILTER, "insn_cnt": 2, "insns": RETURN_0, "license": b"GPL\0"}
    client.bpf("prog_load", client.PROG_LOAD, **values, log_buf=log, log_size=128, log_level=2)


def _load(code):
    return lambda _: client.prog_load(SOCKET_FILTER, code)


def _batch(here):
    client.bpf("map_lookup_and_delete_batch", BATCH, map_fd=here.map(ARRAY), count=1)


def _detach(here):
    link = here.keep(client.raw_tracepoint_open("sched_switch", here.program(RAW_TRACEPOINT)))
    client.bpf("link_detach", LINK_DETACH, link_fd=link)


def _frozen_twice(here):
    made = here.map()
    client.map_freeze(made)
    client.map_freeze(made)


def _pinned_twice(here):
    path = here.place.bpffs / "twice"
    client.obj_pin(here.map(), path)
    here.held.callback(path.unlink)
    client.obj_pin(here.map(), path)


def _below_one_that_allows_none(here):
    path, program = here.place.cgroup / "below", here.program(CGROUP_SKB)
    path.mkdir()
    here.held.callback(path.rmdir)
    client.prog_attach(here.place.cgroup_fd, program, INGRESS)
    here.held.callback(client.prog_detach, here.place.cgroup_fd, program, INGRESS)
    client.link_create(program, here.keep(os.open(path, os.O_RDONLY)), INGRESS)


def _sixty_five(here):
    program = here.program(CGROUP_SKB)
    for _ in range(65):
        here.link(program)


def _query_of_one(here):
    for _ in range(2):
        here.link(here.program(CGROUP_SKB))
    ids = ctypes.create_string_buffer(8)
    client.bpf(
        "prog_query", client.PROG_QUERY, target_fd=here.place.cgroup_fd, attach_type=INGRESS, prog_ids=ids, prog_cnt=1
    )


def _second_at_a_device(here):
    for _ in range(2):
        here.keep(client.link_create(here.program(XDP), LO, ATTACH_XDP, flags=SKB_MODE))


def _no_descriptor_left(here):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    here.held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    here.map()


def _from_later(_):
    client.bpf(
        "map_create", MAP_CREATE_AND_MORE, map_type=ARRAY, key_size=4, value_size=4, max_entries=1, later=b"\xff" * 240
    )


DEEDS = {
    "a full map": (errno.E2BIG, "MAP_UPDATE_ELEM", _full),
    "an index that an array has not": (
        errno.E2BIG,
        "MAP_UPDATE_ELEM",
        lambda here: client.map_update(here.map(ARRAY), TWO, VALUE),
    ),
    "values that are too large": (errno.E2BIG, "MAP_CREATE", lambda _: client.map_create(HASH, 4, (1 << 32) - 8, 1)),
    "a program too many": (errno.E2BIG, "attaching", _sixty_five),
    "a field that no kernel knows yet": (errno.E2BIG, "any command", _from_later),
    "no instructions": (errno.E2BIG, "PROG_LOAD", _load(b"")),
    "a frozen map": (errno.EPERM, "MAP_UPDATE_ELEM", _frozen),
    "a descriptor for reading": (
        errno.EPERM,
        "MAP_UPDATE_ELEM",
        lambda here: client.map_update(here.map(map_flags=RDONLY), ONE, VALUE),
    ),
    FROZEN: (errno.EPERM, "MAP_FREEZE", _frozen_twice),
    "a cgroup below one that allows none": (errno.EPERM, "attaching", _below_one_that_allows_none),
    "what the verifier refuses": (errno.EACCES, "PROG_LOAD", _load(LOADS_FROM_NOTHING)),
    "what is no program": (errno.EINVAL, "PROG_LOAD", _load(NO_REGISTER)),
    "an unknown type": (errno.EINVAL, "any command", lambda here: here.map(9999)),
    "sizes that do not suit": (errno.EINVAL, "MAP_CREATE", lambda _: client.map_create(ARRAY, 8, 4, 1)),
    "a descriptor of another kind": (
        errno.EINVAL,
        "a descriptor",
        lambda here: client.map_update(here.program(), ONE, VALUE),
    ),
    "a log that is too small": (errno.ENOSPC, "PROG_LOAD, BTF_LOAD", _small_log),
    "room for too few ids": (errno.ENOSPC, "PROG_QUERY, PROG_TEST_RUN", _query_of_one),
    "what is not attached there": (
        errno.ENOENT,
        "PROG_DETACH, LINK_CREATE",
        lambda here: client.prog_detach(here.place.cgroup_fd, here.program(CGROUP_SKB), INGRESS),
    ),
    "a key that is not there": (errno.ENOENT, "MAP_LOOKUP_ELEM", lambda here: client.map_lookup(here.map(), ONE, 4)),
    "an empty queue": (errno.ENOENT, "MAP_LOOKUP_ELEM", lambda here: client.map_lookup(here.map(QUEUE), None, 4)),
    "the end of a map": (
        errno.ENOENT,
        "MAP_GET_NEXT_KEY, *_GET_NEXT_ID, MAP_*_BATCH",
        lambda here: client.map_next_key(here.map(), None),
    ),
    "an id of nothing": (errno.ENOENT, "*_GET_FD_BY_ID", lambda _: client.fd_by_id("map", NOBODY)),
    "no such tracepoint": (
        errno.ENOENT,
        "RAW_TRACEPOINT_OPEN",
        lambda here: client.raw_tracepoint_open("no_such_tracepoint", here.program(RAW_TRACEPOINT)),
    ),
    "a key that should be there": (
        errno.ENOENT,
        "MAP_UPDATE_ELEM",
        lambda here: client.map_update(here.map(), ONE, VALUE, EXIST),
    ),
    "a key that should not be there": (errno.EEXIST, "MAP_UPDATE_ELEM", _twice),
    "a key of an array": (
        errno.EEXIST,
        "MAP_UPDATE_ELEM",
        lambda here: client.map_update(here.map(ARRAY), VALUE, VALUE, NOEXIST),
    ),
    "a file that is there": (errno.EEXIST, "OBJ_PIN", _pinned_twice),
    "a device that has a program": (errno.EBUSY, "attaching", _second_at_a_device),
    "a map that somebody may write to": (errno.EBUSY, "MAP_FREEZE", _mapped),
    "a batch that arrays have not": (answer.ENOTSUPP, "MAP_*_BATCH", _batch),
    "a program that cannot be run so": (
        answer.ENOTSUPP,
        "PROG_TEST_RUN",
        lambda here: client.run(here.program(CGROUP_DEVICE), bytes(64)),
    ),
    "values that are no numbers": (
        answer.ENOTSUPP,
        "MAP_LOOKUP_ELEM",
        lambda here: client.map_lookup(here.map(CGROUP_ARRAY), VALUE, 4),
    ),
    "values that are for programs alone": (
        errno.EOPNOTSUPP,
        "MAP_LOOKUP_ELEM",
        lambda here: client.map_lookup(here.map(XSKMAP), VALUE, 4),
    ),
    "a link that cannot be detached": (errno.EOPNOTSUPP, "LINK_DETACH", _detach),
    "no address": (errno.EFAULT, "any command", lambda _: client.bpf("obj_get", client.OBJ)),
    "no descriptor left": (errno.EMFILE, "any command", _no_descriptor_left),
    "no descriptor": (errno.EBADF, "any command", lambda _: client.map_freeze(NOBODY)),
    "no descriptor to tell of": (errno.EBADFD, "OBJ_GET_INFO_BY_FD", lambda _: client.info(NOBODY)),
}


@pytest.mark.parametrize("name", DEEDS)
def test_an_error_is_answered_for_what_is_told(name, place):
    number, call, deed = DEEDS[name]
    with ExitStack() as held, pytest.raises(OSError, match=r"\S") as caught:
        deed(Here(held, place))

    answered = caught.value.errno
    assert answered == number or (name == FROZEN and answered == errno.EBUSY)  # before Linux 6.5
    assert call in [cause.call for cause in answer.ANSWERS[answered]]
