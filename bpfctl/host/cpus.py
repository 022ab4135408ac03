"""The CPUs of this machine."""

from __future__ import annotations

from functools import cache


def count(ranges: str) -> int:
    """Return how many CPUs a list such as ``0-3,8`` names (Documentation/admin-guide/cputopology.rst)."""
    total = 0
    for part in ranges.strip().split(","):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total


@cache
def possible() -> int:
    """Return the number of CPUs that this kernel could ever have, which is what per-CPU values have room for."""
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
        return count(file.read())
