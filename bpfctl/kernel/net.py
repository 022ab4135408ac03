"""Programs that see the packets of this network namespace: XDP, tcx, netkit, tc, the flow dissector, netfilter.

The kernel tells XDP and tc by rtnetlink, tcx, netkit and the flow dissector by BPF_PROG_QUERY, netfilter by its links.
"""

from __future__ import annotations

import os
from errno import EINVAL
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import attach
from bpfctl.errors import KernelError, NotFound
from bpfctl.host import netlink, rtnetlink
from bpfctl.kernel import attachment
from bpfctl.kernel.keeper import Keepers
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.host.rtnetlink import Action, Device, Handle
    from bpfctl.kernel.owner import How, Owner

#: What is attached to a device with an order of its own, in bpftool's order and words.
_ORDERED = {
    AttachType.TCX_INGRESS: "tcx/ingress",
    AttachType.TCX_EGRESS: "tcx/egress",
    AttachType.NETKIT_PRIMARY: "netkit/primary",
    AttachType.NETKIT_PEER: "netkit/peer",
}
_XDP_MODES = {rtnetlink.XDP_DRV: "driver", rtnetlink.XDP_SKB: "generic", rtnetlink.XDP_HW: "offload"}


class NetRow(NamedTuple):
    """A program at a device, or of the whole network namespace."""

    section: str  # as bpftool calls it: xdp, tc, flow_dissector, netfilter
    keepers: Keepers
    device: Device | None = None
    kind: str = ""  # how it is attached: generic, tcx/ingress, clsact/egress, the kind of a qdisc; a netfilter hook
    prog_id: int | None = None  # None: classic BPF
    label: str | None = None  # of tc: what the filter was called; None where it was not
    parent: int | None = None  # of tc: the handle that the filter is at
    actions: tuple[Action, ...] | None = None  # of tc: None where the filter acts by itself
    prog_flags: int = 0
    link_flags: int = 0
    several: bool = False  # of XDP: the device has a program for each of several modes
    hook: attachment.Netfilter | None = None
    told_link: int = 0  # the link that the kernel tells with the program

    @property
    def name(self) -> str:
        """The program's name; empty when it has none."""
        return "" if self.prog_id is None else self.keepers.name(self.prog_id)

    @property
    def link_ids(self) -> tuple[int, ...]:
        """The links that attach this program here; empty when it is attached without one."""
        if self.told_link:
            return (self.told_link,)
        if self.section not in {"xdp", "flow_dissector"}:
            return ()
        return tuple(
            row.id
            for row in self.keepers.links()
            if row.info.prog_id == self.prog_id and self._is_at(row.info.attachment)
        )

    def _is_at(self, at: object) -> bool:
        if self.device is not None:
            return isinstance(at, attachment.Xdp) and at.ifindex == self.device.ifindex
        return (
            isinstance(at, attachment.Netns)
            and at.attach_type == AttachType.FLOW_DISSECTOR
            and at.netns_ino == os.stat("/proc/thread-self/ns/net").st_ino
        )

    @property
    def owners(self) -> tuple[Owner, ...]:
        """The processes that hold the links, or the program where there is none."""
        return () if self.prog_id is None else self.keepers.owners(self.prog_id, self.link_ids)

    @property
    def pinned(self) -> tuple[str, ...]:
        """Where the links are pinned, or the program where there is none."""
        return () if self.prog_id is None else self.keepers.pinned(self.prog_id, self.link_ids)


def ifindex(name: str) -> int:
    """Return the index of a device of this network namespace; NotFound when there is none of that name."""
    import socket  # noqa: PLC0415 - costs 3 ms

    try:
        return socket.if_nametoindex(name)
    except (OSError, ValueError):
        raise NotFound(f"invalid devname {name}") from None


def rows(device: int | None = None, *, owners: bool | How = True) -> Iterator[NetRow]:
    """Yield the programs at the devices of this network namespace, or at one; flow dissector and netfilter in any case.

    KernelError is what the kernel does not tell: all of it is for those with CAP_NET_ADMIN and CAP_SYS_ADMIN.
    """
    keepers = Keepers(owners=owners)
    dissector = _flow_dissector(keepers)
    try:
        with netlink.Route() as route:
            found = [each for each in rtnetlink.devices(route) if device in {None, each.ifindex}]
            for each in found:
                yield from _xdp(each, keepers)
            handles: dict[int, list[Handle]] = {}
            for handle in rtnetlink.qdiscs(route):
                handles.setdefault(handle.ifindex, []).append(handle)
            for each in found:
                yield from _ordered(each, keepers)
                yield from _tc(route, each, handles.get(each.ifindex, []), keepers)
    except OSError as error:
        if isinstance(error, KernelError):
            raise
        raise _failed("can't read the tables of networking", error) from None
    yield from dissector
    yield from _netfilter(keepers)


def xdp(device: int) -> list[NetRow]:
    """Return the XDP programs of a device; KernelError where the kernel does not tell."""
    keepers = Keepers(owners=False)
    try:
        with netlink.Route() as route:
            found = [each for each in rtnetlink.devices(route) if each.ifindex == device]
    except OSError as error:
        raise _failed("can't read the tables of networking", error) from None
    return [row for each in found for row in _xdp(each, keepers)]


def _failed(tried: str, error: OSError) -> KernelError:
    from bpfctl.kernel.refusal import hint  # noqa: PLC0415 - only an error needs it

    number = error.errno or 0
    return KernelError(tried, number, hint=getattr(error, "told", "") or hint(number, "CAP_NET_ADMIN"))


def _xdp(device: Device, keepers: Keepers) -> Iterator[NetRow]:
    at = device.xdp
    if at is None:
        return
    row = NetRow("xdp", keepers, device)
    if at.mode != rtnetlink.XDP_MULTI:
        yield row._replace(kind=_XDP_MODES.get(at.mode, ""), prog_id=at.prog_id if at.mode in _XDP_MODES else None)
        return
    modes = (("generic", at.skb_prog_id), ("driver", at.drv_prog_id), ("offload", at.hw_prog_id))
    for kind, prog_id in modes:
        if prog_id is not None:
            yield row._replace(kind=kind, prog_id=prog_id, several=True)


def _ordered(device: Device, keepers: Keepers) -> Iterator[NetRow]:
    for attach_type, kind in _ORDERED.items():
        try:
            found = attach.query(device.ifindex, attach_type, details=True)
        except OSError:  # a kernel without them (Linux 6.6 and 6.7), a device of another kind, or one that is gone
            continue
        for prog_id, prog_flags, link_id, link_flags in zip(
            found.prog_ids, found.prog_flags, found.link_ids, found.link_flags, strict=True
        ):
            yield NetRow(
                "tc",
                keepers,
                device,
                kind,
                prog_id,
                prog_flags=prog_flags,
                link_flags=link_flags,
                told_link=link_id,
            )


def _tc(route: netlink.Route, device: Device, qdiscs: list[Handle], keepers: Keepers) -> Iterator[NetRow]:
    """Yield the programs among the filters of a device, each once.

    bpftool asks for the filters at the handles of all devices' qdiscs, and at places that are those of clsact, also
    where there is none: which tells some filters several times, and at places where they are not.
    """
    if not qdiscs:
        return
    places = [(each.kind, each.handle) for each in rtnetlink.classes(route, device.ifindex)]
    places += [(each.kind, each.handle) for each in qdiscs if each.handle and each.kind != "clsact"]
    if any(each.kind == "clsact" for each in qdiscs):
        places += [("clsact/ingress", rtnetlink.CLSACT_INGRESS), ("clsact/egress", rtnetlink.CLSACT_EGRESS)]
    for kind, parent in places:
        for found in rtnetlink.filters(route, device.ifindex, parent):
            yield NetRow("tc", keepers, device, kind, found.prog_id, found.name, parent=parent, actions=found.actions)


def _flow_dissector(keepers: Keepers) -> list[NetRow]:
    try:
        namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError("can't open /proc/thread-self/ns/net", error.errno or 0) from None
    try:
        ids = attach.query(namespace, AttachType.FLOW_DISSECTOR).prog_ids
    except OSError as error:
        if error.errno != EINVAL:  # which is that of kernels that do not tell it
            raise _failed("can't query prog", error) from None
        ids = ()
    finally:
        os.close(namespace)
    return [NetRow("flow_dissector", keepers, prog_id=id_) for id_ in ids]


def _netfilter(keepers: Keepers) -> Iterator[NetRow]:
    found = [(at, row) for row in keepers.links() if isinstance(at := row.info.attachment, attachment.Netfilter)]
    found.sort(key=lambda pair: (pair[0].pf, pair[0].hooknum, pair[0].priority, pair[0].flags))
    for at, row in found:
        yield NetRow("netfilter", keepers, prog_id=row.info.prog_id, hook=at, told_link=row.id)
