"""Counts and hits, as people and programs are told of them."""

from __future__ import annotations

from bpfctl.probe.action import Slot
from bpfctl.probe.actions.count import Row
from bpfctl.probe.actions.trace import Hit, Layout
from bpfctl.probe.field import Integer
from bpfctl.probe.source import ProbePoint
from bpfctl.views.hits import BOARD, HITS, Round


def counted(*hits, top=None, **more):
    rows = [Row((f"kind:{number}",), count) for number, count in enumerate(hits)]
    spelled = [([str(row.values[0])], row.hits) for row in rows]
    told = {"lost": 0, "missed": 0} | more
    return Round(1.5, 2.0, ("probe",), rows[:top], spelled[:top], len(rows), sum(hits), **told)


def test_columns_are_aligned():
    assert list(BOARD.plain(counted(1000, 7))) == ["1000  kind:0", "   7  kind:1"]


def test_values_stand_under_each_other():
    rows = [Row(("bash", 7), 12), Row(("systemd", 1234), 3)]
    told = Round(
        1.5, 2.0, ("comm", "pid"), rows, [([row.values[0], str(row.values[1])], row.hits) for row in rows], 2, 15, 0, 0
    )

    assert list(BOARD.plain(told)) == ["12  bash     7", " 3  systemd  1234"]


def test_fields_of_one_name_are_told_apart():
    """One is of the task, the other the point's own."""
    slots = [Slot("pid", 16, Integer(4)), Slot("args.pid", 20, Integer(4)), Slot("args.prio", 24, Integer(4))]
    point = ProbePoint("tracepoint", "sched:sched_process_exit")
    layout = Layout(point, tuple(slots), 32, bytes)

    (line,) = HITS.plain(Hit(0, point, layout, (1, 2, 3)))
    assert line.endswith("tracepoint:sched:sched_process_exit pid=1 args.pid=2 prio=3")


def test_of_many_points_those_that_were_hit_are_shown():
    assert list(BOARD.plain(counted(5, *[0] * 20))) == ["5  kind:0", "20 were not hit"]
    assert len(list(BOARD.plain(counted(5, *[0] * 3)))) == 4
    assert len(BOARD.json(counted(5, *[0] * 20))["counts"]) == 21


def test_nothing_is_passed_over_in_silence():
    told = counted(5, 4, 3, top=1, lost=2, missed=1)

    assert list(BOARD.plain(told)) == [
        "5  kind:0",
        "2 more are not shown",
        "2 hits were not counted: there was no room for their values (--max-entries N makes more)",
        "1 hits were missed: the kernel was in the program already, or in more calls than it follows",
    ]
    assert BOARD.head(told).startswith("12 hits in 2.0 s; 2 more are not shown; 2 hits were not counted")
    assert BOARD.json(told) == {
        "time": 1.5,
        "seconds": 2.0,
        "counts": [{"probe": "kind:0", "count": 5}],
        "left_out": 2,
        "hits": 12,
        "lost": 2,
        "missed": 1,
    }


def test_a_field_that_is_called_as_what_is_counted_has_its_whole_name_in_json():
    """`--by count` of sys_enter_read: otherwise one of the two would be lost."""
    told = Round(1.5, 2.0, ("count", "comm"), [Row((4096, "cat"), 3)], [(["4096", "cat"], 3)], 1, 3, 0, 0)

    assert BOARD.json(told)["counts"] == [{"args.count": 4096, "comm": "cat", "count": 3}]
