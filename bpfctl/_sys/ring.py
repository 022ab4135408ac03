"""Memory-mapped BPF ring buffers and perf event buffers: bytes of complete records, in order.

The positions are read and written in core.c with acquire and release ordering, which Python cannot express.
"""

from __future__ import annotations

import os
import sys
from errno import EMSGSIZE
from typing import TYPE_CHECKING, Any

from bpfctl._sys._ffi import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

_ROOM = 1 << 18


class _Buffer:
    """A mapped buffer and the room that records are copied into; closed by ``close()`` or ``with``.

    ``map_``, ``take`` and ``unmap`` are the functions of core.c for the kind of buffer.
    """

    def __init__(self, shared: Any, fd: int, size: int, functions: tuple[Any, Any, Any]) -> None:
        map_, self._take, self._unmap = functions
        rc = map_(shared, fd, size)
        if rc < 0:
            raise OSError(-rc, os.strerror(-rc))
        self._shared = shared
        self._room = _ROOM
        self._out = ffi.new("uint8_t[]", self._room)
        self._used = ffi.new("size_t *")

    def _copy(self) -> bytes:
        """Copy what is complete; empty when nothing is."""
        if self._shared is None:
            raise ValueError("the buffer is closed")
        rc = self._take(self._shared, self._out, self._room, self._used)
        if rc == -EMSGSIZE:  # one record is larger than our room
            self._room = self._used[0]
            self._out = ffi.new("uint8_t[]", self._room)
            rc = self._take(self._shared, self._out, self._room, self._used)
        if rc < 0:
            raise OSError(-rc, os.strerror(-rc))
        return bytes(ffi.buffer(self._out, self._used[0]))

    def close(self) -> None:
        """Unmap the buffer; a second call does nothing."""
        if self._shared is not None:
            self._unmap(self._shared)
            self._shared = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Ring(_Buffer):
    """A BPF_MAP_TYPE_RINGBUF of ``size`` bytes (its max_entries) of the map behind ``map_fd``."""

    def __init__(self, map_fd: int, size: int) -> None:
        functions = (lib.bpfctl_ring_map, lib.bpfctl_ring_read, lib.bpfctl_ring_unmap)
        super().__init__(ffi.new("struct bpfctl_ring *"), map_fd, size, functions)

    def read(self) -> Iterator[bytes]:
        """Yield the records that are complete now, oldest first; they are consumed in batches."""
        while data := self._copy():
            at = 0
            while at < len(data):
                length = int.from_bytes(data[at : at + 4], sys.byteorder)
                yield data[at + 8 : at + 8 + length]
                at += (length + 15) & ~7

    @property
    def discarded(self) -> int:
        """How many records the program reserved and then discarded."""
        return int(self._shared.discarded)


class PerfBuffer(_Buffer):
    """The buffer of one perf event; ``size`` in bytes is a power of two of pages."""

    def __init__(self, fd: int, size: int) -> None:
        functions = (lib.bpfctl_perf_map, lib.bpfctl_perf_read, lib.bpfctl_perf_unmap)
        super().__init__(ffi.new("struct bpfctl_perf *"), fd, size, functions)

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yield (type, payload) of the records that are there now: PERF_RECORD_SAMPLE is 9, PERF_RECORD_LOST 2."""
        while data := self._copy():
            at = 0
            while at < len(data):
                kind = int.from_bytes(data[at : at + 4], sys.byteorder)
                size = int.from_bytes(data[at + 6 : at + 8], sys.byteorder)
                yield kind, data[at + 8 : at + size]
                at += size
