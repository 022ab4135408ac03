"""tracefs: the static events of the kernel (Documentation/trace/events.rst).

Only file systems that are mounted already are looked at. What is below /sys/kernel/debug is left alone: to touch its
``tracing`` folder would make the kernel mount one there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfctl.host import bpffs

if TYPE_CHECKING:
    from collections.abc import Iterator


def events_folder() -> str | None:
    """Return the folder that has a folder for each category of events; None where no readable tracefs is mounted."""
    for mount in bpffs.mounts():
        if mount.type == "tracefs":
            folder = f"{mount.path}/events"
            if os.access(folder, os.R_OK | os.X_OK):
                return folder
    return None


def _categories(folder: str) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))


def tracepoints() -> Iterator[tuple[str, str]] | None:
    """Return the (category, name) of every event in the order of the alphabet; None without a tracefs."""
    folder = events_folder()
    return None if folder is None else _tracepoints(folder)


def _tracepoints(folder: str) -> Iterator[tuple[str, str]]:
    for category in _categories(folder):
        try:
            names = _categories(f"{folder}/{category}")
        except FileNotFoundError:  # its module was unloaded meanwhile
            continue
        for name in names:
            yield category, name


def category(name: str) -> str | None:
    """Return the category of an event, such as ``sched`` of ``sched_switch``.

    None without a tracefs, for a tracepoint that has no event, and for a name that several categories have.
    """
    folder = events_folder()
    if folder is None or "/" in name or name in ("", ".", ".."):
        return None
    found = [entry for entry in _categories(folder) if os.path.isdir(f"{folder}/{entry}/{name}")]
    return found[0] if len(found) == 1 else None
