"""The namespace of our own process numbers, where that is not the kernel's first one."""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

_FIRST = 0xEFFFFFFC  # PROC_PID_INIT_INO, include/linux/proc_ns.h


class PidNamespace(NamedTuple):
    """What bpf_get_ns_current_pid_tgid() knows a namespace by; the device as the kernel numbers it (MKDEV)."""

    device: int
    inode: int


@cache
def own() -> PidNamespace | None:
    """Return ours, None where processes have the numbers that the kernel itself has for them."""
    try:
        ours = os.stat("/proc/self/ns/pid")
    except OSError:
        return None
    if ours.st_ino == _FIRST:
        return None
    return PidNamespace(os.major(ours.st_dev) << 20 | os.minor(ours.st_dev), ours.st_ino)
