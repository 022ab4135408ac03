"""Performance monitoring units: the kinds of events that perf_event_open(2) knows by number.

The first six numbers are fixed (enum perf_type_id in include/uapi/linux/perf_event.h); the others are given out as
units register, and sysfs tells whose they are (Documentation/ABI/testing/sysfs-bus-event_source-devices).
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import NotFound, UsageError
from bpfctl.host import cpus

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICES = "/sys/bus/event_source/devices"

# The kernel registers its two clocks before any other unit and shows neither in sysfs (kernel/events/core.c,
# perf_event_init). An event of type software with such a config is handed to them, and then says their number.
_CLOCKS = {6: "cpu_clock", 7: "task_clock"}


class Measure(NamedTuple):
    """What a step of a counter is worth: ``scale`` of ``unit``; of a level it tells how much there is."""

    unit: str = ""
    scale: float = 1.0
    is_level: bool = False


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
    for entry in events(unit):
        terms = _text(f"{DEVICES}/{unit}/events/{entry}")
        try:
            if terms and words(unit, terms) == {"config": config}:
                return entry
        except (NotFound, UsageError):  # a parameter that the user fills in, such as event=?, or a driver's own way
            continue
    return None


def units() -> list[str]:
    """Return the names of all units of this machine."""
    return _entries(DEVICES)


def events(unit: str) -> list[str]:
    """Return the names that a unit has for its events."""
    return [entry for entry in _entries(f"{DEVICES}/{unit}/events") if not entry.endswith(_ABOUT)]


def measure(unit: str, terms: str) -> Measure:
    """Return what the count of terms is worth, by the event of the unit that is among them."""
    known = events(unit)
    name_ = next((term for term in map(str.strip, terms.split(",")) if term in known), None)
    if name_ is None:
        return Measure()
    base = f"{DEVICES}/{unit}/events/{name_}"
    try:
        scale = float(_text(f"{base}.scale") or 1)
    except ValueError:
        scale = 1.0
    return Measure(
        _text(f"{base}.unit") or "", scale if 0 < scale < _INFINITE else 1.0, _text(f"{base}.snapshot") == "1"
    )


def where(unit: str) -> list[int] | None:
    """Return the CPUs on which a unit is asked, where it does not belong to each; None where it does."""
    for file in ("cpumask", "cpus"):
        text = _text(f"{DEVICES}/{unit}/{file}")
        if text:
            return cpus.numbers(text)
    return None


def words(unit: str, terms: str) -> dict[str, int]:
    """Return the words of struct perf_event_attr, by name, that terms such as ``event=0x3c,umask=0x01`` fill.

    A term is a field of the unit's format, or one of its events, whose fields those behind it may change. NotFound says
    which of them it has not, UsageError what is wrong with a value.
    """
    blank: dict[str, None] = {}
    found: dict[str, int] = {}
    for field, value in _terms(unit, terms):
        if value == "?":
            blank[field] = None
            continue
        blank.pop(field, None)
        word, place = _layout(unit, field)
        mask = sum(1 << bit for bit in place)
        number = _number(unit, field, value or "1", len(place))
        bits = sum((number >> at & 1) << bit for at, bit in enumerate(place))
        found[word] = found.get(word, 0) & ~mask | bits
    if blank:
        raise UsageError(f"unit '{unit}': {' and '.join(blank)} must be given, such as {next(iter(blank))}=1")
    return found


_INFINITE = float("inf")
_ABOUT = (".unit", ".scale", ".snapshot", ".per-pkg")
_WORDS = ("config", "config1", "config2", "config3")


def _terms(unit: str, terms: str) -> Iterator[tuple[str, str]]:
    """Yield fields and their values, those of an event in its place."""
    known = events(unit)
    for term in terms.split(","):
        field, equals, value = term.strip().partition("=")
        if not field:
            raise UsageError(f"unit '{unit}': an event, or FIELD=VALUE, is missing in '{terms[:60]}'")
        if not equals and field in known:
            for inner in (_text(f"{DEVICES}/{unit}/events/{field}") or "").split(","):
                name_, _, text = inner.strip().partition("=")
                yield name_, text
        elif equals and not value:
            raise UsageError(f"unit '{unit}': {field} has no value")
        else:
            yield field, value


def _layout(unit: str, field: str) -> tuple[str, list[int]]:
    """Return the word in which a field lies, and its bits there, lowest first; a word may be given as a whole."""
    formats = _entries(f"{DEVICES}/{unit}/format")
    if field in formats:
        layout = _text(f"{DEVICES}/{unit}/format/{field}") or ""
        word, _, ranges = layout.partition(":")
        bits = _bits(ranges)
        if word not in _WORDS or not bits:
            raise UsageError(f"unit '{unit}' tells no place for {field}, but '{layout}'")
        return word, bits
    if field in _WORDS:
        return field, _bits("0-63")
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    there = [*events(unit), *formats]
    near = get_close_matches(field, there, 1)
    hint = f", did you mean '{near[0]}'?" if near else f" (there are: {', '.join(there)})" if there else ""
    raise NotFound(f"unit '{unit}' has no event and no field '{field}'{hint}")


def _bits(ranges: str) -> list[int]:
    """Return the bits that ``0-7,32-35`` names; none where these are no bits of a word."""
    bits: list[int] = []
    for part in ranges.split(","):
        match = re.fullmatch(r"([0-9]{1,2})(?:-([0-9]{1,2}))?", part)
        if match is None:
            return []
        bits += range(int(match[1]), int(match[2] or match[1]) + 1)
    return bits if len({*bits}) == len(bits) and max(bits, default=64) < 64 else []


def _number(unit: str, field: str, text: str, width: int) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise UsageError(f"unit '{unit}': {field}={text[:30]} is no number") from None
    if not 0 <= value < 1 << width:
        raise UsageError(f"unit '{unit}': {field}={text[:30]} does not fit into {width} bits")
    return value


def number(unit: str) -> int | None:
    """Return the number of a unit; None where this machine has none of that name."""
    text = _text(f"{DEVICES}/{unit}/type")
    return int(text) if text and text.isdecimal() else None
