"""JSON: the layout of bpftool's writer, and one valid document whatever happens."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.render.json import JsonOutput, dumps
from bpfctl.views import items
from bpfctl.views.view import View
from tests.memory import Memory

VIEW = View("things", lambda row: row, lambda row: iter([str(row)]), (), lambda _: {"more": 1})


def written(*, pretty=False, extra=False, **show):
    """Return the document of one show()."""
    out = JsonOutput(Memory(), pretty=pretty, extra=extra)
    out.show(VIEW, show["rows"], listing=show.get("listing", True))
    out.close()
    return out.sink.text


def test_a_compact_listing():
    """No spaces, one line."""
    assert written(rows=[{"id": 1, "map_ids": [2, 3]}, {"id": 4}]) == '[{"id":1,"map_ids":[2,3]},{"id":4}]\n'


def test_a_pretty_listing():
    """Members stand on lines of their own, items of an array follow each other, what closes them does not."""
    rows = [{"id": 1, "map_ids": [2, 3], "none": [], "dev": {"ifindex": 1}}, {"id": 4, "pids": [{"pid": 5}]}]

    assert written(rows=rows, pretty=True) == (
        "[{\n"
        '        "id": 1,\n'
        '        "map_ids": [2,3\n'
        "        ],\n"
        '        "none": [],\n'
        '        "dev": {\n'
        '            "ifindex": 1\n'
        "        }\n"
        "    },{\n"
        '        "id": 4,\n'
        '        "pids": [{\n'
        '                "pid": 5\n'
        "            }\n"
        "        ]\n"
        "    }\n"
        "]\n"
    )


@pytest.mark.parametrize("pretty", [False, True])
def test_an_empty_listing_is_an_empty_array(pretty):
    assert written(rows=[], pretty=pretty) == "[]\n"


def test_one_match_of_a_handle_is_an_object():
    assert written(rows=[{"id": 1}], listing=False) == '{"id":1}\n'


def test_several_matches_of_a_handle_are_an_array():
    assert written(rows=[{"id": 1}, {"id": 2}, {"id": 3}], listing=False) == '[{"id":1},{"id":2},{"id":3}]\n'


def test_extra_members_come_last():
    assert written(rows=[{"id": 1}], extra=True) == '[{"id":1,"more":1}]\n'


def entries(**more):
    """Return a stream of two entries."""
    return items.stream("entries", [1, 2], (), json=lambda row: {"at": [row]}, line=str, safe=str)._replace(**more)


@pytest.mark.parametrize(
    ("char", "spelled"),
    [
        ("\ud7ff", "\\ud7ff"),
        ("\ud800", "\\ufffd"),
        (chr(0xDFFF), "\\ufffd"),
        ("\ue000", "\\ue000"),
        ("\uffff", "\\uffff"),
        ("\U0010ffff", "\\udbff\\udfff"),
    ],
)
def test_characters_that_cannot_be_printed(char, spelled):
    """Halves of a pair are none; JSON spells the highest characters as two."""
    assert dumps(char) == f'"{spelled}"'


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize(
    ("streams", "shown", "document"),
    [
        ([entries()], {}, [{"at": [1]}, {"at": [2]}]),
        ([entries()], {"extra": True}, [{"at": [1]}, {"at": [2]}]),
        ([entries(extra=lambda: {"more": 1})], {}, [{"at": [1]}, {"at": [2]}]),
        (
            [entries(extra=lambda: {"more": 1})],
            {"extra": True},
            [{"more": 1, "entries": [{"at": [1]}, {"at": [2]}]}],
        ),
        (
            [entries(head={"id": 7}), entries(head={"id": 8})],
            {"listing": True},
            [{"id": 7, "entries": [{"at": [1]}, {"at": [2]}]}, {"id": 8, "entries": [{"at": [1]}, {"at": [2]}]}],
        ),
    ],
)
def test_streams(streams, shown, document, pretty):
    """They look as if they had been written at once."""
    out, whole = (JsonOutput(Memory(), pretty=pretty, extra=shown.get("extra", False)) for _ in range(2))
    out.stream(streams, listing=shown.get("listing", False))
    out.close()
    whole.lines([], document)
    whole.close()

    assert out.sink.text == whole.sink.text


def test_an_error_amid_a_listing_closes_what_is_open(capfd):
    """The objects shown so far stay, the error is one more, the hint is for people."""

    def rows():
        yield {"id": 1}
        raise ZeroDivisionError

    out = JsonOutput(Memory(), pretty=False)
    with pytest.raises(ZeroDivisionError):
        out.show(VIEW, rows(), listing=True)
    out.error("it broke", "mend it")
    out.close()

    assert out.sink.text == '[{"id":1},{"error":"it broke"}]\n'
    assert capfd.readouterr().err == "Hint: mend it\n"


def test_a_batch_is_an_array_of_commands():
    out = JsonOutput(Memory(), pretty=False)
    out.begin_batch()
    for words in ("prog", "show"), ("prog", "pin"):
        out.begin_command(words)
        if words[1] == "show":
            out.show(VIEW, [], listing=True)
        out.end_command()
    out.end_batch(2)
    out.close()

    assert json.loads(out.sink.text) == [
        {"command": ["prog", "show"], "output": []},
        {"command": ["prog", "pin"], "output": None},
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES), st.booleans())
def test_what_is_written_can_be_read(row, pretty):
    """Both forms hold what was put in, and nothing in them acts on a terminal."""
    text = written(rows=[row], pretty=pretty)

    assert json.loads(text) == [row]
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("raw", "document"),
    [
        (b'say "hi" \\', '"say \\"hi\\" \\\\"'),
        (b"\x1b[31mred\x07", '"\\u001b[31mred\\u0007"'),
        ("\x9b31m".encode(), '"\\u009b31m"'),
        ("a\u202eb\u2066".encode(), '"a\\u202eb\\u2066"'),
        ("\U000e0041".encode(), '"\\udb40\\udc41"'),
        (b"caf\xe9", '"caf\\ufffd"'),
        ("café".encode(), '"café"'),
        (b"[bold]x[/]", '"[bold]x[/]"'),
    ],
)
def test_hostile_names(raw, document):
    """What cannot be printed is escaped, bytes that are no text become U+FFFD, other text stays."""
    assert dumps(os.fsdecode(raw)) == document
    assert isinstance(json.loads(document), str)


@pytest.mark.parametrize(
    ("pretty", "text"), [(False, '["a\\tb\\n","\\u001b\\ufffd"]\n'), (True, '["a\\tb\\n","\\u001b\\ufffd"\n]\n')]
)
def test_lines_of_a_log_are_an_array(pretty, text):
    memory = Memory()
    out = JsonOutput(memory, pretty=pretty)
    out.log([["a\tb\n"], [], [os.fsdecode(b"\x1b\xff")]])
    out.close()

    assert memory.text == text
