"""Files of debugfs, wherever it is mounted, or is not (Documentation/filesystems/debugfs.rst)."""

from __future__ import annotations

import os
from contextlib import suppress

from bpfctl._sys import calls
from bpfctl.host import bpffs


def read(path: str) -> str:
    """Return what a file says; OSError where there is none, or it is not for us."""
    for mount in bpffs.mounts():
        if mount.type == "debugfs":
            with suppress(OSError):
                return _text(os.open(f"{mount.path}/{path}", os.O_RDONLY | os.O_CLOEXEC))
    with calls.detached_mount("debugfs") as root:
        return _text(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root.fileno()))


def _text(fd: int) -> str:
    with os.fdopen(fd, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def protected_functions() -> frozenset[str]:
    """Return the functions that the kernel lets nobody put a kprobe into; empty where it does not tell.

    A line has the first and last address, and a name (kprobe_blacklist_seq_show() in kernel/kprobes.c).
    """
    try:
        lines = read("kprobes/blacklist").splitlines()
    except OSError:
        return frozenset()
    return frozenset(line.split()[1] for line in lines if len(line.split()) > 1)
