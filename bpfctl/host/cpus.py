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


def online() -> list[int]:
    """Return the numbers of the CPUs that run now."""
    with open("/sys/devices/system/cpu/online", encoding="ascii") as file:
        return numbers(file.read())


def numbers(ranges: str) -> list[int]:
    """Return the CPUs that a list such as ``0-3,8`` names."""
    found: list[int] = []
    for part in ranges.strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
