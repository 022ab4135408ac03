"""
Queueing disciplines, filters and XDP programs for tests, by rtnetlink messages of their own.

It imports nothing of the product, so that the product is never checked against itself. Failure is an OSError.

Kernel: include/uapi/linux/rtnetlink.h, pkt_sched.h, pkt_cls.h, tc_act/tc_bpf.h, if_link.h.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress

ROOT, INGRESS_PARENT, CLSACT_INGRESS, CLSACT_EGRESS = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFFFFF2, 0xFFFFFFF3
_SETLINK, _NEWQDISC, _DELQDISC, _NEWTCLASS, _NEWTFILTER = 19, 36, 37, 40, 44
_REQUEST, _ACK, _EXCL, _CREATE = 1, 4, 0x200, 0x400
_ETH_P_ALL = 0x0003
_NESTED = 1 << 15


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute with what fills it up to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _ask(kind: int, body: bytes, flags: int = _EXCL | _CREATE) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | _ACK | flags, 1, 0) + body)
        (code,) = struct.unpack_from("=i", netlink.recv(1 << 16), 16)
    if code:
        raise OSError(-code, os.strerror(-code), f"rtnetlink message {kind}")


def _tc(head: tuple[int, int, int, int], kind: str, options: bytes) -> bytes:
    """Return struct tcmsg (device, handle, parent, info), and what is there."""
    return struct.pack("=B3xiIII", 0, *head) + attribute(1, kind.encode() + b"\0") + attribute(2, options)


def add_qdisc(ifindex: int, kind: str) -> None:
    """Add clsact, ingress, or htb with the handle 1: as the root."""
    handle, parent, options = 0xFFFF0000, INGRESS_PARENT, b""
    if kind == "htb":
        handle, parent = 0x10000, ROOT
        options = attribute(2, struct.pack("=5I", 3, 10, 0, 0, 0))  # TCA_HTB_INIT, struct tc_htb_glob
    _ask(_NEWQDISC, _tc((ifindex, handle, parent, 0), kind, options))


def delete_qdiscs(ifindex: int) -> None:
    """Delete what `add_qdisc` has added, as far as it is there."""
    for parent in (ROOT, INGRESS_PARENT):
        with suppress(OSError):
            _ask(_DELQDISC, struct.pack("=B3xiIII", 0, ifindex, 0, parent, 0), 0)


def add_class(ifindex: int, minor: int) -> None:
    """Add a class to an htb with the handle 1:."""
    rate = struct.pack("=BBHhHI", 0, 1, 0, 0, 0, 1 << 20)  # struct tc_ratespec
    options = attribute(1, rate + rate + struct.pack("=5I", 1 << 16, 1 << 16, 0, 0, 0))  # TCA_HTB_PARMS
    _ask(_NEWTCLASS, _tc((ifindex, 0x10000 | minor, 0x10000, 0), "htb", options))


def add_filter(
    ifindex: int, parent: int, priority: int, fd: int | None, *, name: str = "", acts: tuple[int, ...] = ()
) -> None:
    """Add a filter that is a program, or classic BPF which takes nothing; ``acts`` are programs of actions."""
    if fd is None:
        code = struct.pack("=HBBI", 6, 0, 0, 0)
        options = attribute(4, struct.pack("=H", 1)) + attribute(5, code)  # TCA_BPF_OPS_LEN, TCA_BPF_OPS
    else:
        options = attribute(6, struct.pack("=I", fd)) + attribute(7, name.encode() + b"\0")  # TCA_BPF_FD, TCA_BPF_NAME
    if acts:
        options += attribute(1, b"".join(attribute(at, _action(act)) for at, act in enumerate(acts, 1)))
    else:
        options += attribute(8, struct.pack("=I", 1)) if fd is not None else b""  # TCA_BPF_FLAGS: direct action
    _ask(_NEWTFILTER, _tc((ifindex, 0, parent, priority << 16 | socket.htons(_ETH_P_ALL)), "bpf", options))


def _action(fd: int) -> bytes:
    parameters = struct.pack("=IIiii", 0, 0, 0, 0, 0)  # struct tc_act_bpf
    options = attribute(2, parameters) + attribute(5, struct.pack("=I", fd)) + attribute(6, b"act:of/a filter\0")
    return attribute(1, b"bpf\0") + attribute(2, options)


def set_xdp(ifindex: int, fd: int, flags: int) -> None:
    """Attach an XDP program, or with -1 detach what is there."""
    settings = attribute(1, struct.pack("=i", fd)) + attribute(3, struct.pack("=I", flags))
    _ask(_SETLINK, struct.pack("=BxHiII", 0, 0, ifindex, 0, 0) + attribute(43 | _NESTED, settings), 0)
