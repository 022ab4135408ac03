"""What this task may do, capget(2), who judges that, and what two tasks share, kcmp(2).

Kernel: kernel/capability.c, security/lsm_syscalls.c, kernel/kcmp.c.
"""

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


def security_modules() -> list[int]:
    """Return the numbers of the active security modules in their order; OSError ENOSYS before Linux 6.8."""
    room = 64
    ids, size = ffi.new("uint64_t[]", room), ffi.new("uint32_t *", room * 8)
    _check(lib.bpfctl_security_modules(ids, size))
    return list(ids[0 : size[0] // 8])


def _check(rc: int) -> None:
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
