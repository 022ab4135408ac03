"""Times whole processes in turn, A B C A B C ..., so that a drift of the machine's speed meets all alike."""

from __future__ import annotations

import ctypes
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

#: The command of the environment that this runs in.
BPFCTL = str(Path(sys.executable).parent / "bpfctl")
_PR_SET_CHILD_SUBREAPER = 36


class Times(NamedTuple):
    """What one command took: wall seconds of each run, and the largest resident set of another run, in KiB."""

    seconds: list[float]
    peak: int

    @property
    def median(self) -> float:
        """The median wall time in seconds."""
        return statistics.median(self.seconds)


def bpftools() -> dict[str, str]:
    """Return the files of the bpftools that BPFCTL_BPFTOOL names, or else of PATH's, by what they are called here.

    The last one is what ratios are told to.
    """
    names = os.environ.get("BPFCTL_BPFTOOL", "bpftool").split(":")
    files = [shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") for name in names]
    return {f"bpftool {_version(file)}": file for file in files if file}


def _version(bpftool: str) -> str:
    said = subprocess.run([bpftool, "version"], capture_output=True, check=True, text=True).stdout
    return said.split("\n")[0].rpartition(" v")[2]


def measure(commands: dict[str, list[str]], runs: int = 21, *, pipe: bool = False) -> dict[str, Times]:
    """Run each command ``runs`` times in turn after one run that does not count; a command that fails ends it all.

    With ``pipe`` their output goes to another process, which throws it away. Complaints are told when one fails.
    """
    peaks = {name: _peak(command) for name, command in commands.items()}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) if pipe else None
            with TemporaryFile() as complaints:
                start = time.perf_counter()
                out = reader.stdin if reader else subprocess.DEVNULL
                code = subprocess.Popen(command, stdout=out, stderr=complaints).wait()
                seconds[name].append(time.perf_counter() - start)
                if reader:
                    reader.communicate()
                _check(command, code, complaints)
    return {name: Times(seconds[name], peaks[name]) for name in commands}


def _peak(command: list[str]) -> int:
    """Run a command, and return its largest resident set in KiB.

    A process begins with the peak of who started it, and keeps that beyond exec(2). So a shell starts the command,
    which is smaller than anything here, and leaves it to us.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with TemporaryFile() as complaints:
        shell = subprocess.Popen(["sh", "-c", '"$@" &', "sh", *command], stdout=subprocess.DEVNULL, stderr=complaints)
        shell.wait()
        _, status, usage = os.wait4(-1, 0)
        _check(command, os.waitstatus_to_exitcode(status), complaints)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    return usage.ru_maxrss


def _check(command: list[str], code: int, complaints: IO[bytes]) -> None:
    if code:
        complaints.seek(0)
        said = complaints.read().decode(errors="replace")
        raise SystemExit(f"{said}{' '.join(command)} ended with exit code {code}")


def table(results: dict[str, Times], base: str) -> str:
    """Return the results as text: median, fastest and slowest run, ratio to the command named ``base``, peak memory."""
    lines = [f"{'':30} {'median ms':>10} {'min':>7} {'max':>7} {'x ' + base:>12} {'peak MiB':>9}"]
    unit = results[base].median
    lines += [
        f"{name:30} {times.median * 1e3:10.1f} {min(times.seconds) * 1e3:7.1f} {max(times.seconds) * 1e3:7.1f}"
        f" {times.median / unit:12.2f} {times.peak / 1024:9.1f}"
        for name, times in results.items()
    ]
    return "\n".join(lines)
