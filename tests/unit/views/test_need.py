"""What an object needs of a kernel, in words and in JSON."""

from __future__ import annotations

from bpfctl.feature.need import Need, Use
from bpfctl.views.need import need_json, told_uses

LINE = Use("one", "xdp", 3, "a.c:7")
PLACE = Use("two", "tc", 0)
MAP = Use("hash")


def test_where():
    """The line of source if it is known, or the instruction; nowhere for a map."""
    assert told_uses(Need("helper", "bpf_loop", (LINE, PLACE, LINE, MAP))) == " by one, two, hash at a.c:7, tc+0"
    assert told_uses(Need("map type", "hash", (MAP,))) == " by hash"
    assert told_uses(Need("byte order", "little", ())) == ""


def test_json():
    assert need_json("x.o", Need("helper", "bpf_loop", (LINE, PLACE, MAP), "xdp"), "not met", "it is new") == {
        "object": "x.o",
        "kind": "helper",
        "name": "bpf_loop",
        "for": "xdp",
        "status": "not met",
        "reason": "it is new",
        "needed_by": [
            {"by": "one", "section": "xdp", "insn": 3, "source": "a.c:7"},
            {"by": "two", "section": "tc", "insn": 0},
            {"by": "hash"},
        ],
    }
    assert [*need_json("x.o", Need("byte order", "little", ()), "met", "")] == [
        "object", "kind", "name", "status", "needed_by"
    ]  # fmt: skip
