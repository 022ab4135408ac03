"""How specs of perf events are read: what they mean, and that nothing else than a sentence comes of a bad one."""

from __future__ import annotations

import re

import pytest
from bpfctl_perf.breakpoint import BreakpointSource
from bpfctl_perf.counter import CacheSource, HardwareSource, RawSource
from bpfctl_perf.fields import fields
from bpfctl_perf.software import SoftwareSource
from bpfctl_perf.timer import IntervalSource, ProfileSource
from bpfctl_perf.unit import UnitSource
from hypothesis import example, given
from hypothesis import strategies as st

from bpfctl.errors import NotFound, NotPermitted, NotSupported, UsageError
from bpfctl.plugin import KernelSymbols, PerfEvent, PerfType
from tests.unit.units import CPU, made

KALLSYMS = """\
ffffffff81000000 T _stext
ffffffff82001000 D jiffies
ffffffff81000100 t schedule.part.0
ffffffffa0000000 t helper\t[module]
"""

UNITS = {
    "software/type": "1\n",
    **CPU,
    "cpu/events/mem-loads.unit": "bytes\n",
    "cpu/events/mem-loads.scale": "64\n",
    "uncore_imc/type": "21\n",
    "uncore_imc/cpumask": "0,4-5\n",
    "uncore_imc/format/event": "config:0-7\n",
    "uncore_imc/events/reads": "event=0x04\n",
    "uncore_imc/events/reads.snapshot": "1\n",
    "uncore_imc/events/of": "event=?\n",
}


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    (tmp_path / "kallsyms").write_text(KALLSYMS)
    return made(UNITS, tmp_path, monkeypatch)


@pytest.fixture
def breakpoints(machine):
    source = BreakpointSource()
    source._symbols = KernelSymbols(str(machine / "kallsyms"))
    return source


@pytest.mark.parametrize(
    ("source", "target", "name", "event"),
    [
        (SoftwareSource(), "page-faults", "page-faults", PerfEvent(1, 2, 1)),
        (SoftwareSource(), "faults:1", "page-faults", PerfEvent(1, 2, 1)),
        (SoftwareSource(), "faults:100", "page-faults:100", PerfEvent(1, 2, 100)),
        (SoftwareSource(), "cs", "context-switches", PerfEvent(1, 3, 1)),
        (SoftwareSource(), "cpu", "cpu-clock", PerfEvent(1, 0, 1_000_000)),
        (SoftwareSource(), "bpf-output:7", "bpf-output:7", PerfEvent(1, 10, 7)),
        (HardwareSource(), "cpu-cycles", "cycles", PerfEvent(0, 0, 1_000_000)),
        (HardwareSource(), "backend-stalls:5", "stalled-cycles-backend:5", PerfEvent(0, 8, 5)),
        (CacheSource(), "L1-dcache-loads", "L1-dcache-loads", PerfEvent(3, 0, 1_000_000)),
        (CacheSource(), "L1-dcache-load-misses:9", "L1-dcache-load-misses:9", PerfEvent(3, 0x10000, 9)),
        (CacheSource(), "LLC-store-misses", "LLC-store-misses", PerfEvent(3, 0x10102, 1_000_000)),
        (CacheSource(), "node-prefetches", "node-prefetches", PerfEvent(3, 0x206, 1_000_000)),
        (CacheSource(), "iTLB-load-misses", "iTLB-load-misses", PerfEvent(3, 0x10004, 1_000_000)),
        (RawSource(), "0x01A8:50", "0x1a8:50", PerfEvent(4, 0x1A8, 50)),
        (RawSource(), "r1a8", "0x1a8", PerfEvent(4, 0x1A8, 1_000_000)),
        (ProfileSource(), "99", "99hz", PerfEvent(1, 0, 10_101_010)),
        (ProfileSource(), "hz:99", "99hz", PerfEvent(1, 0, 10_101_010)),
        (ProfileSource(), "5ms", "5ms", PerfEvent(1, 0, 5_000_000)),
        (ProfileSource(), "0.5s", "0.5s", PerfEvent(1, 0, 500_000_000)),
        (ProfileSource(), "us:100", "100us", PerfEvent(1, 0, 100_000)),
    ],
)
def test_what_specs_mean(source, target, name, event):
    assert source.event(target) == (name, event)


def test_an_interval_is_of_one_cpu():
    name, event = IntervalSource().event("s:2")

    assert name == "2s"
    assert event.period == 2_000_000_000
    assert len(event.cpus) == 1


def test_caches_have_only_what_perf_knows():
    """Nobody stores into what holds instructions."""
    names = set(CacheSource().targets())

    assert {"L1-icache-loads", "L1-icache-prefetches", "branch-load-misses", "dTLB-stores"} <= names
    assert not {"L1-icache-stores", "iTLB-stores", "branch-stores", "iTLB-prefetches"} & names
    assert len(names) == 2 * (3 + 2 + 3 + 3 + 1 + 1 + 3)


@pytest.mark.parametrize(
    ("target", "name", "config", "more"),
    [
        ("cpu/cycles/", "cpu/cycles/", 0x3C | 2 << 8 | 1 << 18 | 1 << 32, {}),
        ("cpu/cycles,edge=0/:70", "cpu/cycles,edge=0/:70", 0x3C | 2 << 8 | 1 << 32, {"period": 70}),
        ("cpu/event=0xf01/", "cpu/event=0xf01/", 0x01 | 0xF << 32, {}),
        ("cpu/umask=3,umask=5/", "cpu/umask=3,umask=5/", 5 << 8, {}),
        ("cpu/mem-loads,ldlat=9/", "cpu/mem-loads,ldlat=9/", 0xCD | 1 << 8, {"config1": 9}),
        ("cpu/config=7,config2=8/", "cpu/config=7,config2=8/", 7, {"config2": 8}),
        ("uncore_imc/reads/", "uncore_imc/reads/", 4, {"type": 21, "cpus": [0, 4, 5]}),
        ("uncore_imc/of,event=9/:1", "uncore_imc/of,event=9/:1", 9, {"type": 21, "cpus": [0, 4, 5], "period": 1}),
    ],
)
def test_units(target, name, config, more):
    """Fields are put together bit by bit, and later ones change those before them."""
    expected = PerfEvent(PerfType.RAW, config, 1_000_000)._replace(**more)

    assert UnitSource().event(target) == (name, expected)


@pytest.mark.parametrize(
    ("target", "error", "why"),
    [
        ("cpu", UsageError, "should be pmu:UNIT/EVENT/"),
        ("cpu/cycles", UsageError, "should be pmu:UNIT/EVENT/"),
        ("cpu/cycles/x", UsageError, "should be pmu:UNIT/EVENT/"),
        ("cpu/cycles/:", UsageError, "'' should be a count"),
        ("cpu//", UsageError, "an event, or FIELD=VALUE, is missing"),
        ("cpu/cycels/", NotFound, "unit 'cpu' has no event and no field 'cycels', did you mean 'cycles'?"),
        ("cpu/mem-loads.unit/", NotFound, "no event and no field 'mem-loads.unit'"),
        ("cpu/umask=256/", UsageError, "umask=256 does not fit into 8 bits"),
        ("cpu/umask=-1/", UsageError, "umask=-1 does not fit into 8 bits"),
        ("cpu/umask=red/", UsageError, "umask=red is no number"),
        ("cpu/umask=/", UsageError, "umask has no value"),
        ("cpu/config3=0x10000000000000000/", UsageError, "does not fit into 64 bits"),
        ("uncore_imc/of/", UsageError, "event must be given, such as event=1"),
        ("software/cs/", UsageError, "unit 'software' has probes of its own kind"),
        ("../x/", NotFound, "there is no unit '..'"),
    ],
)
def test_mistakes_about_units(target, error, why):
    with pytest.raises(error, match=re.escape(why)):
        UnitSource().event(target)


@pytest.mark.parametrize(
    "layout", ["", "config", "config:", "config:x", "config:0-64", "config:7-3", "config:1,1", "c:0"]
)
def test_a_format_that_makes_no_sense(machine, layout):
    """The kernel, or who plays it, may say anything."""
    (machine / "cpu/format/odd").write_text(layout)

    with pytest.raises(UsageError, match="unit 'cpu' tells no place for odd, but"):
        UnitSource().event("cpu/odd=0/")


def test_events_of_units_that_are_listed():
    """Those that a name alone makes; what only describes one is none, and software has a kind of its own."""
    assert list(UnitSource().targets()) == ["cpu/cycles/", "cpu/mem-loads/", "uncore_imc/reads/"]


@pytest.mark.parametrize(
    ("target", "name", "event"),
    [
        ("jiffies:8:w", "jiffies:8:w", (0xFFFFFFFF82001000, 8, 2)),
        ("jiffies+4:w", "jiffies+4:w", (0xFFFFFFFF82001004, 4, 2)),
        ("jiffies+0x1:1:wr", "jiffies+0x1:1:rw", (0xFFFFFFFF82001001, 1, 3)),
        ("schedule.part.0:x", "schedule.part.0:x", (0xFFFFFFFF81000100, 8, 4)),
        ("0x1001:8:x", "0x1001:x", (0x1001, 8, 4)),
        ("4096:2:r", "4096:2:r", (4096, 2, 1)),
    ],
)
def test_breakpoints(breakpoints, target, name, event):
    address, length, kind = event

    assert breakpoints.event(target) == (
        name,
        PerfEvent(5, 0, 1, config1=address, config2=length, bp_type=kind),
    )


@pytest.mark.parametrize(
    ("target", "error", "why"),
    [
        ("jiffies", UsageError, "should be breakpoint:ADDRESS[:LENGTH]:MODE"),
        ("jiffies:1:2:w", UsageError, "should be breakpoint:ADDRESS[:LENGTH]:MODE"),
        ("jiffies:", UsageError, "'' should be r, w, rw or x"),
        ("jiffies:rwx", UsageError, "'rwx' should be r, w, rw or x"),
        ("jiffies:3:w", UsageError, "3 is no length: there are 1, 2, 4 and 8"),
        ("jiffies+1:w", UsageError, "0xffffffff82001001 is no multiple of 4"),
        ("jiffie:w", NotFound, "the kernel proper names no symbol 'jiffie'"),
        ("helper:x", NotFound, "the kernel proper names no symbol 'helper'"),
        ("jiffies+0xfffffffffffffff0:1:w", UsageError, "is no address"),
        ("0xg:w", UsageError, "'0xg' is no address"),
        ("0x10000000000000000:w", UsageError, "is no address"),
        ("-4:w", UsageError, "'-4' is neither an address nor a symbol"),
    ],
)
def test_mistakes_about_breakpoints(breakpoints, target, error, why):
    with pytest.raises(error, match=re.escape(why)):
        breakpoints.event(target)


def test_a_kernel_that_keeps_its_addresses(machine):
    (machine / "kallsyms").write_text("0000000000000000 T _stext\n0000000000000000 D jiffies\n")
    source = BreakpointSource()
    source._symbols = KernelSymbols(str(machine / "kallsyms"))

    with pytest.raises(NotPermitted, match=r"keeps the addresses of its symbols to itself \(kernel.kptr_restrict\)"):
        source.event("jiffies:w")


SOURCES = (
    SoftwareSource(),
    HardwareSource(),
    CacheSource(),
    RawSource(),
    UnitSource(),
    BreakpointSource(),
    ProfileSource(),
    IntervalSource(),
)
_PIECES = st.sampled_from(
    [
        "",
        ":",
        "/",
        ",",
        "=",
        "+",
        "-",
        ".",
        "?",
        "cpu",
        "cycles",
        "event",
        "faults",
        "hz",
        "ms",
        "r",
        "w",
        "x",
        "0x",
        "0",
    ]
)


@given(st.sampled_from(SOURCES), st.one_of(st.text(max_size=30), st.lists(_PIECES, max_size=9).map("".join)))
@example(SOURCES[0], "faults:" + "9" * 5000)
@example(SOURCES[4], "cpu/event=" + "9" * 5000 + "/")
@example(SOURCES[4], "cpu/event=\ud800/")
@example(SOURCES[5], "9" * 5000 + ":w")
@example(SOURCES[5], "schedule+0xffffffffffffffff:1:w")
@example(SOURCES[6], "0.000000001hz")
@example(SOURCES[3], "r" + "f" * 5000)
def test_any_spec_is_an_event_or_a_sentence(source, target):
    """What is read once is read again, and means the same."""
    try:
        name, event = source.event(target)
    except (UsageError, NotFound, NotPermitted, NotSupported):
        return
    assert source.event(name) == (name, event)
    assert 0 < event.period < 1 << 63
    assert all(0 <= word < 1 << 64 for word in (event.config, event.config1, event.config2, event.config3))


def test_fields_lie_where_the_kernel_has_them():
    """struct bpf_perf_event_data is the registers, the period and the address; not all machines are known."""
    assert [field.name for field in fields("x86_64", with_address=True)] == ["ip", "user", "addr", "period"]
    assert [field.name for field in fields("aarch64", with_address=False)] == ["ip", "user", "period"]
    assert [field.name for field in fields("riscv64", with_address=True)] == ["ip", "addr", "period"]
    assert fields("z80", with_address=True) == []
