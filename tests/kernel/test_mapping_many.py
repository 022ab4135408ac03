"""Many entries of a map at once: written, read, deleted and copied, with batches of the kernel and without."""

from __future__ import annotations

import random
import tracemalloc
from errno import E2BIG
from itertools import islice

import pytest

from bpfctl import DoesNotFit, MapType, Unfinished
from bpfctl._sys import maps as calls
from bpfctl.uapi.flags import MapFlag, UpdateFlag
from tests.kernel.mapped import PLAIN, U32, U64, make, typed


@pytest.mark.parametrize("kind", [MapType.HASH, MapType.LRU_HASH, MapType.LPM_TRIE])
@pytest.mark.parametrize("batches", [True, False])
def test_many_entries(stack, monkeypatch, kind, batches):
    """By batch and without: all are written, and all are deleted that are there."""
    flags = MapFlag.NO_PREALLOC if kind is MapType.LPM_TRIE else 0
    m = make(stack, kind, 8, 4, 20_000, flags=flags)
    if not batches:
        refuse(monkeypatch)
    many = {U32(32) + n.to_bytes(4, "big"): U32(n) for n in range(9000)}

    assert m.update(many) == 9000
    assert dict(m.items()) == many
    assert m.update((key, bytes(4)) for key in islice(many, 10)) == 10
    gone = list(many)[::2]
    assert m.delete_many(gone) == 4500
    assert m.delete_many(many) == 4500
    assert m.count() == 0
    assert m.update({}) == m.delete_many([]) == 0


def refuse(monkeypatch):
    def refusing(*_args, **_more):
        raise calls.BatchError(524, "no batches")

    monkeypatch.setattr(calls, "update_batch", refusing)
    monkeypatch.setattr(calls, "delete_batch", refusing)


@pytest.mark.parametrize("batches", [True, False])
def test_many_entries_that_do_not_all_fit(stack, monkeypatch, batches):
    """The error says how many were written, and those are there."""
    m = make(stack, MapType.HASH, entries=5000)
    if not batches:
        refuse(monkeypatch)

    with pytest.raises(Unfinished, match="failed") as caught:
        m.update((n, n) for n in range(7000))
    assert (caught.value.errno, caught.value.done) == (E2BIG, m.count())
    assert {key for key, _ in m.items()} == {U32(n) for n in range(caught.value.done)}
    m.delete_many(list(m))
    with pytest.raises(DoesNotFit, match="key") as refused:
        m.update((n if n < 4500 else "word", n) for n in range(5000))
    assert refused.value.done == m.count() <= 4500


def test_flags_of_an_update(stack):
    m = make(stack, MapType.HASH)
    m[1] = 1

    with pytest.raises(Unfinished) as caught:
        m.update({0: 5, 1: 5}, UpdateFlag.NOEXIST)
    assert caught.value.done == 1
    assert m.update({0: 7, 1: 7}, UpdateFlag.EXIST) == 2


def test_one_map_into_another(stack):
    m, other = typed(stack), typed(stack)
    m.update({n: {**PLAIN, "bytes": n} for n in range(50)})

    assert other.update(m) == 50
    assert dict(other.raw.items()) == dict(m.raw.items())


def test_breaking_out_of_a_loop(stack):
    """Memory does not grow with the map, and a walk that is left leaves nothing behind."""
    m = make(stack, MapType.HASH, 8, 16, 100_000)
    rng = random.Random(1)
    m.update((U64(n), rng.randbytes(16)) for n in range(100_000))

    tracemalloc.start()
    for key, value in m.items():
        assert (len(key), len(value)) == (8, 16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    walk = m.items()
    next(walk)
    del walk
    assert len(list(islice(m.items(), 70_000))) == 70_000
