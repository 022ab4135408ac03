"""The trace of -d: one line for a call, whatever is in it."""

from __future__ import annotations

import errno

import pytest

from bpfctl.cli import trace


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (("BPF_PROG_GET_NEXT_ID", {"id": 5}, 0, {"next_id": 6}), "bpf(BPF_PROG_GET_NEXT_ID, {id=5}) = 0 {next_id=6}"),
        (("BPF_PROG_GET_NEXT_ID", {}, 0, {}), "bpf(BPF_PROG_GET_NEXT_ID, {}) = 0"),
        (
            ("BPF_PROG_GET_NEXT_ID", {"id": 6}, -errno.ENOENT, {}),
            "bpf(BPF_PROG_GET_NEXT_ID, {id=6}) = -1 ENOENT (No such file or directory)",
        ),
        (("BPF_MAP_CREATE", {"map_type": 1}, -524, {}), "bpf(BPF_MAP_CREATE, {map_type=BPF_MAP_TYPE_HASH}) = -1 524"),
        (("BPF_PROG_LOAD", {"prog_type": 9999}, 3, {}), "bpf(BPF_PROG_LOAD, {prog_type=9999}) = 3"),
        (
            ("BPF_LINK_CREATE", {"attach_type": 37, "flags": 2, "target_fd": -1}, 4, {}),
            "bpf(BPF_LINK_CREATE, {attach_type=BPF_XDP, flags=0x2, target_fd=-1}) = 4",
        ),
        (
            ("BPF_OBJ_GET", {"pathname": 'a"\x1b[31m\n\udcff'}, 3, {}),
            r'bpf(BPF_OBJ_GET, {pathname="a\"\x1b[31m\x0a\xff"}) = 3',
        ),
        (("BPF_OBJ_GET_INFO_BY_FD", {"info": 1 << 40}, 0, {}), "bpf(BPF_OBJ_GET_INFO_BY_FD, {info=0x10000000000}) = 0"),
        (("perf_event_open", {"type": 1, "cpu": 0}, 5, {}), "perf_event_open({type=1, cpu=0}) = 5"),
        (("ioctl", {"fd": 3, "request": 0x2400}, -errno.ENOTTY, {}), "ioctl({fd=3, request=0x2400}) = -1 ENOTTY"),
    ],
)
def test_a_call_is_a_line(call, line):
    assert trace.line(*call).startswith(line)
    assert trace.line(*call).isprintable()
