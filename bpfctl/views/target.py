"""What a link is attached to as one readable text, and what else bpftool does not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.kernel import attachment, target
from bpfctl.kernel.names import attach_type
from bpfctl.uapi.enums import ProgType
from bpfctl.views import perf
from bpfctl.views.attachment import device, netfilter, order_name, places, returns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.kernel.link import LinkRow

_SHOWN = 3  # of many functions, as many are named
_NETFILTER_FLAGS = {1: "IP_DEFRAG"}  # BPF_F_NETFILTER_*
_MULTI_FLAGS = {1: "RETURN"}  # BPF_F_KPROBE_MULTI_*, BPF_F_UPROBE_MULTI_*


def text(row: LinkRow) -> str | None:
    """Return what a link is attached to; None when the kernel does not tell."""
    at = row.info.attachment
    return _TEXTS[type(at)](at, row) if at is not None else None


def program(id_: int) -> str:
    """Return a program's id and name."""
    found = target.program(id_)
    return f"{id_} {found.name}" if found and found.name else str(id_)


def extra(row: LinkRow) -> dict[str, Any]:
    """Return what the kernel and its files tell and bpftool does not."""
    at = row.info.attachment
    out: dict[str, Any] = {"category": target.category(row)}
    if event := target.event(row):
        out |= {"event_unit": event.unit, "event_name": event.name}
    if function := target.function(row):
        out |= {"target_func": function.function, "target_module": function.module}
        if function.program is not None:
            out |= {"target_prog_id": function.program.id, "target_prog_name": function.program.name}
    if isinstance(at, attachment.TracingMulti) and at.func_cnt:
        out |= {
            "attach_type": attach_type(at.attach_type or 0) or at.attach_type,
            "btf_obj_id": at.btf_obj_id,
            "func_cnt": at.func_cnt,
            "funcs": _tracing_functions(at, row),
        }
    if isinstance(at, (attachment.KprobeMulti, attachment.UprobeMulti)):
        out["flag_names"] = flag_names(at.flags or 0, _MULTI_FLAGS)
    elif isinstance(at, attachment.Netfilter):
        out["flag_names"] = flag_names(at.flags, _NETFILTER_FLAGS)
    return {name: value for name, value in out.items() if value is not None and value != []}


def flag_names(flags: int, names: dict[int, str]) -> list[str]:
    """Return flags in words; those newer than this release as one number."""
    rest = flags & ~sum(names)
    return [name for flag, name in names.items() if flags & flag] + ([f"{rest:#x}"] if rest else [])


def _tracing_functions(at: attachment.TracingMulti, row: LinkRow) -> list[dict[str, Any]]:
    ids = at.ids or ()
    none = (0,) * len(ids)
    rows = zip(ids, target.functions(row) or (None,) * len(ids), at.addrs or none, at.cookies or none, strict=True)
    return [{"btf_id": id_, "func": name, "addr": addr, "cookie": cookie} for id_, name, addr, cookie in rows]


def _some(names: Sequence[str]) -> str:
    left = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {left} more" if left > 0 else "")


def _word(number: int | None) -> str:
    """Return an attach type without what the link's type says already."""
    return (attach_type(number or 0) or str(number or 0)).removeprefix("trace_")


def _raw_tracepoint(at: attachment.RawTracepoint | attachment.PerfTracepoint, row: LinkRow) -> str:
    category = target.category(row)
    return f"{category}:{at.tp_name}" if category else at.tp_name


def _tracing(at: attachment.Tracing, row: LinkRow) -> str:
    found = target.function(row)
    word = "replaces" if row.program and row.program.type is ProgType.EXT else _word(at.attach_type)
    if found is None:
        return word
    name = found.function or f"btf_id {at.target_btf_id}"
    if found.program is not None:
        return f"{word} {name} of prog {found.program.id}" + (f" {found.program.name}" if found.program.name else "")
    return f"{word} {name}" + (f" [{found.module}]" if found.module else "")


def _cgroup(at: attachment.Cgroup, _: LinkRow) -> str:
    return f"cgroup {at.cgroup_id} {_word(at.attach_type).removeprefix('cgroup_')}"


def _iter(at: attachment.Iter, _: LinkRow) -> str:
    facts = [at.target_name]
    if at.map_id is not None:
        facts.append(f"of map {at.map_id}")
    if at.tid or at.pid:
        facts.append(f"tid {at.tid}" if at.tid else f"pid {at.pid}")
    if at.cgroup_id is not None:
        facts.append(f"{at.cgroup_id} {order_name(at)}")
    return " ".join(facts)


def _netns(at: attachment.Netns, _: LinkRow) -> str:
    return f"netns {at.netns_ino} {_word(at.attach_type)}"


def _xdp(at: attachment.Xdp, row: LinkRow) -> str:
    return device(at, row)


def _device(at: attachment.Device, row: LinkRow) -> str:
    return f"{device(at, row)} {_word(at.attach_type)}"


def _struct_ops(at: attachment.StructOps, _: LinkRow) -> str:
    return f"map {at.map_id}"


def _sockmap(at: attachment.Sockmap, _: LinkRow) -> str:
    return f"map {at.map_id} {_word(at.attach_type)}"


def _netfilter(at: attachment.Netfilter, _: LinkRow) -> str:
    return netfilter(at) + "".join(f" {name.lower()}" for name in flag_names(at.flags, _NETFILTER_FLAGS))


def _kprobe_multi(at: attachment.KprobeMulti, row: LinkRow) -> str:
    word = "kretprobe" if returns(at) else "kprobe"
    if not row.functions:
        return f"{word} {at.func_cnt or 0} functions"
    names = [each.symbol.name if each.symbol else f"{each.addr:x}" for each in row.functions]
    return f"{word} {_some(names)}"


def _uprobe_multi(at: attachment.UprobeMulti, _: LinkRow) -> str:
    word = "uretprobe" if returns(at) else "uprobe"
    return f"{word} {at.path or ''}+{_some([f'{offset:#x}' for offset, _, _ in places(at)])}" + (
        f" pid {at.pid}" if at.pid else ""
    )


def _tracing_multi(at: attachment.TracingMulti, row: LinkRow) -> str | None:
    if not at.func_cnt:
        return None
    names = [name or f"btf_id {id_}" for id_, name in zip(at.ids or (), target.functions(row), strict=False)]
    return f"{_word(at.attach_type)} {_some(names)}" if names else f"{_word(at.attach_type)} {at.func_cnt} functions"


def _kprobe(at: attachment.PerfKprobe, _: LinkRow) -> str:
    word = "kretprobe" if returns(at) else "kprobe"
    return f"{word} {at.func_name}+{at.offset:#x}" if at.func_name else f"{word} {at.addr:#x}"


def _uprobe(at: attachment.PerfUprobe, _: LinkRow) -> str:
    return f"{'uretprobe' if returns(at) else 'uprobe'} {at.file_name}+{at.offset:#x}"


def _event(at: attachment.PerfEvent, row: LinkRow) -> str:
    found = target.event(row)
    if found is not None:
        config = found.name or (f"{at.config:#x}" if at.config else "")
        return f"{found.unit}:{config}" if config else found.unit
    type_ = perf.type_name(at.event_type) or str(at.event_type)
    return f"{type_}:{perf.config_name(at.event_type, at.config) or f'{at.config:#x}'}"


_TEXTS: dict[type, Callable[[Any, LinkRow], str | None]] = {
    attachment.RawTracepoint: _raw_tracepoint,
    attachment.Tracing: _tracing,
    attachment.Cgroup: _cgroup,
    attachment.Iter: _iter,
    attachment.Netns: _netns,
    attachment.Xdp: _xdp,
    attachment.Device: _device,
    attachment.StructOps: _struct_ops,
    attachment.Sockmap: _sockmap,
    attachment.Netfilter: _netfilter,
    attachment.KprobeMulti: _kprobe_multi,
    attachment.UprobeMulti: _uprobe_multi,
    attachment.TracingMulti: _tracing_multi,
    attachment.PerfKprobe: _kprobe,
    attachment.PerfUprobe: _uprobe,
    attachment.PerfTracepoint: _raw_tracepoint,
    attachment.PerfEvent: _event,
}
