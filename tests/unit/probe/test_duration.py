"""Times as people read them."""

from __future__ import annotations

import pytest

from bpfctl.probe.duration import spell


@pytest.mark.parametrize(
    ("nanoseconds", "told"),
    [
        (0, "0 ns"),
        (1, "1 ns"),
        (999, "999 ns"),
        (1024, "1.02 us"),
        (65536, "65.5 us"),
        (999_999, "1 ms"),
        (1 << 20, "1.05 ms"),
        (10**9, "1 s"),
        (90 * 10**9, "90 s"),
        (1 << 63, "9223372037 s"),
    ],
)
def test_in_the_unit_that_suits(nanoseconds, told):
    assert spell(nanoseconds) == told


@pytest.mark.parametrize(
    ("unit", "told"), [("ns", "1500000 ns"), ("us", "1500 us"), ("ms", "1.5 ms"), ("s", "0.0015 s")]
)
def test_in_a_given_unit(unit, told):
    assert spell(1_500_000, unit) == told
