"""Ratios of counts: which two belong together, and none where one of them is missing."""

from __future__ import annotations

import pytest
from bpfctl_perf.counter import CacheSource, HardwareSource
from bpfctl_perf.software import SoftwareSource

from bpfctl.probe.counting import Tally
from bpfctl.probe.ratio import Ratio, Ratios

SOURCES = {source.kind: source for source in (CacheSource(), HardwareSource(), SoftwareSource())}
SECOND = 10**9


def tally(spec, steps, cpu=None, **more):
    kind, _, target = spec.partition(":")
    (counter,) = SOURCES[kind].counters(target)
    return Tally(counter, cpu, steps, **{"enabled": SECOND, "running": SECOND, **more})


def ratio(spec, steps, beside=(), seconds=2.0):
    """Return the ratio of a count, beside others."""
    first = tally(spec, steps)
    return Ratios([first, *(tally(*other) for other in beside)], seconds).of(first)


@pytest.mark.parametrize(
    ("spec", "steps", "beside", "found"),
    [
        ("software:task-clock", SECOND, [], (0.5, "CPUs utilized")),
        ("software:cpu-clock", 3 * SECOND, [], (1.5, "CPUs utilized")),
        ("hardware:cycles", 3000, [("software:task-clock", 1000)], (3, "GHz")),
        ("hardware:cycles", 3000, [], (1500, "per second")),
        ("hardware:instructions", 300, [("hardware:cycles", 200)], (1.5, "insn per cycle")),
        ("hardware:instructions:u", 300, [("hardware:cycles:u", 100), ("hardware:cycles", 200)], (3, "insn per cycle")),
        ("hardware:instructions:u", 300, [("hardware:cycles", 200)], (150, "per second")),
        ("hardware:branch-misses", 5, [("hardware:branches", 200)], (2.5, "% of branches")),
        ("hardware:cache-misses", 5, [("hardware:cache-references", 50)], (10, "% of references")),
        ("hardware:stalled-cycles-frontend", 50, [("hardware:cycles", 200)], (25, "% frontend cycles idle")),
        ("hardware:stalled-cycles-backend", 50, [("hardware:cycles", 200)], (25, "% backend cycles idle")),
        ("cache:L1-dcache-load-misses", 3, [("cache:L1-dcache-loads", 12)], (25, "% of accesses")),
        ("cache:LLC-store-misses", 3, [("cache:LLC-loads", 12)], (1.5, "per second")),
        ("software:page-faults", 10, [("software:task-clock", SECOND // 2)], (20, "per second")),
        ("software:page-faults:u", 10, [("software:task-clock", SECOND // 2)], (20, "per second")),
        ("software:page-faults", 10, [("software:task-clock", 0)], (5, "per second")),
        ("hardware:instructions", 300, [("hardware:cycles", 0)], (150, "per second")),
    ],
)
def test_what_belongs_together(spec, steps, beside, found):
    assert ratio(spec, steps, beside) == Ratio(*found)


def test_each_cpu_for_itself():
    every = [tally(spec, steps, cpu) for spec, steps, cpu in CPUS]
    ratios = Ratios(every, 1.0)

    assert [ratios.of(one).value for one in every if "instructions" in one.counter.name] == [2, 0.5]


CPUS = [
    ("hardware:cycles", 100, 0),
    ("hardware:cycles", 400, 1),
    ("hardware:instructions", 200, 0),
    ("hardware:instructions", 200, 1),
]


@pytest.mark.parametrize("how", [{"refusal": 2, "enabled": 0, "running": 0}, {"running": 0}])
def test_what_is_not_counted_is_no_part_of_a_ratio(how):
    cycles, instructions = tally("hardware:cycles", 0, **how), tally("hardware:instructions", 10)
    ratios = Ratios([cycles, instructions], 1.0)

    assert ratios.of(cycles) is None
    assert ratios.of(instructions) == Ratio(10, "per second")


def test_no_time_has_passed():
    assert ratio("software:page-faults", 1, seconds=0) is None
    assert ratio("software:task-clock", 1, seconds=0) is None


def test_a_level_has_no_rate():
    level = tally("software:dummy", 5)
    level = level._replace(counter=level.counter._replace(is_level=True))

    assert Ratios([level], 1.0).of(level) is None
