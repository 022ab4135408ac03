"""Attachments to network devices: XDP and tcx. The device holds the program itself, or a link does.

Without a link they last until they are detached, or the device is gone.
"""

from __future__ import annotations

from enum import IntEnum
from errno import EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, EOPNOTSUPP
from typing import TYPE_CHECKING

from bpfctl._sys import attach as attach_calls
from bpfctl.errors import KernelError
from bpfctl.host import netlink, rtnetlink
from bpfctl.kernel.link import Link
from bpfctl.kernel.refusal import hint
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from bpfctl.kernel.prog import Program

_BEFORE = 1 << 3  # BPF_F_BEFORE in include/uapi/linux/bpf.h
_NONE = -1


class XdpMode(IntEnum):
    """Where XDP runs: the kernel chooses, in the kernel for any device, in the driver, in the device."""

    ANY = 0
    GENERIC = rtnetlink.XDP_SKB_MODE
    DRIVER = rtnetlink.XDP_DRV_MODE
    OFFLOAD = rtnetlink.XDP_HW_MODE


def attach_xdp(program: Program, ifindex: int, mode: XdpMode = XdpMode.ANY, *, overwrite: bool = False) -> None:
    """Attach to a device; KernelError with EBUSY when it has a program already, unless that may be overwritten."""
    _xdp("attach the program to", program.fileno(), ifindex, mode | (0 if overwrite else rtnetlink.XDP_IF_NOEXIST))


def link_xdp(program: Program, ifindex: int, mode: XdpMode = XdpMode.ANY) -> Link:
    """Attach to a device for as long as the link is held or pinned; KernelError with EBUSY when it has a program.

    Linux 5.9.
    """
    try:
        return Link(attach_calls.link_create(program.fileno(), ifindex, AttachType.XDP, mode))
    except OSError as error:
        number = error.errno or 0
        told = _xdp_hint(number) or hint(number, "CAP_NET_ADMIN")
        raise KernelError(f"can't link the program to device {ifindex} as xdp", number, hint=told) from None


def detach_xdp(ifindex: int, mode: XdpMode = XdpMode.ANY) -> None:
    """Detach what a device has; that is no error where it has none. KernelError with EBUSY where a link holds it."""
    _xdp("detach what is at", _NONE, ifindex, mode | rtnetlink.XDP_IF_NOEXIST)


def _xdp(what: str, fd: int, ifindex: int, flags: int) -> None:
    try:
        with netlink.Route() as route:
            rtnetlink.set_xdp(route, ifindex, fd, flags)
    except OSError as error:
        number = error.errno or 0
        told = getattr(error, "told", "") or _xdp_hint(number) or hint(number, "CAP_NET_ADMIN")
        raise KernelError(f"can't {what} device {ifindex} as xdp", number, hint=told) from None


def _xdp_hint(errno: int) -> str:
    return {
        EBUSY: "another program is attached there, or by a link, which link detach ends",
        EOPNOTSUPP: "its driver has no XDP of this kind: xdpgeneric runs on any device",
        EINVAL: "the program is of another type, or was loaded for another device or attach type",
    }.get(errno, "")


def attach_tcx(program: Program, ifindex: int, attach_type: AttachType, *, first: bool = False) -> None:
    """Attach to a device behind all programs that it has, or ``first``; Linux 6.6.

    KernelError with EEXIST when the same program is there already.
    """
    try:
        attach_calls.attach(ifindex, program.fileno(), attach_type, _BEFORE if first else 0)
    except OSError as error:
        raise _tcx_failed(f"can't attach the program to device {ifindex}", attach_type, error) from None


def link_tcx(program: Program, ifindex: int, attach_type: AttachType, *, first: bool = False) -> Link:
    """Attach as `attach_tcx` does, for as long as the link is held or pinned."""
    try:
        return Link(attach_calls.link_create(program.fileno(), ifindex, attach_type, _BEFORE if first else 0))
    except OSError as error:
        raise _tcx_failed(f"can't link the program to device {ifindex}", attach_type, error) from None


def detach_tcx(ifindex: int, attach_type: AttachType) -> None:
    """Detach the last program of a device; KernelError with ENOENT when there is none, or a link holds it."""
    try:
        attach_calls.detach(ifindex, 0, attach_type)
    except OSError as error:
        raise _tcx_failed(f"can't detach a program from device {ifindex}", attach_type, error) from None


def _tcx_failed(tried: str, attach_type: AttachType, error: OSError) -> KernelError:
    number = error.errno or 0
    told = {
        EEXIST: "the program is attached there already",
        EBUSY: "a link holds it, which link detach ends",
        ENOENT: "there is no program, or a link holds it",
        EINVAL: "this kernel has no tcx, which is there since Linux 6.6, or the program is of another type",
        ENODEV: "there is no such device in this network namespace",
    }.get(number, "") or hint(number, "CAP_NET_ADMIN")
    return KernelError(f"{tried} as {attach_type.name.lower()}", number, hint=told)
