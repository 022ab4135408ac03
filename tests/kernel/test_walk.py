"""Walks over maps on the real kernel: everything is found once. See test_walk_beside_writer.py for maps that change."""

from __future__ import annotations

import os
import random
import struct
from contextlib import ExitStack
from errno import EINVAL, ENOENT
from itertools import pairwise

import pytest

from bpfctl._sys import maps
from bpfctl.errors import NotSupported
from bpfctl.kernel import elements
from bpfctl.kernel.map import Map
from tests.kernel import client

HASH, ARRAY, PERCPU_HASH, LPM_TRIE, HASH_OF_MAPS, QUEUE, DEVMAP_HASH = 1, 2, 5, 11, 13, 22, 25
BATCH = client.Layout("p in_batch, p out_batch, p keys, p values, I count, I map_fd, Q elem_flags, Q flags")
#: How long each of the walks beside a writer goes on, and how many there are at most.
SECONDS, WALKS = float(os.environ.get("BPFCTL_WALK_SECONDS", "3")), 200
U32 = struct.Struct("=I").pack


@pytest.fixture
def held():
    with ExitStack() as stack:
        yield stack


def create(held, kind, key, value, entries, **extra):
    fd = client.map_create(kind, key, value, entries, name="walked", **extra)
    held.callback(os.close, fd)
    return fd


def opened(held, fd):
    return held.enter_context(Map.by_id(client.id_of("map", fd)))


def prefix(number):
    """A prefix of some length; numbers up to 2**16 have a prefix each."""
    length = 17 + number % 16
    address = (number << 16 | 0x5A5A) >> (32 - length) << (32 - length)
    return struct.pack("=I", length) + address.to_bytes(4, "big")


@pytest.mark.parametrize("at_once", [1, 7, 1 << 15])
def test_buckets_that_hold_more_than_was_asked_for(held, monkeypatch, at_once):
    """The kernel answers ENOSPC until there is room for a whole bucket."""
    fd = create(held, HASH, 8, 8, 3000)
    for number in range(3000):
        client.map_update(fd, struct.pack("=Q", number), struct.pack("=Q", ~number & 0xFFFF))
    monkeypatch.setattr(elements, "_CHUNK_ENTRIES", at_once)

    found = list(opened(held, fd).items())
    assert len(found) == 3000
    assert dict(found) == {struct.pack("=Q", n): struct.pack("=Q", ~n & 0xFFFF) for n in range(3000)}


@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize("kind", [HASH, ARRAY, LPM_TRIE])
def test_with_and_without_batches(held, monkeypatch, kind, batches):
    """A kernel that has no batches answers EINVAL."""
    fd = create(held, kind, 4 if kind == ARRAY else 8, 5, 1000, map_flags=kind == LPM_TRIE)
    keys = [U32(n) if kind == ARRAY else prefix(n) for n in range(1000)]
    for key in keys:
        client.map_update(fd, key, key[:5].ljust(5, b"!"))
    if not batches:
        monkeypatch.setattr(maps, "lookup_batch", refusing)
    monkeypatch.setattr(elements, "_CHUNK_ENTRIES", 64)
    map_ = opened(held, fd)

    assert sorted(map_.raw.items()) == sorted((key, key[:5].ljust(5, b"!")) for key in keys)
    assert sorted(map_.raw.keys()) == sorted(keys)


def refusing(*_args, **_kw):
    raise OSError(EINVAL, "no such command")


def test_the_order_of_a_trie(held):
    """What is behind the walk is known by the prefix alone; bits behind a prefix say nothing."""
    rng = random.Random(3)
    for size in (1, 4, 16):
        fd = create(held, LPM_TRIE, 4 + size, 1, 3000, map_flags=1)
        for _ in range(2000):
            length = rng.randrange(8 * size + 1)
            client.map_update(fd, U32(length) + bytes(rng.choice((0, 1, 0xFF, 0x80)) for _ in range(size)), b"x")
        keys = list(opened(held, fd).keys())
        orders = [elements._order(key) for key in keys]

        assert len(keys) > 20 * (size > 1)
        assert all(before < after for before, after in pairwise(orders))


def test_python_reads_a_map(held):
    """Keys one by one, and what is not there."""
    fd = create(held, HASH, 4, 4, 4)
    map_ = opened(held, fd)
    with pytest.raises(OSError, match="can't get next key") as caught:
        map_.next_key()
    assert caught.value.errno == ENOENT
    client.map_update(fd, b"key1", b"val1")
    assert map_.next_key() == b"key1"
    assert map_.lookup(b"key1") == b"val1"
    with pytest.raises(OSError, match="lookup failed"):
        map_.lookup(b"key2")
    queue = create(held, QUEUE, 0, 4, 4)
    with pytest.raises(NotSupported, match="map peek"):
        list(opened(held, queue).items())
