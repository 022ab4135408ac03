"""What is attached to cgroups, devices and perf events, from Python: rows beside what an independent client asks."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import threading

import pytest

from bpfctl import KernelError, NotFound, Program
from bpfctl._sys import calls
from bpfctl.attach import cgroup as cgroup_attach
from bpfctl.attach import net as net_attach
from bpfctl.host import cgroup as folders
from bpfctl.host import netlink, rtnetlink
from bpfctl.kernel import cgroup, net, task_fd
from bpfctl.uapi.enums import AttachType
from tests.bpftool import peer
from tests.kernel import client, traffic
from tests.kernel.command import BPFCTL, ENVIRONMENT
from tests.kernel.inhabitants.programs import returning
from tests.kernel.place import add_device
from tests.kernel.probing import until
from tests.terminal import STYLES

CGROUP_SKB, XDP, SCHED_CLS, TRACEPOINT = 8, 6, 3, 5
INGRESS, EGRESS, TCX_INGRESS = 0, 1, 46
OVERRIDE, MULTI = 1, 2
LO, SKB_MODE = 1, 2


@pytest.fixture
def loaded(stack):
    """A function that loads a program, which the test holds: its descriptor and its id."""

    def load(type_, returns=1, name="attached"):
        fd = client.prog_load(type_, returning(returns), name=name)
        stack.callback(os.close, fd)
        return fd, client.id_of("prog", fd)

    return load


@pytest.fixture
def group(place, stack):
    """A cgroup of the test's own."""
    path = place.cgroup / "group"
    path.mkdir()
    stack.callback(path.rmdir)
    return path


def attached(path, attach_type):
    """What the kernel says is there."""
    folder = os.open(path, os.O_RDONLY)
    try:
        return client.prog_query(folder, attach_type)
    finally:
        os.close(folder)


def test_attach_to_a_cgroup(group, loaded):
    """Programs stand in the order in which they came, with their flags; what is below runs them too."""
    (_, first), (_, second) = loaded(CGROUP_SKB, name="first"), loaded(CGROUP_SKB, name="second")
    below = group / "below"
    below.mkdir()
    try:
        for id_ in (first, second):
            with Program.by_id(id_) as program:
                cgroup_attach.attach(program, str(group), AttachType.CGROUP_INET_INGRESS, MULTI)
        rows = list(cgroup.rows(str(group), owners=False))
        effective = list(cgroup.rows(str(below), effective=True))
        with Program.by_id(first) as program:
            cgroup_attach.detach(program, str(group), AttachType.CGROUP_INET_INGRESS)
            with pytest.raises(KernelError, match="not attached there, or by a link") as refused:
                cgroup_attach.detach(program, str(group), AttachType.CGROUP_INET_INGRESS)
        left = attached(group, INGRESS)
    finally:
        below.rmdir()

    assert [(row.id, row.name, row.attach_type, row.flags) for row in rows] == [
        (first, "first", AttachType.CGROUP_INET_INGRESS, MULTI),
        (second, "second", AttachType.CGROUP_INET_INGRESS, MULTI),
    ]
    assert [(row.id, row.flags) for row in effective] == [(first, None), (second, None)]
    assert refused.value.errno == errno.ENOENT
    assert left == [second]


@pytest.mark.parametrize(
    ("type_", "path", "why"),
    [
        (CGROUP_SKB, "/tmp", "no cgroup of version 2"),
        (XDP, "{group}", "of another type"),
        (CGROUP_SKB, "/nowhere", "can't open /nowhere: No such file"),
    ],
)
def test_a_refusal_says_why(group, loaded, type_, path, why):
    """Also of what the kernel has but one number for."""
    with Program.by_id(loaded(type_)[1]) as program, pytest.raises(KernelError, match=why):
        cgroup_attach.attach(program, path.format(group=group), AttachType.CGROUP_INET_EGRESS, MULTI)


def test_what_is_attached_forbids_others(group, loaded):
    """Without flags no cgroup below may have a program; the error says that it may be that."""
    fd, id_ = loaded(CGROUP_SKB)
    folder = os.open(group, os.O_RDONLY)
    client.prog_attach(folder, fd, EGRESS, 0)
    os.close(folder)
    below = group / "below"
    below.mkdir()
    try:
        with (
            Program.by_id(id_) as program,
            pytest.raises(KernelError, match="above it, does not allow that") as refused,
        ):
            cgroup_attach.attach(program, str(below), AttachType.CGROUP_INET_EGRESS, MULTI)
    finally:
        below.rmdir()
    assert refused.value.errno == errno.EPERM


def test_a_kernel_that_does_not_tell_flags(group, loaded, monkeypatch):
    """Before Linux 6.0 all programs of an attach type have the flags of the cgroup."""
    fd, id_ = loaded(CGROUP_SKB)
    folder = os.open(group, os.O_RDONLY)
    client.prog_attach(folder, fd, EGRESS, OVERRIDE)
    os.close(folder)
    whole, asked = calls.answer, []

    def old(command, attr):
        if command == calls.PROG_QUERY:
            asked.append(bool(attr.prog_attach_flags))
        return -errno.EINVAL if command == calls.PROG_QUERY and attr.prog_attach_flags else whole(command, attr)

    monkeypatch.setattr(calls, "answer", old)

    assert [(row.id, row.flags) for row in cgroup.rows(str(group))] == [(id_, OVERRIDE)]
    assert asked.count(True) == 1


def test_cgroups_that_come_and_go(group, loaded):
    """One that is removed while all are looked at is left out, and none is told twice."""
    fd, _ = loaded(CGROUP_SKB)
    stays = [group / f"stays{number}" for number in range(4)]
    for path in stays:
        path.mkdir()
        folder = os.open(path, os.O_RDONLY)
        client.prog_attach(folder, fd, INGRESS, MULTI)
        os.close(folder)
    done = threading.Event()

    def churn():
        while not done.is_set():
            for name in ("a", "b", "c"):
                (group / name).mkdir()
            for name in ("a", "b", "c"):
                (group / name).rmdir()

    other = threading.Thread(target=churn)
    other.start()
    try:
        for _ in range(20):
            found = [row.cgroup.path for row in cgroup.tree(str(group), owners=False)]
            assert sorted(found) == [str(path) for path in stays]
    finally:
        done.set()
        other.join()
        for path in stays:
            path.rmdir()


def test_no_cgroups(monkeypatch):
    """Where their file system is not mounted, that is what is said."""
    monkeypatch.setattr(folders, "root", lambda: None)
    with pytest.raises(NotFound, match="cgroup v2 isn't mounted"):
        list(cgroup.tree())


@pytest.mark.usefixtures("place")
def test_attach_to_a_device(loaded):
    """XDP is there once, unless it takes the place of another; what the kernel says is the hint."""
    (_, first), (_, second) = loaded(XDP, 2, "first"), loaded(XDP, 2, "second")
    with Program.by_id(first) as one, Program.by_id(second) as other:
        net_attach.attach_xdp(one, LO)
        with pytest.raises(KernelError, match="XDP program already attached") as refused:
            net_attach.attach_xdp(other, LO, net_attach.XdpMode.GENERIC)
        found = [(row.device.name, row.kind, row.prog_id, row.name) for row in net.rows(LO) if row.section == "xdp"]
        net_attach.attach_xdp(other, LO, overwrite=True)
        after = [row.prog_id for row in net.rows() if row.section == "xdp" and row.device.ifindex == LO]
    net_attach.detach_xdp(LO)
    net_attach.detach_xdp(LO)

    assert refused.value.errno == errno.EBUSY
    assert found == [("lo", "generic", first, "first")]
    assert after == [second]
    assert not [row for row in net.rows(LO) if row.section == "xdp"]


@pytest.mark.usefixtures("place")
def test_a_link_holds_xdp(loaded):
    """It is told with who holds it, and does not leave its device for others."""
    fd, id_ = loaded(XDP, 2)
    link = client.link_create(fd, LO, 37, flags=SKB_MODE)
    try:
        (row,) = (row for row in net.rows(LO) if row.section == "xdp")
        link_id = client.id_of("link", link)
        assert (row.prog_id, row.link_ids) == (id_, (link_id,))
        with pytest.raises(KernelError, match="link"):
            net_attach.detach_xdp(LO)
    finally:
        os.close(link)


@pytest.mark.usefixtures("place")
def test_devices_of_hostile_names(loaded):
    """A device may have nearly any name; many devices do not fit into one packet of netlink."""
    for number in range(120):
        add_device("veth", f"m{number}\x1b[31m")
    fd, id_ = loaded(XDP, 2)
    last = socket.if_nametoindex("m119\x1b[31m")
    traffic.set_xdp(last, fd, SKB_MODE)
    with netlink.Route() as route:
        names = {device.name for device in rtnetlink.devices(route)}

    assert names == {name for _, name in socket.if_nameindex()}
    assert len(names) > 240
    assert [(row.device.name, row.prog_id) for row in net.rows(last) if row.section == "xdp"] == [("m119\x1b[31m", id_)]
    with pytest.raises(NotFound, match="invalid devname nowhere"):
        net.ifindex("nowhere")
    with pytest.raises(NotFound, match="invalid devname"):
        net.ifindex("a\0b")


def _has_tcx():
    try:
        client.prog_query(LO, TCX_INGRESS)
    except OSError:
        return False
    return True


@pytest.mark.usefixtures("place")
def test_tcx(loaded):
    """The order is the kernel's; the last one is detached first; kernels without it say so."""
    ids = [loaded(SCHED_CLS, 0, name)[1] for name in ("one", "two", "three")]
    if not _has_tcx():
        with Program.by_id(ids[0]) as program, pytest.raises(KernelError, match=r"Linux 6\.6"):
            net_attach.attach_tcx(program, LO, AttachType.TCX_INGRESS)
        return
    for id_ in ids:
        with Program.by_id(id_) as program:
            net_attach.attach_tcx(program, LO, AttachType.TCX_INGRESS, first=id_ == ids[2])
    found = [(row.kind, row.name) for row in net.rows(LO) if row.section == "tc"]
    left = []
    for _ in ids:
        left.append(client.prog_query(LO, TCX_INGRESS))
        net_attach.detach_tcx(LO, AttachType.TCX_INGRESS)
    with pytest.raises(KernelError, match="no program"):
        net_attach.detach_tcx(LO, AttachType.TCX_INGRESS)

    assert found == [("tcx/ingress", "three"), ("tcx/ingress", "one"), ("tcx/ingress", "two")]
    assert left == [[ids[2], ids[0], ids[1]], [ids[2], ids[0]], [ids[2]]]


def test_perf_events_of_a_process(place, loaded, stack):
    """A program that a descriptor of this process attaches; the process is its owner."""
    fd, id_ = loaded(TRACEPOINT, 0, "waits")
    event = client.perf_event_open(2, place.tracepoint_id("sched", "sched_process_wait"))
    stack.callback(os.close, event)
    client.perf_event_set_bpf(event, fd)
    (row,) = (row for row in task_fd.rows() if row.prog_id == id_)

    assert (row.pid, row.fd, row.type, row.target, row.name) == (
        os.getpid(),
        event,
        "tracepoint",
        "sched_process_wait",
        "waits",
    )
    assert [owner.pid for owner in row.owners] == [os.getpid()]


def listed(*words):
    """What a command writes that succeeds; in this process, as guests take long to start another."""
    answer = peer.inside(*words)
    assert (answer.rc, answer.stderr) == (0, b""), answer
    return answer.stdout.decode()


def test_in_the_forms_of_lists(place, group, loaded, stack):
    """Filtered, sorted, with some columns, as CSV and as a table."""
    (xdp, xdp_id), (skb, skb_id), (_, other) = (loaded(kind, name="forms") for kind in (XDP, CGROUP_SKB, CGROUP_SKB))
    traffic.set_xdp(LO, xdp, SKB_MODE)
    stack.callback(traffic.set_xdp, LO, -1, SKB_MODE)
    folder = os.open(group, os.O_RDONLY)
    client.prog_attach(folder, skb, INGRESS, MULTI)
    client.prog_attach(folder, skb, EGRESS, MULTI)
    os.close(folder)
    event = client.perf_event_open(2, place.tracepoint_id("sched", "sched_process_wait"))
    stack.callback(os.close, event)
    tracing, tracing_id = loaded(TRACEPOINT, 0, "waits")
    client.perf_event_set_bpf(event, tracing)

    assert listed("net", "show", "dev", "lo", "--csv", "--fields", "device,ifindex,at,prog,name") == (
        f"device,ifindex,at,prog,name\r\nlo,1,xdp generic,{xdp_id},forms\r\n"
    )
    words = ["cgroup", "tree", str(group), "--sort", "-type", "--fields", "cgroup,prog,type,flags"]
    assert listed(*words) == "".join(
        f"{group}\t{skb_id}\t{type_}\tmulti\n" for type_ in ("cgroup_inet_ingress", "cgroup_inet_egress")
    )
    assert listed(*words, "--type", "cgroup_inet_egress", "--name", "for*").count("\n") == 1
    assert listed(*words, "--name", "no*") == ""
    (row,) = json.loads(listed("-j", "perf", "--name", "waits", "--fields", "pid,fd,prog,type,target"))
    assert row == {
        "pid": os.getpid(),
        "fd": event,
        "prog": tracing_id,
        "type": "tracepoint",
        "target": "sched:sched_process_wait",
    }
    shown = [*BPFCTL, "--color", "always", "--owners", "proc", "cgroup", "show", str(group)]
    table = subprocess.run(shown, env=ENVIRONMENT, capture_output=True, check=True, text=True).stdout
    assert f"({os.getpid()})" in table
    numbers = re.findall(r"\b\d+\b", STYLES.sub("", table))
    assert str(skb_id) in numbers
    assert str(other) not in numbers


def test_a_pin_keeps_it(place, group, loaded):
    """With --pin there is a link, which ends with its pin."""
    xdp, skb, cls = (loaded(kind, name="kept")[1] for kind in (XDP, CGROUP_SKB, SCHED_CLS))
    add_device("veth", "kept")
    lines = [
        ["cgroup", "attach", str(group), "egress", "id", str(skb), "multi"],
        ["net", "attach", "xdpgeneric", "id", str(xdp), "dev", "kept"],
        *([["net", "attach", "tcx_egress", "id", str(cls), "dev", "kept", "prepend"]] if _has_tcx() else []),
    ]
    for number, line in enumerate(lines):
        path = place.bpffs / f"kept{number}"
        assert listed(*line, "--pin", str(path)) == ""
        fd = client.obj_get(path)
        id_ = client.id_of("link", fd)
        os.close(fd)
        (row,) = [
            row for row in (*cgroup.rows(str(group)), *net.rows(socket.if_nametoindex("kept"))) if row.name == "kept"
        ]
        assert (row.link_ids, row.pinned) == ((id_,), (str(path),))
        path.unlink()
        assert until(lambda id_=id_: id_ not in client.ids("link"))  # it is let go a little later
    words = ["net", "attach", "xdp", "id", str(xdp), "dev", "kept", "overwrite", "--pin", str(place.bpffs / "no")]
    assert b"makes no sense with --pin" in peer.inside(*words).stderr
