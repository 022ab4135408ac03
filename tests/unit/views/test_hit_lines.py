"""Lines of many hits: the same text as that of each hit alone."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from bpfctl.probe.action import Slot
from bpfctl.probe.actions.trace import Hits, Layout
from bpfctl.probe.field import Blob, Bytes, Integer, Opaque, Text
from bpfctl.probe.source import ProbePoint
from bpfctl.render.json import dumps
from bpfctl.render.text import safe, safe_line
from bpfctl.views import hit_lines
from bpfctl.views.hit_lines import HitLines
from bpfctl.views.hits import HITS

PLAIN = ProbePoint("tracepoint", "sched:sched_switch")
ODD = ProbePoint("uprobe", "/tmp/100%s\x1b[1m[red]\udcff:\u202emain")
LAYOUTS = {
    0: Layout(
        PLAIN,
        (
            Slot("pid", 16, Integer(4)),
            Slot("comm", 24, Text(16, may_be_cut=True)),
            Slot("args.pid", 40, Integer(8, signed=True)),
            Slot("args.flags", 48, Integer(8, hexadecimal=True)),
            Slot("args.state", 56, Integer(1, names=((0, "R"), (1, "S\x1b")))),
        ),
        64,
        struct.Struct("=QQI4x16sqQB7x").unpack,
    ),
    7: Layout(
        ODD,
        (
            Slot("args.100%", 16, Blob(3)),
            Slot("args.some", 24, Bytes(4)),
            Slot("args.none", 32, Opaque()),
        ),
        32,
        struct.Struct("=QQ3s5x8s0s").unpack,
    ),
}
TIME = st.integers(0, 1 << 62)
RECORDS = st.lists(
    st.one_of(
        st.builds(lambda at, rest: struct.pack("=QQ", at, 0) + rest, TIME, st.binary(min_size=48, max_size=48)),
        st.builds(lambda at, rest: struct.pack("=QQ", at, 7) + rest, TIME, st.binary(min_size=16, max_size=16)),
    )
)


def hits(records):
    found = Hits(records, LAYOUTS)
    found.since = 1_700_000_000 * 10**9 + 1
    return found


@given(RECORDS)
def test_json(records):
    assert "".join(HitLines().json(hits(records), dumps)) == "".join(
        dumps(HITS.json(hit)) + "\n" for hit in hits(records)
    )


@given(RECORDS)
def test_plain(records):
    lines = (safe_line(line) + "\n" for hit in hits(records) for line in HITS.plain(hit))

    assert "".join(HitLines().plain(hits(records), safe)) == "".join(lines)


def test_what_is_remembered_has_an_end(monkeypatch):
    """More names than are remembered are spelled all the same."""
    monkeypatch.setattr(hit_lines, "_REMEMBERED", 3)
    records = [struct.pack("=QQI4x16sqQB7x", 0, 0, 1, b"name %d" % number, 0, 0, 0) for number in range(10)]

    lines = "".join(HitLines().json(hits(records), dumps)).splitlines()
    assert [f'"comm":"name {number}"' in line for number, line in enumerate(lines)] == [True] * 10
