"""Who has a file open, as /proc tells."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def of_file(end: str) -> Iterator[tuple[int, str]]:
    """Yield the id and name of each process that has a file open whose path ends so, as far as we may look."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if any(path.endswith(end) for path in _open_files(pid)):
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="surrogateescape") as file:
                    yield int(pid), file.read().rstrip("\n")
        except OSError:  # it has ended, or is not ours to look at
            continue


def _open_files(pid: str) -> Iterator[str]:
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            yield os.readlink(entry.path)
        except FileNotFoundError:  # closed meanwhile
            continue
