"""Stacks beside perf in the same run: what profiling all CPUs costs the machine, and how soon it begins.

Run as root, where the package is installed (not in editable mode): python benchmarks/stacks.py
CPU time is that of the tool itself, with all that it starts, from its start to its end, names included; and for bpfctl
what the kernel counts for its program. What perf's samples cost in the kernel is counted nowhere.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import clock

from bpfctl.kernel.usage import Statistics

if TYPE_CHECKING:
    from collections.abc import Iterator

PERF, BPFTRACE = shutil.which("perf"), shutil.which("bpftrace")
SHORT, LONG = 5, 25  # seconds
RUNS, QUICK_RUNS = 3, 11
BUSY = """
#define FUNCTION __attribute__((noinline))
volatile unsigned long done;
FUNCTION void work(int depth) { if (depth) work(depth - 1); else for (int at = 0; at < 1000; at++) done++; done++; }
int main() { for (;;) work(20); }
"""


def main() -> None:
    """Print the costs."""
    with tempfile.TemporaryDirectory() as folder:
        busy = f"{folder}/busy"
        command = ["gcc", "-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-x", "c", "-", "-o", busy]
        subprocess.run(command, input=BUSY, text=True, check=True)
        begin(folder)
        cpu_time(folder, busy)


def begin(folder: str) -> None:
    """Time whole processes that attach to all CPUs and detach at once."""
    commands = {"bpfctl": [clock.BPFCTL, "probe", "stacks", "profile:99", "--folded", "--duration", "0.001"]}
    if PERF:
        commands["perf record"] = [*record(99, folder), "--", "true"]
    if BPFTRACE:
        commands["bpftrace"] = [BPFTRACE, "-e", "profile:hz:99 { @[kstack, ustack] = count(); } BEGIN { exit(); }"]
    print(clock.table(clock.measure(commands, QUICK_RUNS), "perf record" if PERF else "bpfctl"))


def record(rate: int, folder: str) -> list[str]:
    """Return perf's command, which needs no counter of the CPU."""
    return [str(PERF), "record", "-q", "-e", "cpu-clock", "-F", str(rate), "-g", "-a", "-o", f"{folder}/perf.data"]


def tools(rate: int, seconds: float, folder: str) -> dict[str, list[list[str]]]:
    """Return the commands, one after the other, by which each tool has stacks with names."""
    ours = [clock.BPFCTL, "probe", "stacks", f"profile:{rate}", "--folded", "--duration", str(seconds)]
    found = {"bpfctl": [ours]}
    if PERF:
        taken = [*record(rate, folder), "--", "sleep", str(seconds)]
        found["perf record"] = [taken]
        found["perf record, script"] = [taken, [PERF, "script", "-i", f"{folder}/perf.data"]]
    return found


def cpu_time(folder: str, busy: str) -> None:
    """Tell the CPU time of the tools while every CPU is busy: of a short time, and of each second more."""
    print(f"\nprofile:99 of all CPUs, all of them busy: milliseconds of CPU time for {SHORT} s, and for a second more")
    spent: dict[str, list[tuple[float, float]]] = {}
    with busy_ones(busy):
        for _ in range(RUNS):
            for name in tools(99, 0, folder):
                short, long = (taken(tools(99, seconds, folder)[name]) for seconds in (SHORT, LONG))
                spent.setdefault(name, []).append((short, (long - short) / (LONG - SHORT)))
        counted = program_time()
    for name, each in spent.items():
        short, more = (statistics.median(numbers) for numbers in zip(*each, strict=True))
        told = ", ".join(f"{short:.0f} {more:.1f}" for short, more in each)
        print(f"{name:22} {short:8.0f} {more:8.1f}   ({told})")
    print(f"{'the program of bpfctl':22} {counted * SHORT:8.0f} {counted:8.1f}   (counted by the kernel)")


def taken(commands: list[list[str]]) -> float:
    """Return the milliseconds of CPU time that commands take."""
    before = os.times()
    for command in commands:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = os.times()
    return 1e3 * (after.children_user + after.children_system - before.children_user - before.children_system)


def program_time() -> float:
    """Return the milliseconds of a second that our program takes of all CPUs."""
    with Statistics() as programs:
        known = {one.id for one in programs.look()}
        command = [clock.BPFCTL, "probe", "stacks", "profile:99", "--folded"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(2)
            programs.look()
            time.sleep(SHORT)
            used = [one for one in programs.look() if one.id not in known and one.runs]
            process.terminate()
    return sum((one.per_run or 0) * one.runs for one in used) / 1e6 / SHORT


@contextmanager
def busy_ones(busy: str) -> Iterator[None]:
    """Keep every CPU busy."""
    running = [subprocess.Popen(["taskset", "-c", str(cpu), busy]) for cpu in sorted(os.sched_getaffinity(0))]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
