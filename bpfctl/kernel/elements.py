"""What is in a map: its entries in chunks, read in batches where the map has them, key by key where not.

A chunk is packed: the keys of all its entries in a row, and the values of all in a row, as the kernel copies them.
That is how batches arrive, and what lets a view format a million entries without a Python object for each.

What a reader may rely on while others write, besides that the walk ends and that no key is yielded twice:

* Hash maps of every kind are read bucket by bucket, each in one step of the kernel. A key that is there all along is
  yielded, with a value that it had meanwhile. A full LRU map drops keys of its own accord, which are then not there
  all along.
* Arrays of every kind have the same keys all the time.
* Tries are read in an order that prefixes alone decide. When the prefix that the walk stands on is deleted, the kernel
  starts over; what is behind the walk is left out then (``Walk.restarts``). A prefix that is there all along is
  yielded.
* Other maps (of devices by hash, of sockets by hash, storage of cgroups), and on older kernels hash maps of maps, are
  walked key by key. When the key that the walk stands on is deleted, the kernel starts over at the first one. The walk
  goes back to the key before, or leaves out what it has seen (``Walk.restarts``); a key whose value is gone before it
  is read is left out too (``Walk.skipped``). A key that nobody touches is yielded; one that is overwritten all the
  time may move to where the walk has been already, and be missed.

A walk that would have to leave out eight times as many entries as the map can hold gives up: KernelError, EAGAIN.

The commands are described in include/uapi/linux/bpf.h; batches came with Linux 5.6 (commit cb4d03ab499d, "bpf: Add
generic support for lookup batch op"), those of LPM tries, per-CPU arrays and maps of maps until 5.14.
"""

from __future__ import annotations

import sys
from collections import deque
from errno import E2BIG, EAGAIN, EBUSY, EINVAL, ENOENT, ENOMEM, ENOSPC, EOPNOTSUPP
from functools import lru_cache
from itertools import chain, compress, repeat
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import maps
from bpfctl.errors import ENOTSUPP, KernelError, NotSupported, status
from bpfctl.kernel import handle
from bpfctl.kernel.names import map_type
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeAlias

    from bpfctl.kernel.map import Map, MapInfo

    #: What packed keys or values become: (bytes, how many) -> each.
    Each: TypeAlias = Callable[[bytes, int], Iterable[Any]]

# A chunk holds about this much, so that a dump's memory does not depend on the size of the map.
_CHUNK_BYTES = 1 << 20
_CHUNK_ENTRIES = 1 << 15
_CHUNK_KEYS = 256  # of a chunk that is read key by key

_BY_BUCKET = frozenset(
    {MapType.HASH, MapType.LRU_HASH, MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH, MapType.HASH_OF_MAPS},
)
# Batches of others are not used: the kernel leaves out of them the keys whose value it will not tell.
_BY_BATCH = _BY_BUCKET | {MapType.ARRAY, MapType.PERCPU_ARRAY, MapType.ARRAY_OF_MAPS, MapType.LPM_TRIE}
FIXED_KEYS = frozenset(
    {
        MapType.ARRAY,
        MapType.PERCPU_ARRAY,
        MapType.ARRAY_OF_MAPS,
        MapType.PROG_ARRAY,
        MapType.PERF_EVENT_ARRAY,
        MapType.CGROUP_ARRAY,
        MapType.DEVMAP,
        MapType.SOCKMAP,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.REUSEPORT_SOCKARRAY,
        MapType.STRUCT_OPS,
        MapType.INSN_ARRAY,
    },
)
# Kinds of maps that the kernel has no way to walk, and what to do instead.
UNREADABLE = {
    MapType.QUEUE: "a queue has no keys: use map peek or map dequeue",
    MapType.STACK: "a stack has no keys: use map peek or map pop",
    MapType.RINGBUF: "a ring buffer is read as a stream of records, not as entries",
    MapType.USER_RINGBUF: "a user ring buffer takes records from user space and shows none",
    MapType.BLOOM_FILTER: "a bloom filter cannot tell what is in it, only whether a value may be",
    MapType.ARENA: "an arena is memory shared with programs, not entries",
    MapType.SK_STORAGE: "the kernel looks up socket storage by a socket's descriptor and cannot list it",
    MapType.INODE_STORAGE: "the kernel looks up inode storage by a file's descriptor and cannot list it",
    MapType.TASK_STORAGE: "the kernel looks up task storage by a pidfd and cannot list it",
    MapType.CGRP_STORAGE: "the kernel looks up cgroup storage by a cgroup's descriptor and cannot list it",
}
# How a map answers that has no batches: old kernels do not know the command, newer ones know that the map has none.
_NO_BATCHES = frozenset({ENOTSUPP, EOPNOTSUPP, EINVAL, E2BIG, ENOMEM, ENOSPC})
_NO_WALK = frozenset({ENOTSUPP, EOPNOTSUPP, EINVAL})
_STOPS = 1000  # how often in a row a batch may stop at the same place, or lack memory
_AT_ONCE = 512  # how many pieces are cut off in one call
_TRAIL = 64  # how many keys back the walk looks for one that is still there


class Chunk(NamedTuple):
    """Some entries: packed keys, packed values, how many; or keys whose values the kernel would not tell."""

    keys: bytes
    values: bytes
    entries: int
    errno: int = 0  # why there are no values


class Walk:
    """One pass over the entries of a map; iterate over it once.

    Raises KernelError when the kernel refuses, NotSupported for a map that cannot be listed at all.
    """

    def __init__(self, map_: Map, info: MapInfo) -> None:
        self._fd = map_.fileno()
        self.info = info
        self._room = info.value_room()
        self._patience = 8 * info.max_entries + 1024  # how many entries may be left out because they were seen before
        self.restarts = 0
        """How often the walk started over because the keys at hand were deleted."""
        self.skipped = 0
        """How many keys were deleted before their value could be read."""

    def __iter__(self) -> Iterator[Chunk]:
        if self.info.type not in _BY_BATCH:
            return self._by_key(None)
        return self._by_prefix() if self.info.type is MapType.LPM_TRIE else self._by_batch()

    def pairs(self, keys: Each | None = None, values: Each | None = None) -> Iterator[tuple[Any, Any]]:
        """Yield key and value of each entry, as bytes unless told what becomes of packed ones.

        NotSupported when the kernel tells keys alone.
        """
        size, room = self.info.key_size, self._room
        of_keys = keys or (lambda packed, count: pieces(packed, size, count))
        of_values = values or (lambda packed, count: pieces(packed, room, count))
        return chain.from_iterable(
            zip(of_keys(chunk.keys, chunk.entries), of_values(chunk.values, chunk.entries), strict=True)
            for chunk in self.told()
        )

    def told(self) -> Iterator[Chunk]:
        """Yield the chunks of entries that have values; NotSupported where the kernel keeps them to itself."""
        for chunk in self:
            if not chunk.errno:
                yield chunk
            elif chunk.errno in _NO_WALK:
                raise values_untold(self.info)
            elif chunk.errno != ENOENT:  # an empty slot of an array
                raise self._failed(OSError(chunk.errno, ""))

    def _by_batch(self) -> Iterator[Chunk]:
        info = self.info
        # A bucket may hold the whole map, and a few entries more that the kernel keeps for itself.
        largest = 2 * max(info.max_entries, 1)
        wanted = max(1, min(_CHUNK_ENTRIES, _CHUNK_BYTES // (info.key_size + self._room), info.max_entries))
        cursor: bytes | None = None
        stops = 0
        while True:
            try:
                batch = maps.lookup_batch(self._fd, cursor, wanted, info.key_size, self._room)
            except OSError as error:
                if error.errno == ENOSPC and wanted < largest:
                    wanted = min(wanted * 2, largest)  # a bucket holds more than we made room for
                elif cursor is None and error.errno in _NO_BATCHES:
                    yield from self._by_key(None)
                    return
                elif error.errno == ENOMEM and wanted > 1 and stops <= _STOPS:
                    wanted //= 2  # and larger again where a bucket takes it: there may be memory by then, or never
                    stops += 1
                else:
                    raise self._failed(error) from None
                continue
            if batch.entries:
                yield Chunk(batch.keys, batch.values, batch.entries)
            if batch.cursor is None:
                return
            stops = stops + 1 if batch.errno and not batch.entries else 0
            if batch.errno and info.type not in _BY_BUCKET:
                # The cursor of a map without buckets is its last key; where there was none, begin at the begin.
                yield from self._by_key(batch.cursor if batch.entries else cursor)
                return
            if stops > _STOPS:
                raise KernelError(f"can't read the entries of map {info.id}", batch.errno or EBUSY)
            cursor = batch.cursor

    def _by_prefix(self) -> Iterator[Chunk]:
        """Leave out the prefixes of a trie that are behind us, since the kernel has started over.

        A trie is walked in an order that its prefixes alone decide (trie_get_next_key() in kernel/bpf/lpm_trie.c):
        by the last address of each, and the longer prefix before the shorter one that has the same.
        """
        size = self.info.key_size
        greatest = before = (-1, 0)
        for chunk in self._by_batch():
            keep: list[bool] = []
            for key in pieces(chunk.keys, size):
                order = _order(key)
                self.restarts += order <= before
                keep.append(order > greatest)
                greatest = max(greatest, order)
                before = order
            if all(keep):
                yield chunk
                continue
            self._lose_patience(chunk.entries - sum(keep))
            keys = b"".join(compress(pieces(chunk.keys, size), keep))
            values = b"".join(compress(pieces(chunk.values, self._room, chunk.entries), keep))
            if keys:
                yield Chunk(keys, values, sum(keep))

    def _by_key(self, key: bytes | None) -> Iterator[Chunk]:
        fixed = self.info.type in FIXED_KEYS
        keys: list[bytes] = []
        values: list[bytes] = []
        before = 0
        for found in self._fixed_keys(key) if fixed else self._changing_keys(key):
            value, errno = self._value(found)
            if errno == ENOENT and not fixed:
                self.skipped += 1
                continue
            if keys and (errno != before or len(keys) == _CHUNK_KEYS):
                yield Chunk(b"".join(keys), b"".join(values), len(keys), before)
                keys.clear()
                values.clear()
            before = errno
            keys.append(found)
            values.append(value)
        if keys:
            yield Chunk(b"".join(keys), b"".join(values), len(keys), before)

    def _value(self, key: bytes) -> tuple[bytes, int]:
        """Return the value of a key, or nothing and why."""
        try:
            return maps.lookup(self._fd, key, self._room), 0
        except OSError as error:
            return b"", error.errno or 0

    def _fixed_keys(self, key: bytes | None) -> Iterator[bytes]:
        while (key := self._next(key)) is not None:
            yield key

    def _changing_keys(self, key: bytes | None) -> Iterator[bytes]:
        seen: set[bytes] = set()
        trail: deque[bytes] = deque(maxlen=_TRAIL)
        while (key := self._next(key)) is not None:
            if key not in seen:
                seen.add(key)
                trail.append(key)
                yield key
                continue
            self._lose_patience(1)
            if trail:  # the key at hand was deleted, so go on behind the one before it
                trail.pop()
                if trail:
                    key = trail[-1]
                else:
                    self.restarts += 1

    def _lose_patience(self, entries: int) -> None:
        self._patience -= entries
        if self._patience < 0:
            raise KernelError(f"map {self.info.id} changes faster than its entries can be read", EAGAIN)

    def _next(self, key: bytes | None) -> bytes | None:
        try:
            return maps.next_key(self._fd, key, self.info.key_size)
        except OSError as error:
            if error.errno == ENOENT:
                return None
            if key is None and error.errno in _NO_WALK:
                raise self._unreadable(error.errno) from None
            raise self._failed(error) from None

    def _unreadable(self, errno: int) -> NotSupported:
        kind = self.info.type
        word = map_type(kind) or f"type {int(kind)}"
        reason = UNREADABLE.get(MapType(kind)) if isinstance(kind, MapType) else None
        error = NotSupported(
            f"map {self.info.id} cannot be dumped: {reason or f'the kernel cannot list the entries of a {word} map'}"
        )
        error.exit_code = status(errno)
        return error

    def _failed(self, error: OSError) -> KernelError:
        number = error.errno or 0
        hint = handle.privilege_hint(number)
        tried = f"can't read the entries of map {self.info.id}"
        return KernelError(tried, number, hint=hint, exit_code=status(number))


def values_untold(info: MapInfo) -> NotSupported:
    """Return the error about a map that has keys, but whose values the kernel keeps to itself."""
    word = map_type(info.type) or f"type {int(info.type)}"
    return NotSupported(f"map {info.id}: the kernel does not tell the values of a {word} map")


def pieces(packed: bytes, size: int, count: int = 0) -> Iterable[bytes]:
    """Return what is packed in a row, each of ``size`` bytes; ``count`` pieces when they have no bytes at all."""
    if not size:
        return repeat(b"", count)
    rest = len(packed) // size % _AT_ONCE
    whole = len(packed) - rest * size
    # Many in one call of C: a row of pieces takes a third of the time that as many calls for one piece each take.
    rows = _cutter(size, _AT_ONCE).iter_unpack(packed[:whole])
    return chain(chain.from_iterable(rows), _cutter(size, rest).unpack(packed[whole:]))


@lru_cache(maxsize=16)
def _cutter(size: int, count: int) -> Struct:
    return Struct(f"{size}s" * count)


def _order(prefix: bytes) -> tuple[int, int]:
    """Return where the walk of a trie meets a prefix (struct bpf_lpm_trie_key)."""
    length = int.from_bytes(prefix[:4], sys.byteorder)
    open_bits = max(8 * (len(prefix) - 4) - length, 0)
    return int.from_bytes(prefix[4:], "big") | (1 << open_bits) - 1, -length
