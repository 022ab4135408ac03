"""Memory-mapped BPF ring buffers and perf event buffers: bytes of complete records, in order.

The positions are read and written in core.c with acquire and release ordering, which Python cannot express. A batch
of records is copied there in one call, and cut into pieces here.
"""

from __future__ import annotations

import os
from errno import EMSGSIZE
from typing import Any

from bpfctl._sys._ffi import ffi, lib
from bpfctl._sys.fd import Closing

MOST = 4096  # records of a batch
_ROOM = 1 << 18


class _Buffer(Closing):
    """A mapped buffer and the room that records are copied into; closed by ``close()`` or ``with``.

    ``take`` and ``unmap`` are the functions of core.c for the kind of buffer, which ``rc`` says was mapped.
    """

    _shared: Any = None  # until it is mapped

    def __init__(self, shared: Any, rc: int, take: Any, unmap: Any) -> None:
        if rc < 0:
            raise OSError(-rc, os.strerror(-rc))
        self._shared = shared
        self._take = take
        self._unmap = unmap
        self._batch = ffi.new("struct bpfctl_batch *")
        self._spans = ffi.new("uint32_t[]", 2 * MOST)
        self._batch.spans = self._spans
        self._make_room(_ROOM)

    def _make_room(self, room: int) -> None:
        self._out = ffi.new("uint8_t[]", room)
        self._batch.out, self._batch.room = self._out, room

    def take(self, most: int = MOST) -> list[bytes]:
        """Return the next records that are complete; a short list does not mean that there are no more.

        OSError EBADMSG when what stands in the buffer contradicts itself; ValueError once it is closed.
        """
        shared, batch = self._mapped(), self._batch
        batch.most = min(most, MOST)
        rc = self._take(shared, batch)
        while rc == -EMSGSIZE:  # one record is larger than our room, and where others take some the next may be, too
            self._make_room(batch.used)
            rc = self._take(shared, batch)
        if rc < 0:
            raise OSError(-rc, os.strerror(-rc))
        if not rc:
            return []
        data = ffi.buffer(self._out, batch.used)[:]
        spans = iter(ffi.unpack(self._spans, 2 * rc))
        return [data[start:end] for start, end in zip(spans, spans, strict=True)]

    def _mapped(self) -> Any:
        if self._shared is None:
            raise ValueError("the buffer is closed")
        return self._shared

    def close(self) -> None:
        """Unmap the buffer; a second call does nothing."""
        if self._shared is not None:
            self._unmap(self._shared)
            self._shared = None

    def __del__(self) -> None:
        self.close()


class Ring(_Buffer):
    """A BPF_MAP_TYPE_RINGBUF of ``size`` bytes (its max_entries) of the map behind ``map_fd``.

    What is taken from it is consumed. With ``looks_on`` nothing is, and all pages are mapped for reading only.
    """

    def __init__(self, map_fd: int, size: int, *, looks_on: bool = False) -> None:
        ring = ffi.new("struct bpfctl_ring *")
        rc = lib.bpfctl_ring_map(ring, map_fd, size, looks_on)
        take = lib.bpfctl_ring_watch if looks_on else lib.bpfctl_ring_take
        super().__init__(ring, rc, take, lib.bpfctl_ring_unmap)

    @property
    def discarded(self) -> int:
        """How many records met so far the program had reserved and then discarded."""
        return int(self._mapped().discarded)

    @property
    def missed(self) -> int:
        """How many bytes of records were overwritten before they were copied, which only happens to who looks on."""
        return int(self._mapped().missed)

    @property
    def moved(self) -> int:
        """How often somebody else had moved the consumer's position."""
        return int(self._mapped().moved)

    @property
    def behind(self) -> int:
        """How many bytes of records there are behind the last that was taken."""
        return self.producer_position - int(self._mapped().at)

    @property
    def consumer_position(self) -> int:
        """How many bytes were ever consumed."""
        return int(lib.bpfctl_ring_consumer(self._mapped()))

    @property
    def producer_position(self) -> int:
        """How many bytes were ever reserved."""
        return int(lib.bpfctl_ring_producer(self._mapped()))


class PerfRing(_Buffer):
    """The buffer of one perf event; ``size`` in bytes is a power of two of pages.

    Its records begin with struct perf_event_header: u32 type, u16 misc, u16 size.
    """

    def __init__(self, fd: int, size: int) -> None:
        shared = ffi.new("struct bpfctl_perf *")
        rc = lib.bpfctl_perf_map(shared, fd, size)
        super().__init__(shared, rc, lib.bpfctl_perf_take, lib.bpfctl_perf_unmap)

    @property
    def behind(self) -> int:
        """How many bytes of records there are behind the last that was taken."""
        return int(lib.bpfctl_perf_behind(self._mapped()))
