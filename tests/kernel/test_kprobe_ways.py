"""Each way to functions of the kernel, alone: what is counted there is what a process has really done."""

from __future__ import annotations

import json
import os
import signal

import pytest

from bpfctl.attach.cookie import has_cookies
from bpfctl.errors import KernelError, UsageError
from bpfctl.kernel.tracefs import Tracefs
from bpfctl.probe.actions.count import Count
from tests.kernel import command
from tests.kernel.facts import needs
from tests.kernel.probing import probing, until

pytestmark = pytest.mark.usefixtures("kprobes")
SIZE = 12347  # that nobody else reads at once
READ, WRITE = "vfs_read", "vfs_write"
WAYS = ("multi-kprobe link", "perf event", "tracefs event")
OURS = f"pid == {os.getpid()}"


def moves(count):
    with open("/dev/zero", "rb", buffering=0) as source, open("/dev/null", "wb", buffering=0) as sink:
        for _ in range(count):
            os.write(sink.fileno(), os.read(source.fileno(), SIZE))


def events(pid=None):
    """Return the events that a process has made, if not another this one."""
    with Tracefs.open() as files:
        return [line for line in files.read("kprobe_events").splitlines() if f":bpfctl_{pid or os.getpid()}_" in line]


def cleaned(pid):
    """Clean up, and return what there was of this process; others may have left something too."""
    return [row for row in json.loads(command.run("-j", "probe", "clean").stdout) if row["pid"] == pid]


@pytest.fixture(params=WAYS)
def way(request):
    """Return one of the ways; those that the kernel lacks are skipped."""
    if request.param == WAYS[0]:
        needs("func:kprobe_multi_link_handler", "multi-kprobe links (Linux 5.18, CONFIG_FPROBE)")
    return request.param


@pytest.mark.parametrize(("kind", "field"), [("kprobe", "arg2"), ("kretprobe", "retval")])
def test_each_way_counts_the_same(way, kind, field):
    counts = Count((field,))
    with probing(counts, f"{kind}:{READ}", where=f"{OURS} && {field} == {SIZE}", way=way) as run:
        moves(500)

        assert [made.group.way for made in run.made] == [way]
        assert [(row.values, row.hits) for row in counts.rows()] == [((SIZE,), 500)]
        assert len(events()) == (way == "tracefs event")
    assert not events()


def test_several_functions_by_each_way(way):
    """One program is told by a cookie where it is; before Linux 5.15 each function has one of its own."""
    counts = Count()
    specs = (f"kprobe:{READ}", f"kprobe:{WRITE}")
    with probing(counts, *specs, where=f"{OURS} && arg2 == {SIZE}", way=way[:-1]) as run:
        moves(200)

        assert len(run.made) == (1 if has_cookies() else 2)
        assert sorted((row.values, row.hits) for row in counts.rows()) == [((spec,), 200) for spec in specs]
    assert not events()


def test_a_way_that_there_is_not():
    there = ", ".join(WAYS if has_cookies() else WAYS[1:])
    with (
        pytest.raises(UsageError, match=f"kprobe:{READ} cannot be attached as 'uprobe', but as: {there}$"),
        probing(Count(), f"kprobe:{READ}", where="1", way="uprobe"),
    ):
        pass
    with (
        pytest.raises(UsageError, match=r"cannot be attached as 'multi', but as: perf event, tracefs event$"),
        probing(Count(), f"kprobe:{READ}+4", where="1", way="multi"),
    ):
        pass


def test_a_place_inside_an_instruction_by_an_event():
    with (
        pytest.raises(KernelError, match=f"can't attach to {READ}\\+1: .*no instruction begins there"),
        probing(Count(), f"kprobe:{READ}+1", where="1", way="tracefs"),
    ):
        pass
    assert not events()


def test_what_a_killed_bpfctl_leaves():
    """A count is killed while it runs; its event is told and removed, and the function can be probed as before."""
    with command.running("probe", "count", f"kprobe:{READ}", "--way", "tracefs") as process:
        assert until(lambda: len(events(process.pid)) == 1)
        assert cleaned(process.pid) == []
        assert len(events(process.pid)) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert [(row["at"], row["state"]) for row in cleaned(process.pid)] == [(READ, "removed")]
    assert not events(process.pid)


def test_show_tells_the_way():
    told = json.loads(command.run("-j", "probe", "show", f"kprobe:{READ}", "--way", "tracefs").stdout)

    assert told["attach"] == "tracefs event"


def test_rounds_leave_nothing():
    for _ in range(20):
        with probing(Count(), f"kprobe:{READ}", f"kretprobe:{READ}", where="1", way="tracefs"):
            pass
    assert not events()
