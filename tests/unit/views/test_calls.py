"""What is said of calls whose time is not known."""

from __future__ import annotations

from bpfctl.probe.duration import spell
from bpfctl.probe.histograms import Bucket, Histogram
from bpfctl.probe.started import Tally
from bpfctl.views.calls import remarks_on_calls
from bpfctl.views.histogram import BOARD, Round

BUCKETS = (Bucket(1024, 2048, 1), Bucket(2048, 4096, 4))


def told(**more):
    rows = [Histogram(("sh",), 5, 2500.0, BUCKETS)]
    return Round(1.5, 2.0, "latency", ("comm",), rows, [("sh",)], 1, 5, 0, 0, noun="calls", **more)


def test_nothing_is_said_where_all_is_known():
    assert list(remarks_on_calls(Tally(5, 5, 0, 0, 0, 0, 0))) == []
    assert list(remarks_on_calls(Tally(5, 5, 0, 0, 0, 0, None))) == []


def test_each_number_is_told():
    found = list(remarks_on_calls(Tally(21, 6, 1, 2, 3, 4, 5)))

    assert [int(remark.split()[0]) for remark in found] == [1, 2, 3, 4, 5]


def test_times_are_spelled():
    lines = list(BOARD.plain(told(unit="ns", spell=spell, tally=Tally(6, 5, 1, 0, 0, 0, 0))))

    assert lines[0] == "comm=sh: 5 calls, mean 2.5 us, 50 % below 4.1 us, 90 % below 4.1 us, 99 % below 4.1 us"
    assert lines[1].startswith("[1.02 us, 2.05 us)  1  |")
    assert lines[-1] == "1 had not ended yet"


def test_numbers_of_one_unit():
    lines = list(BOARD.plain(told(unit="us", tally=Tally(5, 5, 0, 0, 0, 0, 0))))
    document = BOARD.json(told(unit="us", tally=Tally(5, 5, 0, 0, 0, 0, None)))

    assert lines[1].startswith("[1K, 2K)")
    assert document["unit"] == "us"
    assert document["calls"]["began_before"] is None
    assert document["histograms"][0]["buckets"][0] == {"from": 1024, "below": 2048, "count": 1}


def test_fields_that_are_called_as_members_have_their_whole_names():
    row = Histogram((7, 8, "sh"), 5, 2500.0, BUCKETS)
    round_ = Round(1.5, 2.0, "latency", ("count", "mean", "comm"), [row], [("7", "8", "sh")], 1, 5, 0, 0)
    shown = BOARD.json(round_)["histograms"][0]

    assert list(shown) == ["args.count", "args.mean", "comm", "count", "mean", "below", "buckets"]
    assert (shown["args.count"], shown["count"], shown["args.mean"], shown["mean"]) == (7, 5, 8, 2500.0)
