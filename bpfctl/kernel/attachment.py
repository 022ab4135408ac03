"""What a link is attached to: the part of struct bpf_link_info (include/uapi/linux/bpf.h) that differs by link type.

Fields keep the kernel's names. One that this kernel did not write is None; so is an array that it has no entries for.
Cookies are 0 as well where the kernel has room for them and no words: those of perf events and kprobe_multi are told
since Linux 6.9, those of tracing and raw tracepoints since 6.17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from bpfctl.uapi import layouts
from bpfctl.uapi.enums import AttachType, IterOrder, LinkType, PerfEventType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.uapi.layout import Layout

    Fields: TypeAlias = dict[str, Any]
    Numbers: TypeAlias = tuple[int, ...] | None

_PATH_ROOM = 4096  # PATH_MAX; the kernel has no longer name
_ATTACH_TYPES = {int(kind): kind for kind in AttachType}
# A tuple has a method called count.
_KERNEL_NAMES = {"func_cnt": "count"}
_ORDERS = {int(order): order for order in IterOrder}

# Iterators that walk the elements of one map, and those that can be told to walk one task (kernel/bpf/*_iter.c).
MAP_TARGETS = frozenset({"bpf_map_elem", "bpf_sk_storage_map"})
TASK_TARGETS = frozenset({"task", "task_file", "task_vma"})


class RawTracepoint(NamedTuple):
    """A tracepoint, without the arguments' translation of its event."""

    tp_name: str
    cookie: int | None


class Tracing(NamedTuple):
    """A function of the kernel, of a module or of another program; ``target_obj_id`` is a BTF's id or a program's."""

    attach_type: AttachType | int | None
    target_obj_id: int | None
    target_btf_id: int | None
    cookie: int | None


class Cgroup(NamedTuple):
    """A cgroup; its id is the inode number of its folder."""

    cgroup_id: int
    attach_type: AttachType | int


class Iter(NamedTuple):
    """A kind of kernel object to walk; of the other fields only those that belong to the kind are told."""

    target_name: str
    map_id: int | None = None
    tid: int | None = None
    pid: int | None = None
    cgroup_id: int | None = None
    order: IterOrder | int | None = None


class Netns(NamedTuple):
    """A network namespace."""

    netns_ino: int
    attach_type: AttachType | int


class Xdp(NamedTuple):
    """A network device's driver; 0 when the device is gone."""

    ifindex: int


class Device(NamedTuple):
    """A network device's tcx or netkit hook; 0 when the device is gone."""

    ifindex: int
    attach_type: AttachType | int


class StructOps(NamedTuple):
    """A table of kernel callbacks, which is a map."""

    map_id: int


class Sockmap(NamedTuple):
    """A map of sockets."""

    map_id: int
    attach_type: AttachType | int


class Netfilter(NamedTuple):
    """A netfilter hook of a protocol family (NFPROTO_*)."""

    pf: int
    hooknum: int
    priority: int
    flags: int


class KprobeMulti(NamedTuple):
    """Many functions of the kernel at once; addresses are 0 for those who may not see them."""

    flags: int | None
    func_cnt: int | None
    missed: int | None
    addrs: Numbers
    cookies: Numbers


class UprobeMulti(NamedTuple):
    """Many places in one file at once; ``pid`` is 0 for all processes."""

    path: str | None
    offsets: Numbers
    ref_ctr_offsets: Numbers
    cookies: Numbers
    func_cnt: int | None
    flags: int | None
    pid: int | None


class TracingMulti(NamedTuple):
    """Many functions of the kernel at once, through trampolines; ``ids`` are types of the BTF ``btf_obj_id``."""

    attach_type: AttachType | int | None
    func_cnt: int | None
    btf_obj_id: int | None
    ids: Numbers
    addrs: Numbers
    cookies: Numbers


class PerfKprobe(NamedTuple):
    """The entry or return of a function of the kernel; the address is 0 for those who may not see it."""

    perf_type: int
    func_name: str
    offset: int
    addr: int
    missed: int | None
    cookie: int | None


class PerfUprobe(NamedTuple):
    """The entry or return of a place in a file."""

    perf_type: int
    file_name: str
    offset: int
    cookie: int | None
    ref_ctr_offset: int | None


class PerfTracepoint(NamedTuple):
    """A tracepoint's event."""

    tp_name: str
    cookie: int | None


class PerfEvent(NamedTuple):
    """An event that is counted or sampled (struct perf_event_attr)."""

    event_type: int
    config: int
    cookie: int | None


Attachment: TypeAlias = (
    RawTracepoint
    | Tracing
    | Cgroup
    | Iter
    | Netns
    | Xdp
    | Device
    | StructOps
    | Sockmap
    | Netfilter
    | KprobeMulti
    | UprobeMulti
    | TracingMulti
    | PerfKprobe
    | PerfUprobe
    | PerfTracepoint
    | PerfEvent
)


class Indirect(NamedTuple):
    """A field that points to a buffer of ours, which the kernel fills on a second call."""

    pointer: str
    counter: str
    width: int  # of an entry
    room: int = 0  # entries to offer; 0: as many as the first call has counted

    def decode(self, data: bytes) -> str | tuple[int, ...] | None:
        """Decode what the kernel has put there; None for nothing."""
        if self.width == 1:
            return data.partition(b"\0")[0].decode(errors="surrogateescape") if data else None
        return tuple(memoryview(data).cast("Q" if self.width == 8 else "I")) if data else None


class Shape(NamedTuple):
    """How the kernel tells of one type of link."""

    layout: Layout
    make: Callable[[Fields], Attachment]
    indirect: tuple[Indirect, ...] = ()
    overlay: Layout | None = None  # other fields in the same bytes

    def decode(self, raw: bytes, buffers: Sequence[bytes]) -> Attachment:
        """Decode the structure as long as the kernel wrote it, and the buffers of ``indirect`` in their order."""
        fields = self.layout.unpack(raw)
        if self.overlay is not None:
            fields |= self.overlay.unpack(raw)
        for field in self.indirect:
            fields[field.pointer] = None
        for field, data in zip(self.indirect, buffers, strict=False):
            fields[field.pointer] = field.decode(data)
        return self.make(fields)


def _as(kind: Callable[..., Attachment]) -> Callable[[Fields], Attachment]:
    """Make a tuple of the fields that it has the names of."""
    names: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]

    def make(fields: Fields) -> Attachment:
        if "attach_type" in fields:
            fields["attach_type"] = _ATTACH_TYPES.get(fields["attach_type"], fields["attach_type"])
        return kind(*[fields[_KERNEL_NAMES.get(name, name)] for name in names])

    return make


def _named(kind: Callable[..., Attachment], name: str) -> Callable[[Fields], Attachment]:
    """Make a tuple in which a name that is not there is empty."""
    make = _as(kind)
    return lambda fields: make(fields | {name: fields[name] or ""})


def _iter(fields: Fields) -> Iter:
    """Take what belongs to the target; what others have lies in the same bytes."""
    target = fields["target_name"] or ""
    if target in MAP_TARGETS:
        return Iter(target, map_id=fields["map_id"])
    if target in TASK_TARGETS:
        return Iter(target, tid=fields["tid"], pid=fields["pid"])
    if target == "cgroup":
        return Iter(target, cgroup_id=fields["cgroup_id"], order=_ORDERS.get(fields["order"], fields["order"]))
    return Iter(target)


def _text(pointer: str, count: str) -> tuple[Indirect, ...]:
    return (Indirect(pointer, count, 1, _PATH_ROOM),)


_DEVICE = Shape(layouts.LINK_INFO_TCX, _as(Device))
_SHAPES: dict[int, Shape] = {
    LinkType.RAW_TRACEPOINT: Shape(
        layouts.LINK_INFO_RAW_TRACEPOINT, _named(RawTracepoint, "tp_name"), _text("tp_name", "tp_name_len")
    ),
    LinkType.TRACING: Shape(layouts.LINK_INFO_TRACING, _as(Tracing)),
    LinkType.CGROUP: Shape(layouts.LINK_INFO_CGROUP, _as(Cgroup)),
    LinkType.ITER: Shape(
        layouts.LINK_INFO_ITER, _iter, _text("target_name", "target_name_len"), layouts.LINK_INFO_ITER_TASK
    ),
    LinkType.NETNS: Shape(layouts.LINK_INFO_NETNS, _as(Netns)),
    LinkType.XDP: Shape(layouts.LINK_INFO_XDP, _as(Xdp)),
    LinkType.KPROBE_MULTI: Shape(
        layouts.LINK_INFO_KPROBE_MULTI,
        _as(KprobeMulti),
        (Indirect("addrs", "count", 8), Indirect("cookies", "count", 8)),
    ),
    LinkType.STRUCT_OPS: Shape(layouts.LINK_INFO_STRUCT_OPS, _as(StructOps)),
    LinkType.NETFILTER: Shape(layouts.LINK_INFO_NETFILTER, _as(Netfilter)),
    LinkType.TCX: _DEVICE,
    LinkType.UPROBE_MULTI: Shape(
        layouts.LINK_INFO_UPROBE_MULTI,
        _as(UprobeMulti),
        (
            Indirect("path", "path_size", 1, _PATH_ROOM),
            Indirect("offsets", "count", 8),
            Indirect("ref_ctr_offsets", "count", 8),
            Indirect("cookies", "count", 8),
        ),
    ),
    LinkType.NETKIT: _DEVICE,
    LinkType.SOCKMAP: Shape(layouts.LINK_INFO_SOCKMAP, _as(Sockmap)),
    LinkType.TRACING_MULTI: Shape(
        layouts.LINK_INFO_TRACING_MULTI,
        _as(TracingMulti),
        (Indirect("ids", "count", 4), Indirect("addrs", "count", 8), Indirect("cookies", "count", 8)),
    ),
}

_KPROBE = Shape(layouts.LINK_INFO_PERF_KPROBE, _named(PerfKprobe, "func_name"), _text("func_name", "name_len"))
_UPROBE = Shape(layouts.LINK_INFO_PERF_UPROBE, _named(PerfUprobe, "file_name"), _text("file_name", "name_len"))
_PERF_SHAPES: dict[int, Shape] = {
    PerfEventType.UPROBE: _UPROBE,
    PerfEventType.URETPROBE: _UPROBE,
    PerfEventType.KPROBE: _KPROBE,
    PerfEventType.KRETPROBE: _KPROBE,
    PerfEventType.TRACEPOINT: Shape(
        layouts.LINK_INFO_PERF_TRACEPOINT, _named(PerfTracepoint, "tp_name"), _text("tp_name", "name_len")
    ),
    PerfEventType.EVENT: Shape(layouts.LINK_INFO_PERF_EVENT_EVENT, _as(PerfEvent)),
}


def shape(raw: bytes) -> Shape | None:
    """Return how to read a struct bpf_link_info; None for a type that is new, or of which the kernel tells no more."""
    type_ = layouts.LINK_INFO.unpack(raw)["type"]
    if type_ == LinkType.PERF_EVENT:
        # Before Linux 6.6 nothing is told of these (1b715e1b0ec5, "bpf: Support ->fill_link_info for perf_event").
        return _PERF_SHAPES.get(layouts.LINK_INFO_PERF_EVENT.unpack(raw)["perf_type"] or 0)
    return _SHAPES.get(type_)
