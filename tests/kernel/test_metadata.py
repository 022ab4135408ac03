"""What metadata costs, by the system calls made for it; what it says is compared with bpftool in tests/bpftool."""

from __future__ import annotations

from collections import Counter

import pytest

from bpfctl._sys import calls
from bpfctl.kernel import btf, handle, prog
from bpfctl.kernel.surroundings import Surroundings
from tests.kernel import client
from tests.kernel.inhabitants import types
from tests.kernel.inhabitants.types import METADATA

SOCKET_FILTER, ARRAY = 1, 2
RETURN_0 = bytes.fromhex("b7000000000000009500000000000000")
PROGRAMS = 5


@pytest.fixture
def rodata(held):
    """A map of constants with metadata in them."""
    zoo = types.build()
    btf = held(client.btf_load(zoo.raw))
    map_ = held(client.map_create(ARRAY, 4, len(METADATA), 1, name=".rodata", btf_fd=btf, btf_value_type_id=zoo.rodata))
    client.map_update(map_, bytes(4), METADATA)
    return map_


def listed(*fds):
    """Gather the rows of these programs as a listing does; also return how often each system call was made."""
    made = Counter()
    btf.load.cache_clear()  # as in a process of its own
    around = Surroundings(handle.PROG, pinned=False, owners=False)
    calls.set_trace(lambda command, *_: made.update([command]))
    try:
        rows = []
        for fd in fds:
            with prog.Program.by_id(client.id_of("prog", fd)) as program:
                rows.append(program.row(around))
    finally:
        calls.set_trace(None)
    return rows, made


def program(held, *maps):
    fd = held(client.prog_load(SOCKET_FILTER, RETURN_0, name="costs"))
    for map_ in maps:
        client.prog_bind_map(fd, map_)
    return fd


def test_programs_without_maps_pay_nothing(held):
    rows, made = listed(*(program(held) for _ in range(PROGRAMS)))

    assert [row.metadata for row in rows] == [()] * PROGRAMS
    assert made == {"BPF_PROG_GET_FD_BY_ID": PROGRAMS, "BPF_OBJ_GET_INFO_BY_FD": PROGRAMS}


def test_a_map_that_programs_share_is_read_once(held, rodata):
    """Each further program that uses the same maps costs the same calls as one without maps."""
    other = held(client.map_create(ARRAY, 4, 4, 1, name="other"))
    first = program(held, other, rodata)
    _, one = listed(first)
    more = [program(held, other, rodata) for _ in range(PROGRAMS)]

    rows, all_ = listed(first, *more)

    assert [dict(row.metadata) for row in rows] == [{"author": "zookeeper", "version": 7}] * (PROGRAMS + 1)
    assert one["BPF_MAP_LOOKUP_ELEM"] == 1
    further = all_ - one
    assert further == {"BPF_PROG_GET_FD_BY_ID": PROGRAMS, "BPF_OBJ_GET_INFO_BY_FD": PROGRAMS}


def test_a_value_that_changes_is_seen_by_the_next_listing(held, rodata):
    """Nothing is kept from one listing to the next: the map is not frozen yet."""
    fd = program(held, rodata)
    listed(fd)
    client.map_update(rodata, bytes(4), METADATA.replace(b"zookeeper", b"gardener\0"))

    (row,), _ = listed(fd)

    assert dict(row.metadata)["author"] == "gardener"
