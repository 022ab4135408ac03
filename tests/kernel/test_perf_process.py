"""Perf events of one process: in all of its threads, those that start later too, and in nobody else."""

from __future__ import annotations

import sys

import pytest

from bpfctl.errors import NotFound
from bpfctl.host.process import Process
from bpfctl.probe.actions.count import Count
from bpfctl.probe.session import Probing, Wanted
from bpfctl.probe.sources import Sources
from bpfctl.probe.where import parse
from bpfctl.uapi.enums import ProgType
from tests.build.called import called
from tests.kernel import client
from tests.kernel.command import run, running
from tests.kernel.doer import maps, touches
from tests.kernel.probing import Own

PAGES = 100
EACH = "perf event in each thread"

#: Touches fresh pages in threads that were there before, in new ones, and in a child process.
_TOUCHING = """
import mmap, os, sys, threading, queue
def touch(count):
    memory = mmap.mmap(-1, count * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(15)
    for page in range(count):
        memory[page * mmap.PAGESIZE] = 1
def works():
    while (count := asked.get()):
        touch(count)
        done.put(count)
asked, done = queue.Queue(), queue.Queue()
for _ in range(3):
    threading.Thread(target=works, daemon=True).start()
for line in sys.stdin:
    what, number = line.split()
    count = int(number)
    if what == "old":
        for _ in range(3):
            asked.put(count)
        for _ in range(3):
            done.get()
    elif what == "new":
        for _ in range(3):
            thread = threading.Thread(target=touch, args=[count])
            thread.start()
            thread.join()
    elif what == "child":
        if not (pid := os.fork()):
            touch(count)
            os._exit(0)
        os.waitpid(pid, 0)
    elif what == "first":
        touch(count)
    print(count, flush=True)
"""
FAULTS = "software:page-faults"


@pytest.fixture
def toucher():
    with called(sys.executable, "-I", "-S", "-c", _TOUCHING) as process:
        for what in ("old", "new", "child", "first"):  # all that has to be there is, then
            process.does(what, 1)
        yield process


def faults_here():
    """Touch fresh pages in this process; memory of malloc(3) may have been there before."""
    maps(10 * PAGES)
    touches(10 * PAGES)


def counting(pid, spec=FAULTS, *, alone, by=("pid",)):
    sources = Sources(pid if alone else None)
    counts = Count(by)
    return counts, Probing(sources, Wanted(sources.resolve([spec]), parse(f"pid == {pid}")), counts)


def test_no_thread_is_missed_and_none_counted_twice(toucher):
    """It tells the same as an event on each CPU, whichever thread it is."""
    ours, run_ours = counting(toucher.pid, alone=True, by=("tid",))
    all_, run_all = counting(toucher.pid, alone=False, by=("tid",))
    with ours, run_ours, all_, run_all:
        assert [made.group.way for made in run_ours.made] == [EACH]
        for what in ("old", "new", "child", "first"):
            toucher.does(what, PAGES)
        run_ours.stop()
        run_all.stop()
        found, wanted = ({row.values: row.hits for row in counts.rows()} for counts in (ours, all_))

    assert sum(found.values()) >= 7 * PAGES
    assert found == wanted


def test_nobody_else_runs_the_program(toucher):
    """The program has no condition of its own here."""
    sources, counts = Sources(toucher.pid), Count(("pid",))
    with counts, Probing(sources, Wanted(sources.resolve([FAULTS])), counts):
        toucher.does("old", PAGES)
        faults_here()
        rows = counts.rows()

    assert [row.values for row in rows] == [(toucher.pid,)]


@pytest.mark.parametrize("spec", ["software:context-switches", "profile:999hz", "software:task-clock"])
def test_other_events(toucher, spec):
    counts, work = counting(toucher.pid, spec, alone=True)
    with counts, work:
        for _ in range(20):
            toucher.does("old", PAGES)

        assert sum(row.hits for row in counts.rows()) > 2


def test_a_timer_of_one_cpu_stays_there(toucher):
    counts, work = counting(toucher.pid, "interval:10ms", alone=True)
    with counts, work:
        assert [made.group.way.rpartition(" ")[0] for made in work.made] == ["perf event on CPU"]


def test_threads_of_the_kernel_have_events_too():
    kthreadd = 2
    sources = Sources(kthreadd)
    with Count() as counts, Probing(sources, Wanted(sources.resolve(["software:context-switches"])), counts) as work:
        assert [made.group.way for made in work.made] == [EACH]


def test_a_process_that_ends_meanwhile():
    with called(sys.executable, "-I", "-S", "-c", _TOUCHING) as process:
        sources = Sources(process.pid)
        points = sources.resolve([FAULTS])
    with Count() as counts, pytest.raises(NotFound, match=f"process {process.pid} has ended"):
        Probing(sources, Wanted(points), counts)


def test_threads_that_come_meanwhile_are_not_passed_over(toucher, monkeypatch):
    """All is done anew; where they never cease to come, the CPUs are looked at instead."""
    numbers = iter(range(10**9))
    threads = Process.threads
    monkeypatch.setattr(Process, "threads", lambda self: [*threads(self), 10**9 + next(numbers)])
    counts, work = counting(toucher.pid, alone=True)
    with counts, work:
        assert [made.group.way for made in work.made] == ["perf event on each CPU"]
        toucher.does("new", PAGES)

        assert sum(row.hits for row in counts.rows()) >= 3 * PAGES


def test_the_command_says_so(toucher):
    done = run("probe", "show", FAULTS, "-p", str(toucher.pid))

    assert f"    can be attached: as {EACH}" in done.stdout.splitlines()


def test_a_program_of_ones_own_runs_for_nobody_else(toucher, held):
    own = Own(held, ProgType.PERF_EVENT, client.own("own"))
    words = ["probe", "attach", FAULTS, "name", own.name, "-p"]
    with running(*words, str(toucher.pid)) as process:
        faults_here()
        assert EACH in process.stderr.readline()
        before = own.runs()
        faults_here()
        toucher.does("old", PAGES)
        after = own.runs()

    assert 3 * PAGES <= after - before < 4 * PAGES
    words[2] = "interval:1s"
    assert "interval:1s is attached in no process alone" in run(*words, str(toucher.pid)).stderr
    assert "interval:1s is attached in no process alone" in run(*words, "0").stderr


@pytest.mark.parametrize("spec", [FAULTS, "tracepoint:sched:sched_switch"])
def test_a_process_that_is_not_there(spec):
    assert run("probe", "count", spec, "-p", "4194304").stderr == "Error: there is no process 4194304\n"


def test_cpus_that_have_nothing_to_do_are_process_0():
    assert run("probe", "count", "profile:99hz", "-p", "0", "--duration", "0.1").returncode == 0
