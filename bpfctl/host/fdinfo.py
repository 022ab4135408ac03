"""/proc/PID/fdinfo: what the kernel tells of an open file (Documentation/filesystems/proc.rst)."""

from __future__ import annotations

import os

_ROOM = 4096


def read(fd: int | str, pid: int | str = "self") -> dict[str, str]:
    """Return the fields of one descriptor; FileNotFoundError or ProcessLookupError when it is gone."""
    fields = {}
    for line in _text(fd, pid).decode(errors="surrogateescape").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields[name] = value.strip()
    return fields


def own(fd: int) -> dict[str, str]:
    """Return the fields of a descriptor of ours; none without /proc in this mount namespace."""
    try:
        return read(fd)
    except FileNotFoundError:
        return {}


def memlock(fd: int) -> int | None:
    """Return the bytes of kernel memory charged for a BPF object of ours; None where the kernel does not tell."""
    try:
        text = _text(fd)
    except FileNotFoundError:
        return None
    at = text.find(b"\nmemlock:")
    return int(text[at + 9 : text.index(b"\n", at + 9)]) if at >= 0 else None


def _text(fd: int | str, pid: int | str = "self") -> bytes:
    file = os.open(f"/proc/{pid}/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, _ROOM)
    finally:
        os.close(file)
