"""Who reads an event buffer, by what a process has mapped."""

from __future__ import annotations

import mmap
from types import SimpleNamespace

import pytest

from bpfctl.kernel.consumer import Mapping, mappings, reads
from bpfctl.uapi.enums import MapType

PAGE = mmap.PAGESIZE
SIZE = 1 << 16
RING = SimpleNamespace(type=MapType.RINGBUF, max_entries=SIZE)
PERF = SimpleNamespace(type=MapType.PERF_EVENT_ARRAY, max_entries=2)
POSITION = Mapping(PAGE, True, 0, "anon_inode:bpf-map")
DATA = Mapping(PAGE + 2 * SIZE, False, PAGE, "anon_inode:bpf-map")
EVENT = Mapping(9 * PAGE, True, 0, "anon_inode:[perf_event]")


@pytest.mark.parametrize(
    ("info", "mapped", "expected"),
    [
        pytest.param(RING, [POSITION, DATA], True, id="a consumer"),
        pytest.param(RING, [POSITION._replace(writable=False), DATA], False, id="who looks on"),
        pytest.param(RING, [POSITION], False, id="an array of a page"),
        pytest.param(RING, [POSITION, DATA._replace(size=PAGE + SIZE)], False, id="a smaller ring buffer"),
        pytest.param(RING, [EVENT], False, id="perf events"),
        pytest.param(RING, [], False, id="a loader"),
        pytest.param(PERF, [EVENT], True, id="a perf buffer"),
        pytest.param(PERF, [POSITION, DATA], False, id="another map's consumer"),
    ],
)
def test_mappings_of_a_reader(info, mapped, expected):
    assert reads(info, mapped) is expected


def test_mappings_of_a_process():
    with mmap.mmap(-1, 3 * PAGE, mmap.MAP_SHARED) as area:
        area[0] = 1
        found = [mapping for mapping in mappings("self") if mapping.size >= 3 * PAGE and mapping.writable]

        assert found


def test_a_process_that_has_ended_has_none():
    assert mappings(1 << 30) == []
