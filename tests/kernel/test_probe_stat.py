"""Counters count what was really done: exactly what the kernel counts one by one, and times within their bounds."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from bpfctl.attach.counter import Place
from bpfctl.errors import KernelError, NotFound, NotSupported, UsageError
from bpfctl.host import pmu
from bpfctl.host.cpus import online
from bpfctl.host.process import Process
from bpfctl.probe import counting
from bpfctl.probe.cgroup import open_folder
from bpfctl.probe.countable import groups
from bpfctl.probe.counting import Counters, Scope
from bpfctl.probe.sources import Sources
from bpfctl.probe.workload import Workload
from tests.build.called import called
from tests.build.stat_load import load
from tests.kernel.command import run
from tests.kernel.doer import spins
from tests.kernel.place import mounted
from tests.kernel.probing import CYCLES, has_counter, switches, until

GETPID = "tracepoint:syscalls:sys_enter_getpid"
FAULTS = "software:page-faults"
MOUNTS = mounted("cgroup2")
IN_A_GUEST = Path("/run/bpfctl-vm").exists()
SECOND = 10**9


@contextmanager
def steady():
    """Have programs lie at the same addresses in each run, so that they touch the same pages."""
    libc = ctypes.CDLL(None)
    before = libc.personality(0xFFFFFFFF)
    libc.personality(before | 0x0040000)  # ADDR_NO_RANDOMIZE
    try:
        yield
    finally:
        libc.personality(before)


def counted(specs, *does, together=False, **scope):
    """Count while a program does something; return the tallies, and how it has ended."""
    with Workload([load(), *map(str, does)]) as workload:
        if not scope or "each_cpu" in scope:
            scope = {**scope, "command": workload.pid}
        with Counters(groups(Sources(), specs, together=together), Scope(**scope)) as counters:
            counters.begin()
            workload.start()
            workload.wait()
            counters.end()
            return counters.read(), workload.ended


def steps(*arguments, **more):
    """Return what each counter has counted, by its name."""
    return {str(tally.counter): tally.steps for tally in counted(*arguments, **more)[0]}


def pages(count):
    """About so many page faults: a program faults in again what the kernel has taken back of its files meanwhile."""
    return pytest.approx(count, abs=16)


def test_fresh_pages():
    with steady():
        few, many, again = (steps([FAULTS], "pages", count)[FAULTS] for count in (500, 2500, 2500))

    assert many - few == pages(2000)
    assert again == pages(many)


def test_system_calls_are_exact():
    assert steps([GETPID], "asks", 12_345) == {GETPID: 12_345}


def test_threads_and_children_are_counted_too():
    assert steps([GETPID], "threads", 1000) == {GETPID: 4000}
    assert steps([GETPID], "children", 1000) == {GETPID: 3000}


def test_the_clock_is_cpu_time():
    """What was asked for, and no more than one thread can have had; what a hypervisor took away counts as had."""
    begun = time.monotonic()
    (tally,), _ = counted(["software:task-clock"], "spins", 300)

    assert tally.counter.unit == "msec"
    assert 270 <= tally.value <= 1000 * (time.monotonic() - begun)
    assert tally.share == 1


@pytest.mark.skipif(len(online()) < 2, reason="there is but one CPU")
def test_each_cpu_of_a_program():
    """On each CPU what was done there; together that is all, and nothing is scaled."""
    tallies, _ = counted([GETPID, "software:task-clock"], "moves", 700, each_cpu=True)
    asked = {tally.cpu: tally.steps for tally in tallies if str(tally.counter) == GETPID}

    assert asked == dict.fromkeys(os.sched_getaffinity(0), 700)
    assert all(tally.share > 0.999 for tally in tallies)


def test_cpus_of_a_machine():
    """What a program does is among what all do there."""
    (tally,), _ = counted([GETPID], "moves", 600, cpus=online())

    assert tally.steps >= 600 * len(os.sched_getaffinity(0))
    assert tally.cpu is None


def test_each_cpu_of_a_machine():
    """A clock that never stands still says how long it was asked."""
    with Counters(groups(Sources(), ["software:cpu-clock"]), Scope(each_cpu=True)) as counters:
        counters.begin()
        spins(1_000_000)
        counters.end()
        each = counters.read()

    assert [tally.cpu for tally in each] == online()
    assert all(tally.enabled == tally.running and abs(tally.steps - tally.enabled) < SECOND / 100 for tally in each)


def test_user_mode_and_the_kernel():
    """Fresh pages are touched in user mode alone; what the kernel itself touches, to start it, is the rest."""
    with steady():
        few = steps([FAULTS, f"{FAULTS}:u", f"{FAULTS}:k", f"{FAULTS}:ku"], "pages", 100)
        many = steps([FAULTS, f"{FAULTS}:u", f"{FAULTS}:k", f"{FAULTS}:ku"], "pages", 900)

    assert {name: many[name] - few[name] for name in many} == {
        FAULTS: pages(800),
        f"{FAULTS}:u": pages(800),
        f"{FAULTS}:k": pages(0),
        f"{FAULTS}:uk": pages(800),
    }
    assert many[FAULTS] == many[f"{FAULTS}:u"] + many[f"{FAULTS}:k"] == many[f"{FAULTS}:uk"]


@pytest.mark.parametrize(("specs", "together"), [([f"{{{GETPID},faults,cs}}"], False), ([GETPID, "faults,cs"], True)])
def test_a_group_counts_at_the_same_times(specs, together):
    with steady():
        alone = steps([GETPID, FAULTS], "asks", 777, "pages", 300)
        tallies, _ = counted(specs, "asks", 777, "pages", 300, together=together)

    assert [tally.steps for tally in tallies[:2]] == [777, pages(alone[FAULTS])]
    assert len({(tally.enabled, tally.running) for tally in tallies}) == 1
    assert tallies[0].enabled > 0


def test_a_breakpoint(child):
    place = child.does("where")
    with Counters(groups(Sources(), [f"breakpoint:{place:#x}:8:w"]), Scope(Process(child.pid))) as counters:
        counters.begin()
        child.does("writes", 250)
        assert [tally.steps for tally in counters.read()] == [250]


@pytest.fixture
def worker():
    with called(load()) as process:
        process.does("asks", 1)
        yield process


def test_switches_are_those_that_the_kernel_accounts_for(worker):
    with Counters(groups(Sources(), ["cs"]), Scope(Process(worker.pid))) as counters:
        before = switches(worker.pid)
        counters.begin()
        begun = switches(worker.pid)
        worker.does("sleeps", 200)
        inside = switches(worker.pid) - begun
        counters.end()
        around = switches(worker.pid) - before
        (tally,) = counters.read()

    assert 100 < inside <= tally.steps <= around


@pytest.mark.parametrize("each_cpu", [False, True])
def test_a_process_with_threads(worker, each_cpu):
    """Those that it starts later, and its children; what it did before is not counted, nor what it does afterwards."""
    worker.does("asks", 500)
    with Counters(groups(Sources(), [GETPID]), Scope(Process(worker.pid), each_cpu=each_cpu)) as counters:
        worker.does("asks", 500)
        counters.begin()
        worker.does("asks", 10)
        worker.does("threads", 100)
        worker.does("children", 1000)
        counters.end()
        worker.does("asks", 7777)
        tallies = counters.read()

    assert sum(tally.steps for tally in tallies) == 3410
    assert [tally.cpu for tally in tallies] == (online() if each_cpu else [None])


def test_threads_that_were_there_before():
    """Several threads of a process are counted, whichever of them works."""
    thread = "threading.Thread(target=lambda: os.read(0, 1) and os.getppid())"
    script = f"import os, threading\nfor _ in range(3): {thread}.start()\n"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, text=True) as process:
        assert until(lambda: len(os.listdir(f"/proc/{process.pid}/task")) == 4)
        asked = "tracepoint:syscalls:sys_enter_getppid"
        with Counters(groups(Sources(), [asked]), Scope(Process(process.pid))) as counters:
            assert len(counters._open) == 4
            counters.begin()
            process.communicate("abc")
            (tally,) = counters.read()

    assert tally.steps == 3
    with pytest.raises(NotFound, match="there is no process"):
        Process(process.pid)


def test_what_has_come_since(worker):
    with Counters(groups(Sources(), [GETPID]), Scope(Process(worker.pid))) as counters:
        counters.begin()
        found = []
        for count in (100, 0, 33):
            worker.does("asks", count)
            found += [tally.steps for tally in counters.read_more()]
        (whole,) = counters.read()

    assert found == [100, 0, 33]
    assert whole.steps == 133
    assert whole.is_counted


def test_who_did_not_run_has_counted_nothing(worker):
    """That is a number, unlike that of a counter which had no turn."""
    with Counters(groups(Sources(), ["cs"]), Scope(Process(worker.pid))) as counters:
        counters.begin()
        (tally,) = counters.read()

    assert (tally.is_counted, tally.steps, tally.enabled) == (True, 0, 0)
    assert not tally._replace(enabled=1000).is_counted


@pytest.fixture
def switched_on():
    """Have one controller at work below the root: without any, new cgroups lack perf_event too."""
    there, wanted = (MOUNTS[0] / name for name in ("cgroup.controllers", "cgroup.subtree_control"))
    found = [name for name in there.read_text().split() if not wanted.read_text().split()][:1]
    for name in found:
        wanted.write_text(f"+{name}")
    yield
    for name in found:
        wanted.write_text(f"-{name}")


@pytest.fixture
def cgroup(switched_on):
    """Make a cgroup with one in it."""
    del switched_on
    place = MOUNTS[0] / f"bpfctl-stat-{os.getpid()}"
    (place / "inner").mkdir(parents=True)
    yield place
    (place / "inner").rmdir()
    place.rmdir()


@pytest.mark.skipif(not MOUNTS, reason="no cgroups of version 2 are mounted")
def test_a_cgroup(cgroup):
    """Who is in it, or below it, and nobody else."""
    with (
        called(load()) as outside,
        called(load()) as inside,
        called(load()) as below,
        open_folder(str(cgroup)) as folder,
        Counters(groups(Sources(), [GETPID, f"{FAULTS}:u"]), Scope(cgroup=folder)) as counters,
    ):
        (cgroup / "cgroup.procs").write_text(str(inside.pid))
        (cgroup / "inner" / "cgroup.procs").write_text(str(below.pid))
        for process in (outside, inside, below):
            process.does("pages", 1)
        counters.begin()
        outside.does("asks", 5000)
        inside.does("asks", 300)
        below.does("asks", 40)
        outside.does("pages", 5000)
        inside.does("pages", 300)
        below.does("pages", 40)
        counters.end()
        asked, touched = (tally.steps for tally in counters.read())

    assert asked == 340
    assert 340 <= touched < 400


@pytest.mark.parametrize(
    ("does", "code"), [(("exits", 0), 0), (("exits", 3), 3), (("dies", 9), 137), (("dies", 15), 143)]
)
def test_how_a_command_ends(does, code):
    _, ended = counted([FAULTS], *does)

    assert ended.exit_code == code


@pytest.mark.skipif(has_counter(CYCLES), reason="this machine has hardware counters")
def test_a_machine_without_counters():
    """What stands alone is told as lacking; a group is refused, with the reason."""
    tallies, _ = counted(["cycles", FAULTS, "LLC-load-misses", "raw:0x3c", "r3c"], "asks", 1)

    assert [(str(tally.counter), bool(tally.refusal)) for tally in tallies] == [
        ("hardware:cycles", True),
        (FAULTS, False),
        ("cache:LLC-load-misses", True),
        ("raw:0x3c", True),
    ]
    with pytest.raises(
        NotSupported, match="cannot be counted as a group: hardware:cycles: this machine has no hardware"
    ):
        counted(["{faults,cycles}"], "asks", 1)

    with pytest.raises(NotSupported, match="no cache event can be counted: this machine has no hardware"):
        groups(Sources(), ["cache:*"])


@pytest.mark.skipif(not Path(pmu.DEVICES, "msr").exists(), reason="this machine has no unit 'msr'")
def test_a_unit_that_only_counts():
    """It never interrupts, so that it cannot be probed."""
    found = steps(["pmu:msr/tsc/", "msr/event=0x77/"], "spins", 20)

    assert found["pmu:msr/tsc/"] > 1_000_000
    assert found["pmu:msr/event=0x77/"] == 0  # there is none


@pytest.mark.parametrize(
    ("spec", "error", "why"),
    [
        ("cylces", NotFound, "did you mean 'cycles'?"),
        ("software:falts", NotFound, "did you mean 'faults'?"),
        ("nothing", NotFound, "nothing is counted by the name 'nothing'"),
        ("software:page-faults:7", UsageError, "a count is for what fires, and here everything is counted"),
        ("software:", UsageError, "'software:' names no event"),
        ("profile:99hz", UsageError, "is counted by a program alone: bpfctl probe count does that"),
        ("a,,b", UsageError, "an event is missing in 'a,,b'"),
        ("{faults", UsageError, "a group is written as {EVENT,EVENT,...}"),
        ("{}", UsageError, "an event is missing in '{}'"),
        ("{faults,{cs}}", UsageError, "a group is written as"),
        ("software:nothing*", NotFound, "no software event matches"),
        ("sched:nosuch", NotFound, "there is no tracepoint"),
    ],
)
def test_mistakes(spec, error, why):
    with pytest.raises(error) as caught:
        groups(Sources(), [spec])

    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_patterns_and_names():
    found = [
        str(counter) for group in groups(Sources(), ["sched:sched_process_for*", "cs,faults:u"]) for counter in group
    ]

    assert found == ["tracepoint:sched:sched_process_fork", "software:context-switches", "software:page-faults:u"]
    assert {str(counter) for (counter,) in groups(Sources(), ["software:*"])} >= {FAULTS, "software:task-clock"}


def test_a_cpu_that_is_not_there():
    with pytest.raises(NotFound, match="there is no CPU 99999 that runs"):
        Counters(groups(Sources(), [FAULTS]), Scope(cpus=[99999]))


def test_who_may_not_look_into_the_kernel_counts_in_user_mode(monkeypatch):
    """As perf does; where that is not allowed either the first refusal counts."""
    real = counting.Counting

    def refuse(group, place, *, modes):
        if not {counter.mode for counter in group} <= modes:
            raise PermissionError(13, "")
        return real(group, place)

    monkeypatch.setattr(counting, "Counting", lambda group, place: refuse(group, place, modes={"u"}))
    assert list(steps(["{faults,cs}", GETPID], "asks", 5)) == [
        "software:page-faults:u",
        "software:context-switches:u",
        f"{GETPID}:u",
    ]
    monkeypatch.setattr(counting, "Counting", lambda group, place: refuse(group, place, modes=set()))
    with pytest.raises(KernelError, match="can't count software:page-faults: Permission denied"):
        steps([FAULTS], "asks", 5)


def test_nothing_is_left_open():
    """Neither where all goes well, nor where the second of a group is refused."""
    (faults,), (other,) = groups(Sources(), ["faults", "cs"])
    nobody = other._replace(name="nobody", event=other.event._replace(config=9999))
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        counted([FAULTS, "{cs,faults:u}", GETPID], "exits", 0, each_cpu=True)
        with pytest.raises(NotSupported, match="cannot be counted as a group: nobody: this kernel has no such event"):
            Counters([(faults,), (faults, nobody)], Scope(each_cpu=True))
    assert os.listdir("/proc/self/fd") == before


def test_more_files_than_are_usual():
    """As many as the kernel lets this process have, and only meanwhile: what it starts has the usual number."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    usual = len(os.listdir("/proc/self/fd")) + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (usual, before[1]))
    try:
        with Counters(
            groups(Sources(), ["software:*", "software:*:u", "software:*:k"]), Scope(each_cpu=True)
        ) as counters:
            assert len(counters.read()) > 20
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (usual, before[1])
        asked = run("probe", "stat", "--repeat", "2", "software:*", "--", "sh", "-c", "ulimit -n")
        assert asked.stdout == f"{usual}\n" * 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_place():
    assert Place(7).is_task
    assert not Place(7, 0, is_cgroup=True).is_task
    assert not Place().is_task


@pytest.mark.skipif(not has_counter(CYCLES), reason="this machine has no hardware counters")
def test_cycles_of_who_is_busy():
    """Ten times as long takes many times as many; user mode and the kernel are all there is."""
    events = "{cycles,cycles:u,cycles:k,task-clock}"
    few, many = steps([events], "spins", 100), steps([events], "spins", 1000)

    assert many["hardware:cycles"] > 4 * few["hardware:cycles"] > 0
    for found in (few, many):
        parts = found["hardware:cycles:u"] + found["hardware:cycles:k"]
        assert 0.9 < parts / found["hardware:cycles"] < 1.1
        assert 0.05 < found["hardware:cycles"] / found["software:task-clock"] < 20  # GHz


@pytest.mark.skipif(not has_counter(CYCLES), reason="this machine has no hardware counters")
def test_more_events_than_counters():
    """They take turns, and are scaled: each comes near to what the clock says they all have counted."""
    modes = ("", ":u", ":k", ":uk")
    unit = next(name for name in pmu.units() if "cycles" in " ".join(pmu.events(name)))
    event = next(name for name in pmu.events(unit) if "cycles" in name and "bus" not in name)
    specs = [f"{name}{mode}" for name in ("hardware:cycles", f"pmu:{unit}/{event}/") for mode in modes]
    number = pmu.words(unit, event)["config"]
    specs += [f"raw:{number:#x}{mode}" for mode in modes]
    tallies, _ = counted([*specs, "software:task-clock"], "spins", 3000)
    *cycles, clock = tallies
    whole = [tally for tally in cycles if tally.counter.mode in ("", "uk")]

    assert clock.share == 1
    assert [tally for tally in cycles if tally.share < 0.95]
    assert all(tally.is_counted for tally in cycles)
    average = sum(tally.steps for tally in whole) / len(whole)
    assert all(0.5 < tally.steps / average < 2 for tally in whole)
    assert min(tally.share for tally in cycles) < 0.95


@pytest.mark.skipif(IN_A_GUEST and shutil.which("perf") is None, reason="guests of another architecture have no perf")
def test_perf_stat_says_the_same():
    names = ["page-faults", "minor-faults", "major-faults", "page-faults:u", "syscalls:sys_enter_getpid"]
    does = ["pages", "1500", "asks", "4321", "exits", "0"]
    # perf mounts a tracefs where there is none, and leaves it there.
    command = ["unshare", "-m", "perf", "stat", "-x,", "-e", ",".join(names), "--", load(), *does]
    with steady():
        counted(names, *does)
        ours = [tally.steps for tally in counted(names, *does)[0]]
        told = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True).stderr
    theirs = [int(line.split(",")[0]) for line in told.splitlines() if line[:1].isdigit()]

    *faults, asked = ours
    assert theirs == [*map(pages, faults), asked]
    assert asked == 4321
