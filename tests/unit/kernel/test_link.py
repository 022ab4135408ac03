"""What the kernel is asked about a link, and what is made of its answers."""

from __future__ import annotations

import os
import struct
from errno import EINVAL

import pytest

from bpfctl._sys import calls
from bpfctl.kernel import attachment
from bpfctl.kernel.link import Link, LinkInfo
from bpfctl.uapi.enums import AttachType, IterOrder, LinkType, PerfEventType

TEXT = ("tp_name", "target_name", "path", "func_name", "file_name")


def raw(type_, body=b"", length=64):
    return (struct.pack("=III4x", type_, 7, 3) + body.ljust(48, b"\0"))[:length]


class Kernel:
    """Answers as Linux does: it writes what fits, and refuses an address without room and room without an address."""

    def __init__(self, first, **buffers):
        self.first = first
        self.buffers = buffers
        self.asked = []

    def __call__(self, fd, size, arrays=(), words=()):
        assert (fd, size, words) == (5, 64, ())
        self.asked.append([(array.room, array.width) for array in arrays])
        if any(array.room <= 0 for array in arrays):
            raise OSError(EINVAL, os.strerror(EINVAL))
        shape = attachment.shape(self.first)
        by_offset = {shape.layout.offsets[field.pointer]: field.pointer for field in shape.indirect} if shape else {}
        return self.first, [self.buffers[by_offset[array.pointer]] for array in arrays]


class OpenLink(Link):
    """A link behind descriptor 5, which is nobody's."""

    def __init__(self):
        pass

    def fileno(self):
        return 5


def ask(monkeypatch, kernel):
    monkeypatch.setattr(calls, "obj_info", kernel)
    return OpenLink().info()


def test_a_link_without_strings_is_asked_once(monkeypatch):
    """The first answer says it all."""
    kernel = Kernel(raw(LinkType.CGROUP, struct.pack("=QI", 652, 6)))

    told = ask(monkeypatch, kernel)

    assert told == LinkInfo(7, LinkType.CGROUP, 3, attachment.Cgroup(652, AttachType.CGROUP_DEVICE))
    assert kernel.asked == [[]]


def test_a_name_is_asked_for_with_room_for_any_path(monkeypatch):
    """How long it is some kernels do not say beforehand (bpf_perf_link_fill_common before Linux 6.13)."""
    kernel = Kernel(
        raw(LinkType.PERF_EVENT, struct.pack("=I4xQIIQQQ", PerfEventType.KRETPROBE, 0, 0, 0, 0xFF00, 1, 9)),
        func_name=b"vfs_read\0rubbish",
    )

    told = ask(monkeypatch, kernel)

    assert told.attachment == attachment.PerfKprobe(PerfEventType.KRETPROBE, "vfs_read", 0, 0xFF00, 1, 9)
    assert kernel.asked == [[], [(4096, 1)]]


def test_arrays_get_the_room_that_the_first_answer_counts(monkeypatch):
    """And the path beside them room for any."""
    kernel = Kernel(
        raw(LinkType.UPROBE_MULTI, struct.pack("=QQQQIIII", 0, 0, 0, 0, 0, 2, 1, 99)),
        path=b"/bin/b\xffsh\0",
        offsets=struct.pack("=QQ", 16, 32),
        ref_ctr_offsets=bytes(16),
        cookies=struct.pack("=QQ", 5, 6),
    )

    told = ask(monkeypatch, kernel)

    assert told.attachment == attachment.UprobeMulti("/bin/b\udcffsh", (16, 32), (0, 0), (5, 6), 2, 1, 99)
    assert kernel.asked == [[], [(4096, 1), (2, 8), (2, 8), (2, 8)]]


@pytest.mark.parametrize(
    "first",
    [
        raw(LinkType.KPROBE_MULTI, length=40),  # Linux 6.1 does not tell
        raw(LinkType.UPROBE_MULTI, length=48),  # nor does 6.6
        raw(LinkType.TRACING_MULTI),  # nor does 7.2
        raw(LinkType.PERF_EVENT, length=40),
        raw(4000),
    ],
    ids=["kprobe_multi", "uprobe_multi", "tracing_multi", "perf_event", "a new type"],
)
def test_a_kernel_that_does_not_tell_is_not_asked_again(monkeypatch, first):
    """Nothing is counted, so there is nothing to make room for."""
    kernel = Kernel(first)

    told = ask(monkeypatch, kernel)

    assert kernel.asked == [[]]
    assert not told.attachment or {field for field in told.attachment if field} <= {AttachType(0)}


def test_what_the_kernel_did_not_write_is_none():
    """Linux 5.10 ends before the cookie, 6.1 before the missed runs."""
    assert LinkInfo.from_raw(raw(LinkType.RAW_TRACEPOINT, length=32), [b"x\0"]).attachment == ("x", None)
    assert LinkInfo.from_raw(raw(LinkType.TRACING, struct.pack("=III", 24, 1, 2), 32)).attachment == (24, 1, 2, None)
    multi = LinkInfo.from_raw(raw(LinkType.KPROBE_MULTI, length=32)).attachment
    assert (multi.func_cnt, multi.missed, multi.addrs) == (0, None, None)
    assert LinkInfo.from_raw(raw(LinkType.ITER, length=32), [b"cgroup\0"]).attachment == ("cgroup", *[None] * 5)


def test_an_iterator_tells_what_belongs_to_its_target():
    """The same bytes are a thread and a process, or the id of a cgroup."""
    body = struct.pack("=QIIIII", 0, 0, 20, 11, 22, 4)

    def told(target):
        return LinkInfo.from_raw(raw(LinkType.ITER, body), [target + b"\0"]).attachment

    assert told(b"bpf_map") == attachment.Iter("bpf_map")
    assert told(b"bpf_map_elem") == attachment.Iter("bpf_map_elem", map_id=20)
    assert told(b"task_file") == attachment.Iter("task_file", tid=11, pid=22)
    assert told(b"cgroup") == attachment.Iter("cgroup", cgroup_id=11 | 22 << 32, order=IterOrder.ANCESTORS_UP)


def test_numbers_newer_than_our_tables_stay_numbers():
    """Nothing is a crash."""
    told = LinkInfo.from_raw(raw(4000))
    assert (told.type, told.attachment) == (4000, None)
    device = LinkInfo.from_raw(raw(LinkType.TCX, struct.pack("=II", 1, 5000))).attachment
    assert device == attachment.Device(1, 5000)
