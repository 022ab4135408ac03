"""Programs at perf events in bpftool's two forms, also of kinds that this kernel does not have."""

from __future__ import annotations

import pytest

from bpfctl.kernel.task_fd import KPROBE, KRETPROBE, RAW_TRACEPOINT, TRACEPOINT, UPROBE, URETPROBE, PerfRow
from bpfctl.views.task_fd import VIEW


def row(kind, target="", offset=0, address=0, pid=7):
    return PerfRow(3, kind, target, offset, address, None, pid, 5)


@pytest.mark.parametrize(
    ("row", "members", "line"),
    [
        (row(RAW_TRACEPOINT, "sys_enter"), {"fd_type": "raw_tracepoint", "tracepoint": "sys_enter"}, "sys_enter"),
        (row(TRACEPOINT, "x"), {"fd_type": "tracepoint", "tracepoint": "x"}, "x"),
        (row(KPROBE, "f", 16), {"fd_type": "kprobe", "func": "f", "offset": 16}, "func f  offset 16"),
        (row(KPROBE, "", 16, 1 << 63), {"fd_type": "kprobe", "addr": 1 << 63}, "addr 9223372036854775808"),
        (row(KRETPROBE, "f"), {"fd_type": "kretprobe", "func": "f", "offset": 0}, "func f  offset 0"),
        (row(KRETPROBE, "", 0, 9), {"fd_type": "kretprobe", "addr": 9}, "addr 9"),
        (row(UPROBE, "/f", 9), {"fd_type": "uprobe", "filename": "/f", "offset": 9}, "filename /f  offset 9"),
        (row(URETPROBE, "/f"), {"fd_type": "uretprobe", "filename": "/f", "offset": 0}, "filename /f  offset 0"),
    ],
)
def test_in_bpftools_words(row, members, line):
    """The same members in the same order."""
    (found,) = VIEW.whole.json([row], False)

    assert list(found.items()) == list(({"pid": 7, "fd": 5, "prog_id": 3} | members).items())
    assert list(VIEW.whole.plain([row])) == [f"pid 7  fd 5: prog_id 3  {members['fd_type']}  {line}"]


def test_a_kind_that_is_new():
    """It has a number; bpftool tells nothing of it, and ends no line."""
    assert list(VIEW.whole.json([row(77)], False)) == [{"pid": 7, "fd": 5, "prog_id": 3}]
    assert list(VIEW.whole.plain([row(77)])) == ["pid 7  fd 5: prog_id 3  type 77"]


def test_links_are_for_extra_alone():
    """What has no descriptor is not in bpftool's forms."""
    link = row(TRACEPOINT, "x", pid=None)

    assert list(VIEW.whole.json([link], False)) == []
    assert list(VIEW.whole.plain([link])) == []
