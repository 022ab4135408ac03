"""How full maps are: their entries counted by batch, what of a ring buffer is not read yet, and memory."""

from __future__ import annotations

import os
import time
from errno import ENOENT
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import ring_fill
from bpfctl.errors import KernelError, NotSupported
from bpfctl.kernel import handle
from bpfctl.kernel.elements import FIXED_KEYS, Walk, pieces
from bpfctl.kernel.map import Map
from bpfctl.kernel.surroundings import Surroundings
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.map import MapInfo, MapRow
    from bpfctl.kernel.select import Select

RINGS = frozenset({MapType.RINGBUF, MapType.USER_RINGBUF})
#: Every entry of these is there from the begin; what counts is which have something in them.
ALL_THERE = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})
_WHY = {
    MapType.QUEUE: "the kernel does not tell how many values a queue has",
    MapType.STACK: "the kernel does not tell how many values a stack has",
    MapType.BLOOM_FILTER: "a bloom filter does not know how many values are in it",
    MapType.ARENA: "an arena has pages, not entries",
}


class Fill(NamedTuple):
    """How full a map is. What is not known, or means nothing for its type, is None."""

    row: MapRow
    entries: int | None
    nonzero: int | None = None  # of an array: the entries in which something is not zero
    used: int | None = None  # of a ring buffer: the bytes that are not read yet
    why: str = ""  # why entries could not be counted
    at: float = 0.0  # when this was, on the monotonic clock
    rate: float | None = None  # by how much it grows: entries each second, or bytes of a ring buffer

    @property
    def id(self) -> int:
        """The map's id."""
        return self.row.id

    @property
    def level(self) -> int | None:
        """What says how full the map is: entries, those of arrays that are not zero, bytes of a ring buffer."""
        return next((each for each in (self.used, self.nonzero, self.entries) if each is not None), None)

    @property
    def percent(self) -> float | None:
        """The entries, or bytes of a ring buffer, in per cent of what there is room for."""
        level = self.used if self.used is not None else self.entries
        room = self.row.info.max_entries
        return None if level is None or not room else 100 * level / room

    @property
    def bytes_per_entry(self) -> float | None:
        """The memory that the kernel accounts for the map, for each entry."""
        return None if not self.entries or self.row.memlock is None else self.row.memlock / self.entries


def fills(which: Select | None, before: dict[int, Fill] | None = None) -> Iterator[Fill]:
    """Yield how full each map is that is meant; with what was ``before``, by id, also by how much it grows.

    Maps that are gone meanwhile are left out.
    """
    around = Surroundings(handle.MAP, pinned=False, owners=False)
    for map_ in Map.select(which):
        with map_:
            found = _fill(map_, map_.row(around))
        old = before.get(found.id) if before else None
        if old is not None and old.level is not None and found.level is not None and found.at > old.at:
            found = found._replace(rate=(found.level - old.level) / (found.at - old.at))
        yield found


def _fill(map_: Map, row: MapRow) -> Fill:
    at, of = time.monotonic(), row.type
    if of in RINGS:
        try:
            # A descriptor for reading alone cannot be mapped, not even for reading (VM_SHARED in mm/mmap.c do_mmap()).
            with Map.by_id(row.id, write=True) as mappable:
                consumer, producer = ring_fill.positions(mappable.fileno())
        except OSError as error:
            why = f"the kernel does not let us look at its positions: {os.strerror(error.errno or 0)}"
            return Fill(row, None, why=why, at=at)
        return Fill(row, None, used=max(0, producer - consumer), at=at)
    if isinstance(of, MapType) and of in _WHY:
        return Fill(row, None, why=_WHY[of], at=at)
    try:
        entries, nonzero, untold = _counted(Walk(map_, row.info), row.info)
    except NotSupported as error:
        why = str(error).partition("cannot be dumped: ")[2] or str(error)
        return Fill(row, None, why=why, at=at)
    except KernelError as error:
        return Fill(row, None, why=str(error), at=at)
    if untold and of in FIXED_KEYS:
        return Fill(row, None, why="the kernel does not tell which of its places are taken", at=at)
    return Fill(row, entries + untold, nonzero if of in ALL_THERE else None, at=at)


def _counted(walk: Walk, info: MapInfo) -> tuple[int, int, int]:
    """Return how many entries there are, in how many something is not zero, and of how many the value is not told."""
    entries = nonzero = untold = 0
    room = info.value_room()
    zero = bytes(room)
    for chunk in walk:
        if chunk.errno:
            untold += chunk.entries if chunk.errno != ENOENT else 0
            continue
        entries += chunk.entries
        if info.type in ALL_THERE and chunk.values.count(0) != len(chunk.values):
            nonzero += sum(value != zero for value in pieces(chunk.values, room, chunk.entries))
    return entries, nonzero, untold
