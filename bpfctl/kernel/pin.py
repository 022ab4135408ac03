"""Pinning: objects that live on at a path in a BPF file system."""

from __future__ import annotations

import sys
from errno import ENODEV
from typing import TYPE_CHECKING

from bpfctl._sys import calls
from bpfctl.errors import KernelError
from bpfctl.host import bpffs
from bpfctl.kernel import order
from bpfctl.kernel.handle import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.handle import Handle, Kind


def table(kind: Kind) -> dict[int, tuple[str, ...]]:
    """Return the paths at which objects of a kind are pinned, by id."""
    return order.grouped(_pins(kind))


def _pins(kind: Kind) -> Iterator[tuple[int, str]]:
    for path in bpffs.pinned_paths():
        try:
            fd = calls.obj_get(path)
        except (OSError, ValueError):  # an iterator's file, a map we may not open, removed meanwhile
            continue
        with fd:
            if kind_of(fd.fileno()) != kind.word:
                continue
            try:
                # Every info structure of the kernel has its id at byte 4.
                info, _ = calls.obj_info(fd.fileno(), 8)
            except OSError as error:
                if error.errno != ENODEV:  # its offload device is gone, and its id with it
                    raise KernelError(f"can't get {kind.noun} info ({path})", error.errno or 0) from None
                continue
        yield int.from_bytes(info[4:8], sys.byteorder), path


def pin(handle: Handle, path: str, *, mount: bool = True) -> str | None:
    """Pin an object where bpftool would, mounting a BPF file system over the folder if it lies in none.

    Returns the folder that was mounted, or None. Raises UsageError when the path is taken, its folder is
    missing, or nothing may be mounted.
    """
    from bpfctl.kernel.together import together  # noqa: PLC0415 - listings pin nothing

    with together(mount=mount) as pins:
        pins.file(handle, path)
    return pins.mounted[0] if pins.mounted else None


def mount_bpffs(folder: str) -> None:
    """Mount a BPF file system over a folder, private to this mount namespace and with mode 0700."""
    try:
        calls.mount_bpffs(folder)
    except OSError as error:
        raise KernelError(f"can't mount BPF file system on '{folder}'", error.errno or 0) from None
