"""Probes beside bpftrace in the same run: from start to first hit, all system calls, records a second, cost of a hit.

Run as root, where the package is installed (not in editable mode): python benchmarks/probe.py [--all]
With --all bpftrace also attaches to all system calls, which takes it half a minute. With --kernel-functions many
functions of the kernel are counted instead; a guest (tests/vm) has kprobes where this machine has none:

    python -m tests.vm run --kernel newest --timeout 1800 "VENV/bin/python benchmarks/probe.py --kernel-functions"

BPFCTL_BPFTRACE is another bpftrace than that of PATH, such as what python -m tests.vm bpftrace prints.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import clock

from bpfctl.errors import BpfctlError
from bpfctl.kernel.handle import PROG, ids
from bpfctl.kernel.prog import Program
from bpfctl.kernel.usage import Statistics

if TYPE_CHECKING:
    from collections.abc import Iterator

BPFTRACE = os.environ.get("BPFCTL_BPFTRACE") or shutil.which("bpftrace")
EXIT, YIELD = "tracepoint:sched:sched_process_exit", "tracepoint:syscalls:sys_enter_sched_yield"
SWITCH = "tracepoint:sched:sched_switch"
EVERY = "tracepoint:syscalls:sys_enter_*"
RUNS, FEW_RUNS = 11, 3
RATES = (50_000, 100_000, 160_000, 200_000, 250_000)
SECONDS = 3
BURST = 100
PATIENCE = 60  # seconds
# bpftrace 0.17 looks for tracepoints below debugfs alone.
MOUNTED = "mount -t debugfs none /sys/kernel/debug; mount -t tracefs none /sys/kernel/debug/tracing"
#: Patterns of functions of the kernel: some eighty, and some five thousand.
FUNCTIONS = ("kprobe:vfs_*", "kprobe:p*")
COUNTS = {"by probe": ("", "@ = count();"), "by comm and pid": ("comm,pid", "@[comm, pid] = count();")}


def main() -> None:
    """Print the times."""
    if "TRACING" not in os.environ and BPFTRACE:  # in a mount namespace of its own
        again = ["sh", "-c", f'{{ {MOUNTED}; }} 2>/dev/null; exec "$@"', "sh", sys.executable, *sys.argv]
        os.execvpe("unshare", ["unshare", "-m", *again], os.environ | {"TRACING": "1"})
    if not BPFTRACE:
        print("bpftrace is not installed: bpfctl alone")
    if "--kernel-functions" in sys.argv:
        functions()
        return
    whole()
    for event in (SWITCH, YIELD):
        first(event)
    rate()
    cost()


def whole() -> None:
    """Time whole processes that attach and detach."""
    commands = {
        "bare python": [sys.executable, "-c", "pass"],
        "bpfctl, one tracepoint": [clock.BPFCTL, "probe", "count", EXIT, "--duration", "0.001"],
        "bpfctl, one perf event": [clock.BPFCTL, "probe", "count", EXIT, "--by", "prio", "--duration", "0.001"],
        "bpfctl, all system calls": [clock.BPFCTL, "probe", "count", EVERY, "--duration", "0.001"],
    }
    if BPFTRACE:
        commands["bpftrace, one tracepoint"] = [BPFTRACE, "-e", f"{EXIT} {{ @ = count(); }} BEGIN {{ exit(); }}"]
    print(clock.table(clock.measure(commands, RUNS), "bpftrace, one tracepoint" if BPFTRACE else "bare python"))
    if BPFTRACE and "--all" in sys.argv:
        words = {"bpftrace, all": [BPFTRACE, "-e", f"{EVERY} {{ @[probe] = count(); }} BEGIN {{ exit(); }}"]}
        print(clock.table(clock.measure(words, 1), "bpftrace, all"))


def functions() -> None:
    """Time whole processes that count the hits of many functions of the kernel by name, for a tenth of a second."""
    os.environ["BPFTRACE_MAX_PROBES"] = "100000"
    for pattern in FUNCTIONS:
        listed = subprocess.run(
            [clock.BPFCTL, "--plain", "probe", "list", pattern], capture_output=True, check=True
        ).stdout
        commands = {"bpfctl": [clock.BPFCTL, "probe", "count", pattern, "--duration", "0.1"]}
        if BPFTRACE:
            program = f"{pattern} {{ @[func] = count(); }} interval:ms:100 {{ exit(); }}"
            commands["bpftrace"] = [BPFTRACE, "-e", program]
        print(f"{pattern}: {len(listed.splitlines())} functions")
        print(clock.table(clock.measure(commands, FEW_RUNS), "bpftrace" if BPFTRACE else "bpfctl"))


def tools(by: str, theirs: str, event: str = YIELD) -> dict[str, list[str]]:
    """Return the commands that count the same."""
    found = {"bpfctl": [clock.BPFCTL, "probe", "count", event, *(["--by", by] if by else [])]}
    return found | ({"bpftrace": [BPFTRACE, "-e", f"{event} {{ {theirs} }}"]} if BPFTRACE else {})


@contextmanager
def stopped(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command meanwhile, and stop it as a person would."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()


def first(event: str) -> None:
    """Time from the start to the first hit, of an event that we make every two milliseconds."""
    with Statistics():
        for name, command in tools(*COUNTS["by probe"], event).items():
            times = []
            for _ in range(RUNS):
                known = set(ids(PROG))
                start = time.perf_counter()
                with stopped(command) as process:
                    while not any(runs(id_) for id_ in ids(PROG) if id_ not in known):
                        if process.poll() is not None:
                            raise SystemExit(f"{' '.join(command)} has ended with {process.returncode}")
                        time.sleep(0.002)
                        os.sched_yield()
                    times.append(time.perf_counter() - start)
            print(f"{name:10} from start to first hit of {event}: {statistics.median(times) * 1e3:6.1f} ms")


def runs(id_: int) -> int:
    """Return how often a program has run; 0 when it is gone."""
    with suppress(BpfctlError), Program.by_id(id_) as program:
        return program.info().run_cnt or 0
    return 0


def rate() -> None:
    """Tell how many of the records that are made at a rate come out of the end of a pipe."""
    commands = {
        "bpfctl": [clock.BPFCTL, "--plain", "probe", "trace", YIELD, "--fields", "pid,comm", "-p", str(os.getpid())]
    }
    if BPFTRACE:
        action = 'printf("%s %d %s\\n", strftime("%H:%M:%S", nsecs), pid, comm);'
        commands["bpftrace"] = [BPFTRACE, "-e", f"{YIELD} /pid == {os.getpid()}/ {{ {action} }}"]
    for name, command in commands.items():
        for per_second in RATES:
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                counter = subprocess.Popen(["grep", "-c", "python"], stdin=process.stdout, stdout=subprocess.PIPE)
                process.stdout.close()
                time.sleep(2)
                made = yields(per_second)
                time.sleep(1)
                process.send_signal(signal.SIGINT)
                lines = int(counter.communicate()[0])
            print(f"{name:10} {made / SECONDS:8.0f} hits a second: {made - lines} of {made} not in the pipe")


def yields(per_second: int) -> int:
    """Call sched_yield(2) at a rate for SECONDS, and return how often."""
    start, made = time.perf_counter(), 0
    while (now := time.perf_counter() - start) < SECONDS:
        if made <= now * per_second:
            for _ in range(BURST):
                os.sched_yield()
            made += BURST
    return made


def timers() -> dict[str, list[str]]:
    """Return the commands that tell how long a system call takes."""
    left = YIELD.replace("enter", "exit")
    program = (
        f"{YIELD} {{ @begun[tid] = nsecs; }} "
        f"{left} /@begun[tid]/ {{ @ = hist(nsecs - @begun[tid]); delete(@begun[tid]); }}"
    )
    return {"bpfctl": [clock.BPFCTL, "probe", "latency", YIELD]} | (
        {"bpftrace": [BPFTRACE, "-e", program]} if BPFTRACE else {}
    )


def cost() -> None:
    """Tell the nanoseconds that the kernel counts for a run of the programs."""
    measured = {f"counted {what}": tools(*words) for what, words in COUNTS.items()} | {"timed": timers()}
    for what, commands in measured.items():
        for name, command in commands.items():
            with Statistics() as statistics_:
                known = set(ids(PROG))
                with stopped(command):
                    time.sleep(2)
                    statistics_.look()
                    yields(100_000)
                    used = [one for one in statistics_.look() if one.id not in known and one.runs]
            told = ", ".join(f"{one.per_run or 0:.0f} ns a hit ({one.runs} hits)" for one in used)
            print(f"{name:10} {what}: {told}")


if __name__ == "__main__":
    main()
