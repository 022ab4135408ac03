"""What a profile tells, in bpftool's words."""

from __future__ import annotations

from bpfctl.attach.profile import METRICS, Reading, Value
from bpfctl.views import profile

CYCLES, INSTRUCTIONS, LOADS, LLC, *_, CLOCK = METRICS


def test_plain():
    """Columns as wide as bpftool's, with the blanks behind them; a share where counters were shared."""
    reading = Reading(
        3,
        (Value(CYCLES, 1000, 50, 50), Value(INSTRUCTIONS, 2500, 50, 25), Value(LLC, 1, 3, 3), Value(CLOCK, 100, 9, 9)),
    )

    assert list(profile.plain(reading)) == [
        "",
        "                 3 run_cnt             ",
        "              1000 cycles                                                       ",
        "              2500 instructions        #     2.50 insns per cycle               (50.00%)",
        "                 1 llc_misses          #   400.00 LLC misses per million insns  ",
        "               100 cpu_clock           #    33.33 ns per run                    ",
    ]


def test_nothing_to_divide_by():
    for reading in (
        Reading(0, (Value(INSTRUCTIONS, 7, 1, 1),)),
        Reading(1, (Value(CYCLES, 0, 1, 1), Value(INSTRUCTIONS, 7, 1, 1))),
    ):
        assert list(profile.plain(reading))[-1] == f"{7:18} {'instructions':<20}{'':41}"


def test_json():
    reading = Reading(3, (Value(LOADS, 10, 50, 49),))

    assert profile.json(reading) == [{"metric": "l1d_loads", "run_cnt": 3, "value": 10, "enabled": 50, "running": 49}]
