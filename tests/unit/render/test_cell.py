"""Values as words."""

from __future__ import annotations

import pytest

from bpfctl.render.cell import ascii_only, items, size
from bpfctl.views.view import Column


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (10239, "10 KiB"),
        (99999, "98 KiB"),
        (1048575, "1 MiB"),
        (5 << 30, "5 GiB"),
        ((1 << 64) - 1, "16 EiB"),
    ],
)
def test_size(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("hint", "value", "pieces"),
    [
        ("text", None, ()),
        ("text", "a\x1bb", (r"a\x1bb",)),
        ("text", 99, ("99",)),
        ("number", 0, ("0",)),
        ("bytes", 4096, ("4 KiB",)),
        ("list", (), ()),
        ("list", ("a\n", "b"), (r"a\x0a", "b")),
        ("flags", ("MMAPABLE",), ("MMAPABLE",)),
    ],
)
def test_items(hint, value, pieces):
    """Zero is a value, nothing is not; text is made harmless."""
    assert items(Column("title", lambda row: row, hint), value) == pieces


def test_a_terminal_without_utf8_gets_ascii():
    assert ascii_only(("naïve", "包")) == (r"na\xefve", r"\u5305")
