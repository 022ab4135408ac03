"""bpfctl.kernel.elements: what the walk makes of the kernel's answers, by a map that changes at given moments."""

from __future__ import annotations

from errno import EBUSY, EINTR, EINVAL, ENOENT, ENOMEM, ENOSPC, EPERM

import pytest

from bpfctl._sys.maps import Batch
from bpfctl.errors import ENOTSUPP, KernelError, NotSupported
from bpfctl.kernel import elements
from bpfctl.kernel.elements import Chunk, Walk
from bpfctl.kernel.map import MapInfo
from bpfctl.uapi.enums import MapType


class FakeMap:
    """A map of one-byte keys in the order of a hash; ``then`` has what happens before the question with a number."""

    def __init__(self, keys, then=None, values=None):
        self.keys = list(keys)
        self.then = then or {}
        self.refusals = values or {}
        self.asked = 0

    def fileno(self):
        return 3

    def next_key(self, _fd, key, _size):
        self.asked += 1
        if self.asked in self.then:
            self.then[self.asked](self.keys)
        keys = [bytes([each]) for each in self.keys]
        if key is not None and key in keys:
            keys = keys[keys.index(key) + 1 :]
        if not keys:
            raise OSError(ENOENT, "no more")
        return keys[0]

    def lookup(self, _fd, key, _room):
        if key[0] in self.refusals:
            raise OSError(self.refusals[key[0]], "refused")
        return key * 2


def info(kind, *, entries=10, key=1, value=2):
    return MapInfo(7, kind, key, value, entries, 0, "fake", 0, 0, 0, 0, 0, 0, 0, 0)


def walk(monkeypatch, fake, kind=MapType.SOCKHASH, **facts):
    monkeypatch.setattr(elements.maps, "next_key", fake.next_key)
    monkeypatch.setattr(elements.maps, "lookup", fake.lookup)
    return Walk(fake, info(kind, **facts))


def keys_of(walked):
    return b"".join(chunk.keys for chunk in walked)


def test_nothing_happens(monkeypatch):
    walked = walk(monkeypatch, FakeMap(b"abc"))

    assert list(walked) == [Chunk(b"abc", b"aabbcc", 3)]
    assert (walked.restarts, walked.skipped) == (0, 0)


def test_the_key_at_hand_is_deleted(monkeypatch):
    """The kernel starts over; the walk goes on behind the key before."""
    walked = walk(monkeypatch, FakeMap(b"abcdef", {4: lambda keys: keys.remove(b"c"[0])}))

    assert keys_of(walked) == b"abcdef"
    assert walked.restarts == 0


def test_all_keys_at_hand_are_deleted(monkeypatch):
    """Then it really starts over, and leaves out what it has seen."""

    def only_the_last(keys):
        keys[:] = b"yadef"

    walked = walk(monkeypatch, FakeMap(b"abcdef", {4: only_the_last}))
    assert keys_of(walked) == b"abcyd" + b"ef"
    walked = walk(monkeypatch, FakeMap(b"abc", {4: lambda keys: keys.__setitem__(slice(None), b"bxa")}))
    assert sorted(keys_of(walked)) == list(b"abcx")


def test_the_first_key_is_deleted(monkeypatch):
    walked = walk(monkeypatch, FakeMap(b"ab", {2: lambda keys: keys.remove(b"a"[0])}))

    assert keys_of(walked) == b"ab"


def test_a_key_moves_back(monkeypatch):
    """As one does in a hash that is overwritten."""

    def move(keys):
        keys.remove(b"c"[0])
        keys.insert(0, b"c"[0])

    walked = walk(monkeypatch, FakeMap(b"abcd", {4: move}))

    assert keys_of(walked) == b"abcd"


def test_changes_without_end(monkeypatch):
    """The walk gives up at last."""
    fake = FakeMap(b"ab")
    monkeypatch.setattr(fake, "next_key", lambda _fd, key, _size: b"a" if key == b"b" else b"b")
    walked = walk(monkeypatch, fake)

    with pytest.raises(KernelError, match="map 7 changes faster than its entries can be read"):
        list(walked)
    assert walked.restarts >= 1


def test_values_that_are_gone(monkeypatch):
    """Where keys come and go, one without a value is no entry any more; elsewhere it is an empty slot."""
    gone = {b"b"[0]: ENOENT}
    walked = walk(monkeypatch, FakeMap(b"abc", values=gone))
    assert (list(walked), walked.skipped) == ([Chunk(b"ac", b"aacc", 2)], 1)

    walked = walk(monkeypatch, FakeMap(b"abc", values=gone), MapType.DEVMAP)
    assert list(walked) == [Chunk(b"a", b"aa", 1), Chunk(b"b", b"", 1, ENOENT), Chunk(b"c", b"cc", 1)]
    assert list(walk(monkeypatch, FakeMap(b"abc", values=gone), MapType.DEVMAP).pairs()) == [
        (b"a", b"aa"),
        (b"c", b"cc"),
    ]


@pytest.mark.parametrize("errno", [ENOTSUPP, EINVAL])
def test_maps_that_cannot_be_walked(monkeypatch, errno):
    """The kernel decides; the table has the words, and a type newer than it gets some too."""

    def refuse(*_):
        raise OSError(errno, "refused")

    fake = FakeMap(b"")
    monkeypatch.setattr(fake, "next_key", refuse)
    for kind, words in (
        (MapType.RINGBUF, "stream of records"),
        (MapType.HASH, "of a hash map"),
        (99, "of a type 99 map"),
    ):
        monkeypatch.setattr(elements.maps, "lookup_batch", refuse)
        with pytest.raises(NotSupported, match=words) as caught:
            list(walk(monkeypatch, fake, kind))
        assert caught.value.exit_code == -errno & 0xFF


def test_a_map_that_may_not_be_read(monkeypatch):
    def refuse(*_):
        raise OSError(EPERM, "refused")

    fake = FakeMap(b"")
    monkeypatch.setattr(fake, "next_key", refuse)

    with pytest.raises(KernelError, match="can't read the entries of map 7") as caught:
        list(walk(monkeypatch, fake))
    assert caught.value.exit_code == 255


def batches(monkeypatch, answers):
    """Answer each batch lookup in turn; return what was asked."""
    asked = []

    def lookup_batch(_fd, cursor, count, *_sizes):
        asked.append((cursor, count))
        answer = answers[len(asked) - 1]
        if isinstance(answer, int):
            raise OSError(answer, "refused")
        return answer

    monkeypatch.setattr(elements.maps, "lookup_batch", lookup_batch)
    return asked


def test_batches(monkeypatch):
    """Room grows for a large bucket, up to twice the map, and shrinks where memory is short."""
    monkeypatch.setattr(elements, "_CHUNK_ENTRIES", 4)
    last = Batch(b"c", b"cc", 1, None)
    asked = batches(monkeypatch, [ENOSPC, ENOSPC, Batch(b"ab", b"aabb", 2, b"1"), ENOMEM, ENOSPC, last])
    walked = walk(monkeypatch, FakeMap(b""), MapType.HASH)

    assert list(walked) == [Chunk(b"ab", b"aabb", 2), Chunk(b"c", b"cc", 1)]
    assert asked == [(None, 4), (None, 8), (None, 16), (b"1", 16), (b"1", 8), (b"1", 16)]

    batches(monkeypatch, [Batch(b"ab", b"aabb", 2, b"1"), *[ENOSPC] * 9])
    with pytest.raises(KernelError, match="No space left"):
        list(walk(monkeypatch, FakeMap(b""), MapType.HASH))


def test_a_bucket_larger_than_the_memory(monkeypatch):
    """Whoever has too little room for it, and no memory for more, gives up at last."""
    batches(monkeypatch, [Batch(b"ab", b"aabb", 2, b"1"), *[ENOMEM, ENOSPC] * 2000])

    with pytest.raises(KernelError, match="Cannot allocate memory"):
        list(walk(monkeypatch, FakeMap(b""), MapType.HASH))


def test_a_batch_that_stops(monkeypatch):
    """A bucket whose lock is taken is tried again, and not for ever."""
    busy = Batch(b"", b"", 0, b"1", EBUSY)
    batches(monkeypatch, [Batch(b"a", b"aa", 1, b"1", EBUSY), busy, busy, Batch(b"b", b"bb", 1, None)])
    assert keys_of(walk(monkeypatch, FakeMap(b""), MapType.HASH)) == b"ab"

    batches(monkeypatch, [busy] * 2000)
    with pytest.raises(KernelError, match="busy"):
        list(walk(monkeypatch, FakeMap(b""), MapType.HASH))


def test_a_batch_that_stops_at_a_gap(monkeypatch):
    """Kernels before 6.14 cannot pass an empty slot of an array of maps; the walk goes on key by key."""
    fake = FakeMap(b"abcd", values={b"b"[0]: ENOENT})
    batches(monkeypatch, [Batch(b"a", b"aa", 1, b"a", EINTR)])
    assert list(walk(monkeypatch, fake, MapType.ARRAY_OF_MAPS)) == [
        Chunk(b"a", b"aa", 1),
        Chunk(b"b", b"", 1, ENOENT),
        Chunk(b"cd", b"ccdd", 2),
    ]
    batches(monkeypatch, [Batch(b"", b"", 0, b"\0", EINTR)])
    assert keys_of(walk(monkeypatch, fake, MapType.ARRAY_OF_MAPS)) == b"abcd"


def trie(*prefixes):
    return b"".join(length.to_bytes(4, "little") + bytes([address]) for address, length in prefixes)


def test_a_trie_that_starts_over(monkeypatch):
    """What is behind the walk is left out, within a batch and between two."""
    first = trie((0x10, 4), (0x20, 4), (0x10, 4), (0x20, 4))
    second = trie((0x10, 4), (0x30, 4), (0, 0))
    batches(monkeypatch, [Batch(first, b"aabbccdd", 4, b"x"), Batch(second, b"eeffgg", 3, None)])
    walked = walk(monkeypatch, FakeMap(b""), MapType.LPM_TRIE, key=5)

    assert list(walked) == [
        Chunk(trie((0x10, 4), (0x20, 4)), b"aabb", 2),
        Chunk(trie((0x30, 4), (0, 0)), b"ffgg", 2),
    ]
    assert walked.restarts == 2

    again = Batch(first, b"aabbccdd", 4, b"x")
    batches(monkeypatch, [again] * 2000)
    with pytest.raises(KernelError, match="changes faster"):
        list(walk(monkeypatch, FakeMap(b""), MapType.LPM_TRIE, key=5))
