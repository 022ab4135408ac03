"""What a link is attached to, as bpftool's src/link.c show_link_close_json and show_link_close_plain tell it.

A field that this kernel does not know is shown as 0, since bpftool cannot tell the two apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.kernel import attachment
from bpfctl.kernel.names import attach_type, prog_type
from bpfctl.uapi.enums import IterOrder, PerfEventType
from bpfctl.views import perf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfctl.kernel.link import LinkRow

_RETURN = 1  # BPF_F_KPROBE_MULTI_RETURN and BPF_F_UPROBE_MULTI_RETURN
_RETURNS = frozenset({PerfEventType.KRETPROBE, PerfEventType.URETPROBE})

# NFPROTO_*, enum nf_inet_hooks and NF_ARP_* (include/uapi/linux/netfilter.h, netfilter_arp.h)
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_ARP = 3
_INET_HOOKS = {0: "prerouting", 1: "input", 2: "forward", 3: "output", 4: "postrouting"}
_ARP_HOOKS = {0: "input", 1: "output"}
_HOOKS = {1: _INET_HOOKS, 2: _INET_HOOKS, _ARP: _ARP_HOOKS, 7: _INET_HOOKS, 10: _INET_HOOKS}


class Voice(NamedTuple):
    """How one kind of attachment is told: members of JSON, and lines of text below the header."""

    json: Callable[[Any, LinkRow], dict[str, Any]]
    plain: Callable[[Any, LinkRow], list[str]]
    beside: bool = False  # the first line of text stands beside the header


def _attach_json(number: int | None) -> dict[str, Any]:
    return {"attach_type": attach_type(number or 0) or int(number or 0)}


def _attach_plain(number: int | None) -> str:
    return f"attach_type {attach_type(number or 0) or int(number or 0)}  "


def returns(
    at: attachment.KprobeMulti | attachment.UprobeMulti | attachment.PerfKprobe | attachment.PerfUprobe,
) -> bool:
    """Return whether a probe is at the return of a function, not at its entry."""
    if isinstance(at, (attachment.KprobeMulti, attachment.UprobeMulti)):
        return bool((at.flags or 0) & _RETURN)
    return at.perf_type in _RETURNS


def _if_any(word: str, value: int | None) -> str:
    return f"{word} {value}  " if value else ""


def _raw_tracepoint_json(at: attachment.RawTracepoint, _: LinkRow) -> dict[str, Any]:
    return {"tp_name": at.tp_name, "cookie": at.cookie or 0}


def _raw_tracepoint_plain(at: attachment.RawTracepoint, _: LinkRow) -> list[str]:
    return [f"tp '{at.tp_name}'  " + _if_any("cookie", at.cookie)]


def _tracing_json(at: attachment.Tracing, row: LinkRow) -> dict[str, Any]:
    type_ = None if row.program is None else row.program.type
    return {
        **({} if type_ is None else {"prog_type": prog_type(type_) or int(type_)}),
        **_attach_json(at.attach_type),
        "target_obj_id": at.target_obj_id or 0,
        "target_btf_id": at.target_btf_id or 0,
        "cookie": at.cookie or 0,
    }


def _tracing_plain(at: attachment.Tracing, row: LinkRow) -> list[str]:
    type_ = None if row.program is None else row.program.type
    line = "" if type_ is None else f"prog_type {prog_type(type_) or int(type_)}  "
    lines = [line + _attach_plain(at.attach_type)]
    if at.target_obj_id or at.target_btf_id:
        lines.append(f"target_obj_id {at.target_obj_id or 0}  target_btf_id {at.target_btf_id or 0}  ")
    if at.cookie:
        lines.append(f"cookie {at.cookie}  ")
    return lines


def _cgroup_json(at: attachment.Cgroup, _: LinkRow) -> dict[str, Any]:
    return {"cgroup_id": at.cgroup_id, **_attach_json(at.attach_type)}


def _cgroup_plain(at: attachment.Cgroup, _: LinkRow) -> list[str]:
    return [f"cgroup_id {at.cgroup_id}  " + _attach_plain(at.attach_type)]


def order_name(at: attachment.Iter) -> str | int:
    """Return bpftool's word for the order of a cgroup iterator; a number that is new stays one."""
    return at.order.name.lower() if isinstance(at.order, IterOrder) else at.order or 0


def _iter_json(at: attachment.Iter, _: LinkRow) -> dict[str, Any]:
    out: dict[str, Any] = {"target_name": at.target_name}
    if at.target_name in attachment.MAP_TARGETS:
        out["map_id"] = at.map_id or 0
    if at.tid:
        out["tid"] = at.tid
    elif at.pid:
        out["pid"] = at.pid
    if at.target_name == "cgroup":
        out |= {"cgroup_id": at.cgroup_id or 0, "order": order_name(at)}
    return out


def _iter_plain(at: attachment.Iter, _: LinkRow) -> list[str]:
    line = f"target_name {at.target_name}  "
    if at.target_name in attachment.MAP_TARGETS:
        line += f"map_id {at.map_id or 0}  "
    if at.tid:
        line += f"tid {at.tid} "
    elif at.pid:
        line += f"pid {at.pid} "
    if at.target_name == "cgroup":
        line += f"cgroup_id {at.cgroup_id or 0}  order {order_name(at)}  "
    return [line]


def _netns_json(at: attachment.Netns, _: LinkRow) -> dict[str, Any]:
    return {"netns_ino": at.netns_ino, **_attach_json(at.attach_type)}


def _netns_plain(at: attachment.Netns, _: LinkRow) -> list[str]:
    return [f"netns_ino {at.netns_ino}  " + _attach_plain(at.attach_type)]


def _xdp_json(at: attachment.Xdp | attachment.Device, row: LinkRow) -> dict[str, Any]:
    return {"devname": row.ifname or ("(unknown)" if at.ifindex else "(detached)"), "ifindex": at.ifindex}


def _xdp_plain(at: attachment.Xdp | attachment.Device, row: LinkRow) -> list[str]:
    return [f"ifindex {device(at, row)}  "]


def device(at: attachment.Xdp | attachment.Device, row: LinkRow) -> str:
    """Return a network device in bpftool's plain words."""
    if not at.ifindex:
        return "(detached)"
    return f"{row.ifname}({at.ifindex})" if row.ifname else "(unknown)"


def _device_json(at: attachment.Device, row: LinkRow) -> dict[str, Any]:
    return _xdp_json(at, row) | _attach_json(at.attach_type)


def _device_plain(at: attachment.Device, row: LinkRow) -> list[str]:
    return [f"ifindex {device(at, row)}  " + _attach_plain(at.attach_type)]


def _struct_ops_json(at: attachment.StructOps, _: LinkRow) -> dict[str, Any]:
    return {"map_id": at.map_id}


def _struct_ops_plain(_at: attachment.StructOps, _: LinkRow) -> list[str]:
    return []


def _sockmap_json(at: attachment.Sockmap, _: LinkRow) -> dict[str, Any]:
    return {"map_id": at.map_id, **_attach_json(at.attach_type)}


def _sockmap_plain(at: attachment.Sockmap, _: LinkRow) -> list[str]:
    return [f"map_id {at.map_id}  " + _attach_plain(at.attach_type)]


def _netfilter_json(at: attachment.Netfilter, _: LinkRow) -> dict[str, Any]:
    return {"pf": at.pf, "hook": at.hooknum, "prio": at.priority, "flags": at.flags}


def _netfilter_plain(at: attachment.Netfilter, _: LinkRow) -> list[str]:
    return [netfilter(at) + (f" flags 0x{at.flags:x}" if at.flags else "")]


def netfilter(at: attachment.Netfilter) -> str:
    """Return a netfilter hook and its priority in bpftool's plain words."""
    family = _FAMILIES.get(at.pf) or f"pf: {at.pf}"
    hook = _HOOKS.get(at.pf, {}).get(at.hooknum)
    return family + (f" {hook}" if hook else f", hook {at.hooknum},") + f" prio {at.priority}"


def _kprobe_multi_json(at: attachment.KprobeMulti, row: LinkRow) -> dict[str, Any]:
    return {
        "retprobe": returns(at),
        "func_cnt": at.func_cnt or 0,
        "missed": at.missed or 0,
        "funcs": [
            {
                "addr": function.addr,
                "func": function.symbol and function.symbol.name,
                "module": function.symbol and function.symbol.module,
                "cookie": function.cookie,
            }
            for function in row.functions or ()
        ],
    }


def _kprobe_multi_plain(at: attachment.KprobeMulti, row: LinkRow) -> list[str]:
    if not at.func_cnt:
        return []
    line = f"k{'ret' if returns(at) else ''}probe.multi  func_cnt {at.func_cnt}  "
    lines = [line + _if_any("missed", at.missed)]
    if row.functions is not None:
        lines.append(f"{'addr':16} {'cookie':16} func [module]")
    for function in row.functions or ():
        symbol = function.symbol
        module = f" [{symbol.module}]" if symbol and symbol.module else ""
        lines.append(f"{function.addr:016x} {function.cookie:<16x} {symbol.name if symbol else '?'}{module}  ")
    return lines


def places(at: attachment.UprobeMulti) -> Iterator[tuple[int, int, int]]:
    """Yield the offset, the reference counter's offset and the cookie of each place of an uprobe_multi link."""
    none = (0,) * len(at.offsets or ())
    return zip(at.offsets or (), at.ref_ctr_offsets or none, at.cookies or none, strict=True)


def _uprobe_multi_json(at: attachment.UprobeMulti, _: LinkRow) -> dict[str, Any]:
    pid = at.pid or 0
    return {
        "retprobe": returns(at),
        "path": at.path or "",
        "func_cnt": at.func_cnt or 0,
        "pid": pid,
        "funcs": [
            {"offset": offset, "ref_ctr_offset": counter, "cookie": cookie} for offset, counter, cookie in places(at)
        ],
    }


def _uprobe_multi_plain(at: attachment.UprobeMulti, _: LinkRow) -> list[str]:
    if not at.func_cnt:
        return []
    line = f"u{'ret' if returns(at) else ''}probe.multi  path {at.path or ''}  func_cnt {at.func_cnt}  "
    lines = [line + _if_any("pid", at.pid), f"{'offset':16}   {'ref_ctr_offset':16}   {'cookies':16}"]
    lines += [f"0x{offset:<16x} 0x{counter:<16x} 0x{cookie:<16x}" for offset, counter, cookie in places(at)]
    return lines


def _kprobe_json(at: attachment.PerfKprobe, _: LinkRow) -> dict[str, Any]:
    return {
        "retprobe": returns(at),
        "addr": at.addr,
        "func": at.func_name,
        "offset": at.offset,
        "missed": at.missed or 0,
        "cookie": at.cookie or 0,
    }


def _kprobe_plain(at: attachment.PerfKprobe, _: LinkRow) -> list[str]:
    if not at.func_name and not at.addr:
        return []
    line = "kretprobe " if returns(at) else "kprobe "
    line += (f"{at.addr:x} " if at.addr else "") + at.func_name + (f"+{at.offset:#x}" if at.offset else "")
    line += f"  missed {at.missed}" if at.missed else ""
    line += f"  cookie {at.cookie}" if at.cookie else ""
    return [line + "  "]


def _uprobe_json(at: attachment.PerfUprobe, _: LinkRow) -> dict[str, Any]:
    return {
        "retprobe": returns(at),
        "file": at.file_name,
        "offset": at.offset,
        "cookie": at.cookie or 0,
        "ref_ctr_offset": at.ref_ctr_offset or 0,
    }


def _uprobe_plain(at: attachment.PerfUprobe, _: LinkRow) -> list[str]:
    if not at.file_name:
        return []
    line = "uretprobe " if returns(at) else "uprobe "
    # C's %#x writes no 0x before a zero.
    line += f"{at.file_name}+{f'{at.offset:#x}' if at.offset else '0'}  " + _if_any("cookie", at.cookie)
    return [line + (f"ref_ctr_offset 0x{at.ref_ctr_offset:x}  " if at.ref_ctr_offset else "")]


def _tracepoint_json(at: attachment.PerfTracepoint, _: LinkRow) -> dict[str, Any]:
    return {"tracepoint": at.tp_name, "cookie": at.cookie or 0}


def _tracepoint_plain(at: attachment.PerfTracepoint, _: LinkRow) -> list[str]:
    return [f"tracepoint {at.tp_name}  " + _if_any("cookie", at.cookie)] if at.tp_name else []


def _event_json(at: attachment.PerfEvent, _: LinkRow) -> dict[str, Any]:
    return {
        "event_type": perf.type_name(at.event_type) or at.event_type,
        "event_config": perf.config_name(at.event_type, at.config) or at.config,
        "cookie": at.cookie or 0,
    }


def _event_plain(at: attachment.PerfEvent, _: LinkRow) -> list[str]:
    type_ = perf.type_name(at.event_type) or f"{at.event_type} "
    config = perf.config_name(at.event_type, at.config) or at.config
    return [f"event {type_}:{config}  " + _if_any("cookie", at.cookie)]


def _no_json(_at: attachment.TracingMulti, _: LinkRow) -> dict[str, Any]:
    return {}


def _no_plain(_at: attachment.TracingMulti, _: LinkRow) -> list[str]:
    return []


VOICES: dict[type, Voice] = {
    attachment.RawTracepoint: Voice(_raw_tracepoint_json, _raw_tracepoint_plain),
    attachment.Tracing: Voice(_tracing_json, _tracing_plain),
    attachment.Cgroup: Voice(_cgroup_json, _cgroup_plain),
    attachment.Iter: Voice(_iter_json, _iter_plain, beside=True),
    attachment.Netns: Voice(_netns_json, _netns_plain),
    attachment.Xdp: Voice(_xdp_json, _xdp_plain),
    attachment.Device: Voice(_device_json, _device_plain),
    attachment.StructOps: Voice(_struct_ops_json, _struct_ops_plain),
    attachment.Sockmap: Voice(_sockmap_json, _sockmap_plain),
    attachment.Netfilter: Voice(_netfilter_json, _netfilter_plain),
    attachment.KprobeMulti: Voice(_kprobe_multi_json, _kprobe_multi_plain),
    attachment.UprobeMulti: Voice(_uprobe_multi_json, _uprobe_multi_plain),
    attachment.TracingMulti: Voice(_no_json, _no_plain),
    attachment.PerfKprobe: Voice(_kprobe_json, _kprobe_plain),
    attachment.PerfUprobe: Voice(_uprobe_json, _uprobe_plain),
    attachment.PerfTracepoint: Voice(_tracepoint_json, _tracepoint_plain),
    attachment.PerfEvent: Voice(_event_json, _event_plain),
}
