"""Which capabilities, and which license, it takes to load a program, make a map or call a helper.

They are those of Linux 5.8 and newer (kernel/bpf/syscall.c is_net_admin_prog_type, is_perfmon_prog_type and map_create;
kernel/bpf/helpers.c bpf_base_func_proto): before, CAP_SYS_ADMIN stood for all of them, and it still does.
"""

from __future__ import annotations

from bpfctl.uapi.enums import MapType as M
from bpfctl.uapi.enums import ProgType as P
from bpfctl.uapi.helpers import Helper

BPF, NET_ADMIN, PERFMON, SYS_ADMIN = "CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON", "CAP_SYS_ADMIN"

_NET_PROGRAMS = frozenset(
    {
        P.SCHED_CLS, P.SCHED_ACT, P.XDP, P.LWT_IN, P.LWT_OUT, P.LWT_XMIT, P.LWT_SEG6LOCAL, P.SK_SKB, P.SK_MSG,
        P.FLOW_DISSECTOR, P.CGROUP_DEVICE, P.CGROUP_SOCK, P.CGROUP_SOCK_ADDR, P.CGROUP_SOCKOPT, P.CGROUP_SYSCTL,
        P.SOCK_OPS, P.EXT, P.NETFILTER,
    }
)  # fmt: skip
_PERF_PROGRAMS = frozenset(
    {
        P.KPROBE, P.TRACEPOINT, P.PERF_EVENT, P.RAW_TRACEPOINT, P.RAW_TRACEPOINT_WRITABLE, P.TRACING, P.LSM,
        P.STRUCT_OPS, P.EXT,
    }
)  # fmt: skip
_NET_MAPS = frozenset({M.SOCKMAP, M.SOCKHASH, M.DEVMAP, M.DEVMAP_HASH, M.XSKMAP})
#: What everybody may have where kernel.unprivileged_bpf_disabled is 0.
_FREE_PROGRAMS = frozenset({P.SOCKET_FILTER, P.CGROUP_SKB})
_FREE_MAPS = frozenset(
    {
        M.ARRAY, M.PERCPU_ARRAY, M.PROG_ARRAY, M.PERF_EVENT_ARRAY, M.CGROUP_ARRAY, M.ARRAY_OF_MAPS, M.HASH,
        M.PERCPU_HASH, M.HASH_OF_MAPS, M.RINGBUF, M.USER_RINGBUF, M.CGROUP_STORAGE, M.PERCPU_CGROUP_STORAGE,
    }
)  # fmt: skip
_PERF_HELPERS = frozenset(
    {
        Helper.trace_printk, Helper.trace_vprintk, Helper.get_current_task, Helper.get_current_task_btf,
        Helper.probe_read_user, Helper.probe_read_user_str, Helper.probe_read_kernel, Helper.probe_read_kernel_str,
        Helper.snprintf_btf, Helper.snprintf, Helper.task_pt_regs, Helper.sys_bpf,
    }
)  # fmt: skip
#: For programs alone whose license is compatible with the GPL (gpl_only in struct bpf_func_proto), in Linux 6.18.
_GPL_HELPERS = frozenset(
    {
        Helper.check_mtu, Helper.copy_from_user_task, Helper.fib_lookup, Helper.get_branch_snapshot,
        Helper.get_current_task, Helper.get_current_task_btf, Helper.get_func_ip, Helper.get_stack,
        Helper.get_stackid, Helper.override_return, Helper.perf_event_output, Helper.perf_event_read,
        Helper.perf_event_read_value, Helper.perf_prog_read_value, Helper.probe_read, Helper.probe_read_kernel,
        Helper.probe_read_kernel_str, Helper.probe_read_str, Helper.probe_read_user, Helper.probe_read_user_str,
        Helper.probe_write_user, Helper.rc_keydown, Helper.rc_pointer_rel, Helper.rc_repeat,
        Helper.read_branch_records, Helper.seq_printf, Helper.seq_printf_btf, Helper.seq_write,
        Helper.skb_output, Helper.snprintf, Helper.task_pt_regs, Helper.tcp_check_syncookie,
        Helper.tcp_gen_syncookie, Helper.tcp_raw_check_syncookie_ipv4, Helper.tcp_raw_check_syncookie_ipv6,
        Helper.tcp_raw_gen_syncookie_ipv4, Helper.tcp_raw_gen_syncookie_ipv6, Helper.timer_cancel,
        Helper.timer_init, Helper.timer_set_callback, Helper.timer_start, Helper.trace_printk,
        Helper.trace_vprintk, Helper.xdp_output,
    }
)  # fmt: skip


def of_program(kind: P) -> tuple[str, ...]:
    """Return what it takes to load a program."""
    if kind in _FREE_PROGRAMS:
        return (BPF,)
    more = [(NET_ADMIN, _NET_PROGRAMS), (PERFMON, _PERF_PROGRAMS)]
    return (BPF, *(name for name, kinds in more if kind in kinds))


def of_map(kind: int) -> tuple[str, ...]:
    """Return what it takes to make a map."""
    return (BPF, NET_ADMIN) if kind in _NET_MAPS else (BPF,)


def of_helper(helper: Helper) -> tuple[str, ...]:
    """Return what a call takes besides what the program does."""
    if helper == Helper.probe_write_user:
        return (SYS_ADMIN,)
    return (PERFMON,) if helper in _PERF_HELPERS else ()


def is_gpl_only(helper: Helper) -> bool:
    """Return whether only programs may call it whose license is compatible with the GPL."""
    return helper in _GPL_HELPERS


def is_free(kind: P | M) -> bool:
    """Return whether it takes no capability where kernel.unprivileged_bpf_disabled is 0."""
    return kind in (_FREE_PROGRAMS if isinstance(kind, P) else _FREE_MAPS)
