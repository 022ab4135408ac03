"""Threads, by the numbers that the kernel has for them."""

from __future__ import annotations

_ENDED = frozenset(b"ZXx")  # as task_state_array in fs/proc/array.c has them


def has_ended(tid: int) -> bool:
    """Return whether no thread of this number runs any more."""
    try:
        with open(f"/proc/{tid}/stat", "rb") as file:
            _, _, rest = file.read().rpartition(b") ")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return rest[0] in _ENDED
