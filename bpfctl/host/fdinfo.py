"""/proc/PID/fdinfo: what the kernel tells of an open file (Documentation/filesystems/proc.rst)."""

from __future__ import annotations

import os

_ROOM = 4096


def read(fd: int | str, pid: int | str = "self") -> bytes:
    """Return the text of one descriptor; FileNotFoundError or ProcessLookupError when it is gone."""
    return at(f"/proc/{pid}/fdinfo/{fd}")


def own(fd: int) -> bytes:
    """Return the text of a descriptor of ours; empty without /proc in this mount namespace."""
    try:
        return read(fd)
    except FileNotFoundError:
        return b""


def at(path: str, folder: int | None = None) -> bytes:
    """Return the text at a path below a folder of a /proc that is already open."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(file, _ROOM)
    finally:
        os.close(file)


def fields(text: bytes) -> dict[str, str]:
    """Return the lines of a text by their names."""
    found = {}
    for line in text.decode(errors="surrogateescape").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found[name] = value.strip()
    return found


def number(text: bytes, name: bytes) -> int | None:
    """Return the number on the line of this name; None where there is no such line."""
    start = text.find(b"\n%b:" % name) + 2 + len(name)
    return int(text[start : text.index(b"\n", start)]) if start >= 2 + len(name) else None
