"""Stacks with names instead of addresses."""

from __future__ import annotations

import re
import signal
from itertools import islice
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys.fd import Closing
from bpfctl.symbols.kernel import Kernel
from bpfctl.symbols.user import Users

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bpfctl.probe.actions.stacks import Stack
    from bpfctl.symbols.frame import Frame

#: What the kernel calls to get from a probe to its program, and the program itself.
_OF_PROBES = re.compile(
    r"bpf_prog_[0-9a-f]{16}|bpf_trampoline_|ftrace_trampoline|bpf_trace_run|bpf_get_stack|__bpf_trace_|__traceiter_|"
    r"perf_trace_|trace_call_bpf|__bpf_prog_|perf_syscall_e"
)
_POLL = 0.25  # seconds
_AT_ONCE = 500  # stacks


class NamedStack(NamedTuple):
    """The hits with the same values and the same calls by name, the innermost first."""

    values: tuple[Any, ...]
    kernel: tuple[Frame, ...]
    user: tuple[Frame, ...]
    addresses: tuple[tuple[int, ...], tuple[int, ...]]  # of both; of processes together, those of one of them
    pid: int  # whose addresses they are; 0 without a process
    hits: int
    total: int


class Names(Closing):
    """Gives addresses names; from the start on it remembers what processes have mapped, since some will have ended."""

    def __init__(self, pid: int | None = None) -> None:
        self._kernel = Kernel()
        self._users = Users(pid)
        self._users.follow()
        self._lock = Lock()
        self._over = Event()
        self._poller = Thread(target=self._poll, daemon=True)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._poller.start()  # with that mask: signals are for the thread that waits for them
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _poll(self) -> None:
        while not self._over.wait(_POLL):
            with self._lock:
                self._users.poll()

    def named(self, rows: Iterable[Stack], depth: int | None = None) -> list[NamedStack]:
        """Return the innermost calls of the stacks, those that are the same by name together, most first."""
        together: dict[tuple[Any, ...], NamedStack] = {}
        with self._lock:
            self._users.poll()
            self._kernel.turn()
            for row in self._expected(rows):
                found = self._named(row, depth)
                key = found.values, found.kernel, found.user
                before = together.get(key)
                if before is not None:
                    found = before._replace(hits=before.hits + found.hits, total=before.total + found.total)
                together[key] = found
        return sorted(together.values(), key=lambda row: -row.total)

    def _expected(self, rows: Iterable[Stack]) -> Iterator[Stack]:
        """Have the calls of many stacks looked up at once."""
        left = iter(rows)
        while some := list(islice(left, _AT_ONCE)):
            self._users.expect((row.pid, row.user) for row in some)
            yield from some

    def _named(self, row: Stack, depth: int | None) -> NamedStack:
        kernel = self._kernel.frames(row.kernel)
        leaf = leaf_of(kernel)
        root = None if depth is None else leaf + depth
        user = self._users.frames(row.pid, row.user) if row.user else ()
        addresses = row.kernel[leaf:root], row.user
        return NamedStack(row.values, tuple(kernel[leaf:root]), tuple(user), addresses, row.pid, row.hits, row.total)

    def build_id(self, pid: int, address: int) -> str:
        """Return what the linker calls the build of the file that a process has at an address; empty for unknown."""
        with self._lock:
            return self._users.build_id(pid, address)

    def close(self) -> None:
        """Forget all processes."""
        self._over.set()
        self._poller.join()
        self._users.close()


def leaf_of(frames: Sequence[Frame]) -> int:
    """Return where the stack of what was probed begins, behind the calls from there to the program that looks."""
    leaf = 0
    for at, frame in enumerate(frames):
        if _OF_PROBES.match(frame.name):
            leaf = at + 1
        elif frame.name:
            break
    return leaf if leaf < len(frames) else 0


def called(frame: Frame) -> str:
    """Return what a call is called: its function, or else the file or whatever it is in, in brackets."""
    if frame.name:
        return frame.name
    return f"[{frame.module.rpartition('/')[2].strip('[]') or 'unknown'}]"


def by_function(rows: Iterable[NamedStack]) -> list[NamedStack]:
    """Return the stacks with those together that differ only in where in a function a call was; most first."""
    together: dict[tuple[Any, ...], NamedStack] = {}
    for row in rows:
        key = row.values, *map(_functions, (row.kernel, row.user))
        before = together.get(key)
        if before is not None:
            row = before._replace(hits=before.hits + row.hits, total=before.total + row.total)  # noqa: PLW2901
        together[key] = row
    return sorted(together.values(), key=lambda row: -row.total)


def _functions(frames: Iterable[Frame]) -> tuple[tuple[str, str], ...]:
    return tuple((called(frame), frame.module) for frame in frames)
