"""software:NAME[:COUNT] fires each time that the kernel has counted COUNT events on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.plugin import PerfEvent, PerfType, Software
from bpfctl_perf.source import CountedSource, counted, named, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.plugin import PerfCounter

_CONFIGS = {
    "cpu-clock": Software.CPU_CLOCK,
    "task-clock": Software.TASK_CLOCK,
    "page-faults": Software.PAGE_FAULTS,
    "minor-faults": Software.PAGE_FAULTS_MIN,
    "major-faults": Software.PAGE_FAULTS_MAJ,
    "context-switches": Software.CONTEXT_SWITCHES,
    "cpu-migrations": Software.CPU_MIGRATIONS,
    "cgroup-switches": Software.CGROUP_SWITCHES,
    "alignment-faults": Software.ALIGNMENT_FAULTS,
    "emulation-faults": Software.EMULATION_FAULTS,
    "bpf-output": Software.BPF_OUTPUT,
    "dummy": Software.DUMMY,
}
#: What perf and bpftrace call them too.
_ALIASES = {
    "cpu": "cpu-clock",
    "faults": "page-faults",
    "cs": "context-switches",
    "migrations": "cpu-migrations",
}
#: What has no count is counted one by one, but that clocks tick in nanoseconds: these fire each millisecond.
_USUAL = {"cpu-clock": 1_000_000, "task-clock": 1_000_000}
_ABOUT_ADDRESSES = frozenset(
    {
        Software.PAGE_FAULTS,
        Software.PAGE_FAULTS_MIN,
        Software.PAGE_FAULTS_MAJ,
        Software.ALIGNMENT_FAULTS,
        Software.EMULATION_FAULTS,
    }
)


class SoftwareSource(CountedSource):
    """The events that the kernel itself counts (enum perf_sw_ids)."""

    kind = "software"
    summary = "events that the kernel counts, such as page-faults, by NAME[:COUNT]"

    def targets(self) -> Iterator[str]:
        """Yield the names in perf's spelling."""
        return iter(_CONFIGS)

    def event(self, target: str) -> tuple[str, PerfEvent]:
        """Read ``NAME[:COUNT]``."""
        name, count = counted(target, self.kind)
        name = named(name, _ALIASES, [*_CONFIGS], "software event")
        usual = _USUAL.get(name, 1)
        return spelled(name, count, usual), PerfEvent(PerfType.SOFTWARE, _CONFIGS[name], count or usual)

    def told(self, name: str, counter: PerfCounter) -> PerfCounter:
        """Return a counter, of a clock in milliseconds."""
        counter = super().told(name, counter)
        return counter._replace(unit="msec", scale=1e-6) if name in _USUAL else counter

    def has_address(self, event: PerfEvent) -> bool:
        """Return whether it is a fault."""
        return event.config in _ABOUT_ADDRESSES
