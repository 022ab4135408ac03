"""Records of event buffers in each voice."""

from __future__ import annotations

import json
import os
import struct

import pytest

from bpfctl.kernel.perf_buffer import PerfRecord
from bpfctl.render.json import JsonOutput
from bpfctl.render.sink import Sink
from bpfctl.views.record import EVENTS, PIPE, Event, rows
from btf.value import Enumerator, Record

SAMPLE = PerfRecord(3, 1, struct.pack("=IHHQI", 9, 0, 40, 5_000_000_007, 20) + bytes(range(20)))
LOST = PerfRecord(3, 1, struct.pack("=IHHQQ", 2, 0, 24, 77, 12))
OTHER = PerfRecord(3, 1, struct.pack("=IHH", 5, 0, 8))
EVENT = Event(1_795_240_360_000_000_007, None, b"AB\x00")


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 15, 16, 17, 24, 40])
def test_rows_are_bpftools(length):
    """One space between bytes, two in the middle, 16 in a line."""
    data = bytes(range(length))
    text = ""
    for at, byte in enumerate(data):
        text += ("" if at == 0 else "\n" if at % 16 == 0 else "  " if at % 8 == 0 else " ") + f"{byte:02x}"

    assert "\n".join(rows(data)) == text


def test_pipe_in_bpftools_words():
    assert list(PIPE.plain(SAMPLE)) == [
        "== @5.000000007 CPU: 1 index: 3 =====",
        "00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f",
        "10 11 12 13",
    ]
    assert list(PIPE.plain(LOST)) == ["lost 12 events"]
    assert list(PIPE.plain(OTHER)) == ["unknown event type=5 size=8"]
    assert PIPE.json(SAMPLE) == {
        "type": 9,
        "cpu": 1,
        "index": 3,
        "timestamp": 5_000_000_007,
        "data": list(range(20)),
    }
    assert PIPE.json(LOST) == {"type": 2, "cpu": 1, "index": 3, "lost": {"id": 77, "count": 12}}
    assert PIPE.json(OTHER) == {"type": 5, "cpu": 1, "index": 3}


def test_events_in_our_own():
    value = Record([("pid", 7), ("state", Enumerator(1, "RUNNING", 32))])
    typed, lost, missed = EVENT._replace(data=value, cpu=2), Event(7, 2, None, lost=3), Event(7, None, None, missed=64)

    assert EVENTS.json(EVENT) == {"time": EVENT.time, "size": 3, "data": "414200"}
    assert EVENTS.json(typed) == {"time": EVENT.time, "cpu": 2, "value": {"pid": 7, "state": "RUNNING"}}
    assert EVENTS.json(lost) == {"time": 7, "cpu": 2, "lost": 3}
    assert EVENTS.json(missed) == {"time": 7, "missed_bytes": 64}
    head, line = EVENTS.plain(EVENT)
    assert head.endswith(".000000007  3 bytes")
    assert line == "\t41 42 00" + " " * 42 + "|AB.|"
    assert next(EVENTS.plain(typed)).endswith('.000000007  cpu 2  {"pid":7,"state":"RUNNING"}')
    assert next(EVENTS.plain(lost)).endswith("cpu 2  lost 3 records: the buffer was full")
    assert "missed 64 bytes" in next(EVENTS.plain(missed))


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("array", [False, True])
def test_json_as_it_comes_is_valid_wherever_it_ends(pretty, array):
    def batches():
        yield [EVENT, EVENT]
        yield []
        yield [EVENT]
        raise OSError("the kernel is tired")

    file = os.memfd_create("out")
    try:
        out = JsonOutput(Sink(file), pretty=pretty)
        with pytest.raises(OSError, match="tired"):
            out.follow(EVENTS, batches(), array=array)
        out.error("tired")
        out.close()
        text = os.pread(file, 1 << 16, 0).decode()
    finally:
        os.close(file)
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        document, at = decoder.raw_decode(text, at)
        at += len(text[at:]) - len(text[at:].lstrip())
        found.append(document)
    wanted = [*[EVENTS.json(EVENT)] * 3, {"error": "tired"}]

    assert found == ([wanted] if array else wanted)
    assert text.endswith("\n")
