"""Walks over maps on the real kernel: everything is found once. See test_walk_beside_writer.py for maps that change."""

from __future__ import annotations

import random
import struct
from errno import ENOENT
from itertools import pairwise

import pytest

from bpfctl._sys import maps
from bpfctl.errors import NotSupported
from bpfctl.kernel import elements
from tests.kernel import client
from tests.kernel.walked import create, opened, prefix, refusing

HASH, ARRAY, LPM_TRIE, QUEUE = 1, 2, 11, 22
U32 = struct.Struct("=I").pack


@pytest.mark.parametrize("at_once", [1, 7, 1 << 15])
def test_buckets_that_hold_more_than_was_asked_for(stack, monkeypatch, at_once):
    """The kernel answers ENOSPC until there is room for a whole bucket."""
    fd = create(stack, HASH, 8, 8, 3000)
    for number in range(3000):
        client.map_update(fd, struct.pack("=Q", number), struct.pack("=Q", ~number & 0xFFFF))
    monkeypatch.setattr(elements, "_CHUNK_ENTRIES", at_once)

    found = list(opened(stack, fd).items())
    assert len(found) == 3000
    assert dict(found) == {struct.pack("=Q", n): struct.pack("=Q", ~n & 0xFFFF) for n in range(3000)}


@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize("kind", [HASH, ARRAY, LPM_TRIE])
def test_with_and_without_batches(stack, monkeypatch, kind, batches):
    """A kernel that has no batches answers EINVAL."""
    fd = create(stack, kind, 4 if kind == ARRAY else 8, 5, 1000, map_flags=kind == LPM_TRIE)
    keys = [U32(n) if kind == ARRAY else prefix(n) for n in range(1000)]
    for key in keys:
        client.map_update(fd, key, key[:5].ljust(5, b"!"))
    if not batches:
        monkeypatch.setattr(maps, "lookup_batch", refusing)
    monkeypatch.setattr(elements, "_CHUNK_ENTRIES", 64)
    map_ = opened(stack, fd)

    assert sorted(map_.raw.items()) == sorted((key, key[:5].ljust(5, b"!")) for key in keys)
    assert sorted(map_.raw.keys()) == sorted(keys)


def test_the_order_of_a_trie(stack):
    """What is behind the walk is known by the prefix alone; bits behind a prefix say nothing."""
    rng = random.Random(3)
    for size in (1, 4, 16):
        fd = create(stack, LPM_TRIE, 4 + size, 1, 3000, map_flags=1)
        for _ in range(2000):
            length = rng.randrange(8 * size + 1)
            client.map_update(fd, U32(length) + bytes(rng.choice((0, 1, 0xFF, 0x80)) for _ in range(size)), b"x")
        keys = list(opened(stack, fd).keys())
        orders = [elements._order(key) for key in keys]

        assert len(keys) > 20 * (size > 1)
        assert all(before < after for before, after in pairwise(orders))


def test_python_reads_a_map(stack):
    """Keys one by one, and what is not there."""
    fd = create(stack, HASH, 4, 4, 4)
    map_ = opened(stack, fd)
    with pytest.raises(OSError, match="can't get next key") as caught:
        map_.next_key()
    assert caught.value.errno == ENOENT
    client.map_update(fd, b"key1", b"val1")
    assert map_.next_key() == b"key1"
    assert map_.lookup(b"key1") == b"val1"
    with pytest.raises(OSError, match="lookup failed"):
        map_.lookup(b"key2")
    queue = create(stack, QUEUE, 0, 4, 4)
    with pytest.raises(NotSupported, match="map peek"):
        list(opened(stack, queue).items())
