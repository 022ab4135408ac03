"""Names of perf events, as bpftool's src/link.c has them (include/uapi/linux/perf_event.h)."""

from __future__ import annotations

HARDWARE, SOFTWARE, HW_CACHE = 0, 1, 3  # enum perf_type_id
TYPES = ("hardware", "software", "tracepoint", "hw-cache", "raw", "breakpoint")

_HARDWARE = (
    "cpu-cycles", "instructions", "cache-references", "cache-misses", "branch-instructions", "branch-misses",
    "bus-cycles", "stalled-cycles-frontend", "stalled-cycles-backend", "ref-cycles",
)  # fmt: skip
_SOFTWARE = (
    "cpu-clock", "task-clock", "page-faults", "context-switches", "cpu-migrations", "minor-faults", "major-faults",
    "alignment-faults", "emulation-faults", "dummy", "bpf-output", "cgroup-switches",
)  # fmt: skip
_CACHES = ("L1-dcache", "L1-icache", "LLC", "dTLB", "iTLB", "branch", "node")
_CACHE_OPS = ("load", "store", "prefetch")
_CACHE_RESULTS = ("refs", "misses")


def _word(words: tuple[str, ...], number: int) -> str | None:
    return words[number] if number < len(words) else None


def type_name(type_: int) -> str | None:
    """Return the word for a type of event; None for a unit that registered itself."""
    return _word(TYPES, type_)


def config_name(type_: int, config: int) -> str | None:
    """Return the word for a configuration; None where it has none, as raw events do."""
    if type_ == HARDWARE:
        return _word(_HARDWARE, config)
    if type_ == SOFTWARE:
        return _word(_SOFTWARE, config)
    if type_ == HW_CACHE:
        parts = ((_CACHES, config & 0xFF), (_CACHE_OPS, config >> 8 & 0xFF), (_CACHE_RESULTS, config >> 16))
        return "-".join(_word(words, number) or str(number) for words, number in parts)
    return None
