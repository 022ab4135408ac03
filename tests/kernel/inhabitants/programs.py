"""Every program type, attach types that change how it loads, and programs with maps, BTF and metadata."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R3, R10
from tests.kernel import client
from tests.kernel.inhabitants import Inhabitant, Missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.zoo import Zoo

BPF_F_SLEEPABLE = 1 << 4
BPF_F_XDP_HAS_FRAGS = 1 << 5
_MAP_LOOKUP_ELEM, _TAIL_CALL = 1, 12


def returning(value: int) -> bytes:
    """Return the smallest program."""
    return Program().mov(R0, value).exit_().assemble()


def _prog(
    name: str,
    type_: str,
    returns: int = 0,
    *needs: str,
    attach: str = "",
    target: str = "",
    since: str = "",
    **extra: Any,
) -> Inhabitant:
    """Describe a program that does nothing; ``target`` is the kernel's function or type that it is for."""
    enumerator = f"BPF_PROG_TYPE_{type_.upper()}"
    attach_needs = (f"enum:{attach}",) if attach else ()
    target_needs = (target,) if target else ()

    def make(zoo: Zoo) -> int:
        attributes = dict(extra)
        if attach:
            attributes["expected_attach_type"] = zoo.number(attach)
        if target:
            attributes["attach_btf_id"] = zoo.type_id(target)
        return client.prog_load(zoo.number(enumerator), returning(returns), name=name[:15], **attributes)

    all_needs = (f"enum:{enumerator}", *attach_needs, *target_needs, *needs)
    return Inhabitant("prog", name, enumerator, make, all_needs, since)


def _made(name: str, type_: str, make: Callable[[Zoo], int], *needs: str) -> Inhabitant:
    """Describe a program that does something, or has surroundings."""
    return Inhabitant("prog", name, f"BPF_PROG_TYPE_{type_.upper()}", make, needs)


def _cgroup(name: str, type_: str, attach: str, since: str = "") -> Inhabitant:
    return _prog(name, type_, 1, attach=attach, since=since)


def _tracing(name: str, attach: str, target: str, *needs: str, since: str = "", **extra: Any) -> Inhabitant:
    return _prog(name, "tracing", 0, *needs, attach=attach, target=target, since=since, **extra)


def _iter(name: str, function: str, since: str = "") -> Inhabitant:
    return _tracing(f"iter_{name}", "BPF_TRACE_ITER", f"func:bpf_iter_{function}", since=since)


def _func_info(*records: tuple[int, int]) -> dict[str, Any]:
    raw = b"".join(struct.pack("=II", *record) for record in records)
    return {"func_info": raw, "func_info_rec_size": 8, "func_info_cnt": len(records)}


def _with_maps(zoo: Zoo) -> int:
    """Load a program that counts in an array, and names a hash as well."""
    prog = Program()
    prog.st(4, R10, -4, 0).mov(R2, R10).add(R2, -4).ld_map_fd(R1, zoo.fd("map:array")).call(_MAP_LOOKUP_ELEM)
    prog.jump("jeq", R0, 0, "out").mov(R1, 1).atomic_add(8, R0, 0, R1)
    prog.label("out").ld_map_fd(R1, zoo.fd("map:hash")).mov(R0, 0).exit_()
    return client.prog_load(zoo.number("BPF_PROG_TYPE_SOCKET_FILTER"), prog.assemble(), name="with_maps")


def _with_tail_call(zoo: Zoo) -> int:
    prog = Program().ld_map_fd(R2, zoo.fd("map:prog_array_owned")).mov(R3, 0).call(_TAIL_CALL).mov(R0, 0).exit_()
    return client.prog_load(zoo.number("BPF_PROG_TYPE_SOCKET_FILTER"), prog.assemble(), name="with_tail_call")


def _with_subprograms(zoo: Zoo) -> int:
    """Load a program whose names, longer than 15 characters, only its BTF can tell."""
    prog = Program().call_sub("sub").exit_().label("sub").mov(R0, 0).exit_()
    return client.prog_load(
        zoo.number("BPF_PROG_TYPE_SOCKET_FILTER"),
        prog.assemble(),
        name="count_every_pac",
        prog_btf_fd=zoo.fd("btf:zoo"),
        **_func_info((0, zoo.types.main), (prog.offset("sub"), zoo.types.sub)),
    )


def _with_metadata(zoo: Zoo) -> int:
    """Load a program and bind the constants to it that hold its metadata."""
    fd = client.prog_load(
        zoo.number("BPF_PROG_TYPE_SOCKET_FILTER"),
        returning(0),
        name="with_metadata",
        prog_btf_fd=zoo.fd("btf:zoo"),
        **_func_info((0, zoo.types.main)),
    )
    client.prog_bind_map(fd, zoo.fd("map:zoo.rodata"))
    return fd


def _replaceable(zoo: Zoo) -> int:
    """Load a program with a global function, which is what an extension may replace."""
    prog = Program().mov(R1, 1).call_sub("replaceable").exit_().label("replaceable").mov(R0, R1).exit_()
    return client.prog_load(
        zoo.number("BPF_PROG_TYPE_SCHED_CLS"),
        prog.assemble(),
        name="replaceable",
        prog_btf_fd=zoo.fd("btf:zoo"),
        **_func_info((0, zoo.types.main), (prog.offset("replaceable"), zoo.types.replaceable)),
    )


def _extension(zoo: Zoo) -> int:
    return client.prog_load(
        zoo.number("BPF_PROG_TYPE_EXT"),
        returning(0),
        name="ext",
        prog_btf_fd=zoo.fd("btf:zoo"),
        attach_prog_fd=zoo.fd("prog:replaceable"),
        attach_btf_id=zoo.types.replaceable,
        **_func_info((0, zoo.types.replaceable)),
    )


def _fentry_of_a_program(zoo: Zoo) -> int:
    return client.prog_load(
        zoo.number("BPF_PROG_TYPE_TRACING"),
        returning(0),
        name="fentry_prog",
        expected_attach_type=zoo.number("BPF_TRACE_FENTRY"),
        attach_prog_fd=zoo.fd("prog:replaceable"),
        attach_btf_id=zoo.types.main,  # the extension has the other function for itself
    )


def _struct_ops(member: str) -> Inhabitant:
    """Describe one function of a congestion control; its number is its place in the kernel's struct."""

    def make(zoo: Zoo) -> int:
        names = [name for name, _, _ in zoo.facts.btf.members("tcp_congestion_ops")]
        if member not in names:
            raise Missing(f"member:tcp_congestion_ops.{member}")
        return client.prog_load(
            zoo.number("BPF_PROG_TYPE_STRUCT_OPS"),
            returning(0),
            name=member,
            attach_btf_id=zoo.type_id("struct:tcp_congestion_ops"),
            expected_attach_type=names.index(member),
        )

    return _made(f"struct_ops_{member}", "struct_ops", make, "struct:bpf_struct_ops_tcp_congestion_ops", _TRAMPOLINE)


_TEST = "func:bpf_fentry_test1"
_OTHER_TEST = "func:bpf_fentry_test3"
_TRAMPOLINE = "lockdown:none"
_HOOK = "func:bpf_lsm_task_getioprio"

PROGRAMS = [
    _prog("socket_filter", "socket_filter"),
    _prog("kprobe", "kprobe"),
    _prog("sched_cls", "sched_cls"),
    _prog("sched_act", "sched_act"),
    _prog("tracepoint", "tracepoint"),
    _prog("xdp", "xdp", 2),
    _prog("perf_event", "perf_event"),
    _prog("cgroup_skb", "cgroup_skb", 1),
    _prog("cgroup_sock", "cgroup_sock", 1),
    _prog("lwt_in", "lwt_in"),
    _prog("lwt_out", "lwt_out"),
    _prog("lwt_xmit", "lwt_xmit"),
    _prog("sock_ops", "sock_ops", 1),
    _prog("sk_skb", "sk_skb", 1),
    _prog("cgroup_device", "cgroup_device", 1),
    _prog("sk_msg", "sk_msg", 1),
    _prog("raw_tracepoint", "raw_tracepoint"),
    _prog("lwt_seg6local", "lwt_seg6local", 0, "func:bpf_lwt_seg6_store_bytes"),
    _prog("lirc_mode2", "lirc_mode2", 0, "func:lirc_prog_attach", since="4.18, CONFIG_BPF_LIRC_MODE2"),
    _prog("sk_reuseport", "sk_reuseport", 1),
    _prog("flow_dissector", "flow_dissector"),
    _prog("cgroup_sysctl", "cgroup_sysctl", 1),
    _prog("raw_tracepoint_writable", "raw_tracepoint_writable"),
    _prog("syscall", "syscall", prog_flags=BPF_F_SLEEPABLE, since="5.14"),
    _prog("sk_lookup", "sk_lookup", 1, attach="BPF_SK_LOOKUP"),
    _prog("netfilter", "netfilter", 1, "func:bpf_nf_link_attach", attach="BPF_NETFILTER", since="6.4"),
    # The attach type that a program is loaded for.
    _cgroup("skb_egress", "cgroup_skb", "BPF_CGROUP_INET_EGRESS"),
    _cgroup("sock_release", "cgroup_sock", "BPF_CGROUP_INET_SOCK_RELEASE"),
    _cgroup("post_bind4", "cgroup_sock", "BPF_CGROUP_INET4_POST_BIND"),
    _cgroup("bind4", "cgroup_sock_addr", "BPF_CGROUP_INET4_BIND"),
    _cgroup("connect4", "cgroup_sock_addr", "BPF_CGROUP_INET4_CONNECT"),
    _cgroup("connect6", "cgroup_sock_addr", "BPF_CGROUP_INET6_CONNECT"),
    _cgroup("sendmsg4", "cgroup_sock_addr", "BPF_CGROUP_UDP4_SENDMSG"),
    _cgroup("recvmsg6", "cgroup_sock_addr", "BPF_CGROUP_UDP6_RECVMSG"),
    _cgroup("getpeername4", "cgroup_sock_addr", "BPF_CGROUP_INET4_GETPEERNAME"),
    _cgroup("connect_unix", "cgroup_sock_addr", "BPF_CGROUP_UNIX_CONNECT", "6.7"),
    _cgroup("getsockopt", "cgroup_sockopt", "BPF_CGROUP_GETSOCKOPT"),
    _cgroup("setsockopt", "cgroup_sockopt", "BPF_CGROUP_SETSOCKOPT"),
    _prog("stream_parser", "sk_skb", 1, attach="BPF_SK_SKB_STREAM_PARSER"),
    _prog("skb_verdict", "sk_skb", 1, attach="BPF_SK_SKB_VERDICT", since="5.13"),
    _prog("xdp_devmap", "xdp", 2, attach="BPF_XDP_DEVMAP"),
    _prog("xdp_cpumap", "xdp", 2, attach="BPF_XDP_CPUMAP"),
    _prog(
        "xdp_frags",
        "xdp",
        2,
        "member:bpf_prog_aux.xdp_has_frags",
        prog_flags=BPF_F_XDP_HAS_FRAGS,
        since="5.18",
    ),
    _prog("reuseport_migrate", "sk_reuseport", 1, attach="BPF_SK_REUSEPORT_SELECT_OR_MIGRATE", since="5.14"),
    _prog("tcx", "sched_cls", attach="BPF_TCX_INGRESS", since="6.6"),
    _prog("netkit", "sched_cls", attach="BPF_NETKIT_PRIMARY", since="6.7"),
    _prog("kprobe_multi", "kprobe", attach="BPF_TRACE_KPROBE_MULTI", since="5.18"),
    _prog("kprobe_session", "kprobe", attach="BPF_TRACE_KPROBE_SESSION", since="6.10"),
    _prog("uprobe_multi", "kprobe", attach="BPF_TRACE_UPROBE_MULTI", since="6.6"),
    _prog("uprobe_session", "kprobe", attach="BPF_TRACE_UPROBE_SESSION", since="6.13"),
    # Programs that the kernel's BTF gives a target.
    _tracing("fentry", "BPF_TRACE_FENTRY", _TEST, _TRAMPOLINE),
    _tracing("fentry_other", "BPF_TRACE_FENTRY", _OTHER_TEST, _TRAMPOLINE),
    _tracing("fexit", "BPF_TRACE_FEXIT", _TEST, _TRAMPOLINE),
    _tracing("fsession", "BPF_TRACE_FSESSION", _TEST, _TRAMPOLINE, since="7.0"),
    _tracing("fentry_multi", "BPF_TRACE_FENTRY_MULTI", "", _TRAMPOLINE, since="7.2"),
    _tracing("modify_return", "BPF_MODIFY_RETURN", "func:security_task_getioprio", _TRAMPOLINE),
    _tracing("tp_btf", "BPF_TRACE_RAW_TP", "typedef:btf_trace_sched_process_exec"),
    _iter("task", "task"),
    _iter("task_file", "task_file"),
    _iter("bpf_map", "bpf_map"),
    _iter("map_elem", "bpf_map_elem"),
    _iter("sk_storage", "bpf_sk_storage_map"),
    _iter("cgroup", "cgroup", "6.1"),
    _prog("lsm", "lsm", 0, _TRAMPOLINE, attach="BPF_LSM_MAC", target=_HOOK),
    _prog(
        "lsm_cgroup",
        "lsm",
        1,
        _TRAMPOLINE,
        attach="BPF_LSM_CGROUP",
        target="func:bpf_lsm_socket_bind",
        since="6.0",
    ),
    _struct_ops("ssthresh"),
    _struct_ops("undo_cwnd"),
    _struct_ops("cong_avoid"),
    _made("replaceable", "sched_cls", _replaceable),
    _made("ext", "ext", _extension, _TRAMPOLINE),
    _made("fentry_prog", "tracing", _fentry_of_a_program, _TRAMPOLINE),
    # Programs with surroundings.
    _prog("not_gpl", "socket_filter", license=b"Proprietary"),
    _made("with_maps", "socket_filter", _with_maps),
    _made("with_tail_call", "socket_filter", _with_tail_call),
    _made("with_subprograms", "socket_filter", _with_subprograms),
    _made("with_metadata", "socket_filter", _with_metadata),
]
