"""Text from outside, made harmless."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.render.text import safe, safe_line


@pytest.mark.parametrize(
    ("raw", "spelled"),
    [
        (b"plain name_1.x", "plain name_1.x"),
        (b"[bold]x[/bold]", "[bold]x[/bold]"),
        (b"'\"`$(id)", "'\"`$(id)"),
        (b"\x1b]0;title\x07", r"\x1b]0;title\x07"),
        (b"two\nlines\ttab", r"two\x0alines\x09tab"),
        ("\x9b2J".encode(), r"\x9b2J"),
        ("a\u202eb".encode(), r"a\u202eb"),
        ("a\u200bb".encode(), r"a\u200bb"),
        ("\U000e0041".encode(), r"\U000e0041"),
        (b"caf\xe9\xff", r"caf\xe9\xff"),
        ("naïve 包".encode(), "naïve 包"),
    ],
)
def test_safe(raw, spelled):
    """Printable text stays as it is, everything else is spelled."""
    assert safe(os.fsdecode(raw)) == spelled


@pytest.mark.parametrize(
    ("char", "spelled"),
    [
        ("\xad", r"\xad"),
        ("\udc7f", r"\udc7f"),
        ("\udc80", r"\x80"),
        ("\udcff", r"\xff"),
        ("\udd00", r"\udd00"),
        ("\uffff", r"\uffff"),
        ("\U00010fff", r"\U00010fff"),
        ("\U0010ffff", r"\U0010ffff"),
    ],
)
def test_characters_that_are_none(char, spelled):
    """Bytes that are not UTF-8 are bytes, and what JSON can spell besides is no byte."""
    assert safe(char) == spelled


def test_the_tabs_that_begin_a_line_are_ours():
    assert safe_line("\t\tname a\tb") == "\t\tname a\\x09b"


@given(st.binary())
def test_any_bytes_become_printable(raw):
    """Nothing of what a process may call itself reaches the terminal as a control character."""
    assert safe(os.fsdecode(raw)).isprintable()
    assert safe_line("\t" + os.fsdecode(raw)).lstrip("\t").isprintable()
