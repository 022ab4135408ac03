"""How columns share a screen."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bpfctl.render.columns import GAP, fit, wrap
from bpfctl.views.view import Column


def column(title, hint="text", rank=0):
    return Column(title, lambda row: row, hint, rank=rank)


ID, NAME = column("id", "number"), column("name")


def test_everything_fits():
    """Columns are as wide as their widest cell or their title, and empty ones are left out."""
    columns = [ID, NAME, column("flags", "flags")]
    cells = [[("7",), ("1234",)], [("ab",), ()], [(), ()]]

    assert fit(columns, cells, 80, len) == (((0, 4), (1, 4)), ())


def test_lists_are_wrapped_before_columns_leave():
    columns = [ID, column("tag", rank=1), column("maps", "list")]
    cells = [[("1",)], [("59f4a931744dcdc6",)], [("101", "102", "103", "104")]]

    assert fit(columns, cells, 50, len) == (((0, 2), (1, 16), (2, 18)), ())
    assert fit(columns, cells, 30, len) == (((0, 2), (1, 16), (2, 8)), ())
    assert fit(columns, cells, 26, len) == (((0, 2), (1, 16), (2, 4)), ())
    assert fit(columns, cells, 25, len) == (((0, 2), (2, 18)), ("tag",))


def test_a_long_list_takes_what_room_there_is():
    """The other lists get a third of the screen at most, and no more than they want."""
    columns = [column("few", "list"), ID, column("many", "long")]
    cells = [[("a" * 12, "b" * 12, "c" * 12)], [("1",)], [("x" * 9,) * 50]]

    assert fit(columns, cells, 200, len) == (((0, 40), (1, 2), (2, 154)), ())
    assert fit(columns, cells, 80, len) == (((0, 26), (1, 2), (2, 48)), ())
    assert fit(columns, [cells[0], cells[1], [("x" * 9,)]], 80, len) == (((0, 40), (1, 2), (2, 9)), ())


def test_the_highest_rank_leaves_first():
    """Of equal ranks the last one, and the hidden ones are named in the order of the columns."""
    columns = [ID, column("one", rank=1), column("two", rank=2), column("more", rank=2), column("name")]
    cells = [[("1",)], [("x" * 10,)], [("x" * 10,)], [("x" * 10,)], [("n" * 10,)]]

    assert fit(columns, cells, 60, len).hidden == ()
    assert fit(columns, cells, 40, len).hidden == ("more",)
    assert fit(columns, cells, 28, len).hidden == ("two", "more")
    assert fit(columns, cells, 20, len).hidden == ("one", "two", "more")


def test_long_words_are_broken_at_last():
    assert fit([ID, NAME], [[("1",)], [("n" * 127,)]], 80, len).shown == ((0, 2), (1, 76))
    assert fit([ID, NAME], [[("1",)], [("n" * 127,)]], 20, len).shown == ((0, 2), (1, 16))
    assert fit([ID, NAME], [[("1",)], [("n" * 127,)]], 10, len).shown == ((0, 2), (1, 8))


def test_on_the_narrowest_screens_titles_are_wrapped_too():
    """But never broken; nor are numbers."""
    columns = [column("how many", "number"), column("called by these", "list")]
    cells = [[("1234567",)], [("one", "several", "of them")]]

    assert fit(columns, cells, 30, len).shown == ((0, 8), (1, 20))
    assert fit(columns, cells, 20, len).shown == ((0, 8), (1, 10))
    assert fit(columns, cells, 5, len).shown == ((0, 7), (1, 8))


def test_no_more_of_a_long_text_is_measured_than_what_stands_in_lines():
    """Not all that is left of it for each line: values of maps may have megabytes."""
    measured = 0

    def measure(text):
        nonlocal measured
        measured += len(text)
        return len(text)

    text = "ab " * 10_000
    lines = wrap((text,), 70, "", measure)

    assert len(lines) == len(text) // 69 + 1
    assert measured < 5 * len(text)


CELLS = st.lists(st.text("ab ", min_size=1, max_size=30), max_size=5).map(tuple)


@given(st.data(), st.integers(1, 200))
def test_a_table_is_wider_than_the_screen_only_where_nothing_can_yield(data, room):
    """And numbers are never broken."""
    hints = data.draw(st.lists(st.sampled_from(["text", "number", "list", "long", "flags"]), min_size=1, max_size=6))
    columns = [column(f"c{at}", hint, data.draw(st.integers(0, 2))) for at, hint in enumerate(hints)]
    count = data.draw(st.integers(1, 4))
    cells = [[data.draw(CELLS) for _ in range(count)] for _ in columns]
    assume(any(any(cell) for cell in cells))

    found = fit(columns, cells, room, len)

    total = sum(width for _, width in found.shown) + GAP * (len(found.shown) - 1)
    if total > room:
        assert all(columns[at].rank == 0 for at, _ in found.shown) or len(found.shown) == 1
    for at, width in found.shown:
        if columns[at].hint == "number":
            assert all(len(item) <= width for cell in cells[at] for item in cell[:1] if len(cell) == 1)


@pytest.mark.parametrize(
    ("items", "width", "lines"),
    [
        (("1", "2", "3"), 80, ["1, 2, 3"]),
        (("100", "200", "300"), 9, ["100, 200,", "300"]),
        (("100", "200", "300"), 4, ["100,", "200,", "300"]),
        (("a long sentence",), 7, ["a long", "sentenc", "e"]),
        (("/sys/fs/bpf/some/where",), 14, ["/sys/fs/bpf/", "some/where"]),
        (("/sys/fs/bpf/some/where/else/at/all",), 14, ["/sys/fs/bpf/", "some/where/", "else/at/all"]),
        (("unbreakable",), 4, ["unbr", "eaka", "ble"]),
        (("x unbreakable",), 4, ["x", "unbr", "eaka", "ble"]),
    ],
)
def test_wrap(items, width, lines):
    assert wrap(items, width, ", ", len) == lines


def test_wide_characters_are_wrapped_where_they_have_no_room():
    def measure(text):
        return sum(1 + (char > "\x7f") for char in text)

    assert wrap(("a包包包包b",), 5, "", measure) == ["a包包", "包包b"]
    assert wrap(("包包",), 1, "", measure) == ["包", "包"]


@given(st.lists(st.text("abc ", min_size=1, max_size=20), min_size=1, max_size=5).map(tuple), st.integers(1, 25))
def test_wrapping_loses_nothing_but_blanks(items, width):
    lines = wrap(items, width, ", ", len)

    assert all(len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == ",".join(items).replace(" ", "")


def test_columns_that_somebody_chose_are_there_as_long_as_their_words_can_be_broken():
    """Even empty ones; then those of the highest rank leave."""
    shown = [ID, column("told", rank=1), column("none", rank=2)]
    cells = [[("7",)], [("word " * 20,)], [()]]

    assert fit(shown, cells, 40, len, chosen=False) == (((0, 2),), ("told",))
    assert fit(shown, cells, 40, len, chosen=True) == (((0, 2), (1, 30), (2, 4)), ())
    assert fit(shown, cells, 30, len, chosen=True) == (((0, 2), (1, 26)), ("none",))
