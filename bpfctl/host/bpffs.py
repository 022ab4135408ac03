"""BPF file systems: where they are mounted and which files lie in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


_MOUNTS = "/proc/self/mountinfo"


class Mount(NamedTuple):
    """One line of /proc/self/mountinfo (Documentation/filesystems/proc.rst)."""

    device: int
    path: str
    type: str
    options: str  # of the file system itself, such as delegate_cmds=any


def _unescape(field: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash in a path."""
    if "\\" not in field:
        return field
    head, *parts = field.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in parts)


def mounts() -> list[Mount]:
    """Return the mounts of this mount namespace; empty without /proc, or where it shows nothing of this process."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            lines = file.read().split("\n")[:-1]  # what else Python takes for an end of line may be in a path
    except (FileNotFoundError, PermissionError):
        return []
    found = []
    for line in lines:
        left, _, right = line.partition(" - ")
        fields, (kind, _source, options) = left.split(" "), right.split(" ", 2)
        major, minor = fields[2].split(":")
        found.append(Mount(os.makedev(int(major), int(minor)), _unescape(fields[4]), kind, options))
    return found


def pinned_paths() -> Iterator[str]:
    """Yield the files of every mounted BPF file system, without following symbolic links or crossing mounts.

    A file that is visible through several mounts is yielded for each, in the order of the mounts.
    """
    for mount in mounts():
        if mount.type == "bpf":
            yield from _files(mount.path, mount.device)


def _files(folder: str, device: int) -> Iterator[str]:
    waiting = [_entries(folder)]  # not by recursion: anybody may make deep folders where anybody may write
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                if entry.stat(follow_symlinks=False).st_dev == device:
                    waiting.append(_entries(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry.path
        except OSError:  # as below
            continue


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        return iter(list(os.scandir(folder)))
    except OSError:  # removed meanwhile, or not ours to read
        return iter(())
