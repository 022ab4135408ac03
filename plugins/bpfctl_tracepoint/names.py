"""System calls by their events: one where each begins, and one where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfctl.plugin import ProbePoint

ENTER, EXIT = "sys_enter_", "sys_exit_"


def called(point: ProbePoint, *prefixes: str) -> str:
    """Return the name of the system call of an event with one of the prefixes, or any; empty if it is none of those."""
    category, _, name = point.target.partition(":")
    if category == "syscalls":
        for prefix in prefixes or (ENTER, EXIT):
            if name.startswith(prefix):
                return name.removeprefix(prefix)
    return ""
