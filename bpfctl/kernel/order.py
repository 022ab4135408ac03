"""The order in which bpftool tells several things that belong to one object.

It keeps them in libbpf's hash table (src/hashmap.c), and they come out as they lie there: a new one goes in front of
its bucket, and when the table grows, which it does at three quarters full, each bucket is turned round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

Item = TypeVar("Item")


def grouped(pairs: Iterable[tuple[int, Item]]) -> dict[int, tuple[Item, ...]]:
    """Return the items of each key, in bpftool's order, from pairs in the order in which they were met."""
    found: dict[int, list[Item]] = {}  # the front of a bucket is the end of its list
    room = 0
    for count, (key, item) in enumerate(pairs, 1):
        if count * 4 // 3 > room:
            room = max(room * 2, 4)
            for items in found.values():
                items.reverse()
        found.setdefault(key, []).append(item)
    return {key: tuple(reversed(items)) for key, items in found.items()}
