"""Cgroups: where their file system is mounted, and which there are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfctl.host import bpffs

if TYPE_CHECKING:
    from collections.abc import Iterator


def root() -> str | None:
    """Return where the file system of cgroups (version 2) is mounted first; None where it is not."""
    return next((mount.path for mount in bpffs.mounts() if mount.type == "cgroup2"), None)


def tree(top: str) -> Iterator[tuple[str, int]]:
    """Return a folder and those below it with their depth, each before its children, in the order of the file system.

    Other file systems mounted below are left out, and so is what is removed meanwhile. OSError when there is nothing
    at ``top``; where that is no folder there are none.
    """
    return _below(top.rstrip("/") or "/", os.stat(top).st_dev)


def _below(top: str, device: int) -> Iterator[tuple[str, int]]:
    waiting = [(top, 0)] if os.path.isdir(top) else []
    while waiting:
        folder, depth = waiting.pop()
        yield folder, depth
        waiting += reversed([(child, depth + 1) for child in _folders(folder, device)])


def _folders(folder: str, device: int) -> list[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # removed meanwhile, or not ours to read
        return []
    return [entry.path for entry in entries if _is_below(entry, device)]


def _is_below(entry: os.DirEntry[str], device: int) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_dev == device
    except OSError:  # as above
        return False
