"""Probes on system calls: they are told by their numbers, of one program for all."""

from __future__ import annotations

import ctypes
import os
import platform

import pytest
from bpfctl_tracepoint import TracepointSource
from bpfctl_tracepoint.numbers import numbers

from bpfctl.probe.actions.count import Count
from tests.kernel.probing import YIELD, probing


def test_perf_events_count_the_same(child):
    """An event that is counted by its own field needs a perf event; the raw tracepoint has just as many."""
    by_event, by_raw = Count(("args.__syscall_nr",)), Count()
    with (
        probing(by_event, YIELD, where=f"pid == {child.pid}") as run,
        probing(by_raw, YIELD, where=f"pid == {child.pid}"),
    ):
        assert [made.group.way for made in run.made] == ["perf event"]
        child.does("yields", 1000)

        assert [row.hits for row in by_event.rows()] == [row.hits for row in by_raw.rows()] == [1000]


def test_numbers_of_system_calls():
    """The event tells the number of its call; those with another name than their call are among them."""
    known = numbers(platform.machine())
    here = {point.target for point in TracepointSource().discover("syscalls:sys_enter_*")}
    called = {
        "newstat": lambda: os.stat("/"),
        "newfstatat": lambda: os.stat("/"),
        "newfstat": lambda: os.fstat(0),
        "newlstat": lambda: os.lstat("/"),
        "newuname": os.uname,
        "getpriority": lambda: os.getpriority(os.PRIO_PROCESS, 0),
        "sched_getaffinity": lambda: os.sched_getaffinity(0),
        "getcwd": os.getcwd,
        "pipe2": lambda: [os.close(fd) for fd in os.pipe()],
        "umask": lambda: os.umask(os.umask(0o22)),
        "sched_yield": os.sched_yield,
        "setxattrat": lambda: ctypes.CDLL(None).syscall(463, -1, None, 0, None, None, 0),
        "file_getattr": lambda: ctypes.CDLL(None).syscall(468, -1, None, None, 0, 0),
    }
    happened = set()  # Python and the C library call one or another of those that tell of files
    for name in called.keys() & {target.removeprefix("syscalls:sys_enter_") for target in here}:
        counts = Count(("args.__syscall_nr",))
        with probing(counts, f"tracepoint:syscalls:sys_enter_{name}", where=f"pid == {os.getpid()}"):
            called[name]()
            rows = counts.rows()

        assert {row.values for row in rows} <= {(known[name],)}, name
        happened |= {name} if rows else set()
    assert {"newuname", "getpriority", "sched_getaffinity", "getcwd", "pipe2", "umask", "sched_yield"} <= happened


@pytest.mark.skipif(platform.machine() != "x86_64", reason="none but x86-64 lets a 64-bit program make such calls")
def test_calls_of_32_bits_are_left_out(child):
    """They have numbers of their own, and the events do not count them either."""
    both, counts = YIELD.replace("enter", "*"), Count()
    with probing(counts, both, where=f"pid == {child.pid}") as run:
        assert [made.group.way for made in run.made] == ["raw tracepoint sys_enter", "raw tracepoint sys_exit"]
        assert child.does("narrow", 100) == os.getuid()
        child.does("yields", 7)

        assert [row.hits for row in counts.rows()] == [7, 7]


def test_every_system_call_at_once(child):
    counts = Count()
    with probing(counts, "tracepoint:syscalls:*", where=f"pid == {child.pid}") as run:
        child.does("yields", 200)
        child.does("yields", 300)  # which it has read meanwhile
        hits = {row.values[0]: row.hits for row in counts.rows()}

        assert len(run.wanted.points) > 500
        assert len(run.made) < 30
    assert hits[YIELD] == hits[YIELD.replace("sys_enter", "sys_exit")] == 500
    assert hits["tracepoint:syscalls:sys_enter_read"] >= 1
    assert hits["tracepoint:syscalls:sys_enter_openat"] == 0
