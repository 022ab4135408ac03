"""What counters came to, in words, in JSON and in columns."""

from __future__ import annotations

import json

import pytest
from bpfctl_perf.counter import HardwareSource
from bpfctl_perf.software import SoftwareSource

from bpfctl.attach.counter import Counter
from bpfctl.attach.perf_event import Event
from bpfctl.probe.counting import Tally
from bpfctl.probe.ratio import Ratio
from bpfctl.probe.workload import Ended
from bpfctl.views.stat import BOARD, Line, Round, mean, section

(FAULTS,) = SoftwareSource().counters("page-faults")
(CLOCK,) = SoftwareSource().counters("task-clock")
(CYCLES,) = HardwareSource().counters("cycles:u")
ENERGY = Counter("pmu:power/energy-pkg/", Event(9, 2, 0), unit="Joules", scale=2.0**-32)


def line(counter, steps, ratio=None, cpu=None, **more):
    return Line(Tally(counter, cpu, steps, **{"enabled": 1000, "running": 1000, **more}), ratio and Ratio(*ratio))


ALL = Round(
    1.0,
    0.25,
    [
        line(CLOCK, 1_500_000, (0.006, "CPUs utilized")),
        line(FAULTS, 75_000, (75e3, "per second")),
        line(CYCLES, 3e9, (3e9, "per second"), running=600),
        line(ENERGY, 2**33, (8.0, "per second")),
        line(CYCLES, 0, running=0),
        line(FAULTS, 0, enabled=0, running=0, refusal=2),
    ],
    remarks=["not supported: nobody knows it"],
    is_sum=True,
)


def test_words():
    assert list(BOARD.plain(ALL)) == [
        "            1.50  msec    software:task-clock    # 0.006 CPUs utilized",
        "           75000          software:page-faults   # 75.000 K/s",
        "      3000000000          hardware:cycles:u      # 3.000 G/s            (60.0 %)",
        "            2.00  Joules  pmu:power/energy-pkg/  # 8.000 /s",
        "   <not counted>          hardware:cycles:u",
        " <not supported>          software:page-faults",
        "not supported: nobody knows it",
        "0.250 s elapsed",
    ]


def test_members():
    told = json.loads(json.dumps(BOARD.json(ALL)))

    assert [(row["count"], row["unit"], row["state"]) for row in told["counts"]] == [
        (1.5, "msec", "counted"),
        (75_000, "", "counted"),
        (3_000_000_000, "", "counted"),
        (2.0, "Joules", "counted"),
        (None, "", "not counted"),
        (None, "", "not supported"),
    ]
    assert told["counts"][2] == {
        "probe": "hardware:cycles:u",
        "count": 3_000_000_000,
        "unit": "",
        "state": "counted",
        "enabled": 1000,
        "running": 600,
        "ratio": 3e9,
        "ratio_unit": "per second",
    }
    assert (told["seconds"], told["sum"], told["remarks"]) == (0.25, True, ["not supported: nobody knows it"])


@pytest.mark.parametrize(
    ("unit", "scale", "count", "word"),
    [("", 1.0, 3, "3"), ("", 2.0, 6.0, "6.00"), ("", 0.5, 1.5, "1.50"), ("ms", 1.0, 3.0, "3.00")],
)
def test_what_is_counted_in_other_steps_than_one(unit, scale, count, word):
    """It is no whole number, even where it happens to be one."""
    told = Round(1.0, 1.0, [line(Counter("pmu:a/b/", Event(9, 2, 0), unit=unit, scale=scale), 3)])
    (row,) = BOARD.json(told)["counts"]

    assert (row["count"], type(row["count"])) == (count, type(count))
    assert next(BOARD.plain(told)).split()[0] == word


def test_columns():
    row = ALL.lines[2]
    shown = {column.title: column.get(row) for column in BOARD.columns(ALL)}

    assert shown == {
        "cpu": None,
        "count": "3000000000",
        "unit": None,
        "probe": "hardware:cycles:u",
        "rate": "3.000 G/s",
        "±": None,
        "of the time": "60.0 %",
    }
    assert section(ALL).title == BOARD.head(ALL) == "0.250 s elapsed"


def test_each_cpu():
    told = ALL._replace(lines=[line(FAULTS, 5, cpu=0), line(FAULTS, 7, cpu=11)], remarks=[])

    assert list(BOARD.plain(told))[:2] == [
        "CPU0                  5  software:page-faults",
        "CPU11                 7  software:page-faults",
    ]
    assert [row["cpu"] for row in BOARD.json(told)["counts"]] == [0, 11]


def test_the_mean_of_several_runs():
    runs = [
        Round(1.0, seconds, [line(FAULTS, steps)], is_sum=True, ended=Ended(code, 0.1 * steps, 0.01 * steps))
        for steps, seconds, code in ((10, 1.0, 1), (12, 2.0, 2), (14, 3.0, 3))
    ]
    told = mean(runs)

    assert told.lines[0].tally.steps == 12
    assert told.lines[0].deviation == pytest.approx(100 * (4 / 3) ** 0.5 / 12)
    assert told.lines[0].ratio == Ratio(6, "per second")
    assert (told.seconds, told.runs, told.ended.exit_code) == (2.0, 3, 3)
    assert (told.ended.user, told.ended.system) == pytest.approx((1.2, 0.12))
    assert list(BOARD.plain(told)) == [
        "              12  software:page-faults  # 6.000 /s  ± 9.62 %",
        "2.000000 s elapsed, 1.200000 s user, 0.120000 s system, mean of 3 runs",
    ]
    assert mean(runs[:1]) == runs[0]
