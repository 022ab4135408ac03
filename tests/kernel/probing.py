"""What tests of probes share: probes with an action, what they have found, and kernels that lack something."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bpfctl.asm.insn import R0, R1, R2, R10
from bpfctl.attach import uprobe
from bpfctl.attach.cookie import has_cookies
from bpfctl.errors import KernelError
from bpfctl.probe import in_process
from bpfctl.probe.code import Code
from bpfctl.probe.session import Probing, Wanted
from bpfctl.probe.sources import Sources
from bpfctl.probe.where import parse
from tests.kernel import client

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator

    import pytest

PATIENCE = 180  # seconds; a command on emulated arm64 may need one minute until it is attached

_SYSCALLS = {
    "x86_64": {"rt_sigtimedwait": 128, "clock_nanosleep": 230},
    "aarch64": {"rt_sigtimedwait": 137, "clock_nanosleep": 115},
}[os.uname().machine]

_ARRAY, _MAP_LOOKUP = 2, 1
_HARDWARE = 0  # PERF_TYPE_HARDWARE
CYCLES, INSTRUCTIONS = 0, 1

YIELD = "tracepoint:syscalls:sys_enter_sched_yield"
OPEN = "tracepoint:syscalls:sys_enter_openat"
FORK = "tracepoint:sched:sched_process_fork"
RAW_FORK = "raw_tracepoint:sched_process_fork"


@contextmanager
def probing(action: Any, *specs: str, where: str = "1", way: str = "") -> Iterator[Probing]:
    """Have an action at probes, by one way alone where that is said; both end with the block."""
    sources = Sources()
    with action, Probing(sources, Wanted(sources.resolve(specs), parse(where), way=way), action) as run:
        yield run


def read(hits: Any, reader: Any, count: int) -> list[Any]:
    """Wait for so many hits of a trace."""
    return [hit for batch in reader.batches(limit=count, seconds=PATIENCE) for hit in hits.hits(batch)]


def named(found: Iterable[Any]) -> list[dict[str, Any]]:
    """Return what each hit has read by the names of what was asked for."""
    return [dict(zip([slot.name for slot in hit.layout.slots], hit.values, strict=True)) for hit in found]


def until(holds: Callable[[], bool]) -> bool:
    """Wait until something holds, and return whether it came to that."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def ends(process: subprocess.Popen[str], happens: Callable[[], object]) -> bool:
    """Have something happen again and again until a command has ended, and return whether it came to that."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None:
        if time.monotonic() > end:
            return False
        happens()
    return True


def switches(pid: int) -> int:
    """Return how often a process of one thread was taken from a CPU, as the kernel accounts for it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)


class Own:
    """A program of one's own, which counts its runs."""

    def __init__(self, held: Callable[[int], int], type_: int, name: str) -> None:
        self._counts = held(client.map_create(_ARRAY, 4, 8, 1))
        code = Code()
        code.st(4, R10, -4, 0).mov(R2, R10).add(R2, -4).ld_map_fd(R1, self._counts).call(_MAP_LOOKUP)
        code.jump("jeq", R0, 0, "out").mov(R1, 1).atomic_add(8, R0, 0, R1)
        held(client.prog_load(type_, code.end(), name=name))
        self.name = name

    def runs(self) -> int:
        """Return how often it ran."""
        return int.from_bytes(client.map_lookup(self._counts, bytes(4), 8), sys.byteorder)


def links(pid: int) -> list[str]:
    """Return the ids of the links that a process holds."""
    found = []
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # one that is closed meanwhile
            found += re.findall(r"link_id:\s+(\d+)", file.read_text())
    return found


def is_attached(pid: int) -> bool:
    """Return whether a process has a BPF program at work."""
    folder = Path(f"/proc/{pid}")
    with suppress(OSError):  # a file that is closed meanwhile
        if any("link_type" in file.read_text() for file in (folder / "fdinfo").iterdir()):
            return True
        if any("perf_event" in str(file.readlink()) for file in (folder / "fd").iterdir()) and not has_cookies():
            time.sleep(0.5)  # before Linux 5.15 nothing tells whether it has the program already
            return True
    return False


def is_waiting(pid: int) -> bool:
    """Return whether a process has begun, and takes Ctrl-C for an end: it waits for it, or keeps it until it does."""
    with suppress(OSError):
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        is_kept = int(status["SigBlk"], 16) >> signal.SIGINT - 1 & 1
        return is_attached(pid) and (bool(is_kept) or is_in(pid, "rt_sigtimedwait"))
    return False


def is_in(pid: int, *names: str) -> bool:
    """Return whether a process waits in one of some system calls; wchan tells it not, on Linux 5.10 of Debian."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/syscall").read_text().split()[0] in [str(_SYSCALLS[name]) for name in names]
    return False


def has_counter(number: int) -> bool:
    """Return whether this machine counts a hardware event, by its number in enum perf_hw_id; bpfctl is not asked."""
    try:
        os.close(client.perf_event_open(_HARDWARE, number))
    except (FileNotFoundError, PermissionError):  # those who may not ask collect tests of it, and run none
        return False
    return True


def with_all(_monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the kernel all that it has."""


def without_multi(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the kernel refuse the uprobe links that Linux 6.6 brought, as older ones do."""

    def refuse(*_arguments: object, **_more: object) -> None:
        raise KernelError("can't attach", 22)

    monkeypatch.setattr(uprobe, "attach_multi", refuse)


def without_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it lack what Linux 5.15 brought, too."""
    without_multi(monkeypatch)
    monkeypatch.setattr(in_process, "has_cookies", lambda: False)
