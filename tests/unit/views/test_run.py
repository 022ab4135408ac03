"""What came of a test run, in all voices."""

from __future__ import annotations

import json

import pytest

from bpfctl.render.json import dumps
from bpfctl.uapi.enums import ProgType
from bpfctl.views.run import Bytes, Outcome, stream

NOTHING = Outcome(ProgType.XDP, retval=2, duration=7, repeat=1, data=None, ctx=None, error="")


def shown(raw, before=b""):
    return Bytes(before, raw, shown=True, file=None)


def plain(outcome):
    return b"".join(stream(outcome).plain()).decode()


def compact(outcome):
    return b"".join(stream(outcome).json(None, dumps)).decode()


def cells(outcome):
    return [(column.title, column.get(outcome), column.tone) for column in stream(outcome).columns()]


def test_nothing_but_a_value():
    assert plain(NOTHING) == "Return value: 2, duration: 7ns\n"
    assert compact(NOTHING) == '{"retval":2,"duration":7}'
    assert cells(NOTHING) == [("returned", "2 XDP_PASS", "name"), ("took", "7 ns", "")]


def test_several_runs():
    many = NOTHING._replace(repeat=3, type=ProgType.KPROBE)

    assert plain(many) == "Return value: 2, duration (average): 7ns\n"
    assert cells(many)[:2] == [("returned", "2", "name"), ("took", "7 ns on average of 3 runs", "")]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"a", "0000000\t61                                      | a"),
        (b"ab", "0000000\t6162                                    | ab"),
        (b"abcdefg", "0000000\t6162 6364 6566 67                       | abcdefg"),
        (b"abcdefgh", "0000000\t6162 6364 6566 6768                     | abcdefgh "),
        (b"\x00\x1f ~\x7f\x80\xffhi", "0000000\t001f 207e 7f80 ff68 69                  | .. ~...h i"),
        (b"0123456789abcdef", "0000000\t3031 3233 3435 3637 3839 6162 6364 6566 | 01234567 89abcdef"),
    ],
)
def test_lines_of_bytes(raw, line):
    """As hex_print() in bpftool's src/prog.c lays them out."""
    assert plain(NOTHING._replace(data=shown(raw))).splitlines() == [line, "Return value: 2, duration: 7ns"]


def test_data_and_context():
    """Both have arrays in JSON, and follow each other in plain text; what was not asked for is not there."""
    both = NOTHING._replace(data=shown(bytes(17)), ctx=shown(b"\xff"))

    assert json.loads(compact(both)) == {"data_out": [0] * 17, "ctx_out": [255], "retval": 2, "duration": 7}
    assert [line[:12] for line in plain(both).splitlines()] == [
        "0000000\t0000",
        "0000010\t00  ",
        "0000000\tff  ",
        "Return value",
    ]
    hidden = NOTHING._replace(data=Bytes(b"", bytes(17), shown=False, file="out"), ctx=shown(b""))
    assert (compact(hidden), plain(hidden)) == (compact(NOTHING), plain(NOTHING))


def test_indented():
    """Arrays close on a line of their own, as bpftool's do."""
    text = b"".join(stream(NOTHING._replace(data=shown(b"\1\2"))).json(1, dumps)).decode()

    assert text == '{\n        "data_out": [1,2\n        ],\n        "retval": 2,\n        "duration": 7\n    }'


def test_an_error_is_a_member():
    assert json.loads(compact(NOTHING._replace(error='failed to open "x"')))["error"] == 'failed to open "x"'


def test_what_changed_stands_out():
    before = bytes(range(40))
    after = bytes([*range(20), 99, *range(21, 40)])
    changed = NOTHING._replace(data=shown(after, before))

    assert cells(changed)[2:] == [
        ("data out", "40 bytes, 1 of them changed", ""),
        ("", "0000  0001 0203 0405 0607 0809 0a0b 0c0d 0e0f  ................", ""),
        ("", "0010  1011 1213 6315 1617 1819 1a1b 1c1d 1e1f  ....c...........", "symbol"),
        ("", "0020  2021 2223 2425 2627                       !\"#$%&'", ""),
    ]


def test_what_did_not_change():
    same = NOTHING._replace(type=ProgType.SYSCALL, ctx=Bytes(b"ab", b"ab", shown=False, file="out"))

    assert cells(same)[2:] == [("context out", "2 bytes, unchanged, written to out", "")]


def test_other_lengths():
    """Where bytes have moved, none stands out."""
    grown = NOTHING._replace(data=shown(b"abcd", b"cd"))

    assert cells(grown)[2:] == [
        ("data out", "4 bytes, before 2", ""),
        ("", f"0000  6162 6364{' ' * 30}  abcd", ""),
    ]


@pytest.mark.parametrize(
    ("kind", "retval", "said"),
    [
        (ProgType.SCHED_CLS, 0xFFFFFFFF, "4294967295 TC_ACT_UNSPEC"),
        (ProgType.SCHED_CLS, 2, "2 TC_ACT_SHOT"),
        (ProgType.XDP, 4, "4 XDP_REDIRECT"),
        (ProgType.XDP, 99, "99"),
        (ProgType.SK_LOOKUP, 1, "1 SK_PASS"),
        (ProgType.FLOW_DISSECTOR, 0, "0"),
        (ProgType.FLOW_DISSECTOR, 129, "129 BPF_FLOW_DISSECTOR_CONTINUE"),
        (ProgType.LWT_XMIT, 128, "128 BPF_LWT_REROUTE"),
        (ProgType.SOCKET_FILTER, 0, "0"),
        (99, 1, "1"),
    ],
)
def test_return_values(kind, retval, said):
    assert cells(NOTHING._replace(type=kind, retval=retval))[0][1] == said
