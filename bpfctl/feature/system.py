"""What the kernel was built with, and what its administrator has set."""

from __future__ import annotations

import os
from typing import NamedTuple

from bpfctl.host import kernel_config, sysctl

SETTINGS = (
    "kernel.unprivileged_bpf_disabled",
    "net.core.bpf_jit_enable",
    "net.core.bpf_jit_harden",
    "net.core.bpf_jit_kallsyms",
    "net.core.bpf_jit_limit",
)
_OPTIONS = """
    BPF BPF_SYSCALL HAVE_EBPF_JIT BPF_JIT BPF_JIT_ALWAYS_ON DEBUG_INFO_BTF DEBUG_INFO_BTF_MODULES CGROUPS CGROUP_BPF
    CGROUP_NET_CLASSID SOCK_CGROUP_DATA BPF_EVENTS KPROBE_EVENTS UPROBE_EVENTS TRACING FTRACE_SYSCALLS
    FUNCTION_ERROR_INJECTION BPF_KPROBE_OVERRIDE NET XDP_SOCKETS LWTUNNEL_BPF NET_ACT_BPF NET_CLS_BPF NET_CLS_ACT
    NET_SCH_INGRESS XFRM IP_ROUTE_CLASSID IPV6_SEG6_BPF BPF_LIRC_MODE2 BPF_STREAM_PARSER NETFILTER_XT_MATCH_BPF
    TEST_BPF HZ
"""
OPTIONS = tuple(f"CONFIG_{word}" for word in _OPTIONS.split())


class System(NamedTuple):
    """Settings by their last word, or None without procfs; options by name, or None where no file tells them."""

    settings: dict[str, int] | None
    options: dict[str, str | None] | None
    complaint: str = ""


def look() -> System:
    """Read what bpftool reads, from where it does; a setting that cannot be read is -1."""
    settings = None
    if os.path.isdir("/proc/sys"):
        found = {name.rpartition(".")[2]: sysctl.number(name) for name in SETTINGS}
        settings = {name: -1 if number is None else number for name, number in found.items()}
    config = kernel_config.bpftools()
    if config.complaint:
        return System(settings, None, f"skipping kernel config, {config.complaint}")
    return System(settings, {name: config.options.get(name) for name in OPTIONS})
