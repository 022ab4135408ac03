"""Attach types and link types: one line each."""

from __future__ import annotations

import struct
from errno import EAFNOSUPPORT, EBADF, EFAULT, ENODEV, ENOENT
from typing import TYPE_CHECKING

from bpfctl.feature.prog_types import RETURN_0, SLEEPABLE
from bpfctl.feature.ways import NO_ID, NOBODY, Probe, all_of, answers, checked, links, loads, makes, targets, with_type
from bpfctl.uapi.commands import Cmd
from bpfctl.uapi.enums import AttachType as A
from bpfctl.uapi.enums import LinkType as L
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.enums import ProgType as P
from bpfctl.uapi.flags import MapFlag

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl.feature.answer import Answer
    from bpfctl.feature.ways import Asker

_BAD_ADDRESS = 8  # nothing is mapped there, which the kernel finds out only after it knows what was asked
# struct bpf_link_create_attr's tails: a count of one, and arrays where there are none.
_ONE_KPROBE = struct.pack("=IIQQQ", 0, 1, 0, _BAD_ADDRESS, 0)
_ONE_UPROBE = struct.pack("=QQQQIII4x", _BAD_ADDRESS, _BAD_ADDRESS, 0, 0, 1, 0, 0)
_NO_FAMILY = struct.pack("=IIiI", 0xFF, 0, 0, 0)


def _attach(kind: P, attach_type: A) -> Callable[[Asker], Answer]:
    """Ask by attaching no program to nothing: only of a known type is the program looked for."""
    return with_type(kind, answers(Cmd.PROG_ATTACH, struct.pack("=IIII", NOBODY, NOBODY, attach_type, 0), EBADF))


def _query(kind: P, attach_type: A) -> Callable[[Asker], Answer]:
    """Ask what is attached to a device that does not exist."""
    attributes = struct.pack("=IIIIQQ", NO_ID, attach_type, 0, 0, 0, 0)
    return with_type(kind, answers(Cmd.PROG_QUERY, attributes, ENODEV))


def kprobes(attach_type: A) -> Callable[[Asker], Answer]:
    """Ask for a link to many functions, whose addresses are nowhere to be read."""
    return links(P.KPROBE, attach_type, EFAULT, target=0, more=_ONE_KPROBE)


def uprobes(attach_type: A) -> Callable[[Asker], Answer]:
    """Ask for a link to many places of a file, whose name is nowhere to be read."""
    return links(P.KPROBE, attach_type, EFAULT, EBADF, target=0, more=_ONE_UPROBE)


_FUNCTIONS = ("bpf_fentry_test1", "vfs_read")
TRACEPOINT = targets(P.TRACING, A.TRACE_RAW_TP, "btf_trace_task_rename", "btf_trace_sys_enter")
ITERATOR = targets(P.TRACING, A.TRACE_ITER, "bpf_iter_task")
#: Programs for many functions get them when they are linked, and load without any.
MULTI = [
    loads(RETURN_0, P.TRACING, kind) for kind in (A.TRACE_FENTRY_MULTI, A.TRACE_FEXIT_MULTI, A.TRACE_FSESSION_MULTI)
]
_STRUCT_OPS_LINK = makes(MapType.STRUCT_OPS, MapFlag.LINK)

_WAYS: dict[A, tuple[str, Callable[[Asker], Answer]]] = {
    **{
        kind: (since, _attach(type_, kind))
        for since, type_, kinds in (
            ("4.10", P.CGROUP_SKB, (A.CGROUP_INET_INGRESS, A.CGROUP_INET_EGRESS)),
            ("4.10", P.CGROUP_SOCK, (A.CGROUP_INET_SOCK_CREATE,)),
            ("4.13", P.SOCK_OPS, (A.CGROUP_SOCK_OPS,)),
            ("4.14", P.SK_SKB, (A.SK_SKB_STREAM_PARSER, A.SK_SKB_STREAM_VERDICT)),
            ("4.15", P.CGROUP_DEVICE, (A.CGROUP_DEVICE,)),
            ("4.17", P.SK_MSG, (A.SK_MSG_VERDICT,)),
            ("4.17", P.CGROUP_SOCK_ADDR, (A.CGROUP_INET4_BIND, A.CGROUP_INET6_BIND)),
            ("4.17", P.CGROUP_SOCK_ADDR, (A.CGROUP_INET4_CONNECT, A.CGROUP_INET6_CONNECT)),
            ("4.17", P.CGROUP_SOCK, (A.CGROUP_INET4_POST_BIND, A.CGROUP_INET6_POST_BIND)),
            ("4.18", P.CGROUP_SOCK_ADDR, (A.CGROUP_UDP4_SENDMSG, A.CGROUP_UDP6_SENDMSG)),
            ("4.18", P.LIRC_MODE2, (A.LIRC_MODE2,)),
            ("4.20", P.FLOW_DISSECTOR, (A.FLOW_DISSECTOR,)),
            ("5.2", P.CGROUP_SYSCTL, (A.CGROUP_SYSCTL,)),
            ("5.2", P.CGROUP_SOCK_ADDR, (A.CGROUP_UDP4_RECVMSG, A.CGROUP_UDP6_RECVMSG)),
            ("5.3", P.CGROUP_SOCKOPT, (A.CGROUP_GETSOCKOPT, A.CGROUP_SETSOCKOPT)),
            ("5.8", P.CGROUP_SOCK_ADDR, (A.CGROUP_INET4_GETPEERNAME, A.CGROUP_INET6_GETPEERNAME)),
            ("5.8", P.CGROUP_SOCK_ADDR, (A.CGROUP_INET4_GETSOCKNAME, A.CGROUP_INET6_GETSOCKNAME)),
            ("5.9", P.CGROUP_SOCK, (A.CGROUP_INET_SOCK_RELEASE,)),
            ("5.9", P.SK_LOOKUP, (A.SK_LOOKUP,)),
            ("5.9", P.XDP, (A.XDP,)),
            ("5.13", P.SK_SKB, (A.SK_SKB_VERDICT,)),
            ("6.7", P.CGROUP_SOCK_ADDR, (A.CGROUP_UNIX_CONNECT, A.CGROUP_UNIX_SENDMSG, A.CGROUP_UNIX_RECVMSG)),
            ("6.7", P.CGROUP_SOCK_ADDR, (A.CGROUP_UNIX_GETPEERNAME, A.CGROUP_UNIX_GETSOCKNAME)),
        )
        for kind in kinds
    },
    A.TRACE_RAW_TP: ("5.5", TRACEPOINT),
    A.TRACE_FENTRY: ("5.5", targets(P.TRACING, A.TRACE_FENTRY, *_FUNCTIONS)),
    A.TRACE_FEXIT: ("5.5", targets(P.TRACING, A.TRACE_FEXIT, *_FUNCTIONS)),
    A.MODIFY_RETURN: ("5.7", targets(P.TRACING, A.MODIFY_RETURN, "bpf_modify_return_test", "security_file_open")),
    A.LSM_MAC: ("5.7", targets(P.LSM, A.LSM_MAC, "bpf_lsm_file_open")),
    A.TRACE_ITER: ("5.8", ITERATOR),
    # A value of eight bytes has room for a program behind the device or the queue.
    A.XDP_DEVMAP: ("5.8", makes(MapType.DEVMAP, value=8)),
    A.XDP_CPUMAP: ("5.9", makes(MapType.CPUMAP, value=8)),
    A.SK_REUSEPORT_SELECT: ("5.14", checked(P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT)),
    A.SK_REUSEPORT_SELECT_OR_MIGRATE: ("5.14", checked(P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT_OR_MIGRATE)),
    A.PERF_EVENT: ("5.15", links(P.KPROBE, A.PERF_EVENT, EBADF)),
    A.TRACE_KPROBE_MULTI: ("5.18", kprobes(A.TRACE_KPROBE_MULTI)),
    A.LSM_CGROUP: ("6.0", targets(P.LSM, A.LSM_CGROUP, "bpf_lsm_socket_bind")),
    A.STRUCT_OPS: ("6.4", _STRUCT_OPS_LINK),
    A.NETFILTER: ("6.4", with_type(P.NETFILTER)),
    A.TCX_INGRESS: ("6.6", _query(P.SCHED_CLS, A.TCX_INGRESS)),
    A.TCX_EGRESS: ("6.6", _query(P.SCHED_CLS, A.TCX_EGRESS)),
    A.TRACE_UPROBE_MULTI: ("6.6", uprobes(A.TRACE_UPROBE_MULTI)),
    A.NETKIT_PRIMARY: ("6.7", _query(P.SCHED_CLS, A.NETKIT_PRIMARY)),
    A.NETKIT_PEER: ("6.7", _query(P.SCHED_CLS, A.NETKIT_PEER)),
    A.TRACE_KPROBE_SESSION: ("6.10", kprobes(A.TRACE_KPROBE_SESSION)),
    A.TRACE_UPROBE_SESSION: ("6.13", uprobes(A.TRACE_UPROBE_SESSION)),
    A.TRACE_FENTRY_MULTI: ("7.2", MULTI[0]),
    A.TRACE_FEXIT_MULTI: ("7.2", MULTI[1]),
    A.TRACE_FSESSION_MULTI: ("7.2", MULTI[2]),
    A.TRACE_FSESSION: ("7.0", targets(P.TRACING, A.TRACE_FSESSION, *_FUNCTIONS)),
}

ATTACH_TYPES = tuple(Probe(kind.name.lower(), *_WAYS[kind]) for kind in A)

_NEXT_LINK = answers(Cmd.LINK_GET_NEXT_ID, struct.pack("=III", NO_ID, 0, 0), ENOENT)

LINK_TYPES = (
    Probe(L.RAW_TRACEPOINT.name.lower(), "5.8", with_type(P.RAW_TRACEPOINT, _NEXT_LINK)),
    Probe(L.TRACING.name.lower(), "5.8", all_of(targets(P.TRACING, A.TRACE_FENTRY, *_FUNCTIONS), _NEXT_LINK)),
    Probe(L.CGROUP.name.lower(), "5.7", links(P.CGROUP_SKB, A.CGROUP_INET_INGRESS, EBADF)),
    Probe(L.ITER.name.lower(), "5.8", ITERATOR),
    Probe(L.NETNS.name.lower(), "5.8", links(P.FLOW_DISSECTOR, A.FLOW_DISSECTOR, EBADF)),
    # The attach type came with the link: Linux commit aa8d3a716b59, "bpf, xdp: Add bpf_link-based XDP attachment API".
    Probe(L.XDP.name.lower(), "5.9", _attach(P.XDP, A.XDP)),
    Probe(L.PERF_EVENT.name.lower(), "5.15", links(P.KPROBE, A.PERF_EVENT, EBADF)),
    Probe(L.KPROBE_MULTI.name.lower(), "5.18", kprobes(A.TRACE_KPROBE_MULTI)),
    Probe(L.STRUCT_OPS.name.lower(), "6.4", _STRUCT_OPS_LINK),
    Probe(L.NETFILTER.name.lower(), "6.4", links(P.NETFILTER, A.NETFILTER, EAFNOSUPPORT, target=0, more=_NO_FAMILY)),
    Probe(L.TCX.name.lower(), "6.6", links(P.SCHED_CLS, A.TCX_INGRESS, ENODEV, target=NO_ID)),
    Probe(L.UPROBE_MULTI.name.lower(), "6.6", uprobes(A.TRACE_UPROBE_MULTI)),
    Probe(L.NETKIT.name.lower(), "6.7", links(P.SCHED_CLS, A.NETKIT_PRIMARY, ENODEV, target=NO_ID)),
    Probe(L.SOCKMAP.name.lower(), "6.10", links(P.SK_MSG, A.SK_MSG_VERDICT, EBADF)),
    Probe(L.TRACING_MULTI.name.lower(), "7.2", MULTI[0]),
)

SLEEPING = (
    Probe(
        "fentry.s",
        "5.10",
        targets(P.TRACING, A.TRACE_FENTRY, "bpf_fentry_test1", "bpf_modify_return_test", flags=SLEEPABLE),
    ),
    Probe("fmod_ret.s", "5.10", targets(P.TRACING, A.MODIFY_RETURN, "bpf_modify_return_test", flags=SLEEPABLE)),
    Probe("lsm.s", "5.10", targets(P.LSM, A.LSM_MAC, "bpf_lsm_file_open", flags=SLEEPABLE)),
    Probe("iter.s", "5.18", targets(P.TRACING, A.TRACE_ITER, "bpf_iter_task", flags=SLEEPABLE)),
)
