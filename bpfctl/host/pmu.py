"""Performance monitoring units: the kinds of events that perf_event_open(2) knows by number.

The first six numbers are fixed (enum perf_type_id in include/uapi/linux/perf_event.h); the others are given out as
units register, and sysfs tells whose they are (Documentation/ABI/testing/sysfs-bus-event_source-devices).
"""

from __future__ import annotations

import os

DEVICES = "/sys/bus/event_source/devices"

# The kernel registers its two clocks before any other unit and shows neither in sysfs (kernel/events/core.c,
# perf_event_init). An event of type software with such a config is handed to them, and then says their number.
_CLOCKS = {6: "cpu_clock", 7: "task_clock"}


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:  # no such unit, no sysfs here, or a file that only its driver understands
        return None


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:  # most units have no named events, and a container may have no sysfs
        return []


def name(type_: int) -> str | None:
    """Return the name of the unit with a number, such as ``msr`` or ``uncore_imc_0``; None when nobody tells."""
    wanted = str(type_)
    for device in _entries(DEVICES):
        if _text(f"{DEVICES}/{device}/type") == wanted:
            return device
    return _CLOCKS.get(type_)


def event(unit: str, config: int) -> str | None:
    """Return the name that a unit has for a configuration, such as ``smi`` for 4 of ``msr``; None when it has none.

    Only names that are made of ``config`` alone are compared: the kernel tells nothing of config1 and config2.
    """
    folder = f"{DEVICES}/{unit}"
    for entry in _entries(f"{folder}/events"):
        terms = _text(f"{folder}/events/{entry}")
        if terms and _config(folder, terms) == config:
            return entry
    return None


def _config(folder: str, terms: str) -> int | None:
    """Return the number that terms such as ``event=0x3c,umask=0x00`` mean; None when they are not all of config."""
    total = 0
    for term in terms.split(","):
        field, _, text = term.partition("=")
        layout = _text(f"{folder}/format/{field}") or ("config:0-63" if field == "config" else "")
        word, _, ranges = layout.partition(":")
        try:
            value = int(text or "1", 0)
        except ValueError:  # a parameter that the user fills in, such as event=?
            return None
        if word != "config":
            return None
        total |= _spread(value, ranges)
    return total


def _spread(value: int, ranges: str) -> int:
    """Put the bits of a value where ``0-7,32-35`` says, lowest first."""
    result = 0
    for part in ranges.split(","):
        low, _, high = part.partition("-")
        start, width = int(low), int(high or low) - int(low) + 1
        result |= (value & ((1 << width) - 1)) << start
        value >>= width
    return result
