"""bpfctl.views.btf: bpftool's two forms and ours, of rows written by hand."""

from __future__ import annotations

import pytest

from bpfctl.kernel.btf import BtfInfo, BtfRow
from bpfctl.kernel.owner import Owner
from bpfctl.views.btf import VIEW

VMLINUX = BtfRow(BtfInfo(1, 5500000, "vmlinux", kernel_btf=True), (), (), ())
MODULE = BtfRow(BtfInfo(2, 9000, "xfs", kernel_btf=True), (), (), ())
LOADED = BtfRow(BtfInfo(12, 1234, "", kernel_btf=False), (6, 5), (7,), (Owner(99, "agent"),))
OLD = BtfRow(BtfInfo(12, 1234, None, kernel_btf=None), (), (7,), ())


@pytest.mark.parametrize(
    ("row", "json", "plain"),
    [
        (
            VMLINUX,
            {"id": 1, "size": 5500000, "prog_ids": (), "map_ids": (), "kernel": True, "name": "vmlinux"},
            ["1: name [vmlinux]  size 5500000B"],
        ),
        (
            MODULE,
            {"id": 2, "size": 9000, "prog_ids": (), "map_ids": (), "kernel": True, "name": "xfs"},
            ["2: name [xfs]  size 9000B"],
        ),
        (
            LOADED,
            {
                "id": 12,
                "size": 1234,
                "prog_ids": (6, 5),
                "map_ids": (7,),
                "pids": [{"pid": 99, "comm": "agent"}],
                "kernel": False,
            },
            ["12: name <anon>  size 1234B  prog_ids 6,5  map_ids 7", "\tpids agent(99)"],
        ),
        (
            OLD,
            {"id": 12, "size": 1234, "prog_ids": (), "map_ids": (7,), "kernel": False},
            ["12: name <anon>  size 1234B  map_ids 7"],
        ),
    ],
)
def test_both_forms(row, json, plain):
    assert VIEW.json(row) == json
    assert list(VIEW.json(row)) == list(json)
    assert list(VIEW.plain(row)) == plain
    assert VIEW.extra(row) == {}


def test_columns():
    cells = {column.title: column.get(LOADED) for column in VIEW.columns}

    assert cells == {
        "id": 12,
        "name": None,
        "origin": "loaded",
        "size": 1234,
        "programs": ("5", "6"),
        "maps": ("7",),
        "owners": ("agent(99)",),
    }
    assert VIEW.column("name").get(VMLINUX) == "vmlinux"
    assert [VIEW.column("origin").get(row) for row in (VMLINUX, MODULE, OLD)] == ["kernel", "module", "loaded"]
