"""What bpftrace finds at the same load at the same time is what we find."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

import bpfctl
from tests.build.called import built

#: Calls of known numbers, naps of known lengths, and reads of known sizes.
LOAD = r"""
#include <fcntl.h>
#include <unistd.h>
#define KEPT __attribute__((noinline, noclone))
static char room[1 << 16];
KEPT long sized(long number) { __asm__ volatile(""); return number; }
KEPT long nap(long us) { usleep(us); return us; }
KEPT long outer(long number) { return sized(number) + 1; }
int main(void)
{
    int zero = open("/dev/zero", O_RDONLY);
    for (long number = 0; number < 3020; number++) sized(number);
    for (long number = 0; number < 70; number++) outer(number);
    for (long number = 0; number < 60; number++) nap(100 << number % 6);
    for (long number = 0; number < 500; number++)
        if (read(zero, room, 1 + number * 100) < 0) return 1;
    return 0;
}
"""
NAME = f"peer-{os.getpid()}"  # which other tests at the same time have not
#: bpftrace 0.17 looks for tracepoints and functions below debugfs alone.
SCRIPT = """
mount -t debugfs none /sys/kernel/debug
mount -t tracefs none /sys/kernel/debug/tracing
exec bpftrace -f json -c "$1" -e "$2"
"""


@pytest.fixture(scope="module")
def load():
    return built(NAME, LOAD, "-fno-optimize-sibling-calls", "-fno-omit-frame-pointer")


def bpftrace(load, program) -> dict[str, Any]:
    """Return what bpftrace has in its maps when the load has ended."""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(load), program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = {}
    for line in filter(None, done.stdout.splitlines()):
        told = json.loads(line)
        if told["type"] in {"map", "hist"}:
            found |= told["data"]
    return found


def theirs(buckets):
    """Return the hits of each bucket by its lowest number, all those below 0 as -1."""
    return {bucket.get("min", -1): bucket["count"] for bucket in buckets if bucket["count"]}


def ours(record):
    found: Counter[int] = Counter()
    for bucket in record["buckets"]:
        found[max(bucket["from"], -1)] += bucket["count"]
    return +found


def test_histograms_of_a_process(load):
    spec = f"uprobe:{load}:sized"
    with bpfctl.session() as session:
        powers = session.hist(spec, of="arg0")
        steps = session.hist(spec, of="arg0", linear=(0, 2000, 100))
        program = f"uprobe:{load}:sized {{ @powers = hist((int64)arg0); @steps = lhist((int64)arg0, 0, 2000, 100); }}"
        found = bpftrace(load, program)

        assert ours(powers.records()[0]) == theirs(found["@powers"])
        assert ours(steps.records()[0]) == theirs(found["@steps"])


def test_counts_of_a_process(load):
    with bpfctl.session() as session:
        calls = session.count(f"uprobe:{load}:sized", f"uprobe:{load}:nap")
        asked = session.count("syscalls:sys_enter_*", where=f'comm == "{NAME}"')
        program = f"""
            uprobe:{load}:sized, uprobe:{load}:nap {{ @calls[probe] = count(); }}
            tracepoint:syscalls:sys_enter_read, tracepoint:syscalls:sys_enter_clock_nanosleep
            /comm == "{NAME}"/ {{ @asked[probe] = count(); }}
        """
        found = bpftrace(load, program)

        assert {row["probe"]: row["count"] for row in calls.records()} == found["@calls"]
        told = {row["probe"]: row["count"] for row in asked.records()}
        assert {probe: told[probe] for probe in found["@asked"]} == found["@asked"]


def test_stacks_of_a_process(load):
    """As many hits of each stack; bpftrace tells addresses of a process that has ended, and we names."""
    with bpfctl.session() as session:
        stacks = session.stacks(f"uprobe:{load}:sized", kernel=False)
        found = bpftrace(load, f"uprobe:{load}:sized {{ @stacks[ustack] = count(); }}")
        told = [(row["count"], [frame["function"] for frame in row["user"]]) for row in stacks.records()]

    assert sorted(count for count, _ in told) == sorted(found["@stacks"].values()) == [70, 3020]
    assert {count: names[:2] for count, names in told} == {70: ["sized", "outer"], 3020: ["sized", "main"]}


def test_latencies_of_a_process(load):
    """Each of us stands between the other and the call, so that a time may be in the bucket beside."""
    with bpfctl.session() as session:
        naps = session.latency(f"uprobe:{load}:nap", unit="us")
        program = f"""
            uprobe:{load}:nap {{ @start[tid] = nsecs; }}
            uretprobe:{load}:nap /@start[tid]/ {{ @naps = hist((nsecs - @start[tid]) / 1000); delete(@start[tid]); }}
        """
        found = bpftrace(load, program)
        (told,) = naps.records()

    assert told["count"] == sum(theirs(found["@naps"]).values()) == 60
    assert_near(ours(told), theirs(found["@naps"]))


def assert_near(mine, other):
    """Assert that no number is more than a bucket away from where the other one has it."""
    edges = sorted({*mine, *other})
    for before, edge in pairwise(edges):
        assert below(mine, before) <= below(other, edge)
        assert below(other, before) <= below(mine, edge)


def below(buckets, edge):
    return sum(count for least, count in buckets.items() if least < edge)


@pytest.mark.usefixtures("kprobes")
def test_functions_of_the_kernel(load):
    mine = f'comm == "{NAME}"'
    with bpfctl.session() as session:
        counts = session.count("kprobe:vfs_*", where=mine)
        sizes = session.hist("kprobe:vfs_read", of="args.count", where=mine)
        stacks = session.stacks("kprobe:vfs_read", user=False, where=mine)
        times = session.latency("kprobe:vfs_read", where=mine)
        program = f"""
            kprobe:vfs_* /comm == "{NAME}"/ {{ @counts[probe] = count(); }}
            kprobe:vfs_read /comm == "{NAME}"/ {{ @sizes = hist(arg2); @stacks[kstack] = count(); }}
            kprobe:vfs_read /comm == "{NAME}"/ {{ @start[tid] = nsecs; }}
            kretprobe:vfs_read /@start[tid]/ {{ @times = hist(nsecs - @start[tid]); delete(@start[tid]); }}
        """
        found = bpftrace(load, program)

        assert {row["probe"]: row["count"] for row in counts.records() if row["count"]} == found["@counts"]
        assert ours(sizes.records()[0]) == theirs(found["@sizes"])
        assert sum(row["count"] for row in stacks.records()) == sum(found["@stacks"].values())
        assert times.records()[0]["count"] == sum(theirs(found["@times"]).values())
        assert_near(ours(times.records()[0]), theirs(found["@times"]))
