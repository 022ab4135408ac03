"""profile:RATE fires on each CPU at a steady rate, and interval:TIME on one of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfctl.plugin import PerfEvent, PerfType, Software, UsageError, online_cpus
from bpfctl_perf.source import PerfSource

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECOND = 10**9
_UNITS = {"s": _SECOND, "ms": 10**6, "us": 1000}
_PLACES = 9  # behind the point
_ONE = 10**_PLACES
_SPEC = re.compile(r"(?P<number>\d{1,12}(?:\.\d{1,9})?)(?P<unit>hz|s|ms|us)?", re.ASCII)
#: bpftrace puts the unit in front.
_TURNED = re.compile(r"(?P<unit>hz|s|ms|us):(?P<number>\d{1,12})", re.ASCII)
_SHORTEST, _LONGEST = 10_000, 86_400 * _SECOND  # the kernel's clock takes no less (perf_swevent_start_hrtimer())


class _Timer(PerfSource):
    """The clock of a CPU, which runs whatever the CPU does."""

    example: str
    bare: str  # the unit of a number alone

    def event(self, target: str) -> tuple[str, PerfEvent]:
        """Read a rate or a time."""
        match = _SPEC.fullmatch(target) or _TURNED.fullmatch(target)
        unit = match and (match["unit"] or self.bare)
        if not match or not unit:
            raise UsageError(f"'{self.kind}:{target}' should be a time or a rate, such as {self.example}")
        period = _period(match["number"], unit)
        if not _SHORTEST <= period <= _LONGEST:
            raise UsageError(f"'{self.kind}:{target}': it can fire every 10us at most, and once a day at least")
        return f"{match['number']}{unit}", PerfEvent(PerfType.SOFTWARE, Software.CPU_CLOCK, period, cpus=self.cpus())

    def cpus(self) -> list[int] | None:
        """Return where it fires; None: everywhere."""
        return None


def _period(number: str, unit: str) -> int:
    """Return nanoseconds; 0 where it never fires."""
    whole, _, behind = number.partition(".")
    parts = int(whole + behind.ljust(_PLACES, "0"))
    above, below = (_SECOND * _ONE, parts) if unit == "hz" else (parts * _UNITS[unit], _ONE)
    return (above + below // 2) // below if below else 0


class ProfileSource(_Timer):
    """A look at what each CPU does, again and again."""

    kind = "profile"
    summary = "on each CPU at a rate, such as 99hz or 5ms"
    example = "profile:99hz or profile:5ms"
    bare = "hz"

    def targets(self) -> Iterator[str]:
        """Yield a rate that does not beat with what happens 100 times a second."""
        yield "99hz"


class IntervalSource(_Timer):
    """A steady tick."""

    kind = "interval"
    summary = "on one CPU each time that some time is over, such as 1s or 100ms"
    example = "interval:1s or interval:100ms"
    bare = ""

    def targets(self) -> Iterator[str]:
        """Yield a second."""
        yield "1s"

    def cpus(self) -> list[int]:
        """Return the first CPU that runs."""
        return online_cpus()[:1]
