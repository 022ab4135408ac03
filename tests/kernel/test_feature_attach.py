"""What the full report says of types, attach types, links, cookies and perf events, proven by attaching."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.kernel import client
from tests.kernel.asked import works
from tests.kernel.inhabitants.links import entry_point
from tests.kernel.zoo import INHABITANTS

IN_A_GUEST = Path("/run/bpfctl-vm").exists()
PMU = Path("/sys/bus/event_source/devices")
RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
RETURN_1 = bytes.fromhex("b700000001000000 9500000000000000")


def agrees(answer, done):
    """Return whether an answer is right: what cannot be told must not have been possible to us either."""
    return answer is done or (answer is None and not done)


TYPES = sorted({(recipe.kind, recipe.type) for recipe in INHABITANTS if recipe.type})
GROUPS = {
    "prog": ("program_types", "BPF_PROG_TYPE_"),
    "map": ("map_types", "BPF_MAP_TYPE_"),
    "link": ("link_types", "BPF_LINK_TYPE_"),
}


@pytest.mark.parametrize(("kind", "type_"), TYPES, ids=[type_ for _, type_ in TYPES])
def test_a_type_is_there_if_one_of_it_lives(zoo, told, kind, type_):
    """Of no type that is told to be there are all refused, and of none that is not does one live."""
    group, prefix = GROUPS[kind]
    lives = any(
        recipe.full_name in zoo.created for recipe in INHABITANTS if (recipe.kind, recipe.type) == (kind, type_)
    )

    assert agrees(told[group, type_.removeprefix(prefix).lower()], lives)


# Attach types.

CGROUP = {
    "CGROUP_SKB": ("cgroup_inet_ingress", "cgroup_inet_egress"),
    "CGROUP_SOCK": (
        "cgroup_inet_sock_create",
        "cgroup_inet_sock_release",
        "cgroup_inet4_post_bind",
        "cgroup_inet6_post_bind",
    ),
    "SOCK_OPS": ("cgroup_sock_ops",),
    "CGROUP_DEVICE": ("cgroup_device",),
    "CGROUP_SYSCTL": ("cgroup_sysctl",),
    "CGROUP_SOCKOPT": ("cgroup_getsockopt", "cgroup_setsockopt"),
    "CGROUP_SOCK_ADDR": (
        *(f"cgroup_inet{ip}_{what}" for ip in (4, 6) for what in ("bind", "connect", "getpeername", "getsockname")),
        *(f"cgroup_udp{ip}_{what}" for ip in (4, 6) for what in ("sendmsg", "recvmsg")),
        *(f"cgroup_unix_{what}" for what in ("connect", "sendmsg", "recvmsg", "getpeername", "getsockname")),
    ),
}
SOCKETS = {
    "sk_skb_stream_parser": "SK_SKB",
    "sk_skb_stream_verdict": "SK_SKB",
    "sk_skb_verdict": "SK_SKB",
    "sk_msg_verdict": "SK_MSG",
}
# Inhabitants that attach so.
LIVE = {
    "trace_raw_tp": "link:tp_btf",
    "trace_fentry": "link:tracing_fentry",
    "trace_fexit": "link:tracing_fexit",
    "modify_return": "link:tracing_modify_return",
    "lsm_mac": "link:tracing_lsm",
    "trace_iter": "link:iter_task",
    "flow_dissector": "link:netns_flow_dissector",
    "sk_lookup": "link:netns_sk_lookup",
    "xdp": "link:xdp_lo",
    "perf_event": "link:perf_faults",
    "trace_kprobe_multi": "link:kprobe_multi",
    "trace_kprobe_session": "link:kprobe_session",
    "trace_uprobe_multi": "link:uprobe_multi",
    "trace_uprobe_session": "link:uprobe_session",
    "lsm_cgroup": "link:cgroup_lsm",
    "struct_ops": "link:struct_ops",
    "netfilter": "link:netfilter",
    "tcx_ingress": "link:tcx_ingress",
    "tcx_egress": "link:tcx_egress",
    "netkit_primary": "link:netkit",
    "trace_fsession": "link:tracing_fsession",
    "trace_fentry_multi": "link:tracing_multi",
}


def _program(zoo, held, kind, name):
    """Load a program of a type for an attach type, by the kernel's own numbers."""
    number, attach_type = zoo.facts.number(f"BPF_PROG_TYPE_{kind}"), zoo.facts.number(f"BPF_{name.upper()}")
    if number is None or attach_type is None:
        raise FileNotFoundError(name)
    return held(client.prog_load(number, RETURN_1, expected_attach_type=attach_type)), attach_type


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in CGROUP.items() for name in names])
def test_attach_types_of_cgroups(zoo, told, held, kind, name):
    """Attached to a cgroup in which nobody is."""

    def attach():
        prog, attach_type = _program(zoo, held, kind, name)
        return client.link_create(prog, zoo.place.cgroup_fd, attach_type)

    assert told["attach_types", name] is works(attach)


@pytest.mark.parametrize("name", SOCKETS)
def test_attach_types_of_sockets(zoo, told, held, name):
    def attach():
        prog, attach_type = _program(zoo, held, SOCKETS[name], name)
        client.prog_attach(held(client.map_create(15, 4, 4, 1)), prog, attach_type)  # a sockmap

    assert told["attach_types", name] is works(attach)


@pytest.mark.parametrize("name", LIVE)
def test_attach_types_of_inhabitants(zoo, told, name):
    assert agrees(told["attach_types", name], LIVE[name] in zoo.created), zoo.refused.get(LIVE[name])


# The type of the map, and what stands before the program in its value: a device, the size of a queue.
REDIRECTS = {"xdp_devmap": (14, struct.pack("=I", 1)), "xdp_cpumap": (16, struct.pack("=I", 192))}


@pytest.mark.parametrize("name", REDIRECTS)
def test_programs_behind_a_redirect(zoo, told, held, name):
    kind, value = REDIRECTS[name]

    def put():
        prog, _ = _program(zoo, held, "XDP", name)
        client.map_update(held(client.map_create(kind, 4, 8, 1)), bytes(4), value + struct.pack("=i", prog))

    assert told["attach_types", name] is works(put)


@pytest.mark.parametrize("name", ["sk_reuseport_select", "sk_reuseport_select_or_migrate"])
def test_attach_types_of_reuseport(zoo, told, held, name):
    """Before they came, the attach type of such programs was not looked at: any would do."""

    def load():
        _program(zoo, held, "SK_REUSEPORT", name)

    assert told["attach_types", name] is works(load)


@pytest.mark.parametrize("name", ["trace_fexit_multi", "trace_fsession_multi", "netkit_peer"])
def test_attach_types_of_kin(told, name):
    """Each came with another one."""
    twin = {"trace_fexit_multi": "trace_fentry_multi", "trace_fsession_multi": "trace_fentry_multi"}.get(name)

    assert told["attach_types", name] is told["attach_types", twin or "netkit_primary"]


def test_infrared(zoo, told, held):
    """Attached to a receiver that is a loop, which is a module."""
    receiver = Path("/dev/lirc0")
    if IN_A_GUEST:
        subprocess.run(["modprobe", "rc-loopback"], check=False, capture_output=True)
    if not receiver.exists() and told["attach_types", "lirc_mode2"]:
        pytest.skip(f"there is no {receiver} here, and no module that makes one")

    def attach():
        prog, attach_type = _program(zoo, held, "LIRC_MODE2", "lirc_mode2")
        target = held(os.open(receiver, os.O_RDWR))
        client.prog_attach(target, prog, attach_type)
        client.prog_detach(target, prog, attach_type)

    assert told["attach_types", "lirc_mode2"] is works(attach)


def test_every_attach_type_has_a_proof(told):
    proven = {*SOCKETS, *LIVE, *REDIRECTS, *(name for names in CGROUP.values() for name in names)}
    proven |= {"sk_reuseport_select", "sk_reuseport_select_or_migrate", "trace_fexit_multi", "trace_fsession_multi"}

    assert {name for group, name in told if group == "attach_types"} == proven | {"lirc_mode2", "netkit_peer"}


# Cookies, probes and events.


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("cookies of perf links", "link:perf_faults_cookie"),
        ("cookies of links to functions", "link:tracing_cookie"),
        ("cookies of raw tracepoints", "link:raw_cookie"),
        ("cookies of kprobe_multi links", "link:kretprobe_multi"),
        ("cookies of uprobe_multi links", "link:uretprobe_multi"),
        ("cookies of tracing_multi links", "link:tracing_multi"),
    ],
)
def test_cookies(zoo, told, name, link):
    assert agrees(told["attachments", name], link in zoo.created), zoo.refused.get(link)


def _probe(pmu, target, offset, config=0):
    text = ctypes.create_string_buffer(os.fsencode(target))
    return client.perf_event_open(int((PMU / pmu / "type").read_text()), config, config1=text, config2=offset)


def _semaphore(zoo):
    """Ask for a counter, at an offset in the upper half of the word; all probes of a place must ask for the same."""
    path, offset = entry_point(zoo)
    return _probe("uprobe", shutil.copy(path, zoo.place.root / "semaphore"), offset, 16 << 32)


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("kprobes of perf", lambda _: _probe("kprobe", "vfs_read", 0)),
        ("uprobes of perf", lambda zoo: _probe("uprobe", *entry_point(zoo))),
        ("reference counters of uprobes (USDT semaphores)", _semaphore),
        (
            "tracepoints of perf",
            lambda zoo: client.perf_event_open(2, zoo.place.tracepoint_id("sched", "sched_switch")),
        ),
        (
            "breakpoints of perf",
            lambda _: client.perf_event_open(5, 0, config1=0x1000, config2=4, bp_type=3, pid=os.getpid(), cpu=-1),
        ),
    ],
)
def test_probes_of_perf(zoo, told, name, act):
    assert told["attachments", name] is works(act, zoo)


HARDWARE = [
    "cpu_cycles",
    "instructions",
    "cache_references",
    "cache_misses",
    "branch_instructions",
    "branch_misses",
    "bus_cycles",
    "stalled_cycles_frontend",
    "stalled_cycles_backend",
    "ref_cpu_cycles",
]
SOFTWARE = [
    "cpu_clock",
    "task_clock",
    "page_faults",
    "context_switches",
    "cpu_migrations",
    "page_faults_min",
    "page_faults_maj",
    "alignment_faults",
    "emulation_faults",
    "dummy",
    "bpf_output",
    "cgroup_switches",
]
CACHES = ["l1d", "l1i", "ll", "dtlb", "itlb", "bpu", "node"]


def _events():
    yield from ((f"hardware {name}", 0, number) for number, name in enumerate(HARDWARE))
    yield from ((f"software {name}", 1, number) for number, name in enumerate(SOFTWARE))
    for cache, word in enumerate(CACHES):
        for op, what in enumerate(("read", "write", "prefetch")):
            for result, came in enumerate(("access", "miss")):
                yield f"cache {word}_{what}_{came}", 3, cache | op << 8 | result << 16


def test_perf_events(told):
    """Each is opened, for this process; an event that cannot be is said not to be there."""
    opened = {
        name: works(lambda k=kind, c=config: client.perf_event_open(k, c, pid=0, cpu=-1))
        for name, kind, config in _events()
    }

    assert opened == {name: answer for (group, name), answer in told.items() if group == "perf_events"}
