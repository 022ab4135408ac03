"""pmu:UNIT/TERM,.../[:COUNT] fires each time that a unit which sysfs names has counted COUNT events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfctl.plugin import NotFound, PerfEvent, UsageError, chosen, pmu
from bpfctl_perf.source import CountedSource, period, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.plugin import PerfCounter

_USUAL = 1_000_000
_TARGET = re.compile(r"(?P<unit>[^/]+)/(?P<terms>[^/]*)/(?P<count>:.*)?", re.DOTALL)
#: Units with a kind of their own.
_OTHERS = frozenset({"breakpoint", "kprobe", "software", "tracepoint", "uprobe"})


class UnitSource(CountedSource):
    """Performance monitoring units (Documentation/ABI/testing/sysfs-bus-event_source-devices)."""

    kind = "pmu"
    summary = "what any unit in /sys/bus/event_source/devices counts, by UNIT/EVENT or FIELD=VALUE,.../[:COUNT]"

    def targets(self) -> Iterator[str]:
        """Yield the events that units have names for."""
        for unit in pmu.units():
            if unit in _OTHERS:
                continue
            for event in pmu.events(unit):
                target = f"{unit}/{event}/"
                try:
                    self.event(target)
                except (NotFound, UsageError):  # a value is missing that only its user knows, or it is gone
                    continue
                yield target

    def event(self, target: str) -> tuple[str, PerfEvent]:
        """Read ``UNIT/TERM,.../[:COUNT]``."""
        match = _TARGET.fullmatch(target)
        if match is None:
            raise UsageError(
                f"'{self.kind}:{target}' should be {self.kind}:UNIT/EVENT/ or {self.kind}:UNIT/FIELD=VALUE/"
            )
        (unit,) = chosen(pmu.units(), match["unit"], "unit")
        if unit in _OTHERS:
            raise UsageError(f"unit '{unit}' has probes of its own kind")
        count = period(match["count"][1:], f"{self.kind}:{target}") if match["count"] else None
        words = pmu.words(unit, match["terms"])
        number = pmu.number(unit)
        if number is None:
            raise NotFound(f"unit '{unit}' is gone: its module was unloaded")
        event = PerfEvent(number, words.pop("config", 0), count or _USUAL, cpus=pmu.where(unit), **words)
        return spelled(f"{unit}/{match['terms']}/", count, _USUAL), event

    def told(self, name: str, counter: PerfCounter) -> PerfCounter:
        """Return a counter with the unit of measure that sysfs has for it."""
        unit, terms, *_ = name.split("/")
        return super().told(name, counter)._replace(**pmu.measure(unit, terms)._asdict())

    def absent(self, event: PerfEvent, errno: int) -> str:
        """Speak of the unit: what its fields may hold is known to its driver alone."""
        del event, errno
        return "its unit has no such event"
