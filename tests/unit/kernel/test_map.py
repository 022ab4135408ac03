"""bpfctl.kernel.map: what the kernel wrote, read from literals."""

from __future__ import annotations

import struct

import pytest

from bpfctl.kernel.map import MapInfo
from bpfctl.uapi.enums import MapType

# struct bpf_map_info of Linux 5.16, without the alignment at its end
FULL = struct.pack(
    "=6I16sIIQQIII4xQ",
    *(MapType.HASH, 7, 4, 8, 1024, 0x41),
    *(b"conns\0garbage", 3, 0, 0x11, 0x22, 12, 5, 6, 0xDEAD),
)


def test_every_field():
    """Each number of the structure arrives under its name; a name ends at its first null byte."""
    assert MapInfo.from_raw(FULL) == MapInfo(
        id=7,
        type=MapType.HASH,
        key_size=4,
        value_size=8,
        max_entries=1024,
        map_flags=0x41,
        name="conns",
        ifindex=3,
        netns_dev=0x11,
        netns_ino=0x22,
        btf_id=12,
        btf_key_type_id=5,
        btf_value_type_id=6,
        btf_vmlinux_value_type_id=0,
        map_extra=0xDEAD,
    )


@pytest.mark.parametrize(
    ("length", "unknown"),
    [
        (80, ["map_extra"]),  # Linux 5.10
        (64, ["btf_id", "btf_key_type_id", "btf_value_type_id", "map_extra"]),  # Linux 4.17
        (24, ["name", "ifindex", "netns_dev", "btf_id", "map_extra"]),  # Linux 4.13
    ],
)
def test_an_older_kernel_writes_less(length, unknown):
    """What the kernel did not write is None, and what it wrote is there."""
    info = MapInfo.from_raw(FULL[:length])

    assert [getattr(info, name) for name in unknown] == [None] * len(unknown)
    assert (info.id, info.type, info.map_flags) == (7, MapType.HASH, 0x41)


def test_types_newer_than_ours_stay_numbers():
    info = MapInfo.from_raw(struct.pack("=I", 4000) + FULL[4:])

    assert info.type == 4000
    assert not isinstance(info.type, MapType)


def test_a_name_that_is_no_text():
    """The kernel allows few characters, but another kernel may allow more: bytes survive as surrogates."""
    info = MapInfo.from_raw(FULL[:24] + b"\xff\x1b[31m".ljust(16, b"\0") + FULL[40:])

    assert info.name == "\udcff\x1b[31m"
