"""How long a press of TAB takes: what a shell asks, from start to end.

Run where the package is installed (not in editable mode): python benchmarks/complete.py
"""

from __future__ import annotations

import sys

import clock

RUNS = 11
LINES = {
    "objects": [""],
    "options": ["probe", "count", "--"],
    "ids of programs": ["prog", "show", "id", ""],
    "names of maps": ["map", "dump", "name", ""],
    "tracepoints": ["probe", "count", "tracepoint:sched:sched_"],
    "functions of libc": ["probe", "count", "uprobe:c:mem"],
    "all functions of libc": ["probe", "count", "uprobe:c:"],
    "functions of the kernel": ["probe", "count", "kprobe:vfs_"],
    "fields": ["probe", "count", "sched:sched_switch", "--by", "p"],
    "types": ["btf", "show", "task_"],
}


def main() -> None:
    """Print the times, beside that of a Python that does nothing."""
    commands = {name: [clock.BPFCTL, "__complete", *words] for name, words in LINES.items()}
    print(clock.table(clock.measure({"bare python": [sys.executable, "-c", "pass"]} | commands, RUNS), "bare python"))


main()
