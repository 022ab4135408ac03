"""What changes in a map from one look at it to the next.

All entries of the last round are kept, packed as they came, and those of a new round are compared with them while they
come. A map is walked in the same order each time, so that chunks mostly meet their own; only entries that have moved
from one chunk to another wait in dictionaries for each other.
"""

from __future__ import annotations

from itertools import compress
from operator import ne
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import UsageError
from bpfctl.kernel.elements import pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.kernel.elements import Chunk
    from bpfctl.kernel.field import Grid

#: Bytes of keys and values that are kept; while a round is compared there are two of them.
MOST_BYTES = 1 << 27


class Change(NamedTuple):
    """An entry before and after: one of them is None for what is new, or gone."""

    key: bytes
    before: bytes | None
    after: bytes | None


class Watched:
    """The entries of a map, as they were in the last round."""

    def __init__(self, id_: int, grid: Grid) -> None:
        self._id = id_
        self._grid = grid
        self._kept: list[Chunk] | None = None
        #: How many entries there were in the last round.
        self.entries = 0

    def changes(self, chunks: Iterable[Chunk]) -> Iterator[Change]:
        """Yield what has changed since the last round, nothing in the first; UsageError when there is too much.

        The chunks are of entries that have values, as `Walk.told` yields them.

        The round is only kept when all of it was asked for.
        """
        kept: list[Chunk] = []
        incoming = self._taken(chunks, kept)
        if self._kept is None:
            for _ in incoming:
                continue
        else:
            yield from self._compared(self._kept, incoming)
        self._kept = kept
        self.entries = sum(chunk.entries for chunk in kept)

    def _taken(self, chunks: Iterable[Chunk], kept: list[Chunk]) -> Iterator[Chunk]:
        size = 0
        for chunk in chunks:
            size += len(chunk.keys) + len(chunk.values)
            if size > MOST_BYTES:
                raise UsageError(
                    f"map {self._id} has more than {MOST_BYTES >> 20} MiB of entries, which are too many to watch: "
                    "choose some with --where or --key-prefix"
                )
            kept.append(chunk)
            yield chunk

    def _compared(self, old: list[Chunk], new: Iterator[Chunk]) -> Iterator[Change]:
        before = iter(old)
        gone: dict[bytes, bytes] = {}
        come: dict[bytes, bytes] = {}
        for chunk in new:
            was = next(before, None)
            if was is not None and was.keys == chunk.keys:
                yield from self._values(was, chunk)
                continue
            if was is not None:
                yield from self._left(was, gone, come)
            for key, value in self._pairs(chunk):
                earlier = gone.pop(key, None)
                if earlier is None:
                    come[key] = value
                elif earlier != value:
                    yield Change(key, earlier, value)
        for was in before:
            yield from self._left(was, gone, come)
        for key, value in come.items():
            yield Change(key, None, value)
        for key, value in gone.items():
            yield Change(key, value, None)

    def _left(self, was: Chunk, gone: dict[bytes, bytes], come: dict[bytes, bytes]) -> Iterator[Change]:
        """Look for the entries of an old chunk among those that came without one."""
        for key, value in self._pairs(was):
            later = come.pop(key, None)
            if later is None:
                gone[key] = value
            elif later != value:
                yield Change(key, value, later)

    def _values(self, was: Chunk, chunk: Chunk) -> Iterator[Change]:
        """Compare chunks of the same keys."""
        if was.values == chunk.values:
            return
        pairs = zip(self._pairs(was), self._pairs(chunk), strict=True)
        values = [each.values for each in (was, chunk)]
        room = self._room
        differ = map(ne, *(pieces(packed, room, chunk.entries) for packed in values))
        for (key, before), (_, after) in compress(pairs, differ):
            yield Change(key, before, after)

    @property
    def _room(self) -> int:
        return self._grid.step * max(self._grid.cpus, 1)

    def _pairs(self, chunk: Chunk) -> Iterator[tuple[bytes, bytes]]:
        keys = pieces(chunk.keys, self._grid.key_size, chunk.entries)
        return zip(keys, pieces(chunk.values, self._room, chunk.entries), strict=False)
