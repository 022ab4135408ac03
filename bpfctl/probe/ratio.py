"""What counts mean beside each other, as perf stat tells it: instructions per cycle, misses per access, rates.

Which two belong together is known by the numbers that the kernel has for events (enum perf_hw_id and its kin in
include/uapi/linux/perf_event.h), whoever named them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.uapi.perf import CacheResult, Hardware, PerfType, Software

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.attach.counter import Counter
    from bpfctl.probe.counting import Tally

_SECOND = 10**9  # nanoseconds
_CLOCKS = frozenset({(PerfType.SOFTWARE, Software.TASK_CLOCK), (PerfType.SOFTWARE, Software.CPU_CLOCK)})
_CYCLES = (PerfType.HARDWARE, Hardware.CPU_CYCLES)
_INSTRUCTIONS = (PerfType.HARDWARE, Hardware.INSTRUCTIONS)
_STALLED = {
    (PerfType.HARDWARE, Hardware.STALLED_CYCLES_FRONTEND): "% frontend cycles idle",
    (PerfType.HARDWARE, Hardware.STALLED_CYCLES_BACKEND): "% backend cycles idle",
}
#: What is told as so many percent of another.
_PARTS: dict[tuple[int, int], tuple[tuple[int, int], str]] = {
    (PerfType.HARDWARE, Hardware.BRANCH_MISSES): ((PerfType.HARDWARE, Hardware.BRANCH_INSTRUCTIONS), "% of branches"),
    (PerfType.HARDWARE, Hardware.CACHE_MISSES): ((PerfType.HARDWARE, Hardware.CACHE_REFERENCES), "% of references"),
    **{stalled: (_CYCLES, unit) for stalled, unit in _STALLED.items()},
}
_MISS = CacheResult.MISS << 16
PER_SECOND = "per second"


class Ratio(NamedTuple):
    """A number that is made of two counts, or of a count and a time, and what it is."""

    value: float
    unit: str


class Ratios:
    """The ratios of counts that were made at the same time; ``seconds`` is how long that took."""

    def __init__(self, tallies: Sequence[Tally], seconds: float) -> None:
        self._seconds = seconds
        self._steps = {
            (*_event(tally.counter), tally.counter.mode, tally.cpu): tally.steps
            for tally in tallies
            if tally.is_counted
        }

    def of(self, tally: Tally) -> Ratio | None:
        """Return what is worth knowing of a count; None where that is nothing."""
        event = _event(tally.counter)
        if not tally.is_counted or tally.counter.is_level:
            return None
        if event in _CLOCKS:
            return Ratio(tally.steps / _SECOND / self._seconds, "CPUs utilized") if self._seconds else None
        if event == _CYCLES and (clock := self._clock(tally)):
            return Ratio(tally.steps / clock, "GHz")
        if event == _INSTRUCTIONS and (cycles := self._beside(tally, _CYCLES)):
            return Ratio(tally.steps / cycles, "insn per cycle")
        if part := self._part(tally):
            return part
        seconds = self._clock(tally) / _SECOND or self._seconds
        return Ratio(tally.value / seconds, PER_SECOND) if seconds else None

    def _part(self, tally: Tally) -> Ratio | None:
        event = _event(tally.counter)
        whole: tuple[int, int] | None
        whole, unit = _PARTS.get(event, (None, ""))
        if event[0] == PerfType.HW_CACHE and event[1] & _MISS:
            whole, unit = (event[0], event[1] & ~_MISS), "% of accesses"
        base = self._beside(tally, whole) if whole else 0
        return Ratio(100 * tally.steps / base, unit) if base else None

    def _clock(self, tally: Tally) -> float:
        """Return the CPU time that was counted there, in nanoseconds; 0 where it was not."""
        found = (self._steps.get((*clock, mode, tally.cpu)) for clock in _CLOCKS for mode in ("", tally.counter.mode))
        return next(filter(None, found), 0)

    def _beside(self, tally: Tally, event: tuple[int, int]) -> float:
        return self._steps.get((*event, tally.counter.mode, tally.cpu), 0)


def _event(counter: Counter) -> tuple[int, int]:
    return counter.event.type, counter.event.config
