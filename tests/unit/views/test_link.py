"""Links in bpftool's two forms: raw bytes of the kernel in, the words of bpftool 7.8 out."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfctl.host.kallsyms import Symbol
from bpfctl.kernel.link import Function, LinkInfo, LinkRow
from bpfctl.kernel.owner import Owner
from bpfctl.kernel.prog import ProgramInfo
from bpfctl.uapi.enums import LinkType, PerfEventType
from bpfctl.views.link import VIEW
from bpfctl.views.target import flag_names, text

OF = LinkType
PERF = PerfEventType


def raw(type_, body=b"", *, id_=7, prog=3):
    """A struct bpf_link_info as a recent kernel writes it."""
    return struct.pack("=III4x", type_, id_, prog) + body.ljust(48, b"\0")


def row(info, *buffers, **around):
    given_ = {"program": None, "ifname": None, "functions": None, "pinned": None, "owners": ()} | around
    return LinkRow(LinkInfo.from_raw(info, buffers), **given_)


def program(type_, **fields):
    empty = ProgramInfo.from_raw(struct.pack("=II", type_, 3).ljust(232, b"\0"))
    return empty._replace(**fields)


def numbers(*values):
    return struct.pack(f"={len(values)}Q", *values)


def perf(kind, body):
    return raw(OF.PERF_EVENT, struct.pack("=I4x", kind) + body)


FUNCTIONS = (
    Function(0xFFFFFFFF81234560, Symbol("vfs_read", None), 3),
    Function(0xFFFFFFFFC0001004, Symbol("ext4_open", "ext4"), 0x1234),
    Function(0xFFFFFFFFC0009000, None, 0),
)

TOLD = {
    "raw tracepoint": (
        row(raw(OF.RAW_TRACEPOINT, struct.pack("=QI4xQ", 1, 13, 0)), b"sched_switch\0"),
        {"type": "raw_tracepoint", "prog_id": 3, "tp_name": "sched_switch", "cookie": 0},
        ["7: raw_tracepoint  prog 3  ", "\ttp 'sched_switch'  "],
    ),
    "raw tracepoint with a cookie": (
        row(raw(OF.RAW_TRACEPOINT, struct.pack("=QI4xQ", 1, 13, 77)), b"sched_switch\0"),
        {"type": "raw_tracepoint", "prog_id": 3, "tp_name": "sched_switch", "cookie": 77},
        ["7: raw_tracepoint  prog 3  ", "\ttp 'sched_switch'  cookie 77  "],
    ),
    "tracing": (
        row(raw(OF.TRACING, struct.pack("=III4xQ", 24, 1, 42, 9)), program=program(26)),
        {
            "type": "tracing",
            "prog_id": 3,
            "prog_type": "tracing",
            "attach_type": "trace_fentry",
            "target_obj_id": 1,
            "target_btf_id": 42,
            "cookie": 9,
        },
        [
            "7: tracing  prog 3  ",
            "\tprog_type tracing  attach_type trace_fentry  ",
            "\ttarget_obj_id 1  target_btf_id 42  ",
            "\tcookie 9  ",
        ],
    ),
    "tracing whose program is gone": (
        row(raw(OF.TRACING, struct.pack("=III4xQ", 26, 0, 0, 0))),
        {
            "type": "tracing",
            "prog_id": 3,
            "attach_type": "modify_return",
            "target_obj_id": 0,
            "target_btf_id": 0,
            "cookie": 0,
        },
        ["7: tracing  prog 3  ", "\tattach_type modify_return  "],
    ),
    "cgroup": (
        row(raw(OF.CGROUP, struct.pack("=QI", 1 << 40, 0))),
        {"type": "cgroup", "prog_id": 3, "cgroup_id": 1 << 40, "attach_type": "cgroup_inet_ingress"},
        ["7: cgroup  prog 3  ", "\tcgroup_id 1099511627776  attach_type cgroup_inet_ingress  "],
    ),
    "iterator over maps": (
        row(raw(OF.ITER, struct.pack("=QI", 1, 8)), b"bpf_map\0"),
        {"type": "iter", "prog_id": 3, "target_name": "bpf_map"},
        ["7: iter  prog 3  target_name bpf_map  "],
    ),
    "iterator over one map": (
        row(raw(OF.ITER, struct.pack("=QIIQ", 1, 13, 20, 99)), b"bpf_map_elem\0"),
        {"type": "iter", "prog_id": 3, "target_name": "bpf_map_elem", "map_id": 20},
        ["7: iter  prog 3  target_name bpf_map_elem  map_id 20  "],
    ),
    "iterator over one thread": (
        row(raw(OF.ITER, struct.pack("=QIIII", 1, 5, 0, 11, 22)), b"task\0"),
        {"type": "iter", "prog_id": 3, "target_name": "task", "tid": 11},
        ["7: iter  prog 3  target_name task  tid 11 "],
    ),
    "iterator over one process": (
        row(raw(OF.ITER, struct.pack("=QIIII", 1, 9, 0, 0, 22)), b"task_vma\0"),
        {"type": "iter", "prog_id": 3, "target_name": "task_vma", "pid": 22},
        ["7: iter  prog 3  target_name task_vma  pid 22 "],
    ),
    "iterator over cgroups": (
        row(raw(OF.ITER, struct.pack("=QIIQI", 1, 7, 0, 652, 5)), b"cgroup\0"),
        {"type": "iter", "prog_id": 3, "target_name": "cgroup", "cgroup_id": 652, "order": "children"},
        ["7: iter  prog 3  target_name cgroup  cgroup_id 652  order children  "],
    ),
    "iterator over a new order of cgroups": (
        row(raw(OF.ITER, struct.pack("=QIIQI", 1, 7, 0, 652, 9)), b"cgroup\0"),
        {"type": "iter", "prog_id": 3, "target_name": "cgroup", "cgroup_id": 652, "order": 9},
        ["7: iter  prog 3  target_name cgroup  cgroup_id 652  order 9  "],
    ),
    "network namespace": (
        row(raw(OF.NETNS, struct.pack("=II", 4026531840, 36))),
        {"type": "netns", "prog_id": 3, "netns_ino": 4026531840, "attach_type": "sk_lookup"},
        ["7: netns  prog 3  ", "\tnetns_ino 4026531840  attach_type sk_lookup  "],
    ),
    "xdp": (
        row(raw(OF.XDP, struct.pack("=I", 1)), ifname="lo"),
        {"type": "xdp", "prog_id": 3, "devname": "lo", "ifindex": 1},
        ["7: xdp  prog 3  ", "\tifindex lo(1)  "],
    ),
    "xdp in another namespace": (
        row(raw(OF.XDP, struct.pack("=I", 5))),
        {"type": "xdp", "prog_id": 3, "devname": "(unknown)", "ifindex": 5},
        ["7: xdp  prog 3  ", "\tifindex (unknown)  "],
    ),
    "tcx without its device": (
        row(raw(OF.TCX, struct.pack("=II", 0, 46))),
        {"type": "tcx", "prog_id": 3, "devname": "(detached)", "ifindex": 0, "attach_type": "tcx_ingress"},
        ["7: tcx  prog 3  ", "\tifindex (detached)  attach_type tcx_ingress  "],
    ),
    "netkit": (
        row(raw(OF.NETKIT, struct.pack("=II", 4, 55)), ifname="nk0"),
        {"type": "netkit", "prog_id": 3, "devname": "nk0", "ifindex": 4, "attach_type": "netkit_peer"},
        ["7: netkit  prog 3  ", "\tifindex nk0(4)  attach_type netkit_peer  "],
    ),
    "sockmap": (
        row(raw(OF.SOCKMAP, struct.pack("=II", 15, 38))),
        {"type": "sockmap", "prog_id": 3, "map_id": 15, "attach_type": "sk_skb_verdict"},
        ["7: sockmap  prog 3  ", "\tmap_id 15  attach_type sk_skb_verdict  "],
    ),
    "struct_ops": (
        row(raw(OF.STRUCT_OPS, struct.pack("=I", 47), prog=0)),
        {"type": "struct_ops", "prog_id": 0, "map_id": 47},
        ["7: struct_ops  map 47  "],
    ),
    "netfilter": (
        row(raw(OF.NETFILTER, struct.pack("=IIiI", 2, 1, -128, 1))),
        {"type": "netfilter", "prog_id": 3, "pf": 2, "hook": 1, "prio": -128, "flags": 1},
        ["7: netfilter  prog 3  ", "\tip input prio -128 flags 0x1"],
    ),
    "netfilter of arp": (
        row(raw(OF.NETFILTER, struct.pack("=IIiI", 3, 1, 0, 0))),
        {"type": "netfilter", "prog_id": 3, "pf": 3, "hook": 1, "prio": 0, "flags": 0},
        ["7: netfilter  prog 3  ", "\tarp output prio 0"],
    ),
    "netfilter of a new family": (
        row(raw(OF.NETFILTER, struct.pack("=IIiI", 12, 6, 5, 0))),
        {"type": "netfilter", "prog_id": 3, "pf": 12, "hook": 6, "prio": 5, "flags": 0},
        ["7: netfilter  prog 3  ", "\tpf: 12, hook 6, prio 5"],
    ),
    "kprobe_multi": (
        row(
            raw(OF.KPROBE_MULTI, struct.pack("=QIIQQ", 1, 3, 1, 2, 1)),
            numbers(0xFFFFFFFFC0001004, 0xFFFFFFFF81234560, 0xFFFFFFFFC0009000),
            numbers(0x1234, 3, 0),
            functions=FUNCTIONS,
        ),
        {
            "type": "kprobe_multi",
            "prog_id": 3,
            "retprobe": True,
            "func_cnt": 3,
            "missed": 2,
            "funcs": [
                {"addr": 0xFFFFFFFF81234560, "func": "vfs_read", "module": None, "cookie": 3},
                {"addr": 0xFFFFFFFFC0001004, "func": "ext4_open", "module": "ext4", "cookie": 0x1234},
                {"addr": 0xFFFFFFFFC0009000, "func": None, "module": None, "cookie": 0},
            ],
        },
        [
            "7: kprobe_multi  prog 3  ",
            "\tkretprobe.multi  func_cnt 3  missed 2  ",
            "\taddr             cookie           func [module]",
            "\tffffffff81234560 3                vfs_read  ",
            "\tffffffffc0001004 1234             ext4_open [ext4]  ",
            "\tffffffffc0009000 0                ?  ",
        ],
    ),
    "kprobe_multi without addresses": (
        row(raw(OF.KPROBE_MULTI, struct.pack("=QIIQQ", 1, 2, 0, 0, 1)), numbers(0, 0), numbers(0, 0)),
        {"type": "kprobe_multi", "prog_id": 3, "retprobe": False, "func_cnt": 2, "missed": 0, "funcs": []},
        ["7: kprobe_multi  prog 3  ", "\tkprobe.multi  func_cnt 2  "],
    ),
    "kprobe_multi before Linux 6.6": (
        row(raw(OF.KPROBE_MULTI)[:40]),
        {"type": "kprobe_multi", "prog_id": 3, "retprobe": False, "func_cnt": 0, "missed": 0, "funcs": []},
        ["7: kprobe_multi  prog 3  "],
    ),
    "uprobe_multi": (
        row(
            raw(OF.UPROBE_MULTI, struct.pack("=QQQQIIII", 1, 1, 1, 1, 10, 2, 1, 99)),
            b"/bin/bash\0",
            numbers(0x35C0, 0x4000),
            numbers(0, 0x10),
            numbers(9, 0),
        ),
        {
            "type": "uprobe_multi",
            "prog_id": 3,
            "retprobe": True,
            "path": "/bin/bash",
            "func_cnt": 2,
            "pid": 99,
            "funcs": [
                {"offset": 0x35C0, "ref_ctr_offset": 0, "cookie": 9},
                {"offset": 0x4000, "ref_ctr_offset": 0x10, "cookie": 0},
            ],
        },
        [
            "7: uprobe_multi  prog 3  ",
            "\turetprobe.multi  path /bin/bash  func_cnt 2  pid 99  ",
            "\toffset             ref_ctr_offset     cookies         ",
            "\t0x35c0             0x0                0x9               ",
            "\t0x4000             0x10               0x0               ",
        ],
    ),
    "perf event": (
        row(perf(PERF.EVENT, struct.pack("=QI4xQ", 2, 1, 4660))),
        {
            "type": "perf_event",
            "prog_id": 3,
            "event_type": "software",
            "event_config": "page-faults",
            "cookie": 4660,
        },
        ["7: perf_event  prog 3  ", "\tevent software:page-faults  cookie 4660  "],
    ),
    "perf event of a cache": (
        row(perf(PERF.EVENT, struct.pack("=QI4xQ", 0x00090100, 3, 0))),
        {
            "type": "perf_event",
            "prog_id": 3,
            "event_type": "hw-cache",
            "event_config": "L1-dcache-store-9",
            "cookie": 0,
        },
        ["7: perf_event  prog 3  ", "\tevent hw-cache:L1-dcache-store-9  "],
    ),
    "perf event of hardware": (
        row(perf(PERF.EVENT, struct.pack("=QI4xQ", 9, 0, 0))),
        {
            "type": "perf_event",
            "prog_id": 3,
            "event_type": "hardware",
            "event_config": "ref-cycles",
            "cookie": 0,
        },
        ["7: perf_event  prog 3  ", "\tevent hardware:ref-cycles  "],
    ),
    "perf event of a unit": (
        row(perf(PERF.EVENT, struct.pack("=QI4xQ", 5, 6, 0))),
        {"type": "perf_event", "prog_id": 3, "event_type": 6, "event_config": 5, "cookie": 0},
        ["7: perf_event  prog 3  ", "\tevent 6 :5  "],
    ),
    "tracepoint": (
        row(perf(PERF.TRACEPOINT, struct.pack("=QI4xQ", 1, 13, 0)), b"sched_switch\0"),
        {"type": "perf_event", "prog_id": 3, "tracepoint": "sched_switch", "cookie": 0},
        ["7: perf_event  prog 3  ", "\ttracepoint sched_switch  "],
    ),
    "kprobe": (
        row(
            perf(PERF.KPROBE, struct.pack("=QIIQQQ", 1, 9, 4, 0xFFFFFFFF81234560, 5, 4660)),
            b"vfs_read\0",
        ),
        {
            "type": "perf_event",
            "prog_id": 3,
            "retprobe": False,
            "addr": 0xFFFFFFFF81234560,
            "func": "vfs_read",
            "offset": 4,
            "missed": 5,
            "cookie": 4660,
        },
        ["7: perf_event  prog 3  ", "\tkprobe ffffffff81234560 vfs_read+0x4  missed 5  cookie 4660  "],
    ),
    "kretprobe of nobody knows what": (
        row(perf(PERF.KRETPROBE, struct.pack("=QIIQQQ", 1, 1, 0, 0, 0, 0)), b"\0"),
        {
            "type": "perf_event",
            "prog_id": 3,
            "retprobe": True,
            "addr": 0,
            "func": "",
            "offset": 0,
            "missed": 0,
            "cookie": 0,
        },
        ["7: perf_event  prog 3  "],
    ),
    "uprobe": (
        row(perf(PERF.UPROBE, struct.pack("=QIIQQ", 1, 10, 0, 0, 0)), b"/bin/bash\0"),
        {
            "type": "perf_event",
            "prog_id": 3,
            "retprobe": False,
            "file": "/bin/bash",
            "offset": 0,
            "cookie": 0,
            "ref_ctr_offset": 0,
        },
        ["7: perf_event  prog 3  ", "\tuprobe /bin/bash+0  "],
    ),
    "uretprobe": (
        row(perf(PERF.URETPROBE, struct.pack("=QIIQQ", 1, 10, 0x98930, 1, 0x20)), b"/bin/bash\0"),
        {
            "type": "perf_event",
            "prog_id": 3,
            "retprobe": True,
            "file": "/bin/bash",
            "offset": 0x98930,
            "cookie": 1,
            "ref_ctr_offset": 0x20,
        },
        ["7: perf_event  prog 3  ", "\turetprobe /bin/bash+0x98930  cookie 1  ref_ctr_offset 0x20  "],
    ),
    "perf event before Linux 6.6": (
        row(perf(PERF.UNSPEC, b"")[:40]),
        {"type": "perf_event", "prog_id": 3},
        ["7: perf_event  prog 3  "],
    ),
    "tracing_multi": (
        row(raw(OF.TRACING_MULTI, struct.pack("=III4xQQQ", 59, 1, 1, 1, 1, 1)), b"\x2a\0\0\0", numbers(1), numbers(5)),
        {"type": "tracing_multi", "prog_id": 3},
        ["7: tracing_multi  prog 3  "],
    ),
    "a type that nobody knows": (
        row(raw(4000)),
        {"type": 4000, "prog_id": 3},
        ["7: type 4000  prog 3  "],
    ),
}


@pytest.mark.parametrize("told", TOLD)
def test_in_bpftools_words(told):
    """Every member in its order, every line with its trailing spaces."""
    given_, members, lines = TOLD[told]

    assert list(({"id": 7} | members).items()) == list(VIEW.json(given_).items())
    assert lines == list(VIEW.plain(given_))


def test_surroundings_come_last():
    """Pins, then the cookie of a perf event's link, then owners; the cookie alone is of no interest to bpftool."""
    event = TOLD["perf event"][0]
    held = event._replace(
        pinned=("/sys/fs/bpf/a", "/sys/fs/bpf/b"), owners=(Owner(1, "init"), Owner(9, "x")), bpf_cookie=4660
    )

    assert list(VIEW.json(held))[-3:] == ["pinned", "bpf_cookie", "pids"]
    assert {"bpf_cookie": 4660, "pids": [{"pid": 1, "comm": "init"}, {"pid": 9, "comm": "x"}]}.items() <= VIEW.json(
        held
    ).items()
    assert list(VIEW.plain(held))[-4:] == [
        "\tpinned /sys/fs/bpf/a",
        "\tpinned /sys/fs/bpf/b",
        "\tbpf_cookie 4660",
        "\tpids init(1), x(9)",
    ]
    assert "bpf_cookie" not in VIEW.json(held._replace(owners=()))
    assert "bpf_cookie" not in VIEW.json(held._replace(bpf_cookie=None))
    assert VIEW.json(event._replace(pinned=()))["pinned"] == ()


TARGETS = {
    "tracing whose program is gone": "modify_return",
    "cgroup": "cgroup 1099511627776 inet_ingress",
    "iterator over one map": "bpf_map_elem of map 20",
    "iterator over one thread": "task tid 11",
    "iterator over cgroups": "cgroup 652 children",
    "network namespace": "netns 4026531840 sk_lookup",
    "xdp": "lo(1)",
    "netkit": "nk0(4) netkit_peer",
    "sockmap": "map 15 sk_skb_verdict",
    "struct_ops": "map 47",
    "netfilter": "ip input prio -128 ip_defrag",
    "kprobe_multi": "kretprobe vfs_read, ext4_open, ffffffffc0009000",
    "kprobe_multi without addresses": "kprobe 2 functions",
    "uprobe_multi": "uretprobe /bin/bash+0x35c0, 0x4000 pid 99",
    "perf event": "software:page-faults",
    "kprobe": "kprobe vfs_read+0x4",
    "uretprobe": "uretprobe /bin/bash+0x98930",
    "perf event before Linux 6.6": None,
    "a type that nobody knows": None,
}


@pytest.mark.parametrize("told", TARGETS)
def test_a_target_is_one_text(told):
    """What a table shows of it."""
    assert TARGETS[told] == text(TOLD[told][0])


def test_of_many_functions_a_few_are_named():
    """A link on thousands of functions stays one line."""
    many = TOLD["kprobe_multi"][0]._replace(functions=FUNCTIONS[:1] * 1000)

    assert text(many) == "kretprobe vfs_read, vfs_read, vfs_read and 997 more"


def test_flags_newer_than_their_names():
    """They are told as one number."""
    assert flag_names(0b1101, {1: "RETURN", 2: "NEVER"}) == ["RETURN", "0xc"]
    assert flag_names(0, {1: "RETURN"}) == []


@settings(deadline=None)  # the first number without a name reads the kernel's BTF
@given(
    st.sampled_from([*OF, 4000]),
    st.sampled_from([*PERF]),
    st.binary(min_size=44, max_size=44),
    st.sampled_from([48, 56, 64]),
    st.lists(st.binary(min_size=8, max_size=8), max_size=4),
)
def test_whatever_the_kernel_writes_can_be_told(type_, kind, body, length, buffers):
    """Every type, every length, with and without what the pointers point to: JSON and text."""
    start = struct.pack("=I", kind) if type_ == OF.PERF_EVENT else body[:4]
    given_ = row(raw(type_, start + body)[:length], *buffers)

    assert json.loads(json.dumps(VIEW.json(given_)))["id"] == 7
    assert next(VIEW.plain(given_)).startswith("7: ")
