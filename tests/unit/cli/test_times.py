"""Times as people write them."""

from __future__ import annotations

import pytest

from bpfctl.cli.times import nanoseconds
from bpfctl.errors import UsageError


@pytest.mark.parametrize(
    ("word", "time"),
    [("0s", 0), ("7ns", 7), ("250us", 250_000), ("10ms", 10_000_000), ("1.5s", 1_500_000_000), ("0.1ms", 100_000)],
)
def test_times(word, time):
    assert nanoseconds(word, "--over") == time


@pytest.mark.parametrize(
    "word",
    [
        *("", "1", "ms", "1 ms", "-1ms", "1.ms", ".5s", "1m", "1e3ms", "\u0661ms"),
        *("9" * 30 + "s", "9" * 5000 + "s", "1." + "9" * 5000 + "s"),
    ],
)
def test_what_is_none(word):
    with pytest.raises(UsageError, match="--over: "):
        nanoseconds(word, "--over")
