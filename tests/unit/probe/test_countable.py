"""Words that name counters: lists, groups, and nothing but a sentence for what is neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.errors import UsageError
from bpfctl.probe.countable import split


@pytest.mark.parametrize(
    ("word", "items"),
    [
        ("a", ["a"]),
        ("a,b:c", ["a", "b:c"]),
        ("{a,b},c", ["{a,b}", "c"]),
        ("cpu/event=1,umask=2/,b", ["cpu/event=1,umask=2/", "b"]),
        ("{cpu/a=1,b/:u,c}", ["{cpu/a=1,b/:u,c}"]),
        ("{a},{b,c}", ["{a}", "{b,c}"]),
    ],
)
def test_commas(word, items):
    assert split(word) == items


@pytest.mark.parametrize("word", ["", ",", "a,", ",a", "{}", "{a", "a}", "{a}b", "a{b}", "{{a}}", "{a,{b}}", "}{"])
def test_mistakes(word):
    with pytest.raises(UsageError):
        split(word)


@given(st.text(alphabet="ab,{}/:\x00\n", max_size=12))
def test_anything_is_split_or_refused(word):
    try:
        items = split(word)
    except UsageError:
        return
    assert ",".join(items) == word
    assert all(items)
