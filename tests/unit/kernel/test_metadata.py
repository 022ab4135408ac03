"""bpfctl.kernel.metadata: what becomes of maps and types that are not as they should be."""

from __future__ import annotations

import struct

import pytest

from bpfctl.errors import KernelError
from bpfctl.kernel import btf, metadata
from bpfctl.kernel.map import Map, MapInfo
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.layouts import MAP_INFO
from btf.errors import BTFError
from btf.read import BTF
from btf.write import GLOBAL, Builder

NAMES = {"bpf_metadata_a": 0, "b": 0, "bpf_metadata_c": 4}
DATA = struct.pack("=II", 7, 8)
SECTION = 5  # the id of the section among the types below
RODATA = MapInfo.from_raw(bytes(MAP_INFO.size))._replace(
    type=MapType.ARRAY, key_size=4, value_size=8, max_entries=1, name="x.rodata", btf_id=1, btf_value_type_id=SECTION
)


class FakeMap:
    """Stands for an open map; what it holds is DATA."""

    def __init__(self, info):
        self.info = lambda: info

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def fileno(self):
        return 1000


@pytest.fixture
def kernel(monkeypatch):
    """A kernel of maps by id, each an info or the error that opening it raises; and of one set of types."""
    maps, opened = {}, []

    def by_id(id_):
        opened.append(id_)
        found = maps[id_]
        if isinstance(found, Exception):
            raise found
        return FakeMap(found)

    monkeypatch.setattr(Map, "by_id", by_id)
    monkeypatch.setattr(metadata.maps, "lookup", lambda _fd, _key, size: DATA.ljust(size, b"\0"))
    b = Builder()
    u32 = b.add_int("unsigned int", 4)
    places = [(b.add_var(name, u32, GLOBAL), at, 4) for name, at in NAMES.items()]
    assert b.add_datasec(".rodata", 8, places) == SECTION
    types = BTF.from_bytes(b.build())
    monkeypatch.setattr(btf, "load", lambda _id: types)
    return maps, opened


def rodata(**changes):
    return RODATA._replace(**changes)


def test_the_first_map_that_can_hold_constants_counts(kernel):
    maps, opened = kernel
    maps |= {1: rodata(name="plain"), 2: rodata(), 3: rodata()}

    assert metadata.Metadata().variables((1, 2, 3)) == (("a", 7), ("c", 8))
    assert opened == [1, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": MapType.HASH},
        {"key_size": 8},
        {"max_entries": 2},
        {"btf_value_type_id": 0},
        {"btf_value_type_id": None},
        {"name": "x.data"},
        {"name": None},
    ],
)
def test_maps_of_other_sorts_are_passed_over(kernel, changes):
    maps, _ = kernel
    maps |= {1: rodata(**changes), 2: rodata()}

    assert dict(metadata.Metadata().variables((1, 2))) == {"a": 7, "c": 8}
    assert metadata.Metadata().variables((1,)) == ()


def test_each_map_is_opened_once(kernel):
    maps, opened = kernel
    maps |= {1: rodata(name="plain"), 2: rodata()}
    found = metadata.Metadata()

    assert found.variables((1, 2)) == found.variables((1, 2)) == found.variables((2,))
    assert opened == [1, 2]


def test_a_map_that_is_gone_ends_the_search(kernel):
    """As it does for bpftool: whatever comes after it, the program is going as well."""
    maps, _ = kernel
    maps |= {1: KernelError("get map by id (1)", 2), 2: rodata()}

    assert metadata.Metadata().variables((1, 2)) == ()


def test_damaged_types_tell_nothing(kernel, monkeypatch):
    maps, _ = kernel
    maps[1] = rodata()

    def load(_id):
        raise BTFError("damaged")

    monkeypatch.setattr(btf, "load", load)

    assert metadata.Metadata().variables((1,)) == ()


@pytest.mark.parametrize("type_id", [1, 2, 4000])
def test_a_value_type_that_is_no_section(kernel, type_id):
    maps, _ = kernel
    maps[1] = rodata(btf_value_type_id=type_id)

    assert metadata.Metadata().variables((1,)) == ()


def test_a_variable_that_cannot_be_read_is_left_out(kernel, monkeypatch):
    """One lies beyond the value, one is of a type without values; the third is told."""
    maps, _ = kernel
    maps[1] = rodata()
    b = Builder()
    u32 = b.add_int("unsigned int", 4)
    far = b.add_var("bpf_metadata_far", u32, GLOBAL)
    void = b.add_var("bpf_metadata_void", 0, GLOBAL)
    good = b.add_var("bpf_metadata_good", u32, GLOBAL)
    section = b.add_datasec(".rodata", 8, [(far, 1 << 31, 4), (void, 0, 4), (u32, 0, 4), (good, 4, 4)])
    found = BTF.from_bytes(b.build())
    monkeypatch.setattr(btf, "load", lambda _id: found)
    maps[1] = rodata(btf_value_type_id=section)

    assert metadata.Metadata().variables((1,)) == (("good", 8),)
