"""bpfctl.kernel.order: as libbpf's hash table hands things out again."""

from __future__ import annotations

import pytest

from bpfctl.kernel.order import grouped


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, {}),
        (1, {1: (0,)}),
        (2, {1: (1, 0)}),  # in front of its bucket
        (3, {1: (2, 1, 0)}),
        (4, {1: (3, 0, 1, 2)}),  # the fourth makes the table grow from 4 to 8: what was there is turned round
        (7, {1: (6, 2, 1, 0, 3, 4, 5)}),  # the seventh from 8 to 16
    ],
)
def test_one_key(count, expected):
    assert grouped((1, number) for number in range(count)) == expected


def test_keys_share_the_table():
    """Growth turns round the items of every key."""
    assert grouped([(1, "a"), (2, "b"), (1, "c"), (2, "d"), (1, "e")]) == {1: ("e", "a", "c"), 2: ("d", "b")}
