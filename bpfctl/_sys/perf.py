"""perf_event_open(2) and its ioctls (include/uapi/linux/perf_event.h)."""

from __future__ import annotations

import os
from errno import EINTR
from typing import Any

from bpfctl._sys import calls
from bpfctl._sys._ffi import ffi, lib
from bpfctl._sys.fd import FD

FLAG_PID_CGROUP, FLAG_FD_CLOEXEC = 4, 8

# Bits of struct perf_event_attr's bit field.
DISABLED, INHERIT, PINNED = 1 << 0, 1 << 1, 1 << 2
EXCLUDE_USER, EXCLUDE_KERNEL, EXCLUDE_HV = 1 << 4, 1 << 5, 1 << 6
ENABLE_ON_EXEC = 1 << 12

IOC_ENABLE: int = lib.bpfctl_perf_ioc_enable
IOC_DISABLE: int = lib.bpfctl_perf_ioc_disable
IOC_SET_BPF: int = lib.bpfctl_perf_ioc_set_bpf


def open_event(
    kind: int,
    config: int,
    *,
    pid: int = -1,
    cpu: int = -1,
    group_fd: int = -1,
    flags: int = 0,
    open_flags: int = FLAG_FD_CLOEXEC,
    **members: int,
) -> FD:
    """Open a perf event; ``flags`` are the bits above, ``members`` other fields of struct perf_event_attr by name.

    For the kprobe and uprobe PMUs use open_probe(), which passes strings.
    """
    attr = ffi.new("struct bpfctl_perf_attr *")
    attr.type, attr.config, attr.flags = kind, config, flags
    for name, value in members.items():
        setattr(attr, name, value)
    return FD(_open(attr, pid, cpu, group_fd, open_flags))


def open_probe(
    pmu: int,
    config: int,
    target: str | bytes | None,
    offset: int,
    *,
    pid: int = -1,
    cpu: int = -1,
    flags: int = 0,
) -> FD:
    """Open an event of the kprobe or uprobe PMU: ``target`` is a symbol or a path, None for a raw address."""
    attr = ffi.new("struct bpfctl_perf_attr *")
    text = ffi.new("char[]", os.fsencode(target)) if target is not None else None
    attr.type, attr.config, attr.flags = pmu, config, flags
    attr.config1 = int(ffi.cast("uintptr_t", text)) if text is not None else 0
    attr.config2 = offset
    return FD(_open(attr, pid, cpu, -1, FLAG_FD_CLOEXEC))


def _open(attr: Any, pid: int, cpu: int, group_fd: int, open_flags: int) -> int:
    attr.size = ffi.sizeof(attr[0])
    rc = -EINTR
    while rc == -EINTR:
        rc = calls.traced(
            "perf_event_open",
            attr,
            lambda: int(lib.bpfctl_perf_event_open(attr, pid, cpu, group_fd, open_flags)),
            pid=pid,
            cpu=cpu,
            group_fd=group_fd,
            open_flags=open_flags,
        )
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
    return rc


def ioctl(fd: int, request: int, argument: int = 0) -> int:
    """Send one of the IOC_ requests to a perf event."""
    make = lambda: int(lib.bpfctl_ioctl(fd, request, argument))  # noqa: E731
    rc = calls.traced("ioctl", None, make, fd=fd, request=request, argument=argument)
    if rc < 0:
        raise OSError(-rc, os.strerror(-rc))
    return rc
