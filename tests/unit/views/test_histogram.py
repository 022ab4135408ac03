"""How the numbers of histograms are told."""

from __future__ import annotations

import pytest

from bpfctl.probe.histograms import Bucket, Histogram
from bpfctl.views.histogram import BOARD, Round


@pytest.mark.parametrize(
    ("mean", "told"),
    [(0.0, "0"), (643.25, "643.2"), (-7.5, "-7.5"), (161234.5, "161234"), (4e18, "4000000000000000000")],
)
def test_a_mean_has_no_exponent(mean, told):
    rows = [Histogram((), 2, mean, (Bucket(4, 8, 2),))]

    first, *_ = BOARD.plain(Round(1.5, 2.0, "ret", (), rows, [()], 1, 2, 0, 0))

    assert first == f"ret: 2 hits, mean {told}, 50 % below 8, 90 % below 8, 99 % below 8"
