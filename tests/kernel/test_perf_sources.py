"""Perf events as probes on the running kernel: what fires is what a process has really done."""

from __future__ import annotations

import mmap
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from bpfctl.errors import KernelError, NotFound, NotSupported, UsageError
from bpfctl.host import pmu
from bpfctl.host.cpus import online
from bpfctl.host.kallsyms import Symbols as KernelSymbols
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.session import Probing, Wanted
from bpfctl.probe.sources import Sources
from tests.kernel.command import ENVIRONMENT
from tests.kernel.probing import CYCLES, has_counter, named, probing, read, switches, until

PAGE = mmap.PAGESIZE
IN_A_GUEST = Path("/run/bpfctl-vm").exists()


def waits(child):
    """Return whether it has left the CPU, waiting for what it is told next."""
    with open(f"/proc/{child.pid}/syscall") as file:
        return file.read().split()[0] != "running"


def total(counts):
    return sum(row.hits for row in counts.rows())


def hits_of(counts):
    """Return how often each probe was hit, or whatever else was counted."""
    return {row.values[0]: row.hits for row in counts.rows()}


@pytest.mark.parametrize("spec", ["software:page-faults", "software:faults:1", "software:minor-faults:1"])
def test_page_faults_are_exact(child, spec):
    """A fault for each fresh page, and the address is in it."""
    start = child.does("maps", 500)
    counts = Count(("addr",))
    with probing(counts, spec, where=f"pid == {child.pid} && addr >= {start} && addr < {start + 500 * PAGE}"):
        child.does("touches", 500)
        child.does("touches", 500)

        assert sorted((row.values[0], row.hits) for row in counts.rows()) == [
            (start + page * PAGE, 1) for page in range(500)
        ]


def test_every_nth(child):
    """On each CPU, so of one no more than an interval may still be open; others that fault there have their share."""
    os.sched_setaffinity(child.pid, {min(os.sched_getaffinity(child.pid))})
    child.does("maps", 1000)
    counts = Count(("pid",))
    with probing(counts, "software:page-faults:10"):
        child.does("touches", 1000)

        assert total(counts) >= 1000 // 10 - 1
        assert hits_of(counts)[child.pid] < 1000 // 2


def test_context_switches_are_those_of_proc(child):
    counts = Count(("pid",))
    with probing(counts, "software:cs", where=f"tid == {child.pid}"):
        child.does("sleeps", 1)
        assert until(lambda: waits(child))
        before = switches(child.pid) - total(counts)
        child.does("sleeps", 200)

        assert until(lambda: switches(child.pid) - total(counts) == before)
        assert total(counts) >= 200


def test_what_is_read_at_a_fault(child):
    start = child.does("maps", 3)
    hits = Trace()
    where = f"pid == {child.pid} && addr >= {start} && addr < {start + 3 * PAGE}"
    with probing(hits, "software:page-faults", where=where) as run, hits.reader() as reader:
        child.does("touches", 3)
        run.stop()
        found = read(hits, reader, 3)
    rows = named(found)

    assert [row["args.addr"] for row in rows] == [start, start + PAGE, start + 2 * PAGE]
    assert {(row["pid"], row["args.user"], row["args.period"]) for row in rows} == {(child.pid, 1, 1)}
    with open(f"/proc/{child.pid}/maps") as file:
        spans = [line.split()[:2] for line in file]
    code = [[int(end, 16) for end in span.split("-")] for span, mode in spans if "x" in mode]
    assert all(any(low <= row["args.ip"] < high for low, high in code) for row in rows)


def test_profile_sees_who_runs(child):
    """On each CPU, whoever runs there; the one that has nothing else to do is among them."""
    counts = Count(("pid", "comm", "cpu"))
    with probing(counts, "profile:999hz"):
        comm = Path(f"/proc/{child.pid}/comm").read_text().strip()

        def seen():
            child.does("spins", 100_000)
            rows = counts.rows()
            cpus = {row.values[2] for row in rows}
            return cpus == {*online()} and (child.pid, comm) in {row.values[:2] for row in rows}

        assert until(seen)


@pytest.mark.skipif(not IN_A_GUEST, reason="CPUs of a machine that others use stay on")
@pytest.mark.skipif(len(online()) < 2, reason="a machine with one CPU cannot do without it")
def test_a_cpu_may_go_and_come_back():
    """The others go on, new probes pass it over, and nothing fails."""
    switch = Path(f"/sys/devices/system/cpu/cpu{online()[-1]}/online")
    counts, later = Count(("cpu",)), Count(("cpu",))
    try:
        with probing(counts, "profile:99hz"):
            assert until(lambda: {row.values[0] for row in counts.rows()} == {*online()})
            switch.write_text("0")
            before = total(counts)
            assert until(lambda: total(counts) > before + 10)
            with probing(later, "profile:99hz"):
                assert until(lambda: {row.values[0] for row in later.rows()} == {*online()})
            switch.write_text("1")
            before = total(counts)
            assert until(lambda: total(counts) > before + 10)
    finally:
        switch.write_text("1")


def test_interval_is_of_one_cpu():
    hits = Trace(("cpu", "args.period"))
    with probing(hits, "interval:20ms") as run, hits.reader() as reader:
        found = read(hits, reader, 5)
        run.stop()

    assert {hit.values for hit in found} == {(online()[0], 20_000_000)}
    assert len(found) == 5
    assert all(later.time - earlier.time >= 10_000_000 for earlier, later in pairwise(found))


def test_breakpoint_on_data(child):
    """Each write is seen, and with rw each read; what lies beside it is not."""
    place = child.does("where")
    for spec, wrote, seen in ((f"{place:#x}:8:w", 300, 0), (f"{place}:8:rw", 300, 400), (f"{place + 8:#x}:8:rw", 0, 0)):
        counts = Count(("addr",))
        with probing(counts, f"breakpoint:{spec}", where=f"pid == {child.pid}"):
            child.does("writes", 300)
            assert total(counts) == wrote
            child.does("reads", 400)
            assert total(counts) == wrote + seen
            assert {row.values[0] for row in counts.rows()} <= {place}


def test_breakpoint_on_code(child):
    place = child.does("function")
    counts = Count(("ip", "user"))
    with probing(counts, f"breakpoint:{place:#x}:x", where=f"pid == {child.pid}"):
        child.does("calls", 250)

        assert [(row.values, row.hits) for row in counts.rows()] == [((place, 1), 250)]


def test_breakpoint_on_a_function_of_the_kernel(child):
    """Where kprobes may be, breakpoints may: each call is seen there."""
    symbol = {"x86_64": "__x64_sys_getppid", "aarch64": "__arm64_sys_getppid"}[os.uname().machine]
    spec = f"breakpoint:{symbol}:x"
    if not Path("/sys/bus/event_source/devices/kprobe").exists():
        with pytest.raises(
            NotSupported, match=f"{spec} cannot be probed: the kernel can be stopped only where kprobes can"
        ):
            Sources().resolve([spec])
        return
    counts = Count(("user",))
    with probing(counts, spec, where=f"pid == {child.pid}"):
        child.does("calls", 250)
        ((values, hits),) = ((row.values, row.hits) for row in counts.rows())

    assert values == (0,)
    if os.uname().machine == "aarch64":  # where an interrupt can come before the step over it, and it is hit again
        assert 250 <= hits < 500
    else:
        assert hits == 250


def test_breakpoint_on_a_variable_of_the_kernel():
    """The tick writes it, if the kernel tells where it is."""
    spec = "breakpoint:jiffies:8:w"
    if KernelSymbols().address("jiffies") is None:
        with pytest.raises(NotFound, match=r"the kernel proper names no symbol 'jiffies' .*CONFIG_KALLSYMS_ALL"):
            Sources().resolve([spec])
        return
    counts = Count(("user",))
    with probing(counts, spec):
        assert until(lambda: total(counts) > 10)
        assert {row.values for row in counts.rows()} == {(0,)}


def test_registers_of_breakpoints_are_few(child):
    """A processor has four or a few more; where they are used up the error says so, and nothing is left of the rest."""
    place = child.does("where")
    specs = [f"breakpoint:{place + 8 * number:#x}:8:w" for number in range(64)]
    with ExitStack() as held, pytest.raises(KernelError, match="all breakpoints of a CPU are in use"):
        [held.enter_context(probing(Count(), spec)) for spec in specs]


def test_several_events_at_once(child):
    """Each has a program of its own."""
    child.does("maps", 50)
    counts = Count()
    where = f"pid == {child.pid} && (user == 0 || ip)"
    with probing(counts, "software:page-faults", "software:dummy", "profile:1999hz", "software:*-faults", where=where):
        child.does("touches", 50)
        assert until(lambda: child.does("spins", 1000) and hits_of(counts).get("profile:1999hz"))
        hits = hits_of(counts)

    assert hits["software:page-faults"] == hits["software:minor-faults"] + hits.get("software:major-faults", 0) >= 50
    assert "software:dummy" not in hits or hits["software:dummy"] == 0


@pytest.mark.parametrize(
    ("spec", "error", "why"),
    [
        ("software:falts", NotFound, "there is no software event 'falts', did you mean 'faults'"),
        ("software:page-faults:0", UsageError, "'0' should be a count, from 1 to"),
        ("software:page-faults:", UsageError, "'' should be a count"),
        ("software:nothing*", NotFound, "no software event matches 'nothing*'"),
        ("profile:0", UsageError, "it can fire every 10us at most"),
        ("profile:1us", UsageError, "it can fire every 10us at most"),
        ("profile:fast", UsageError, "'profile:fast' should be a time or a rate, such as profile:99hz"),
        ("interval:5", UsageError, "'interval:5' should be a time or a rate, such as interval:1s"),
        ("breakpoint:0x1000", UsageError, "'breakpoint:0x1000' should be breakpoint:ADDRESS[:LENGTH]:MODE"),
        ("breakpoint:0x1001:w", UsageError, "0x1001 is no multiple of 4"),
        ("breakpoint:nosuchsymbol_:w", NotFound, "the kernel proper names no symbol 'nosuchsymbol_'"),
        ("pmu:nosuch/x/", NotFound, "there is no unit 'nosuch'"),
        ("pmu:software/x/", UsageError, "unit 'software' has probes of its own kind"),
        ("hardware:cylces", NotFound, "there is no hardware event 'cylces', did you mean 'cycles'"),
        ("cache:L1-dcache", NotFound, "there is no event of a cache 'L1-dcache', did you mean 'L1-dcache-"),
        ("raw:cycles", UsageError, "'raw:cycles' should be a number of 64 bits, such as raw:0x1a8"),
    ],
)
def test_mistakes(spec, error, why):
    with pytest.raises(error, match=re.escape(why)) as caught:
        Sources().resolve([spec])
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(has_counter(CYCLES), reason="this machine has hardware counters")
@pytest.mark.parametrize("spec", ["hardware:cycles", "hardware:*", "cache:LLC-loads", "raw:0x3c"])
def test_a_machine_without_counters_says_so(spec):
    with pytest.raises(NotSupported, match="this machine has no hardware counters, as most virtual machines have none"):
        Sources().resolve([spec])


@pytest.mark.skipif(not has_counter(CYCLES), reason="this machine has no hardware counters")
def test_cycles_are_of_who_spins(child):
    """By the name that all CPUs share, and by that of the CPUs' own unit."""
    sources = Sources()
    named = [str(point) for point in sources.of("pmu").discover("*") if "cycles" in point.target]
    assert named
    for spec in ("hardware:cycles:100000", named[0]):
        counts = Count(("pid", "user"))
        with probing(counts, spec):
            assert until(partial(_is_seen, counts, child))


def _is_seen(counts, child):
    child.does("spins", 10_000)
    return (child.pid, 1) in {row.values for row in counts.rows()}


@pytest.mark.skipif(not has_counter(CYCLES), reason="this machine has no hardware counters")
def test_what_a_machine_with_counters_lacks():
    """What is listed can be had, and of the rest each says why not."""
    sources = Sources()
    for kind in ("hardware", "cache"):
        source = sources.of(kind)
        try:
            listed = {point.target for point in source.discover("*")}
        except NotSupported:
            listed = set()
        for target in source.targets():
            if target in listed:
                assert [point.target for point in source.resolve(target)] == [target]
            else:
                with pytest.raises(NotSupported, match=f"{kind}:{target} cannot be probed: its CPUs"):
                    source.resolve(target)


@pytest.mark.skipif(not Path(pmu.DEVICES, "msr").exists(), reason="this machine has no unit 'msr'")
def test_a_unit_that_only_counts():
    with pytest.raises(
        NotSupported, match="pmu:msr/tsc/ cannot be probed: its unit can be counted, but never interrupts"
    ):
        Sources().resolve(["pmu:msr/tsc/"])
    with pytest.raises(NotSupported, match="pmu:msr/event=0x77/ cannot be probed: its unit has no such event"):
        Sources().resolve(["pmu:msr/event=0x77/"])


def test_what_is_listed_can_be_probed():
    """Of software events and timers, which every machine has."""
    sources = Sources()
    for kind in ("software", "profile", "interval"):
        points = list(sources.of(kind).discover("*"))
        assert points
        assert list(sources.resolve(map(str, points))) == points
    assert {"software:page-faults", "software:context-switches"} <= {
        str(point) for point in sources.of("software").discover("*")
    }


def test_who_may_not_is_told_what_it_takes():
    """What perf_event_paranoid forbids is listed, since it is there, and refused with the reason."""
    paranoid = Path("/proc/sys/kernel/perf_event_paranoid").read_text().strip()
    if int(paranoid) <= 0:
        pytest.skip(f"kernel.perf_event_paranoid is {paranoid} here, which lets everybody")
    script = """
import sys
from bpfctl.errors import KernelError
from bpfctl.probe.sources import Sources
sources = Sources()
print(len(list(sources.of("software").discover("*faults"))))
try:
    sources.resolve(["software:page-faults"])
except KernelError as error:
    print(error)
"""
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-P", "-c", script]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[0] == "5"
    assert done.stdout.splitlines()[1] == (
        "can't open software:page-faults: Permission denied "
        f"(it needs CAP_PERFMON: run it as root; kernel.perf_event_paranoid is {paranoid})"
    )


def test_rounds_leave_nothing():
    """Neither a program, nor a link, nor a perf event."""
    sources = Sources()
    wanted = Wanted(sources.resolve(["software:dummy", "profile:99hz"]))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        with Count() as counts, Probing(sources, wanted, counts):
            assert len(os.listdir("/proc/self/fd")) >= before + 2 * (1 + len(online()))
    assert len(os.listdir("/proc/self/fd")) == before
