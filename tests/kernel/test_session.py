"""Several measurements at once from Python: each is exact, and nothing of them stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import bpfctl
from bpfctl.errors import NotFound, UsageError
from tests.kernel.probing import FORK, YIELD, is_attached

OURS = f"pid == {os.getpid()}"


def yields(count):
    for _ in range(count):
        os.sched_yield()


def test_all_at_once():
    """Counts, histograms and traces of the same hits tell the same."""
    with bpfctl.session(pid=os.getpid()) as session:
        counts = session.count(YIELD, by="pid,comm")
        tids = session.hist(YIELD, of="tid", by=["pid"])
        hits = session.trace(YIELD, fields="tid")
        yields(100)
        for one in (counts, tids, hits):
            one.stop()
        yields(100)
        comm = Path("/proc/self/comm").read_text(encoding="utf-8").removesuffix("\n")

        assert [{"pid": os.getpid(), "comm": comm, "count": 100}] == counts.records()
        assert [((os.getpid(),), 100)] == [(row.values, row.hits) for row in tids.rows()]
        assert [os.getpid()] * 100 == [record["tid"] for record in hits.records(seconds=1)]
        assert [(0, 0)] * 3 == [(one.lost(), one.missed()) for one in (counts, tids, hits)]


def test_what_begins_later_counts_later():
    """A measurement counts from its beginning on, and its time too."""
    with bpfctl.session() as session:
        first = session.count(YIELD, where=OURS)
        yields(10)
        second = session.count(YIELD, where=OURS)
        yields(10)

        assert [20, 10] == [one.round().hits for one in (first, second)]
        assert first.seconds > second.seconds


def test_records_are_those_of_the_command():
    """Records have the fields by name, and what was gathered."""
    with bpfctl.session() as session:
        sizes = session.hist(FORK, of="args.parent_pid", linear=(0, 10_000_000, 1_000_000), where=OURS)
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        (record,) = sizes.records()

        assert {"count", "mean", "below", "buckets"} == record.keys()
        assert 1 == record["count"]


def test_hits_that_are_there():
    """What has come can be taken without waiting, and a limit is one."""
    with bpfctl.session() as session:
        hits = session.trace(YIELD, where=OURS)
        yields(5)

        assert [] == list(session.trace(FORK).read())
        assert 5 == len(hits.read())
        yields(5)
        assert 3 == len(list(hits.hits(limit=3)))


@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        (NotFound, {"specs": ("tracepoint:sched:sched_swich",)}),
        (NotFound, {"specs": (YIELD,), "by": "nothing"}),
        (UsageError, {"specs": (YIELD,), "where": "pid =="}),
        (UsageError, {"specs": ("nonsense",)}),
    ],
)
def test_a_mistake_ends_nothing_else(error, wrong):
    """What is wrong with one measurement leaves those that were begun before at work."""
    with bpfctl.session() as session:
        counts = session.count(YIELD, where=OURS)
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(error):
            session.count(*wrong.pop("specs"), **wrong)
        yields(7)

        assert before == len(os.listdir("/proc/self/fd"))
        assert 7 == counts.round().hits


def test_the_points_of_a_pattern():
    """A measurement tells which points it has."""
    with bpfctl.session() as session:
        counts = session.count("tracepoint:syscalls:sys_enter_sched_y*")

        assert [YIELD] == [str(point) for point in counts.points]
        assert {} == counts.left_out


def test_nothing_stays():
    """A session that is closed leaves no descriptor and no program, though its measurements are still held."""
    before = len(os.listdir("/proc/self/fd"))
    session = bpfctl.session()
    kept = [session.count(YIELD), session.trace(YIELD), session.hist(YIELD, of="tid")]
    assert is_attached(os.getpid())
    session.close()

    assert 3 == len(kept)
    assert before == len(os.listdir("/proc/self/fd"))
    assert not is_attached(os.getpid())
