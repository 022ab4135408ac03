"""The CPUs of this machine."""

from __future__ import annotations

from errno import ENOENT
from functools import cache

from bpfctl.errors import KernelError


def count(ranges: str) -> int:
    """Return how many CPUs a list such as ``0-3,8`` names (Documentation/admin-guide/cputopology.rst)."""
    total = 0
    for part in ranges.strip().split(","):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total


@cache
def possible() -> int:
    """Return the number of CPUs that this kernel could ever have, which is what per-CPU values have room for.

    KernelError without sysfs.
    """
    return count(_read("possible"))


def online() -> list[int]:
    """Return the numbers of the CPUs that run now; KernelError without sysfs."""
    return numbers(_read("online"))


def _read(which: str) -> str:
    try:
        with open(f"/sys/devices/system/cpu/{which}", encoding="ascii") as file:
            return file.read()
    except FileNotFoundError as error:
        hint = "mount -t sysfs sysfs /sys"
        raise KernelError(f"can't read {error.filename}", ENOENT, hint=hint) from None


def numbers(ranges: str) -> list[int]:
    """Return the CPUs that a list such as ``0-3,8`` names."""
    found: list[int] = []
    for part in ranges.strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
