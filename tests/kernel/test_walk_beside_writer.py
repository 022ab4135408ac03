"""Walks over maps while another process inserts and deletes at full speed.

Each walk ends, yields no key twice, and none is missing that was there all along; what bpfctl.kernel.elements promises.
"""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import time
from contextlib import suppress
from itertools import count

import pytest

from bpfctl._sys import maps
from bpfctl.errors import KernelError
from bpfctl.kernel import elements
from tests.bpftool import peer
from tests.kernel import client
from tests.kernel.ring_stress import forked
from tests.kernel.walked import create, opened, prefix, refusing

HASH, ARRAY, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH, LPM_TRIE = 1, 2, 5, 9, 10, 11
ARRAY_OF_MAPS, HASH_OF_MAPS, DEVMAP_HASH = 12, 13, 25
BATCH = client.Layout("p in_batch, p out_batch, p keys, p values, I count, I map_fd, Q elem_flags, Q flags")
#: How long each of the walks beside a writer goes on, and how many there are at most.
SECONDS, WALKS = float(os.environ.get("BPFCTL_WALK_SECONDS", "1")), 200
ENTRIES = 100_000
U32, U64 = struct.Struct("=I").pack, struct.Struct("=Q").pack


def writer(step):
    """Run ``step(random)`` at full speed in a process of its own."""

    def forever():
        rng = random.Random(os.getpid())
        while True:
            step(rng)

    return forked(forever)


def batch(command, fd, keys, value):
    """Write or delete many entries; some may be there already, or not any more."""
    values = value * len(keys) if command == "map_update_batch" else None
    with suppress(FileNotFoundError):
        client.bpf(command, BATCH, map_fd=fd, keys=b"".join(keys), values=values, count=len(keys))


def fill(fd, keys, value):
    for start in range(0, len(keys), 1000):
        batch("map_update_batch", fd, keys[start : start + 1000], value)


def by_batch(fd, some, value):
    """Return a step that inserts or deletes some hundred keys out of ``some(random)``."""

    def step(rng):
        batch(rng.choice(("map_update_batch", "map_delete_batch")), fd, [some(rng) for _ in range(200)], value)

    return step


def one_by_one(fd, some, value):
    """Return a step that inserts or deletes a key."""

    def step(rng):
        if rng.random() < 0.5:
            client.map_update(fd, some(rng), value)
            return
        with suppress(FileNotFoundError):
            client.bpf("map_delete_elem", client.MAP_ELEM, map_fd=fd, key=some(rng))

    return step


def walks(map_, stays, *, at_least=1):
    """Walk again and again: no key comes twice, none is missing that stays; return how many walks there were."""
    deadline = time.monotonic() + SECONDS
    done = restarts = 0
    while done < at_least or (done < WALKS and time.monotonic() < deadline):
        walk = elements.Walk(map_, map_.info())
        keys = [key for chunk in walk for key in elements.pieces(chunk.keys, walk.info.key_size)]
        found = set(keys)
        assert len(keys) == len(found)
        assert stays - found == set()
        restarts += walk.restarts
        done += 1
    print(f"{done} walks, {restarts} restarts")
    return done


@pytest.mark.parametrize("kind", [HASH, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH])
def test_buckets(stack, kind):
    """100,000 entries, of which half stay. LRU maps have so much room that the kernel evicts none."""
    fd = create(stack, kind, 8, 8, 4 * ENTRIES if kind in (LRU_HASH, LRU_PERCPU_HASH) else ENTRIES * 5 // 4)
    keys = [U64(number) for number in range(ENTRIES)]
    value = bytes(opened(stack, fd).info().value_room())
    fill(fd, keys, value)

    with writer(by_batch(fd, lambda rng: U64(rng.randrange(ENTRIES // 2, ENTRIES * 6 // 5)), value)):
        assert walks(opened(stack, fd), set(keys[: ENTRIES // 2]), at_least=WALKS if kind == HASH else 1)


@pytest.mark.parametrize("options", [["-j"], []])
def test_dumps_by_the_command(stack, options):
    """The whole way to the text."""
    fd = create(stack, HASH, 8, 8, 2 * ENTRIES)
    keys = [U64(number) for number in range(ENTRIES)]
    fill(fd, keys, bytes(8))

    with writer(by_batch(fd, lambda rng: U64(rng.randrange(ENTRIES // 2, ENTRIES * 6 // 5)), bytes(8))):
        answer = peer.ours(*options, "map", "dump", "id", str(client.id_of("map", fd)))

    assert (0, b"") == (answer.rc, answer.stderr)
    if options:
        found = [" ".join(byte[2:] for byte in entry["key"]).encode() for entry in json.loads(answer.stdout)]
    else:
        *lines, total = answer.stdout.splitlines()
        found = [line[len("key: ") :][: 8 * 3 - 1] for line in lines]
        assert total == f"Found {len(found)} elements".encode()
    assert len(found) == len(set(found))
    assert {key.hex(" ").encode() for key in keys[: ENTRIES // 2]} - set(found) == set()


@pytest.mark.parametrize("kind", [LRU_HASH, LRU_PERCPU_HASH])
def test_maps_that_evict(stack, kind):
    """A full LRU map drops entries that nobody has deleted, so no key is sure to stay; still none comes twice."""
    fd = create(stack, kind, 8, 8, 20_000)
    value = bytes(opened(stack, fd).info().value_room())
    fill(fd, [U64(number) for number in range(20_000)], value)
    numbers = count(20_000)

    with writer(by_batch(fd, lambda _: U64(next(numbers)), value)):
        assert walks(opened(stack, fd), set(), at_least=10)


@pytest.mark.parametrize(("entries", "batches"), [(ENTRIES, True), (5000, True), (3000, False)])
def test_tries(stack, monkeypatch, entries, batches):
    """The kernel starts over when the prefix at hand is gone, which is more likely among few."""
    fd = create(stack, LPM_TRIE, 8, 4, 2 * entries, map_flags=1)
    keys = [prefix(number) for number in range(entries)]
    for key in keys:
        client.map_update(fd, key, bytes(4))
    if not batches:
        monkeypatch.setattr(maps, "lookup_batch", refusing)
    monkeypatch.setattr(elements, "_CHUNK_ENTRIES", 500)

    with writer(one_by_one(fd, lambda rng: prefix(rng.randrange(entries // 2, entries)), bytes(4))):
        assert walks(opened(stack, fd), set(keys[: entries // 2]))


@pytest.mark.parametrize("kind", [HASH, DEVMAP_HASH, HASH_OF_MAPS])
def test_key_by_key(stack, monkeypatch, kind):
    """As older kernels have it for all maps, and the newest for some."""
    half = 50 if kind == HASH_OF_MAPS else 2000  # an inner map costs the kernel several milliseconds
    fd, value = with_values(stack, kind, 8000)
    for number in range(2 * half):
        client.map_update(fd, U32(number), value)
    monkeypatch.setattr(maps, "lookup_batch", refusing)

    with writer(one_by_one(fd, lambda rng: U32(rng.randrange(half, 2 * half)), value)):
        assert walks(opened(stack, fd), {U32(number) for number in range(half)})


def test_maps_of_maps_by_batch(stack):
    """As far as the kernel has batches for them; older ones are walked key by key."""
    fd, value = with_values(stack, HASH_OF_MAPS, 400)
    for number in range(100):
        client.map_update(fd, U32(number), value)

    with writer(one_by_one(fd, lambda rng: U32(rng.randrange(50, 100)), value)):
        assert walks(opened(stack, fd), {U32(number) for number in range(50)})


def with_values(stack, kind, entries):
    """Return a map and a value that it takes."""
    inner = create(stack, ARRAY, 4, 4, 1)
    more = {"inner_map_fd": inner} if kind in (ARRAY_OF_MAPS, HASH_OF_MAPS) else {}
    fd = create(stack, kind, 4, 4, entries, **more)
    return fd, U32({HASH: 1, DEVMAP_HASH: socket.if_nametoindex("lo")}.get(kind, inner))


@pytest.mark.parametrize("kind", [ARRAY, ARRAY_OF_MAPS])
def test_arrays(stack, kind):
    """All keys, whatever becomes of the values."""
    fd, value = with_values(stack, kind, 1000)
    step = one_by_one(fd, lambda rng: U32(rng.randrange(1000)), value)

    def update(rng):
        with suppress(OSError):  # nothing can be deleted from an array
            step(rng)

    with writer(update):
        assert walks(opened(stack, fd), {U32(number) for number in range(1000)} if kind == ARRAY else set())


@pytest.mark.parametrize("kind", [HASH, LPM_TRIE])
def test_a_map_that_changes_faster_than_it_is_read(stack, monkeypatch, kind):
    """Whenever the walk stands on a key, it is gone, and back before it is met again."""
    fd = create(stack, kind, 8, 4, 50, map_flags=kind == LPM_TRIE)
    for number in range(50):
        client.map_update(fd, prefix(number), bytes(4))
    real = maps.next_key

    def vanishing(map_fd, key, size):
        if key is None:
            return real(map_fd, key, size)
        client.bpf("map_delete_elem", client.MAP_ELEM, map_fd=fd, key=key)
        found = real(map_fd, key, size)
        client.map_update(fd, key, bytes(4))
        return found

    monkeypatch.setattr(maps, "lookup_batch", refusing)
    monkeypatch.setattr(maps, "next_key", vanishing)
    map_ = opened(stack, fd)

    with pytest.raises(KernelError, match=f"map {map_.info().id} changes faster than its entries can be read"):
        list(map_.items())
    answer = peer.inside("map", "dump", "id", str(map_.info().id))
    assert (255, 1) == (answer.rc, answer.stderr.count(b"\n"))
    assert b"changes faster than its entries can be read" in answer.stderr
