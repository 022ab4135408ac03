"""What programs cost, in three voices and every order."""

from __future__ import annotations

import json

import pytest

from bpfctl.kernel.prog import ProgramInfo
from bpfctl.kernel.usage import Usage
from bpfctl.uapi.enums import ProgType
from bpfctl.uapi.layouts import PROG_INFO
from bpfctl.views import usage as view


def usage(id_, type_, name, runs, run_time, *, misses=0, total=0):
    info = ProgramInfo.from_raw(bytes(PROG_INFO.size))
    info = info._replace(id=id_, type=type_, tag=bytes([9 - id_] * 8), run_cnt=total, run_time_ns=total * 100 or None)
    return Usage(info, name, 2.0, runs, run_time, misses)


A = usage(1, ProgType.XDP, "b", 10, 2_000_000, total=50)
B = usage(2, ProgType.KPROBE, "c", 1000, 1_000_000, misses=3, total=1000)
C = usage(3, ProgType.SCHED_CLS, "a", 0, 0, total=7)


@pytest.mark.parametrize(
    ("order", "wanted"),
    [("cpu", [A, B, C]), ("runs", [B, A, C]), ("runs/s", [B, A, C]), ("ns/run", [A, B, C]), ("missed", [B, A, C]),
     ("total runs", [B, A, C]), ("total time", [B, A, C]), ("id", [A, B, C]), ("name", [C, A, B]), ("tag", [C, B, A]),
     ("type", [B, C, A])],
)  # fmt: skip
def test_orders(order, wanted):
    """The largest first; of what is no amount, the first of the alphabet. Of equals, the most expensive first."""
    assert view.gathered([C, B, A], order, backwards=False, limit=None).usages == tuple(wanted)
    assert view.gathered([A, B, C], order, backwards=False, limit=2).usages == tuple(wanted[:2])
    if order != "missed":
        assert view.gathered([C, B, A], order, backwards=True, limit=None).usages == tuple(reversed(wanted))


def test_json():
    found = view.gathered([A, C], "cpu", backwards=False, limit=None)._replace(at=1.5)

    assert json.loads(json.dumps(view.BOARD.json(found))) == {
        "time": 1.5,
        "seconds": 2.0,
        "programs": [
            {"id": 1, "type": "xdp", "name": "b", "tag": "08" * 8, "gpl_compatible": False, "run_time_ns": 5000,
             "run_cnt": 50, "seconds": 2.0, "runs": 10, "time_ns": 2000000, "runs_per_second": 5.0,
             "ns_per_run": 200000.0, "cpu_percent": 0.1, "misses": 0},
            {"id": 3, "type": "sched_cls", "name": "a", "tag": "06" * 8, "gpl_compatible": False, "run_time_ns": 700,
             "run_cnt": 7, "seconds": 2.0, "runs": 0, "time_ns": 0, "runs_per_second": 0.0, "cpu_percent": 0.0,
             "misses": 0},
        ],
    }  # fmt: skip


def test_plain_text_tells_of_those_that_ran():
    found = view.gathered([A, B, C], "cpu", backwards=False, limit=None)
    head, *lines = view.BOARD.plain(found)

    assert head.endswith("  programs: 3  2 ran  0.15% of a CPU")
    assert lines == [
        "1: xdp  name b  runs 10 (5.0/s)  ns/run 200000.0  cpu 0.100%",
        "2: kprobe  name c  runs 1000 (500/s)  ns/run 1000.0  cpu 0.050%  missed 3",
    ]


def test_columns():
    shown = {column.title: [column.get(each) for each in (A, B, C)] for column in view.BOARD.columns(None)}

    assert shown["cpu"] == ["0.10%", "0.05%", "0%"]
    assert shown["runs/s"] == ["5.0", "500", "0"]
    assert shown["ns/run"] == ["200000", "1000", None]
    assert shown["missed"] == [None, 3, None]
