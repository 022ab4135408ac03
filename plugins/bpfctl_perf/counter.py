"""hardware:, cache: and raw: fire each time that a counter of a CPU has counted COUNT events."""

from __future__ import annotations

from errno import ENOENT
from itertools import product
from typing import TYPE_CHECKING

from bpfctl.plugin import Cache, CacheOp, CacheResult, Hardware, PerfEvent, PerfType, UsageError
from bpfctl_perf.source import CountedSource, counted, named, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Often enough to see where time goes, and rare enough not to take it.
_USUAL = 1_000_000

_HARDWARE = {
    "cycles": Hardware.CPU_CYCLES,
    "instructions": Hardware.INSTRUCTIONS,
    "cache-references": Hardware.CACHE_REFERENCES,
    "cache-misses": Hardware.CACHE_MISSES,
    "branches": Hardware.BRANCH_INSTRUCTIONS,
    "branch-misses": Hardware.BRANCH_MISSES,
    "bus-cycles": Hardware.BUS_CYCLES,
    "stalled-cycles-frontend": Hardware.STALLED_CYCLES_FRONTEND,
    "stalled-cycles-backend": Hardware.STALLED_CYCLES_BACKEND,
    "ref-cycles": Hardware.REF_CPU_CYCLES,
}
#: What perf and bpftrace call them too.
_ALIASES = {
    "cpu-cycles": "cycles",
    "branch-instructions": "branches",
    "idle-cycles-frontend": "stalled-cycles-frontend",
    "idle-cycles-backend": "stalled-cycles-backend",
    "frontend-stalls": "stalled-cycles-frontend",
    "backend-stalls": "stalled-cycles-backend",
}

_CACHES = {
    "L1-dcache": (Cache.L1D, "load store prefetch"),
    "L1-icache": (Cache.L1I, "load prefetch"),
    "LLC": (Cache.LL, "load store prefetch"),
    "dTLB": (Cache.DTLB, "load store prefetch"),
    "iTLB": (Cache.ITLB, "load"),
    "branch": (Cache.BPU, "load"),
    "node": (Cache.NODE, "load store prefetch"),
}
_OPERATIONS = {"load": CacheOp.READ, "store": CacheOp.WRITE, "prefetch": CacheOp.PREFETCH}


class _Counter(CountedSource):
    """Events of the counters that a CPU has."""

    def absent(self, event: PerfEvent, errno: int) -> str:
        """Tell a machine without any counters from a CPU that lacks this one."""
        del event
        if PerfEvent(PerfType.HARDWARE, Hardware.CPU_CYCLES, 0).refusal() == ENOENT:
            return "this machine has no hardware counters, as most virtual machines have none"
        return "its CPUs have no such counter" if errno == ENOENT else "its CPUs do not count that"


class HardwareSource(_Counter):
    """Events that most CPUs can count (enum perf_hw_id)."""

    kind = "hardware"
    summary = "what CPUs count, such as cycles, by NAME[:COUNT]"

    def targets(self) -> Iterator[str]:
        """Yield the names in perf's spelling."""
        return iter(_HARDWARE)

    def event(self, target: str) -> tuple[str, PerfEvent]:
        """Read ``NAME[:COUNT]``."""
        name, count = counted(target, self.kind)
        name = named(name, _ALIASES, [*_HARDWARE], "hardware event")
        return spelled(name, count, _USUAL), PerfEvent(PerfType.HARDWARE, _HARDWARE[name], count or _USUAL)


class CacheSource(_Counter):
    """Events of caches (enum perf_hw_cache_id)."""

    kind = "cache"
    summary = "accesses to caches and their misses, such as L1-dcache-load-misses, by NAME[:COUNT]"

    def targets(self) -> Iterator[str]:
        """Yield the names in perf's spelling."""
        return iter(_caches())

    def event(self, target: str) -> tuple[str, PerfEvent]:
        """Read ``NAME[:COUNT]``."""
        name, count = counted(target, self.kind)
        names = _caches()
        name = named(name, {}, [*names], "event of a cache")
        return spelled(name, count, _USUAL), PerfEvent(PerfType.HW_CACHE, names[name], count or _USUAL)


def _caches() -> dict[str, int]:
    """Return the configuration of each event of each cache, in perf's spelling."""
    names = {}
    for (name, (cache, does)), result in product(_CACHES.items(), CacheResult):
        for word in does.split():
            plural = "prefetches" if word == "prefetch" else f"{word}s"
            what = plural if result == CacheResult.ACCESS else f"{word}-misses"
            names[f"{name}-{what}"] = cache | _OPERATIONS[word] << 8 | result << 16
    return names


class RawSource(_Counter):
    """Events by the number that the CPU's manual has for them."""

    kind = "raw"
    summary = "what CPUs count, by the number in their manual: 0xCONFIG[:COUNT]"

    def event(self, target: str) -> tuple[str, PerfEvent]:
        """Read ``0xCONFIG[:COUNT]``, or ``rCONFIG`` as perf has it."""
        word, count = counted(target, self.kind)
        try:
            config = int(word[1:], 16) if word.startswith("r") else int(word, 0)
        except ValueError:
            config = -1
        if not 0 <= config < 1 << 64:
            raise UsageError(f"'{self.kind}:{target}' should be a number of 64 bits, such as {self.kind}:0x1a8")
        return spelled(f"{config:#x}", count, _USUAL), PerfEvent(PerfType.RAW, config, count or _USUAL)
