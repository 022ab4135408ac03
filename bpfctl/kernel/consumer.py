"""Who reads an event buffer: processes that hold the map and have mapped what its records are read through.

A loader that only keeps the map open is no reader. A ring buffer's reader has its first page mapped writable, since the
consumer's position stands there, and the data; a perf event array's has perf event buffers mapped. Which map a mapping
belongs to /proc does not tell, so that of a process with several such maps each that fits is taken for read. A reader
that has closed its descriptors and kept the mappings is not found here; that a consumer's position moves tells of it.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.kernel import handle
from bpfctl.kernel.surroundings import Surroundings
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from bpfctl.kernel.map import MapInfo
    from bpfctl.kernel.owner import Owner

_MAP, _PERF_EVENT = "anon_inode:bpf-map", "anon_inode:[perf_event]"


class Mapping(NamedTuple):
    """A line of /proc/PID/maps; sizes in bytes."""

    size: int
    writable: bool
    offset: int
    name: str


def consumers(info: MapInfo) -> tuple[Owner, ...]:
    """Return the other processes that read the records of a ring buffer or perf event array, as far as /proc tells."""
    owners = Surroundings(handle.MAP, pinned=False, owners=True).owners(info.id)
    return tuple(owner for owner in owners if reads(info, mappings(owner.pid)))


def reads(info: MapInfo, mapped: list[Mapping]) -> bool:
    """Return whether mappings are those of a process that reads this map."""
    if info.type is not MapType.RINGBUF:
        return any(there.name == _PERF_EVENT and there.writable for there in mapped)
    pages = [there for there in mapped if there.name == _MAP]
    position = any(there.writable and there.offset == 0 and there.size == mmap.PAGESIZE for there in pages)
    return position and any(not there.writable and there.size >= 2 * info.max_entries for there in pages)


def mappings(pid: int) -> list[Mapping]:
    """Return the shared mappings of a process; none of one that has ended or is not ours to look at."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            lines = file.read().split("\n")[:-1]  # a path may have other ends of line
    except OSError:
        return []
    found = []
    for line in lines:
        where, rights, offset, _, _, *name = line.split(maxsplit=5)
        if rights[3] == "s" and name:
            start, _, end = where.partition("-")
            size = int(end, 16) - int(start, 16)
            found.append(Mapping(size, rights[1] == "w", int(offset, 16), name[0]))
    return found
