"""Program types: one line each, and whether the kernel loads the smallest program of one."""

from __future__ import annotations

from errno import EINVAL
from typing import NamedTuple

from bpfctl._sys import programs
from bpfctl.feature.answer import AVAILABLE, ENOTSUPP, MISSING, NO, Answer, Rights, complaint, refused
from bpfctl.host import version
from bpfctl.uapi.enums import AttachType, ProgType

SLEEPABLE = 1 << 4  # BPF_F_SLEEPABLE in include/uapi/linux/bpf.h


class Probe(NamedTuple):
    """How a program type is asked for.

    Types that attach to a function are given what is none: the complaint about that is proof enough, and needs no
    function that every kernel has. ``refusal`` is its errno, ``complaint`` a part of the verifier's log.
    """

    type: ProgType
    since: str
    attach_type: int = 0
    flags: int = 0
    attach_btf_id: int = 0
    refusal: int = 0
    complaint: str = ""


PROBES = {
    probe.type: probe
    for probe in (
        Probe(ProgType.SOCKET_FILTER, "3.19"),
        Probe(ProgType.KPROBE, "4.1"),
        Probe(ProgType.SCHED_CLS, "4.1"),
        Probe(ProgType.SCHED_ACT, "4.1"),
        Probe(ProgType.TRACEPOINT, "4.7"),
        Probe(ProgType.XDP, "4.8"),
        Probe(ProgType.PERF_EVENT, "4.9"),
        Probe(ProgType.CGROUP_SKB, "4.10"),
        Probe(ProgType.CGROUP_SOCK, "4.10"),
        Probe(ProgType.LWT_IN, "4.10"),
        Probe(ProgType.LWT_OUT, "4.10"),
        Probe(ProgType.LWT_XMIT, "4.10"),
        Probe(ProgType.SOCK_OPS, "4.13"),
        Probe(ProgType.SK_SKB, "4.14"),
        Probe(ProgType.CGROUP_DEVICE, "4.15"),
        Probe(ProgType.SK_MSG, "4.17"),
        Probe(ProgType.RAW_TRACEPOINT, "4.17"),
        Probe(ProgType.CGROUP_SOCK_ADDR, "4.17", AttachType.CGROUP_INET4_CONNECT),
        Probe(ProgType.LWT_SEG6LOCAL, "4.18"),
        Probe(ProgType.LIRC_MODE2, "4.18", AttachType.LIRC_MODE2),
        Probe(ProgType.SK_REUSEPORT, "4.19"),
        Probe(ProgType.FLOW_DISSECTOR, "4.20"),
        Probe(ProgType.CGROUP_SYSCTL, "5.2"),
        Probe(ProgType.RAW_TRACEPOINT_WRITABLE, "5.2"),
        Probe(ProgType.CGROUP_SOCKOPT, "5.3", AttachType.CGROUP_GETSOCKOPT),
        Probe(
            ProgType.TRACING, "5.5", AttachType.TRACE_FENTRY, 0, 1, EINVAL, "attach_btf_id 1 is not a function"
        ),
        Probe(ProgType.STRUCT_OPS, "5.6", refusal=ENOTSUPP),
        Probe(ProgType.EXT, "5.6", 0, 0, 1, EINVAL, "Cannot replace kernel functions"),
        Probe(
            ProgType.LSM, "5.7", AttachType.MODIFY_RETURN, 0, 1, EINVAL, "attach_btf_id 1 is not a function"
        ),
        Probe(ProgType.SK_LOOKUP, "5.9", AttachType.SK_LOOKUP),
        Probe(ProgType.SYSCALL, "5.14", 0, SLEEPABLE),
        Probe(ProgType.NETFILTER, "6.4", AttachType.NETFILTER),
    )
}  # fmt: skip
RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
_RETURN_2 = bytes.fromhex("b700000002000000 9500000000000000")  # not 0, which nfp's driver refuses for TC


def kernel_version(kind: int) -> int:
    """Return the version that kprobes must carry before Linux 5.0 (commit 6c4fc209fcf9), or 0 for other types."""
    if kind != ProgType.KPROBE:
        return 0
    return version.code(version.running())


def on_kernel(probe: Probe, rights: Rights) -> Answer:
    """Load the smallest program of a type."""
    try:
        programs.load(
            probe.type,
            RETURN_0,
            expected_attach_type=probe.attach_type,
            prog_flags=probe.flags,
            attach_btf_id=probe.attach_btf_id,
            kern_version=kernel_version(probe.type),
            log_level=1 if probe.complaint else 0,
        ).fd.close()
    except programs.LoadError as error:
        errno = error.errno or 0
        if probe.refusal and errno == probe.refusal and probe.complaint in error.log:
            return AVAILABLE
        answer, said = refused(errno, rights), complaint(error.log)
        return answer._replace(why=said) if said and answer.can == NO else answer
    return MISSING if probe.refusal else AVAILABLE


def on_device(kind: ProgType, ifindex: int, rights: Rights) -> Answer:
    """Load a program for the hardware of a network device."""
    try:
        programs.load(kind, _RETURN_2, ifindex=ifindex).fd.close()
    except programs.LoadError as error:
        return refused(error.errno or 0, rights)
    return AVAILABLE
