"""What two tasks share, as kcmp(2) tells (kernel/kcmp.c)."""

from __future__ import annotations

import os

from bpfctl._sys._ffi import lib


def same_files(pid: int, other: int) -> bool:
    """Return whether two tasks share their open files; OSError where one is gone or not ours to compare."""
    rc: int = lib.bpfctl_same_files(pid, other)
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
    return bool(rc)
