"""What BPF file systems let others do by tokens (Linux 6.9).

Kernel: bpf_show_options() in kernel/bpf/inode.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.host import bpffs

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("cmds", "maps", "progs", "attachs")


class Row(NamedTuple):
    """A BPF file system, and what tokens of it are for: names, numbers that the kernel has no name for, or ``any``."""

    path: str
    cmds: tuple[str, ...]
    maps: tuple[str, ...]
    progs: tuple[str, ...]
    attachs: tuple[str, ...]


def rows() -> Iterator[Row]:
    """Yield the BPF file systems of this mount namespace that delegate anything."""
    for mount in bpffs.mounts():
        if mount.type != "bpf":
            continue
        told = dict(option.partition("=")[::2] for option in mount.options.split(","))
        found = [told.get(f"delegate_{kind}") for kind in KINDS]
        if any(one is not None for one in found):
            yield Row(mount.path, *(tuple(filter(None, (one or "").split(":"))) for one in found))
