"""What else decides what BPF can do here, and is no feature: settings, security modules, mounts, CPU and limits."""

from __future__ import annotations

import os
import resource
import sys
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.feature import security
from bpfctl.feature.system import OPTIONS
from bpfctl.host import bpffs, kernel_config, sysctl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.host.kernel_config import Config

_SETTINGS = (
    "kernel.unprivileged_bpf_disabled",
    "kernel.bpf_stats_enabled",
    "kernel.ftrace_enabled",
    "kernel.perf_event_paranoid",
    "kernel.perf_event_max_sample_rate",
    "kernel.perf_event_max_stack",
    "kernel.perf_event_max_contexts_per_stack",
    "kernel.perf_event_mlock_kb",
    "kernel.kptr_restrict",
    "kernel.modules_disabled",
    "kernel.yama.ptrace_scope",
    "debug.kprobes-optimization",
    "user.max_user_namespaces",
    "net.core.bpf_jit_enable",
    "net.core.bpf_jit_harden",
    "net.core.bpf_jit_kallsyms",
    "net.core.bpf_jit_limit",
)
_MOUNTS = ("bpf", "tracefs", "debugfs", "securityfs", "cgroup2")
#: Options that decide as much as those that bpftool tells.
_MORE = """
    BPF_JIT_DEFAULT_ON BPF_UNPRIV_DEFAULT_OFF BPF_LSM BPF_PRELOAD HID_BPF SCHED_CLASS_EXT NETKIT NETFILTER_BPF_LINK
    NET_SOCK_MSG BPF_STREAM_PARSER PERF_EVENTS TRACEPOINTS KPROBES UPROBES FPROBE FUNCTION_TRACER DYNAMIC_FTRACE
    DYNAMIC_FTRACE_WITH_ARGS DYNAMIC_FTRACE_WITH_DIRECT_CALLS KALLSYMS_ALL IKCONFIG IKCONFIG_PROC IKHEADERS PREEMPT_RT
    MODULES SECURITY SECURITYFS SECURITY_LOCKDOWN_LSM SECURITY_SELINUX LSM LOCK_DOWN_KERNEL_FORCE_INTEGRITY
    LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY KEYS SYSTEM_DATA_VERIFICATION CRYPTO_USER_API
"""
_OPTIONS = (*OPTIONS, *(f"CONFIG_{word}" for word in _MORE.split()))


class Fact(NamedTuple):
    """One line: a name and what it is. None is an option that is not set, or else what cannot be told, and why."""

    name: str
    value: str | None
    why: str = ""

    @property
    def is_option(self) -> bool:
        """Whether it is of the kernel's configuration."""
        return self.name.startswith("CONFIG_")


def look() -> list[Fact]:
    """Return all facts; nothing is mounted or changed for them."""
    names = os.uname()
    config = kernel_config.running()
    mounts = bpffs.mounts()
    return [
        Fact("kernel", names.release),
        Fact("machine", names.machine),
        Fact("byte order", sys.byteorder),
        Fact("CPU", *_cpu()),
        Fact("possible CPUs", *_read("/sys/devices/system/cpu/possible")),
        Fact("online CPUs", *_read("/sys/devices/system/cpu/online")),
        Fact("page size", str(os.sysconf("SC_PAGE_SIZE"))),
        Fact("lockdown", *security.lockdown()),
        Fact("security modules", *security.modules()),
        Fact("security modules that judge bpf()", *security.judges()),
        Fact("memlock limit", _limit(resource.RLIMIT_MEMLOCK)),
        *_settings(),
        *(Fact(f"mounted {kind}", *_mounted(kind, mounts)) for kind in _MOUNTS),
        *_configuration(config),
    ]


def _configuration(config: Config) -> Iterator[Fact]:
    """Yield where the configuration is, and the options that matter; more of BPF's own if the kernel has them."""
    if not config.options:
        yield Fact("configuration", None, config.complaint or "there is none in any of the usual places")
        return
    yield Fact("configuration", config.path)
    others = [name for name in config.options if name.startswith(("CONFIG_BPF", "CONFIG_DEBUG_INFO_BTF"))]
    yield from (Fact(name, config.options.get(name)) for name in dict.fromkeys((*_OPTIONS, *others)))


def _settings() -> Iterator[Fact]:
    """Yield the settings that this kernel has; those of the network are in the first network namespace alone."""
    there_is_proc = os.path.isdir("/proc/sys")
    for name in _SETTINGS:
        number = sysctl.number(name)
        if number is not None:
            yield Fact(name, str(number))
        elif not there_is_proc:
            yield Fact(name, None, "there is no /proc")
        elif os.path.exists(f"/proc/sys/{name.replace('.', '/')}"):
            yield Fact(name, None, "it may not be read")
        elif name.startswith("net."):
            yield Fact(name, None, "this network namespace does not have it")


def _mounted(kind: str, mounts: list[bpffs.Mount]) -> tuple[str | None, str]:
    if not mounts:
        return None, "there is no /proc"
    return " ".join(mount.path for mount in mounts if mount.type == kind) or "nowhere", ""


def _limit(which: int) -> str:
    soft, hard = ("unlimited" if limit == resource.RLIM_INFINITY else str(limit) for limit in resource.getrlimit(which))
    return soft if soft == hard else f"{soft} of {hard}"


def _cpu() -> tuple[str | None, str]:
    """Return what the CPU calls itself; not every architecture tells."""
    text, why = _read("/proc/cpuinfo")
    for line in (text or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "cpu model", "uarch", "processor 0", "cpu"):
            return value.strip(), ""
    return None, why or "/proc/cpuinfo has no name of it"


def _read(path: str) -> tuple[str | None, str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip(), ""
    except OSError as error:
        return None, f"{path}: {error.strerror}"
