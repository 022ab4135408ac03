"""Programs at network devices in bpftool's two forms: what no test machine has, as its source tells it."""

from __future__ import annotations

import pytest

from bpfctl.host.rtnetlink import XDP_HW, XDP_MULTI, Action, Device, Xdp
from bpfctl.kernel import attachment, net
from bpfctl.views.net import VIEW


class Named:
    """Stands for what looks programs up."""

    def name(self, prog_id):
        return f"prog{prog_id}" if prog_id != 9 else ""

    def owners(self, *_):
        return ()

    def pinned(self, *_):
        return ()


KEEPERS = Named()
ETH = Device(7, "eth7", None)


def whole(*rows):
    (document,) = VIEW.whole.json(rows, False)
    return document, list(VIEW.whole.plain(rows))


def test_nothing():
    """All sections are there, each with an empty line."""
    document, lines = whole()

    assert document == {"xdp": [], "tc": [], "flow_dissector": [], "netfilter": []}
    assert lines == ["xdp:", "", "tc:", "", "flow_dissector:", "", "netfilter:", ""]


def test_several_xdp_programs():
    """A device that runs one program itself and one in the kernel has both in one object, and in one line."""
    devices = [Device(7, "eth7", Xdp(XDP_MULTI, None, 3, None, 5)), Device(8, "eth8", Xdp(XDP_HW, 4, None, None, 4))]
    document, lines = whole(*(row for device in devices for row in net._xdp(device, KEEPERS)))

    assert document["xdp"] == [
        {
            "devname": "eth7",
            "ifindex": 7,
            "multi_attachments": [{"mode": "generic", "id": 3}, {"mode": "offload", "id": 5}],
        },
        {"devname": "eth8", "ifindex": 8, "mode": "offload", "id": 4},
    ]
    assert lines[:4] == ["xdp:", "eth7(7) generic id 3 offload id 5", "eth8(8) offload id 4", ""]


def test_a_mode_that_is_new():
    """It is told without its program, as bpftool tells it."""
    document, lines = whole(*net._xdp(Device(7, "eth7", Xdp(6, 3, None, None, None)), KEEPERS))

    assert document["xdp"] == [{"devname": "eth7", "ifindex": 7}]
    assert lines[1] == "eth7(7)"


def test_flags_and_links_of_tcx():
    """Each flag is a number; text has them only where there are some."""
    row = net.NetRow("tc", KEEPERS, ETH, "tcx/ingress", 3, prog_flags=0b1001, link_flags=1 << 31, told_link=5)
    bare = net.NetRow("tc", KEEPERS, ETH, "netkit/peer", 9)
    document, lines = whole(row, bare)

    assert document["tc"] == [
        {
            "devname": "eth7",
            "ifindex": 7,
            "kind": "tcx/ingress",
            "name": "prog3",
            "prog_id": 3,
            "prog_flags": [1, 8],
            "link_id": 5,
            "link_flags": [1 << 31],
        },
        {
            "devname": "eth7",
            "ifindex": 7,
            "kind": "netkit/peer",
            "prog_id": 9,
            "prog_flags": [],
            "link_id": 0,
            "link_flags": [],
        },
    ]
    assert lines[3:5] == [
        "eth7(7) tcx/ingress prog3 prog_id 3 prog_flags 1 8 link_id 5 link_flags 2147483648 ",
        "eth7(7) netkit/peer prog_id 9 ",
    ]


def test_actions_of_filters():
    """A filter without an id is classic BPF; an action may lack a name or an id."""
    acts = (Action("a", 3), Action(None, 4), Action("b", None))
    document, lines = whole(net.NetRow("tc", KEEPERS, ETH, "htb", None, "x", 0x10000, acts))

    assert document["tc"] == [
        {
            "devname": "eth7",
            "ifindex": 7,
            "kind": "htb",
            "name": "x",
            "act": [{"name": "a", "id": 3}, {"id": 4}, {"name": "b"}],
        }
    ]
    assert lines[3] == "eth7(7) htb x act [{a id 3}{ id 4}{b}] "


def test_netfilter():
    """Flags are told where there are some, and families and hooks that are new as numbers."""
    rows = [
        net.NetRow("netfilter", KEEPERS, prog_id=3, hook=attachment.Netfilter(pf, 1, -5, flags), told_link=1)
        for pf, flags in ((2, 1), (99, 0))
    ]
    document, lines = whole(*rows)

    assert document["netfilter"] == [
        {"pf": 2, "hook": 1, "prio": -5, "flags": 1, "id": 3},
        {"pf": 99, "hook": 1, "prio": -5, "flags": 0, "id": 3},
    ]
    assert lines[-4:] == [
        "netfilter:",
        "",
        "\tip input prio -5 flags 0x1 prog_id 3",
        "\tpf: 99, hook 1, prio -5 prog_id 3",
    ]


@pytest.mark.parametrize(
    ("row", "at"),
    [
        (net.NetRow("tc", KEEPERS, ETH, "htb", 3, parent=0x10000), "htb 1:"),
        (net.NetRow("tc", KEEPERS, ETH, "htb", 3, parent=0x10001), "htb 1:1"),
        (net.NetRow("tc", KEEPERS, ETH, "htb", 3, parent=0xFFFF00A0), "htb ffff:a0"),
        (net.NetRow("tc", KEEPERS, ETH, "clsact/egress", 3, parent=0xFFFFFFF3), "clsact/egress"),
        (net.NetRow("tc", KEEPERS, ETH, "tcx/egress", 3), "tcx/egress"),
        (net.NetRow("xdp", KEEPERS, ETH, "driver", 3), "xdp driver"),
        (net.NetRow("flow_dissector", KEEPERS, prog_id=3), "flow_dissector"),
    ],
)
def test_where_in_a_table(row, at):
    """Handles of tc are as tc writes them."""
    assert VIEW.column("at").get(row) == at
