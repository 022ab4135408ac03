"""Network devices, what filters traffic there, and the programs in both, as rtnetlink tells them.

Kernel: include/uapi/linux/if_link.h, rtnetlink.h, pkt_sched.h, pkt_cls.h, tc_act/tc_bpf.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.host import netlink

if TYPE_CHECKING:
    from collections.abc import Iterator

_AF_UNSPEC, _AF_PACKET = 0, 17
_GETLINK, _SETLINK, _GETQDISC, _GETTCLASS, _GETTFILTER = 18, 19, 38, 42, 46  # RTM_*
_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, change
_TCMSG = struct.Struct("=B3xiIII")  # family, ifindex, handle, parent, info

_IFLA_IFNAME, _IFLA_XDP = 3, 43
_XDP_FD, _XDP_ATTACHED, _XDP_FLAGS, _XDP_PROG_ID, _XDP_DRV_PROG_ID, _XDP_SKB_PROG_ID, _XDP_HW_PROG_ID = range(1, 8)
_NESTED = 1 << 15  # NLA_F_NESTED

#: XDP_ATTACHED_*
XDP_NONE, XDP_DRV, XDP_SKB, XDP_HW, XDP_MULTI = range(5)
#: XDP_FLAGS_*
XDP_IF_NOEXIST, XDP_SKB_MODE, XDP_DRV_MODE, XDP_HW_MODE = 1, 2, 4, 8

_TCA_KIND, _TCA_OPTIONS = 1, 2
_BPF_ACT, _BPF_NAME, _BPF_ID = 1, 7, 11  # TCA_BPF_*
_ACT_BPF_NAME, _ACT_BPF_ID = 6, 9  # TCA_ACT_BPF_*

#: What a clsact qdisc has filters at: TC_H_CLSACT with TC_H_MIN_INGRESS or TC_H_MIN_EGRESS.
CLSACT_INGRESS, CLSACT_EGRESS = 0xFFFFFFF2, 0xFFFFFFF3


class Xdp(NamedTuple):
    """How programs are attached to a device as XDP: a mode, and the program of each, if there is one."""

    mode: int  # XDP_DRV, XDP_SKB, XDP_HW; XDP_MULTI where there are several
    prog_id: int | None
    skb_prog_id: int | None
    drv_prog_id: int | None
    hw_prog_id: int | None


class Device(NamedTuple):
    """A network device of this namespace."""

    ifindex: int
    name: str
    xdp: Xdp | None


class Handle(NamedTuple):
    """A queueing discipline, or a class of one, that filters may be attached to."""

    ifindex: int
    kind: str
    handle: int


class Action(NamedTuple):
    """A program that acts on what a filter has found."""

    name: str | None
    prog_id: int | None


class Filter(NamedTuple):
    """A filter of tc that is a program; classic BPF has no id."""

    name: str | None  # what tc was told, such as file.o:[section]
    prog_id: int | None
    actions: tuple[Action, ...] | None  # None: it acts by what it returns, or by a class


def devices(route: netlink.Route) -> list[Device]:
    """Return the devices of this network namespace."""
    request = _IFINFOMSG.pack(_AF_PACKET, 0, 0, 0, 0)
    return [device(message.body) for message in route.dump(_GETLINK, request)]


def device(body: bytes) -> Device:
    """Decode struct ifinfomsg and its attributes; netlink.Damaged when it is cut short."""
    found = _attributes(body, _IFINFOMSG)
    xdp = found.get(_IFLA_XDP)
    name = netlink.text(found.get(_IFLA_IFNAME)) or ""
    return Device(_IFINFOMSG.unpack_from(body)[2], name, None if xdp is None else _xdp(netlink.table(xdp)))


def _xdp(found: dict[int, bytes]) -> Xdp | None:
    mode = netlink.number(found.get(_XDP_ATTACHED))
    if not mode:
        return None
    kinds = (_XDP_PROG_ID, _XDP_SKB_PROG_ID, _XDP_DRV_PROG_ID, _XDP_HW_PROG_ID)
    return Xdp(mode, *(netlink.number(found.get(kind)) for kind in kinds))


def set_xdp(route: netlink.Route, ifindex: int, fd: int, flags: int) -> None:
    """Attach the program of a descriptor to a device, or with -1 detach what is there; netlink.Refused says why not."""
    settings = netlink.attribute(_XDP_FD, struct.pack("=i", fd))
    settings += netlink.attribute(_XDP_FLAGS, struct.pack("=I", flags)) if flags else b""
    request = _IFINFOMSG.pack(_AF_UNSPEC, 0, ifindex, 0, 0) + netlink.attribute(_IFLA_XDP | _NESTED, settings)
    route.change(_SETLINK, request)


def qdiscs(route: netlink.Route) -> list[Handle]:
    """Return the queueing disciplines of all devices, which older kernels tell even who asks for those of one."""
    return [handle(message.body) for message in route.dump(_GETQDISC, _tcmsg(0))]


def classes(route: netlink.Route, ifindex: int) -> list[Handle]:
    """Return the classes of the queueing disciplines of a device."""
    return [handle(message.body) for message in route.dump(_GETTCLASS, _tcmsg(ifindex))]


def handle(body: bytes) -> Handle:
    """Decode struct tcmsg and the kind; netlink.Damaged when it is cut short."""
    kind = netlink.text(_attributes(body, _TCMSG).get(_TCA_KIND))
    _, ifindex, number, _, _ = _TCMSG.unpack_from(body)
    return Handle(ifindex, "unknown" if kind is None else kind, number)


def filters(route: netlink.Route, ifindex: int, parent: int) -> Iterator[Filter]:
    """Yield the programs among the filters at a handle of a device."""
    for message in route.dump(_GETTFILTER, _tcmsg(ifindex, parent)):
        found = filter_(message.body)
        if found is not None:
            yield found


def filter_(body: bytes) -> Filter | None:
    """Decode a filter; None where it is no program. netlink.Damaged when it is cut short."""
    found = _attributes(body, _TCMSG)
    if _TCA_OPTIONS not in found or netlink.text(found.get(_TCA_KIND)) != "bpf":
        return None
    options = netlink.table(found[_TCA_OPTIONS])
    actions = options.get(_BPF_ACT)
    return Filter(
        netlink.text(options.get(_BPF_NAME)),
        netlink.number(options.get(_BPF_ID)),
        None if actions is None else tuple(_actions(actions)),
    )


def _actions(data: bytes) -> Iterator[Action]:
    """Yield the programs among the actions of a filter, which are numbered attributes."""
    for _, action in sorted(netlink.table(data).items()):
        found = netlink.table(action)
        if netlink.text(found.get(_TCA_KIND)) == "bpf" and _TCA_OPTIONS in found:
            options = netlink.table(found[_TCA_OPTIONS])
            yield Action(netlink.text(options.get(_ACT_BPF_NAME)), netlink.number(options.get(_ACT_BPF_ID)))


def _tcmsg(ifindex: int, parent: int = 0) -> bytes:
    return _TCMSG.pack(_AF_UNSPEC, ifindex, 0, parent, 0)


def _attributes(body: bytes, head: struct.Struct) -> dict[int, bytes]:
    if len(body) < head.size:
        raise netlink.Damaged(f"{len(body)} bytes where {head.size} are the least")
    return netlink.table(body, head.size)
