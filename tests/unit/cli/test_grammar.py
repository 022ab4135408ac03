"""bpftool's words."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.cli import grammar
from bpfctl.cli.grammar import Words
from bpfctl.errors import UsageError
from bpfctl.kernel.select import Select


@pytest.mark.parametrize(
    ("read", "line", "meant"),
    [
        (grammar.prog, "id 7", Select("id", 7)),
        (grammar.prog, "i 0x1f", Select("id", 31)),
        (grammar.prog, "id 010", Select("id", 8)),
        (grammar.prog, "tag 0123456789abcdef", Select("tag", bytes.fromhex("0123456789abcdef"))),
        (grammar.prog, "t 0123456789ABCDEF", Select("tag", bytes.fromhex("0123456789abcdef"))),
        (grammar.prog, "name xdp_main", Select("name", "xdp_main")),
        (grammar.prog, "pinned /sys/fs/bpf/x", Select("pinned", "/sys/fs/bpf/x")),
        (grammar.prog, "p id", Select("pinned", "id")),
        (grammar.map_, "n hash", Select("name", "hash")),
        (grammar.map_, "id 4294967295", Select("id", 4294967295)),
        (grammar.link, "pin x", Select("pinned", "x")),
        (grammar.btf, "id 1", Select("id", 1)),
    ],
)
def test_handles(read, line, meant):
    words = Words(line.split())

    assert read(words) == meant
    assert not words


@pytest.mark.parametrize(
    ("read", "line", "sentence"),
    [
        (grammar.prog, "idd 7", "expected 'id', 'tag', 'name' or 'pinned', got: 'idd'?"),
        (grammar.prog, "7", "expected 'id', 'tag', 'name' or 'pinned', got: '7'?"),
        (grammar.prog, "id", "the id is missing"),
        (grammar.prog, "id seven", "can't parse seven as ID"),
        (grammar.prog, "id -1", "can't parse -1 as ID"),
        (grammar.prog, "id 4294967296", "can't parse 4294967296 as ID"),
        (grammar.prog, "id 1_0", "can't parse 1_0 as ID"),
        (grammar.prog, "id ٣", "can't parse ٣ as ID"),
        (grammar.prog, "id 09", "can't parse 09 as ID"),
        (grammar.prog, "tag 0123", "can't parse tag"),
        (grammar.prog, "tag xxxxxxxxxxxxxxxx", "can't parse tag"),
        (grammar.prog, "name " + "x" * 128, "can't parse name"),
        (grammar.map_, "name " + "x" * 16, "can't parse name"),
        (grammar.map_, "tag 0123456789abcdef", "expected 'id', 'name' or 'pinned', got: 'tag'?"),
        (grammar.link, "name x", "expected 'id' or 'pinned', got: 'name'?"),
        (grammar.btf, "name x", "expected 'id', got: 'name'?"),
    ],
)
def test_what_is_no_handle(read, line, sentence):
    with pytest.raises(UsageError) as caught:
        read(Words(line.split()))

    assert str(caught.value) == sentence


@given(st.integers(0, (1 << 32) - 1))
def test_numbers_of_any_base(number):
    for word in str(number), hex(number), hex(number).upper(), f"0{number:o}":
        assert grammar.number(word, "ID") == number


@pytest.mark.parametrize("word", ["", " 5", "5 ", "5\n", "\t5", "-5", "++5", "0o7", "0x", "1_0", "5" * 5000])
def test_what_is_no_number(word):
    with pytest.raises(UsageError, match="as ID"):
        grammar.number(word, "ID")


@given(st.text())
def test_a_number_is_a_number_or_an_error(word):
    number = 0
    with suppress(UsageError):
        number = grammar.number(word, "ID")

    assert 0 <= number < 1 << 32


def test_the_first_keyword_that_a_word_begins_is_meant():
    """Also when it begins several, as in bpftool."""
    assert Words(["p"]).keyword("prog", "pinned") == "prog"
    assert Words(["pi"]).keyword("prog", "pinned") == "pinned"
    assert Words(["x"]).keyword("prog", "pinned") is None
    assert Words([]).keyword("prog") is None
    assert grammar.first("p", ("prog", "pinned")) == "prog"
    assert grammar.first("x", ("prog", "pinned")) is None


def test_a_listing_is_of_everything_or_of_one_handle():
    assert grammar.listing(Words(None), grammar.prog) is None
    assert grammar.listing(Words(["id", "7"]), grammar.prog) == Select("id", 7)
    for line in ["id"], ["id", "7", "8"]:
        with pytest.raises(UsageError, match="what is 'id'"):
            grammar.listing(Words(line), grammar.prog)


def test_too_few_words():
    with pytest.raises(UsageError) as caught:
        Words(["id", "7"]).at_least(3, "pin")

    assert str(caught.value) == "'pin' needs at least 3 arguments, 2 found"
