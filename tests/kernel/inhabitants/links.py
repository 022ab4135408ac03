"""Every link type, with the targets and cookies that change what the kernel tells about it."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.kernel import client
from tests.kernel.inhabitants import Inhabitant

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.zoo import Zoo

_PMU = Path("/sys/bus/event_source/devices")
_LO = 1
_XDP_FLAGS_SKB_MODE = 1 << 1
_PERF_TYPE_HARDWARE, _PERF_TYPE_SOFTWARE, _PERF_TYPE_TRACEPOINT = 0, 1, 2
_CPU_CYCLES, _CPU_CLOCK, _PAGE_FAULTS = 0, 0, 2
_NFPROTO_IPV4, _NFPROTO_IPV6 = 2, 10
_NF_INET_PRE_ROUTING, _NF_INET_LOCAL_IN = 0, 1
_PT_LOAD = 1
# Bit 0 of a probe's config, and of a multi link's flags, asks for the return.
_RETURN = 1
_TEST = "bpf_fentry_test1"
_COOKIE = 0x1234


def _link(
    name: str,
    type_: str,
    prog: str,
    attach: str,
    target: Callable[[Zoo], int] | None = None,
    *needs: str,
    how: str = "",
    since: str = "",
    extra: Callable[[Zoo], dict[str, Any]] | None = None,
) -> Inhabitant:
    """Describe a link made by BPF_LINK_CREATE; ``target`` and ``extra`` are asked when it is made."""

    def make(zoo: Zoo) -> int:
        fd, number = zoo.fd(f"prog:{prog}"), zoo.number(attach)
        return client.link_create(fd, target(zoo) if target else 0, number, how, **(extra(zoo) if extra else {}))

    return Inhabitant("link", name, f"BPF_LINK_TYPE_{type_.upper()}", make, (f"enum:{attach}", *needs), since)


def _raw(
    name: str, type_: str, prog: str, tracepoint: str | None, *needs: str, cookie: int = 0, since: str = ""
) -> Inhabitant:
    """Describe a link made by BPF_RAW_TRACEPOINT_OPEN, which also attaches what knows its own target."""

    def make(zoo: Zoo) -> int:
        return client.raw_tracepoint_open(tracepoint, zoo.fd(f"prog:{prog}"), cookie)

    return Inhabitant("link", name, f"BPF_LINK_TYPE_{type_.upper()}", make, needs, since)


def _tracing(name: str, prog: str) -> Inhabitant:
    return _raw(f"tracing_{name}", "tracing", prog, None)


def _cgroup(name: str, prog: str, attach: str, since: str = "") -> Inhabitant:
    return _link(f"cgroup_{name}", "cgroup", prog, attach, lambda zoo: zoo.place.cgroup_fd, since=since)


def _netns(name: str, prog: str, attach: str) -> Inhabitant:
    return _link(f"netns_{name}", "netns", prog, attach, lambda zoo: zoo.place.netns_fd)


def _iter(name: str, prog: str, info: Callable[[Zoo], bytes] | None = None, since: str = "") -> Inhabitant:
    def extra(zoo: Zoo) -> dict[str, Any]:
        raw = info(zoo) if info else None
        return {"iter_info": raw, "iter_info_len": len(raw)} if raw else {}

    return _link(f"iter_{name}", "iter", f"iter_{prog}", "BPF_TRACE_ITER", how="iter", since=since, extra=extra)


def _map_target(name: str) -> Callable[[Zoo], bytes]:
    return lambda zoo: struct.pack("=I", zoo.fd(f"map:{name}"))


def _task_target(tid: int, pid: int) -> Callable[[Zoo], bytes]:
    """Narrow a task iterator; older kernels would read the number as a map's, and not look at it."""

    def info(zoo: Zoo) -> bytes:
        zoo.require("member:bpf_iter_aux_info.task")
        return struct.pack("=III", tid, pid, 0)

    return info


def _perf(name: str, prog: str, event: Callable[[Zoo], int], *needs: str, cookie: int = 0) -> Inhabitant:
    """Describe a link on a perf event, which the zoo keeps open beside the link."""
    return _link(
        f"perf_{name}",
        "perf_event",
        prog,
        "BPF_PERF_EVENT",
        lambda zoo: zoo.keep(event(zoo)),
        *needs,
        how="perf_event",
        since="5.15",
        extra=lambda _: {"bpf_cookie": cookie},
    )


def _software(config: int) -> Callable[[Zoo], int]:
    return lambda _: client.perf_event_open(_PERF_TYPE_SOFTWARE, config)


def _hardware(config: int) -> Callable[[Zoo], int]:
    return lambda _: client.perf_event_open(_PERF_TYPE_HARDWARE, config)


def _tracepoint(name: str) -> Callable[[Zoo], int]:
    return lambda zoo: client.perf_event_open(_PERF_TYPE_TRACEPOINT, zoo.place.tracepoint_id("sched", name))


def _probe(pmu: str, name: str, offset: int, config: int) -> int:
    """Open an event of a probe's PMU; what to probe lies behind config1."""
    type_ = int((_PMU / pmu / "type").read_text())
    return client.perf_event_open(type_, config, config1=ctypes.create_string_buffer(name.encode()), config2=offset)


def _kprobe(config: int) -> Callable[[Zoo], int]:
    return lambda _: _probe("kprobe", _TEST, 0, config)


def _uprobe(config: int) -> Callable[[Zoo], int]:
    return lambda zoo: _probe("uprobe", *entry_point(zoo), config)


def entry_point(zoo: Zoo) -> tuple[str, int]:
    """
    Return a program's path and where in the file it starts: a place that a uprobe may sit on.

    The program is a copy that nobody runs: what a return probe takes for the return address is at that place the
    number of arguments, so while it is probed a program starts with nonsense for it.
    """
    path = str(zoo.place.root / "env")
    if not Path(path).exists():
        shutil.copy("/usr/bin/env", path)
    raw = Path(path).read_bytes()
    entry, table = struct.unpack_from("=QQ", raw, 24)
    size, count = struct.unpack_from("=HH", raw, 54)
    for position in range(table, table + size * count, size):
        kind, _, offset, address, _, length = struct.unpack_from("=IIQQQQ", raw, position)
        if kind == _PT_LOAD and address <= entry < address + length:
            return path, entry - address + offset
    raise ValueError(f"{path} has no segment around its entry point")


def _kprobe_multi(name: str, prog: str, attach: str, flags: int, *cookies: int, since: str) -> Inhabitant:
    """Describe one link on two functions."""
    extra = {
        "multi_flags": flags,
        "cnt": 2,
        "syms": [b"bpf_fentry_test1\0", b"bpf_fentry_test2\0"],
        "cookies": struct.pack("=2Q", *cookies) if cookies else None,
    }
    needs = ("func:kprobe_multi_link_handler",)  # CONFIG_FPROBE; the attaching function is there without it
    return _link(
        name,
        "kprobe_multi",
        prog,
        attach,
        None,
        *needs,
        how="kprobe_multi",
        since=since,
        extra=lambda _: extra,
    )


def _uprobe_multi(name: str, prog: str, attach: str, flags: int, *cookies: int, since: str) -> Inhabitant:
    def extra(zoo: Zoo) -> dict[str, Any]:
        path, offset = entry_point(zoo)
        return {
            "path": path.encode() + b"\0",
            "offsets": struct.pack("=Q", offset),
            "cookies": struct.pack("=Q", *cookies) if cookies else None,
            "cnt": 1,
            "multi_flags": flags,
        }

    return _link(name, "uprobe_multi", prog, attach, how="uprobe_multi", since=since, extra=extra)


def _netfilter(name: str, pf: int, hook: int, priority: int) -> Inhabitant:
    extra = {"pf": pf, "hooknum": hook, "priority": priority}
    return _link(name, "netfilter", "netfilter", "BPF_NETFILTER", how="netfilter", since="6.4", extra=lambda _: extra)


def _tracing_multi(zoo: Zoo) -> dict[str, Any]:
    ids = sorted(zoo.type_id(f"func:bpf_fentry_test{number}") for number in (1, 2))
    return {"ids": struct.pack("=2I", *ids), "cookies": struct.pack("=2Q", 5, 6), "cnt": 2}


def _struct_ops(zoo: Zoo) -> int:
    """Register a congestion control; the link takes a map where others take a program."""
    return client.link_create(zoo.fd("map:struct_ops_link"), 0, zoo.number("BPF_STRUCT_OPS"))


def _lo(_: Zoo) -> int:
    return _LO


def _device(kind: str) -> Callable[[Zoo], int]:
    return lambda zoo: zoo.device(kind)


def _always(**extra: int) -> Callable[[Zoo], dict[str, Any]]:
    return lambda _: extra


def _sockmap(zoo: Zoo) -> int:
    return zoo.fd("map:sockmap")


_NETKIT = "func:netkit_link_attach"
_SOCKMAP = "enum:BPF_LINK_TYPE_SOCKMAP"
_RAW_COOKIE = "member:bpf_raw_tp_link.cookie"
_TRACING_COOKIE = "struct:bpf_tramp_run_ctx"

LINKS = [
    _raw("raw_tracepoint", "raw_tracepoint", "raw_tracepoint", "sched_process_exec"),
    _raw(
        "raw_cookie",
        "raw_tracepoint",
        "raw_tracepoint",
        "sched_process_exit",
        _RAW_COOKIE,
        cookie=77,
        since="6.10",
    ),
    _raw("tp_btf", "raw_tracepoint", "tp_btf", None),
    _tracing("fentry", "fentry"),
    _tracing("fexit", "fexit"),
    _tracing("modify_return", "modify_return"),
    _tracing("ext", "ext"),
    _tracing("prog", "fentry_prog"),
    _tracing("lsm", "lsm"),
    _link(
        "tracing_cookie",
        "tracing",
        "fentry_other",
        "BPF_TRACE_FENTRY",
        None,
        _TRACING_COOKIE,
        how="tracing",
        since="6.0",
        extra=_always(cookie=_COOKIE),
    ),
    _link("tracing_fsession", "tracing", "fsession", "BPF_TRACE_FSESSION", how="tracing", since="7.0"),
    _link(
        "tracing_multi",
        "tracing_multi",
        "fentry_multi",
        "BPF_TRACE_FENTRY_MULTI",
        how="tracing_multi",
        since="7.2",
        extra=_tracing_multi,
    ),
    _cgroup("inet_ingress", "cgroup_skb", "BPF_CGROUP_INET_INGRESS"),
    _cgroup("inet_egress", "skb_egress", "BPF_CGROUP_INET_EGRESS"),
    _cgroup("sock_create", "cgroup_sock", "BPF_CGROUP_INET_SOCK_CREATE"),
    _cgroup("sock_ops", "sock_ops", "BPF_CGROUP_SOCK_OPS"),
    _cgroup("device", "cgroup_device", "BPF_CGROUP_DEVICE"),
    _cgroup("connect4", "connect4", "BPF_CGROUP_INET4_CONNECT"),
    _cgroup("sysctl", "cgroup_sysctl", "BPF_CGROUP_SYSCTL"),
    _cgroup("getsockopt", "getsockopt", "BPF_CGROUP_GETSOCKOPT"),
    _cgroup("connect_unix", "connect_unix", "BPF_CGROUP_UNIX_CONNECT", "6.7"),
    _cgroup("lsm", "lsm_cgroup", "BPF_LSM_CGROUP", "6.0"),
    _iter("task", "task"),
    _iter("task_tid", "task", _task_target(os.getpid(), 0), "6.1"),
    _iter("task_pid", "task", _task_target(0, os.getpid()), "6.1"),
    _iter("task_file", "task_file"),
    _iter("bpf_map", "bpf_map"),
    _iter("map_elem", "map_elem", _map_target("hash_with_btf")),
    _iter("sk_storage", "sk_storage", _map_target("sk_storage")),
    _iter("cgroup", "cgroup", lambda zoo: struct.pack("=IIQ", 2, zoo.place.cgroup_fd, 0), "6.1"),
    _netns("flow_dissector", "flow_dissector", "BPF_FLOW_DISSECTOR"),
    _netns("sk_lookup", "sk_lookup", "BPF_SK_LOOKUP"),
    _link("xdp_lo", "xdp", "xdp", "BPF_XDP", _lo, extra=_always(flags=_XDP_FLAGS_SKB_MODE)),
    _link("xdp_veth", "xdp", "xdp", "BPF_XDP", _device("veth")),
    _perf("faults", "perf_event", _software(_PAGE_FAULTS)),
    _perf("faults_cookie", "perf_event", _software(_PAGE_FAULTS), cookie=_COOKIE),
    _perf("clock", "perf_event", _software(_CPU_CLOCK)),
    _perf("hardware", "perf_event", _hardware(_CPU_CYCLES), "pmu:cpu|armv8_*"),
    _perf("tracepoint", "tracepoint", _tracepoint("sched_process_exec")),
    _perf("tracepoint_cookie", "tracepoint", _tracepoint("sched_process_exit"), cookie=_COOKIE),
    _perf("kprobe", "kprobe", _kprobe(0), "pmu:kprobe"),
    _perf("kprobe_cookie", "kprobe", _kprobe(0), "pmu:kprobe", cookie=_COOKIE),
    _perf("kretprobe", "kprobe", _kprobe(_RETURN), "pmu:kprobe"),
    _perf("uprobe", "kprobe", _uprobe(0), "pmu:uprobe"),
    _perf("uprobe_cookie", "kprobe", _uprobe(0), "pmu:uprobe", cookie=_COOKIE),
    _perf("uretprobe", "kprobe", _uprobe(_RETURN), "pmu:uprobe"),
    _kprobe_multi("kprobe_multi", "kprobe_multi", "BPF_TRACE_KPROBE_MULTI", 0, since="5.18"),
    _kprobe_multi("kretprobe_multi", "kprobe_multi", "BPF_TRACE_KPROBE_MULTI", _RETURN, 3, 4, since="5.18"),
    _kprobe_multi("kprobe_session", "kprobe_session", "BPF_TRACE_KPROBE_SESSION", 0, since="6.10"),
    _uprobe_multi("uprobe_multi", "uprobe_multi", "BPF_TRACE_UPROBE_MULTI", 0, since="6.6"),
    _uprobe_multi("uretprobe_multi", "uprobe_multi", "BPF_TRACE_UPROBE_MULTI", _RETURN, 9, since="6.6"),
    _uprobe_multi("uprobe_session", "uprobe_session", "BPF_TRACE_UPROBE_SESSION", 0, since="6.13"),
    _netfilter("netfilter", _NFPROTO_IPV4, _NF_INET_LOCAL_IN, -128),
    _netfilter("netfilter_ip6", _NFPROTO_IPV6, _NF_INET_PRE_ROUTING, 7),
    _link("tcx_ingress", "tcx", "tcx", "BPF_TCX_INGRESS", _lo, since="6.6"),
    _link("tcx_egress", "tcx", "sched_cls", "BPF_TCX_EGRESS", _device("veth"), since="6.6"),
    _link("netkit", "netkit", "netkit", "BPF_NETKIT_PRIMARY", _device("netkit"), _NETKIT, since="6.7"),
    _link("sockmap", "sockmap", "skb_verdict", "BPF_SK_SKB_VERDICT", _sockmap, _SOCKMAP, since="6.10"),
    Inhabitant("link", "struct_ops", "BPF_LINK_TYPE_STRUCT_OPS", _struct_ops, since="6.4"),
]
