"""Network devices and the network namespace that they are in."""

from __future__ import annotations

import os


def interface_name(ifindex: int) -> str | None:
    """Return the name of a device of this network namespace; None when there is none with this index."""
    import socket  # noqa: PLC0415 - costs 3 ms, and few objects belong to a device

    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        return None


def is_ours(device: int, inode: int) -> bool:
    """Return whether the kernel's numbers of a network namespace are those of our own."""
    try:
        ours = os.stat("/proc/self/ns/net")
    except OSError:
        return False
    return (ours.st_dev, ours.st_ino) == (device, inode)
