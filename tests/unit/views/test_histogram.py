"""Histograms in words."""

from __future__ import annotations

import pytest

from bpfctl.probe.histograms import Bucket, Histogram
from bpfctl.views.histogram import BOARD, Round


@pytest.mark.parametrize(
    ("mean", "word"),
    [(0.0, "0"), (643.25, "643.2"), (-7.5, "-7.5"), (161234.5, "161234"), (4e18, "4000000000000000000")],
)
def test_a_mean_has_no_exponent(mean, word):
    rows = [Histogram((), 2, mean, (Bucket(4, 8, 2),))]

    first, *_ = BOARD.plain(Round(1.5, 2.0, "ret", (), rows, [()], 1, 2, 0, 0))

    assert first == f"ret: 2 hits, mean {word}, 50 % below 8, 90 % below 8, 99 % below 8"


def told(*buckets, spell=None):
    """Return a round of one histogram."""
    hits = sum(bucket.hits for bucket in buckets)
    row = Histogram(("cat",), hits, 2.5, buckets)
    return Round(1.5004, 2.0004, "retval", ("comm",), [row], [["cat"]], 1, hits, 0, 0, spell=spell)


@pytest.mark.parametrize(
    ("low", "below", "shown"),
    [
        (None, 0, "(..., 0)"),
        (0, 1, "[0]"),
        (1, 2, "[1]"),
        (2, 4, "[2, 4)"),
        (1023, 1024, "[1023]"),
        (1024, 2048, "[1K, 2K)"),
        (1 << 20, 3 << 20, "[1M, 3M)"),
        (-1, 0, "[-1]"),
        (5, None, "[5, ...)"),
    ],
)
def test_ranges(low, below, shown):
    """Of one number, of several, or without an end."""
    assert any(line.lstrip().startswith(f"{shown} ") for line in BOARD.plain(told(Bucket(low, below, 3))))


def test_ranges_of_what_is_spelled():
    """Time goes on between two numbers."""
    assert "[1 ns, 2 ns)" in "".join(BOARD.plain(told(Bucket(1, 2, 3), spell=lambda time: f"{time:.0f} ns")))


def test_json():
    assert BOARD.json(told(Bucket(2, 4, 3), Bucket(4, 8, 1))) == {
        "time": 1.5,
        "seconds": 2.0,
        "of": "retval",
        "histograms": [
            {
                "comm": "cat",
                "count": 4,
                "mean": 2.5,
                "below": {"50": 4, "90": 8, "99": 8},
                "buckets": [{"from": 2, "below": 4, "count": 3}, {"from": 4, "below": 8, "count": 1}],
            }
        ],
        "left_out": 0,
        "hits": 4,
        "lost": 0,
        "missed": 0,
    }
