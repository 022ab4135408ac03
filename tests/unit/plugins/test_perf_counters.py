"""What sources of perf events say of counters: modes, units of measure, and that a count is of no use to them."""

from __future__ import annotations

import pytest
from bpfctl_perf.breakpoint import BreakpointSource
from bpfctl_perf.counter import CacheSource, HardwareSource, RawSource
from bpfctl_perf.software import SoftwareSource
from bpfctl_perf.timer import ProfileSource
from bpfctl_perf.unit import UnitSource

from bpfctl.errors import NotFound, NotSupported, UsageError
from bpfctl.host.pmu import Measure, measure
from bpfctl.plugin import Countable, PerfEvent
from tests.unit.units import CPU, made

UNITS = {
    **CPU,
    "cpu/events/mem-loads.unit": "bytes\n",
    "cpu/events/mem-loads.scale": "64\n",
    "power/type": "9\n",
    "power/cpumask": "0\n",
    "power/format/event": "config:0-7\n",
    "power/events/energy-pkg": "event=0x02\n",
    "power/events/energy-pkg.unit": "Joules\n",
    "power/events/energy-pkg.scale": "2.3283064365386962890625e-10\n",
    "power/events/level": "event=0x03\n",
    "power/events/level.snapshot": "1\n",
    "power/events/odd": "event=0x04\n",
    "power/events/odd.scale": "huge\n",
    "power/events/endless": "event=0x05\n",
    "power/events/endless.scale": "inf\n",
}


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    return made(UNITS, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("source", "target", "name", "mode", "event"),
    [
        (SoftwareSource(), "faults", "software:page-faults", "", PerfEvent(1, 2, 0)),
        (SoftwareSource(), "page-faults:u", "software:page-faults", "u", PerfEvent(1, 2, 0)),
        (SoftwareSource(), "page-faults:1", "software:page-faults", "", PerfEvent(1, 2, 0)),
        (HardwareSource(), "cpu-cycles:k", "hardware:cycles", "k", PerfEvent(0, 0, 0)),
        (HardwareSource(), "cycles:ku", "hardware:cycles", "uk", PerfEvent(0, 0, 0)),
        (CacheSource(), "LLC-loads", "cache:LLC-loads", "", PerfEvent(3, 2, 0)),
        (RawSource(), "r1a8:uk", "raw:0x1a8", "uk", PerfEvent(4, 0x1A8, 0)),
        (UnitSource(), "power/energy-pkg/", "pmu:power/energy-pkg/", "", PerfEvent(9, 2, 0, cpus=[0])),
        (UnitSource(), "cpu/mem-loads,ldlat=9/:u", "pmu:cpu/mem-loads,ldlat=9/", "u", None),
        (BreakpointSource(), "0x1000:8:w:u", "breakpoint:0x1000:8:w", "u", None),
        (BreakpointSource(), "0x1000:x", "breakpoint:0x1000:x", "", PerfEvent(5, 0, 0, 0x1000, 8, bp_type=4)),
    ],
)
def test_what_specs_mean(source, target, name, mode, event):
    (counter,) = source.counters(target)

    assert (counter.name, counter.mode) == (name, mode)
    assert counter.event == (event or counter.event._replace(period=0))
    assert str(counter) == (f"{name}:{mode}" if mode else name)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (SoftwareSource(), "page-faults:7"),
        (SoftwareSource(), "task-clock:5:u"),
        (HardwareSource(), "cycles:1000"),
        (RawSource(), "0x3c:9"),
        (UnitSource(), "cpu/cycles/:8"),
    ],
)
def test_a_count_is_for_what_fires(source, target):
    with pytest.raises(UsageError, match="a count is for what fires"):
        source.counters(target)


@pytest.mark.parametrize("target", ["page-faults:uu", "page-faults:x", "page-faults:"])
def test_other_letters(target):
    with pytest.raises(UsageError, match="should be a count"):
        SoftwareSource().counters(target)


def test_clocks_are_told_in_milliseconds():
    (counter,) = SoftwareSource().counters("task-clock")

    assert (counter.unit, counter.scale) == ("msec", 1e-6)


@pytest.mark.parametrize(
    ("unit", "terms", "found"),
    [
        ("power", "energy-pkg", Measure("Joules", 2.0**-32)),
        ("power", "level", Measure(is_level=True)),
        ("power", "event=2", Measure()),
        ("power", "odd", Measure()),
        ("power", "endless", Measure()),
        ("cpu", "mem-loads,ldlat=5", Measure("bytes", 64.0)),
        ("nosuch", "level", Measure()),
    ],
)
def test_units_of_measure(unit, terms, found):
    assert measure(unit, terms) == found
    if unit != "nosuch":
        (counter,) = UnitSource().counters(f"{unit}/{terms}/")
        assert (counter.unit, counter.scale, counter.is_level) == found


def test_patterns_mean_what_this_machine_counts(monkeypatch):
    monkeypatch.setattr(PerfEvent, "refusal", lambda event: 0 if event.config in (1, 2) else 2)

    assert [str(counter) for counter in SoftwareSource().counters("*:u")] == [
        "software:page-faults:u",
        "software:task-clock:u",
    ]
    with pytest.raises(NotFound, match="no software event matches 'software:cpu\\*'"):
        SoftwareSource().counters("cpu*")


def test_a_pattern_where_there_is_nothing(monkeypatch):
    monkeypatch.setattr(PerfEvent, "refusal", lambda _event: 2)

    with pytest.raises(NotSupported, match="no cache event can be counted: this machine has no hardware counters"):
        CacheSource().counters("*")


def test_why_not():
    (counter,) = HardwareSource().counters("cycles")

    assert counter.reason(2).startswith(("this machine has no hardware counters", "its CPUs have no such counter"))


def test_timers_are_no_counters():
    assert isinstance(SoftwareSource(), Countable)
    assert not isinstance(ProfileSource(), Countable)
