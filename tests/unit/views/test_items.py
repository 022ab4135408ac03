"""Items of JSON that are spelled one by one."""

from __future__ import annotations

import json

import pytest

from bpfctl.render.json import JsonOutput, dumps
from bpfctl.views import items
from tests.memory import Memory

VALUE = {"a": [1, {"b": {}, "c": [[], ""]}, [2, 3]], "d": {"e": {"f": None}}, "g": 0}


@pytest.mark.parametrize("value", [VALUE, [], {}, [VALUE, VALUE], "x", 0])
def test_the_same_as_what_is_spelled_as_a_whole(value):
    """Where it begins does not matter, nor how deep it stands."""
    for pretty in False, True:
        for whole, depth in (value, 0), ([value], 1), ([[value]], 2):
            out = JsonOutput(Memory(), pretty=pretty)
            out.lines([], whole)
            out.close()

            assert items.text(value, depth if pretty else None, dumps) in out.sink.text
            assert whole == json.loads(out.sink.text)


def test_many():
    """They come in pieces, with commas between those of each."""
    values = [{"at": at} for at in range(1000)]
    found = list(items.pieces(values, None, dumps))

    assert 1 < len(found) < len(values)
    assert json.loads("[" + ",".join(piece.decode() for piece in found) + "]") == values
