"""Lengths of time as people read them: nanoseconds to programs."""

from __future__ import annotations

_NEARLY = 0.9995  # of a unit, which is one when it is rounded
#: Nanoseconds of each unit.
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}


def best(nanoseconds: float) -> str:
    """Return the unit in which a time is at least 1."""
    return next((unit for unit, size in reversed(UNITS.items()) if abs(nanoseconds) >= size * _NEARLY), "ns")


def spell(nanoseconds: float, unit: str = "") -> str:
    """Return a time with three digits that count, in the unit that suits it or in a given one."""
    unit = unit or best(nanoseconds)
    number = nanoseconds / UNITS[unit]
    return f"{_rounded(number)} {unit}"


def _rounded(number: float) -> str:
    if abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.3g}"
