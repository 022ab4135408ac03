"""How long probes take from start to end, beside bpftrace where it is installed, and what a hit costs.

Run as root, where the package is installed (not in editable mode): python benchmarks/probe.py
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import clock

from bpfctl.kernel.usage import Statistics
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.session import Probing, Sources, Wanted
from bpfctl.probe.where import parse

BPFCTL = str(Path(sys.executable).parent / "bpfctl")
ONE, EVERY = "tracepoint:sched:sched_process_exit", "tracepoint:syscalls:sys_enter_*"
YIELD = "tracepoint:syscalls:sys_enter_sched_yield"
HITS = 300_000


def main() -> None:
    """Print the times."""
    commands = {
        "bare python": [sys.executable, "-c", "pass"],
        "bpfctl, one tracepoint": [BPFCTL, "probe", "count", ONE, "--duration", "0.001"],
        "bpfctl, all system calls": [BPFCTL, "probe", "count", EVERY, "--duration", "0.001"],
        "bpfctl, one perf event": [BPFCTL, "probe", "count", ONE, "--by", "prio", "--duration", "0.001"],
    }
    peer = shutil.which("bpftrace")
    if peer:
        commands["bpftrace, one tracepoint"] = [peer, "-e", f"{ONE} {{ @ = count(); }} BEGIN {{ exit(); }}"]
    base = "bpftrace, one tracepoint" if peer else "bare python"
    print(clock.table(clock.measure(commands, 11), base))
    for name, action, more in (
        ("count by probe", Count(), ""),
        ("count by comm and pid", Count(("comm", "pid")), ""),
        ("count by an argument", Count(("args.__syscall_nr",)), ""),
        ("trace pid and comm", Trace(("pid", "comm"), size=1 << 26), ""),
        ("count, chosen by a name", Count(), " && comm == 'nobody'"),
    ):
        print(f"{name:30} {cost(action, more):6.0f} ns a hit in the kernel")


def cost(action: Count | Trace, more: str) -> float:
    """Return the nanoseconds that a program runs for at each hit."""
    sources = Sources()
    wanted = Wanted(sources.resolve([YIELD]), parse(f"pid == {os.getpid()}{more}"))
    with action, Probing(sources, wanted, action), Statistics() as statistics:
        for _ in range(HITS):
            os.sched_yield()
        time.sleep(0.01)
        (used,) = [each for each in statistics.look() if each.name == "bpfctl_probe"]
        return used.run_time / max(used.runs, 1)


if __name__ == "__main__":
    main()
