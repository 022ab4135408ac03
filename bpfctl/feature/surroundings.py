"""What else decides what BPF can do here, and is no feature: settings, security modules, mounts, CPU and limits."""

from __future__ import annotations

import os
import resource
import sys
from typing import NamedTuple

from bpfctl.host import bpffs, kernel_config, sysctl

_SETTINGS = (
    "kernel.unprivileged_bpf_disabled",
    "kernel.bpf_stats_enabled",
    "kernel.perf_event_paranoid",
    "kernel.perf_event_max_stack",
    "kernel.perf_event_mlock_kb",
    "kernel.kptr_restrict",
    "net.core.bpf_jit_enable",
    "net.core.bpf_jit_harden",
    "net.core.bpf_jit_kallsyms",
    "net.core.bpf_jit_limit",
)
OPTIONS = ("CONFIG_BPF", "CONFIG_DEBUG_INFO_BTF", "CONFIG_LSM")  # how those of the configuration begin that count
_MOUNTS = ("bpf", "tracefs", "debugfs", "securityfs", "cgroup2")


class Fact(NamedTuple):
    """One line: a name and what it is; None where it cannot be told."""

    name: str
    value: str | None


def look() -> list[Fact]:
    """Return all facts; nothing is mounted or changed for them."""
    names = os.uname()
    config = kernel_config.running()
    facts = [
        Fact("kernel", names.release),
        Fact("machine", names.machine),
        Fact("byte order", sys.byteorder),
        Fact("possible CPUs", _read("/sys/devices/system/cpu/possible")),
        Fact("page size", str(os.sysconf("SC_PAGE_SIZE"))),
        Fact("lockdown", _bracketed(_read("/sys/kernel/security/lockdown"))),
        Fact("security modules", _read("/sys/kernel/security/lsm")),
        Fact("memlock limit", _limit(resource.RLIMIT_MEMLOCK)),
        Fact("configuration", config.path or None),
    ]
    facts += [Fact(name, None if (number := sysctl.number(name)) is None else str(number)) for name in _SETTINGS]
    mounts = bpffs.mounts()
    facts += [Fact(f"mounted {kind}", _mounted(kind, mounts)) for kind in _MOUNTS]
    facts += [Fact(name, value) for name, value in config.options.items() if name.startswith(OPTIONS)]
    return facts


def _mounted(kind: str, mounts: list[bpffs.Mount]) -> str:
    return " ".join(mount.path for mount in mounts if mount.type == kind) or "nowhere"


def _limit(which: int) -> str:
    soft, hard = ("unlimited" if limit == resource.RLIM_INFINITY else str(limit) for limit in resource.getrlimit(which))
    return soft if soft == hard else f"{soft} of {hard}"


def _bracketed(text: str | None) -> str | None:
    return text.partition("[")[2].partition("]")[0] if text else None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None
