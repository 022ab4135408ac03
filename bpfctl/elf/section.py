"""
What the name of a section says of the programs in it: their type, attach type and target.

The names are those of libbpf 1.8 (src/libbpf.c section_defs). One that ends in ``+`` may have a slash and the target
behind it; the others stand alone.
"""

from __future__ import annotations

from typing import NamedTuple

from bpfctl.uapi.enums import AttachType, ProgType

_SLEEPS, _FRAGS, _BTF, _OPTIONAL, _USDT = 1, 2, 4, 8, 16


class Section(NamedTuple):
    """What the programs of a section are; ``attach_type`` is None where none is expected."""

    type: ProgType
    attach_type: AttachType | None = None
    flags: int = 0

    @property
    def sleepable(self) -> bool:
        """Whether the programs may sleep."""
        return bool(self.flags & _SLEEPS)

    @property
    def frags(self) -> bool:
        """Whether the programs take packets of several buffers."""
        return bool(self.flags & _FRAGS)

    @property
    def attach_btf(self) -> bool:
        """Whether the target is a type of the kernel's BTF, without which they cannot be loaded."""
        return bool(self.flags & _BTF)

    @property
    def optional(self) -> bool:
        """Whether a loader leaves the attach type out for kernels before it."""
        return bool(self.flags & _OPTIONAL)


SECTIONS: dict[str, Section] = {
    "socket": Section(ProgType.SOCKET_FILTER),
    "sk_reuseport/migrate": Section(ProgType.SK_REUSEPORT, AttachType.SK_REUSEPORT_SELECT_OR_MIGRATE),
    "sk_reuseport": Section(ProgType.SK_REUSEPORT, AttachType.SK_REUSEPORT_SELECT),
    "kprobe+": Section(ProgType.KPROBE),
    "uprobe+": Section(ProgType.KPROBE),
    "uprobe.s+": Section(ProgType.KPROBE, None, _SLEEPS),
    "kretprobe+": Section(ProgType.KPROBE),
    "uretprobe+": Section(ProgType.KPROBE),
    "uretprobe.s+": Section(ProgType.KPROBE, None, _SLEEPS),
    "kprobe.multi+": Section(ProgType.KPROBE, AttachType.TRACE_KPROBE_MULTI),
    "kretprobe.multi+": Section(ProgType.KPROBE, AttachType.TRACE_KPROBE_MULTI),
    "kprobe.session+": Section(ProgType.KPROBE, AttachType.TRACE_KPROBE_SESSION),
    "uprobe.multi+": Section(ProgType.KPROBE, AttachType.TRACE_UPROBE_MULTI),
    "uretprobe.multi+": Section(ProgType.KPROBE, AttachType.TRACE_UPROBE_MULTI),
    "uprobe.session+": Section(ProgType.KPROBE, AttachType.TRACE_UPROBE_SESSION),
    "uprobe.multi.s+": Section(ProgType.KPROBE, AttachType.TRACE_UPROBE_MULTI, _SLEEPS),
    "uretprobe.multi.s+": Section(ProgType.KPROBE, AttachType.TRACE_UPROBE_MULTI, _SLEEPS),
    "uprobe.session.s+": Section(ProgType.KPROBE, AttachType.TRACE_UPROBE_SESSION, _SLEEPS),
    "ksyscall+": Section(ProgType.KPROBE),
    "kretsyscall+": Section(ProgType.KPROBE),
    "usdt+": Section(ProgType.KPROBE, None, _USDT),
    "usdt.s+": Section(ProgType.KPROBE, None, _SLEEPS | _USDT),
    "tc/ingress": Section(ProgType.SCHED_CLS, AttachType.TCX_INGRESS),
    "tc/egress": Section(ProgType.SCHED_CLS, AttachType.TCX_EGRESS),
    "tcx/ingress": Section(ProgType.SCHED_CLS, AttachType.TCX_INGRESS),
    "tcx/egress": Section(ProgType.SCHED_CLS, AttachType.TCX_EGRESS),
    "tc": Section(ProgType.SCHED_CLS),
    "classifier": Section(ProgType.SCHED_CLS),
    "action": Section(ProgType.SCHED_ACT),
    "netkit/primary": Section(ProgType.SCHED_CLS, AttachType.NETKIT_PRIMARY),
    "netkit/peer": Section(ProgType.SCHED_CLS, AttachType.NETKIT_PEER),
    "tracepoint+": Section(ProgType.TRACEPOINT),
    "tp+": Section(ProgType.TRACEPOINT),
    "tracepoint.s+": Section(ProgType.TRACEPOINT, None, _SLEEPS),
    "tp.s+": Section(ProgType.TRACEPOINT, None, _SLEEPS),
    "raw_tracepoint+": Section(ProgType.RAW_TRACEPOINT),
    "raw_tp+": Section(ProgType.RAW_TRACEPOINT),
    "raw_tracepoint.s+": Section(ProgType.RAW_TRACEPOINT, None, _SLEEPS),
    "raw_tp.s+": Section(ProgType.RAW_TRACEPOINT, None, _SLEEPS),
    "raw_tracepoint.w+": Section(ProgType.RAW_TRACEPOINT_WRITABLE),
    "raw_tp.w+": Section(ProgType.RAW_TRACEPOINT_WRITABLE),
    "tp_btf+": Section(ProgType.TRACING, AttachType.TRACE_RAW_TP, _BTF),
    "tp_btf.s+": Section(ProgType.TRACING, AttachType.TRACE_RAW_TP, _SLEEPS | _BTF),
    "fentry+": Section(ProgType.TRACING, AttachType.TRACE_FENTRY, _BTF),
    "fmod_ret+": Section(ProgType.TRACING, AttachType.MODIFY_RETURN, _BTF),
    "fexit+": Section(ProgType.TRACING, AttachType.TRACE_FEXIT, _BTF),
    "fentry.s+": Section(ProgType.TRACING, AttachType.TRACE_FENTRY, _SLEEPS | _BTF),
    "fmod_ret.s+": Section(ProgType.TRACING, AttachType.MODIFY_RETURN, _SLEEPS | _BTF),
    "fexit.s+": Section(ProgType.TRACING, AttachType.TRACE_FEXIT, _SLEEPS | _BTF),
    "fsession+": Section(ProgType.TRACING, AttachType.TRACE_FSESSION, _BTF),
    "fsession.s+": Section(ProgType.TRACING, AttachType.TRACE_FSESSION, _SLEEPS | _BTF),
    "fsession.multi+": Section(ProgType.TRACING, AttachType.TRACE_FSESSION_MULTI),
    "fsession.multi.s+": Section(ProgType.TRACING, AttachType.TRACE_FSESSION_MULTI, _SLEEPS),
    "fentry.multi+": Section(ProgType.TRACING, AttachType.TRACE_FENTRY_MULTI),
    "fexit.multi+": Section(ProgType.TRACING, AttachType.TRACE_FEXIT_MULTI),
    "fentry.multi.s+": Section(ProgType.TRACING, AttachType.TRACE_FENTRY_MULTI, _SLEEPS),
    "fexit.multi.s+": Section(ProgType.TRACING, AttachType.TRACE_FEXIT_MULTI, _SLEEPS),
    "freplace+": Section(ProgType.EXT, None, _BTF),
    "lsm+": Section(ProgType.LSM, AttachType.LSM_MAC, _BTF),
    "lsm.s+": Section(ProgType.LSM, AttachType.LSM_MAC, _SLEEPS | _BTF),
    "lsm_cgroup+": Section(ProgType.LSM, AttachType.LSM_CGROUP, _BTF),
    "iter+": Section(ProgType.TRACING, AttachType.TRACE_ITER, _BTF),
    "iter.s+": Section(ProgType.TRACING, AttachType.TRACE_ITER, _SLEEPS | _BTF),
    "syscall": Section(ProgType.SYSCALL, None, _SLEEPS),
    "xdp.frags/devmap": Section(ProgType.XDP, AttachType.XDP_DEVMAP, _FRAGS),
    "xdp/devmap": Section(ProgType.XDP, AttachType.XDP_DEVMAP),
    "xdp.frags/cpumap": Section(ProgType.XDP, AttachType.XDP_CPUMAP, _FRAGS),
    "xdp/cpumap": Section(ProgType.XDP, AttachType.XDP_CPUMAP),
    "xdp.frags": Section(ProgType.XDP, AttachType.XDP, _FRAGS),
    "xdp": Section(ProgType.XDP, AttachType.XDP, _OPTIONAL),
    "perf_event": Section(ProgType.PERF_EVENT),
    "lwt_in": Section(ProgType.LWT_IN),
    "lwt_out": Section(ProgType.LWT_OUT),
    "lwt_xmit": Section(ProgType.LWT_XMIT),
    "lwt_seg6local": Section(ProgType.LWT_SEG6LOCAL),
    "sockops": Section(ProgType.SOCK_OPS, AttachType.CGROUP_SOCK_OPS, _OPTIONAL),
    "sk_skb/stream_parser": Section(ProgType.SK_SKB, AttachType.SK_SKB_STREAM_PARSER, _OPTIONAL),
    "sk_skb/stream_verdict": Section(ProgType.SK_SKB, AttachType.SK_SKB_STREAM_VERDICT, _OPTIONAL),
    "sk_skb/verdict": Section(ProgType.SK_SKB, AttachType.SK_SKB_VERDICT, _OPTIONAL),
    "sk_skb": Section(ProgType.SK_SKB),
    "sk_msg": Section(ProgType.SK_MSG, AttachType.SK_MSG_VERDICT, _OPTIONAL),
    "lirc_mode2": Section(ProgType.LIRC_MODE2, AttachType.LIRC_MODE2, _OPTIONAL),
    "flow_dissector": Section(ProgType.FLOW_DISSECTOR, AttachType.FLOW_DISSECTOR, _OPTIONAL),
    "cgroup_skb/ingress": Section(ProgType.CGROUP_SKB, AttachType.CGROUP_INET_INGRESS, _OPTIONAL),
    "cgroup_skb/egress": Section(ProgType.CGROUP_SKB, AttachType.CGROUP_INET_EGRESS, _OPTIONAL),
    "cgroup/skb": Section(ProgType.CGROUP_SKB),
    "cgroup/sock_create": Section(ProgType.CGROUP_SOCK, AttachType.CGROUP_INET_SOCK_CREATE),
    "cgroup/sock_release": Section(ProgType.CGROUP_SOCK, AttachType.CGROUP_INET_SOCK_RELEASE),
    "cgroup/sock": Section(ProgType.CGROUP_SOCK, AttachType.CGROUP_INET_SOCK_CREATE, _OPTIONAL),
    "cgroup/post_bind4": Section(ProgType.CGROUP_SOCK, AttachType.CGROUP_INET4_POST_BIND),
    "cgroup/post_bind6": Section(ProgType.CGROUP_SOCK, AttachType.CGROUP_INET6_POST_BIND),
    "cgroup/bind4": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET4_BIND),
    "cgroup/bind6": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET6_BIND),
    "cgroup/connect4": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET4_CONNECT),
    "cgroup/connect6": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET6_CONNECT),
    "cgroup/connect_unix": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UNIX_CONNECT),
    "cgroup/sendmsg4": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UDP4_SENDMSG),
    "cgroup/sendmsg6": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UDP6_SENDMSG),
    "cgroup/sendmsg_unix": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UNIX_SENDMSG),
    "cgroup/recvmsg4": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UDP4_RECVMSG),
    "cgroup/recvmsg6": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UDP6_RECVMSG),
    "cgroup/recvmsg_unix": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UNIX_RECVMSG),
    "cgroup/getpeername4": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET4_GETPEERNAME),
    "cgroup/getpeername6": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET6_GETPEERNAME),
    "cgroup/getpeername_unix": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UNIX_GETPEERNAME),
    "cgroup/getsockname4": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET4_GETSOCKNAME),
    "cgroup/getsockname6": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET6_GETSOCKNAME),
    "cgroup/getsockname_unix": Section(ProgType.CGROUP_SOCK_ADDR, AttachType.CGROUP_UNIX_GETSOCKNAME),
    "cgroup/sysctl": Section(ProgType.CGROUP_SYSCTL, AttachType.CGROUP_SYSCTL),
    "cgroup/getsockopt": Section(ProgType.CGROUP_SOCKOPT, AttachType.CGROUP_GETSOCKOPT),
    "cgroup/setsockopt": Section(ProgType.CGROUP_SOCKOPT, AttachType.CGROUP_SETSOCKOPT),
    "cgroup/dev": Section(ProgType.CGROUP_DEVICE, AttachType.CGROUP_DEVICE, _OPTIONAL),
    "struct_ops+": Section(ProgType.STRUCT_OPS),
    "struct_ops.s+": Section(ProgType.STRUCT_OPS, None, _SLEEPS),
    "sk_lookup": Section(ProgType.SK_LOOKUP, AttachType.SK_LOOKUP),
    "netfilter": Section(ProgType.NETFILTER, AttachType.NETFILTER),
}


def find(name: str) -> tuple[Section, str] | None:
    """Return what a section's name says, and the target in it; None for a name that says nothing."""
    exact = SECTIONS.get(name)
    if exact is not None:
        return exact, ""
    kind, _, target = name.partition("/")
    found = SECTIONS.get(f"{kind}+")
    return (found, target) if found is not None else None
