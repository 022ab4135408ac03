"""What is sent to the kernel, and what is told of it, whatever names there are."""

from __future__ import annotations

import pytest

from bpfctl._sys import attach, calls
from bpfctl._sys._ffi import ffi


@pytest.mark.parametrize("name", [b"0", b"00", b"name", b"\xff", b"sixteen letters."])
def test_names_are_told(name):
    """Also one that is made of nothing but zeros, as members that are not zero are."""
    attr = ffi.new("struct bpf_map_create_attr *", {"map_name": name, "key_size": 4})

    assert calls.describe(attr) == {"key_size": 4, "map_name": name.decode(errors="surrogateescape")}


def test_members_that_are_zero_are_not_told():
    assert calls.describe(ffi.new("struct bpf_link_create_attr *")) == {}
    attr = ffi.new("struct bpf_link_create_attr *", {"extra": b"\0\x10"})
    assert calls.describe(attr) == {"extra": "0010".ljust(96, "0")}


def test_a_tracepoint_whose_name_is_no_text():
    """Objects may name any; the kernel says that there is none."""
    seen = []
    calls.set_trace(lambda _, given, *__: seen.append(given["name"]))
    try:
        with pytest.raises(OSError):
            attach.raw_tracepoint_open("odd\udcff", 0)
    finally:
        calls.set_trace(None)

    assert seen == ["odd\udcff"]
