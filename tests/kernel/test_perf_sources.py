"""Perf events as probes on the running kernel: what fires is what a process has really done."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.session import Probing, Sources, Wanted
from bpfctl.probe.where import parse

PAGE = mmap.PAGESIZE
PATIENCE = 60  # seconds

# Does what it is told, line by line, and answers with a number.
_CHILD = """
import ctypes, mmap, sys, time
word = ctypes.c_int64()
getppid = ctypes.CDLL(None).getppid
def where(_):
    return ctypes.addressof(word)
def function(_):
    return ctypes.cast(getppid, ctypes.c_void_p).value
def maps(count):
    global memory
    memory = mmap.mmap(-1, count * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(15)  # MADV_NOHUGEPAGE
    start = ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))
    return start
def touches(count):
    for page in range(count):
        memory[page * mmap.PAGESIZE] = 1
    return count
def sleeps(count):
    for _ in range(count):
        time.sleep(0.0001)
    return count
def writes(count):
    for number in range(count):
        word.value = number
    return count
def reads(count):
    return sum(word.value == -1 for _ in range(count))
def calls(count):
    for _ in range(count):
        getppid()
    return count
def spins(count):
    return sum(range(count))
for line in sys.stdin:
    what, count = line.split()
    print(globals()[what](int(count)), flush=True)
"""


class Child:
    """A process that does what it is told."""

    def __init__(self, process):
        self._process = process
        self.pid = process.pid

    def does(self, what, count=0):
        """Have it do something so many times, and return its answer when it has."""
        self._process.stdin.write(f"{what} {count}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def waits(self):
        """Return whether it has left the CPU, waiting for what it is told next."""
        with open(f"/proc/{self.pid}/syscall") as file:
            return file.read().split()[0] != "running"

    def switches(self):
        """Return how often its only thread was taken from a CPU, as the kernel counts it."""
        with open(f"/proc/{self.pid}/status") as file:
            return sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)


@pytest.fixture
def child():
    command = [sys.executable, "-I", "-S", "-c", _CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Child(process)
        process.stdin.close()


@contextmanager
def probing(action, *specs, where="1"):
    sources = Sources()
    with action, Probing(sources, Wanted(sources.resolve(specs), parse(where)), action) as run:
        yield run


def total(counts):
    return sum(row.hits for row in counts.rows())


def until(done):
    """Wait until something holds, and return whether it came to that."""
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("spec", ["software:page-faults", "software:faults:1", "software:minor-faults:1"])
def test_page_faults_are_exact(child, spec):
    """A fault for each fresh page, and the address is in it."""
    start = child.does("maps", 500)
    counts = Count(("addr",))
    with probing(counts, spec, where=f"pid == {child.pid} && addr >= {start} && addr < {start + 500 * PAGE}"):
        child.does("touches", 500)
        child.does("touches", 500)

        assert sorted((row.values[0], row.hits) for row in counts.rows()) == [
            (start + page * PAGE, 1) for page in range(500)
        ]


def test_every_nth(child):
    """On each CPU, so no more than one interval of each may still be open."""
    child.does("maps", 1000)
    counts = Count()
    with probing(counts, "software:page-faults:10"):
        child.does("touches", 1000)

        assert total(counts) >= 1000 // 10 - os.cpu_count()


def test_context_switches_are_those_of_proc(child):
    counts = Count(("pid",))
    with probing(counts, "software:cs", where=f"tid == {child.pid}"):
        child.does("sleeps", 1)
        assert until(child.waits)
        before = child.switches() - total(counts)
        child.does("sleeps", 200)

        assert until(lambda: child.switches() - total(counts) == before)
        assert total(counts) >= 200


def test_what_is_read_at_a_fault(child):
    start = child.does("maps", 3)
    hits = Trace()
    where = f"pid == {child.pid} && addr >= {start} && addr < {start + 3 * PAGE}"
    with probing(hits, "software:page-faults", where=where) as run, hits.reader() as reader:
        child.does("touches", 3)
        run.stop()
        found = [hit for batch in reader.batches(limit=3, seconds=PATIENCE) for hit in hits.hits(batch)]
    rows = [dict(zip([slot.name for slot in hit.layout.slots], hit.values, strict=True)) for hit in found]

    assert [row["args.addr"] for row in rows] == [start, start + PAGE, start + 2 * PAGE]
    assert {(row["pid"], row["args.user"], row["args.period"]) for row in rows} == {(child.pid, 1, 1)}
    with open(f"/proc/{child.pid}/maps") as file:
        spans = [line.split()[:2] for line in file]
    code = [[int(end, 16) for end in span.split("-")] for span, mode in spans if "x" in mode]
    assert all(any(low <= row["args.ip"] < high for low, high in code) for row in rows)


def test_rounds_leave_nothing():
    """Neither a program, nor a link, nor a perf event."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        with probing(Count(), "software:dummy"):
            assert len(os.listdir("/proc/self/fd")) > before
    assert len(os.listdir("/proc/self/fd")) == before
