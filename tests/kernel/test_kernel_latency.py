"""Latencies of functions of the kernel, by each way that it has: calls of a process are known, and so is their time."""

from __future__ import annotations

import os
import time
from threading import Thread

import pytest

from bpfctl.host.kallsyms import Symbols
from bpfctl.probe.actions.slow import SlowCalls
from tests.build.called import built, called
from tests.kernel.facts import Facts
from tests.kernel.probing import named, until
from tests.kernel.timed import CALLS, timed

pytestmark = pytest.mark.usefixtures("kprobes")
SLEEP, OPEN = "hrtimer_nanosleep", "do_sys_openat2"
FINDS = ("do_filp_open", "do_file_open")  # within it, of older and of newer kernels
#: What each way needs of a kernel: CONFIG_FPROBE, and links of many functions, in sessions or not.
WAYS = {
    "": (),
    "kprobe session": ("func:register_fprobe", "enum:BPF_TRACE_KPROBE_SESSION"),
    "multi-kprobe link": ("func:register_fprobe", "enum:BPF_TRACE_KPROBE_MULTI"),
    "perf event": (),
    "tracefs event": (),
}
OURS = f"pid == {os.getpid()}"
ENOENT = -2
MS = 10**6
LEAST = 1 << 19  # the bucket of what is nearest to the millisecond that a nap takes


def sums(times):
    """Return how many calls were timed, by their values; all that began are accounted for."""
    tally = times.tally()
    assert tally.begun == tally.ended + tally.running + tally.never_ended + tally.no_room
    return {row.values: row.hits for row in times.rows()}


@pytest.fixture
def sleeper():
    """A process that sleeps for a time from now on, and not until a time that may have come before it does."""
    with called(built("timed", CALLS, "-pthread")) as process:
        yield process


@pytest.mark.parametrize("way", WAYS)
def test_each_way_times_the_same(sleeper, way):
    lacking = [need for need in WAYS[way] if not Facts("").has(need)]
    if lacking:
        pytest.skip(f"the kernel lacks {', '.join(lacking)}")
    with timed(f"kprobe:{SLEEP}", way=way, where=f"pid == {sleeper.pid}") as (times, run):
        sleeper.does("nap", 200)
        run.stop()

        assert sums(times) == {(): 200}
        assert times.rows()[0].buckets[0].low >= LEAST
        assert times.tally()[:4] == (200, 200, 0, 0)
        assert times.tally().began_before == 0
        assert all(made.group.way.startswith(way) for made in run.made)


def test_trampolines(sleeper):
    with timed(f"fentry:{SLEEP}", by=("retval",), where=f"pid == {sleeper.pid}") as (times, run):
        sleeper.does("nap", 200)
        run.stop()

        assert sums(times) == {(0,): 200}
        assert times.rows()[0].buckets[0].low >= LEAST


def test_system_calls(child):
    with timed("ksyscall:openat", by=("retval", "comm"), where=f"pid == {child.pid}") as (times, run):
        child.does("opens", 300)
        run.stop()

        assert [(values[0], hits) for values, hits in sums(times).items()] == [(ENOENT, 300)]


@pytest.mark.parametrize("kind", ["kprobe", "fentry"])
def test_calls_within_others(child, kind):
    inner = next(name for name, _ in Symbols().functions() if name in FINDS)
    with timed(f"{kind}:{OPEN}", f"{kind}:{inner}", by=("probe",), where=f"pid == {child.pid}") as (times, run):
        child.does("opens", 300)
        run.stop()
        means = {row.values[0]: row.mean for row in times.rows()}

        assert sums(times) == {(f"{kind}:{OPEN}",): 300, (f"{kind}:{inner}",): 300}
        assert means[f"{kind}:{OPEN}"] > means[f"{kind}:{inner}"]


def test_a_pattern(child):
    with timed("kprobe:vfs_*", by=("probe",), where=f"pid == {child.pid}") as (times, run):
        child.does("opens", 50)
        run.stop()

        assert sums(times)["kprobe:vfs_write",] == 1  # the answer


def sleep_together(count, seconds):
    threads = [Thread(target=time.sleep, args=(seconds,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_more_calls_than_are_followed():
    """Of threads that have ended it is known that a call which did not return never will."""
    sleep_together(1, 0.01)
    with timed(f"kretprobe:{SLEEP},maxactive=1", where=OURS) as (times, run):
        sleep_together(4, 0.3)
        run.stop()
        tally = times.tally()

        assert (tally.begun, tally.ended + run.missed()) == (4, 4)
        assert tally.ended < 4
        assert until(lambda: times.tally().running == 0)
        assert sums(times) == {(): tally.ended}
        assert times.tally().never_ended == 4 - tally.ended


def test_as_many_as_are_asked_for():
    with timed(f"kretprobe:{SLEEP},maxactive=64", where=OURS) as (times, run):
        sleep_together(40, 0.3)
        run.stop()

        assert sums(times) == {(): 40}


def test_slow_calls():
    with timed(f"kprobe:{SLEEP}", make=SlowCalls, over=50 * MS, where=OURS) as (slow, run), slow.reader() as reader:
        for seconds in (0.001, 0.001, 0.06, 0.001, 0.07):
            time.sleep(seconds)
        run.stop()
        found = named(slow.hits(reader.read(100)))

        assert [(hit["args.retval"], hit["pid"]) for hit in found] == [(0, os.getpid())] * 2
