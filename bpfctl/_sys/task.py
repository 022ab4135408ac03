"""What this task may do, capget(2), and what two tasks share, kcmp(2) (kernel/capability.c, kernel/kcmp.c)."""

from __future__ import annotations

import os

from bpfctl._sys._ffi import ffi, lib


def same_files(pid: int, other: int) -> bool:
    """Return whether two tasks share their open files; OSError where one is gone or not ours to compare."""
    rc: int = lib.bpfctl_same_files(pid, other)
    _check(rc)
    return bool(rc)


def effective_capabilities() -> int:
    """Return the effective capabilities of this thread, a bit for each."""
    mask = ffi.new("uint64_t *")
    _check(lib.bpfctl_effective_capabilities(mask, 0))
    return int(mask[0])


def set_effective_capabilities(mask: int) -> None:
    """Give this thread exactly these effective capabilities; OSError where one of them is not permitted."""
    _check(lib.bpfctl_effective_capabilities(ffi.new("uint64_t *", mask), 1))


def _check(rc: int) -> None:
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
