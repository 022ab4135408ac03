"""Ring buffers (BPF_MAP_TYPE_RINGBUF, Linux 5.8): records of all CPUs in one order.

The kernel keeps no count of the records for which a program found no room: only the program can count them. What can be
known is told: records that the program reserved and then discarded, and the bytes that who only looks on was too slow
for.
"""

from __future__ import annotations

import select
from contextlib import suppress
from errno import EACCES, EINVAL
from typing import TYPE_CHECKING, Any, overload

from bpfctl._sys.ring import Ring
from bpfctl.errors import UsageError
from bpfctl.kernel import events
from bpfctl.kernel.events import Record
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag

if TYPE_CHECKING:
    from bpfctl.kernel.map import Map
    from btf.read import BTF
    from btf.value import Value

# Who looks on may not be woken: a program wakes the waiting only when the consumer has read all that was there.
_PERIOD = 0.02

# What the kernel answers when a descriptor is for reading only: it lets nobody share memory through one, not even for
# reading (bpf_map_mmap() in kernel/bpf/syscall.c).
_READ_ONLY = frozenset({EACCES, EINVAL})


class RingBuffer(events.Reader[Record]):
    """The records of a ring buffer: bytes, or with ``type`` the values of that type.

    What is read is consumed: others do not get it. A process that dies has consumed at most the batch that it was
    handing out. With ``looks_on`` nothing is consumed: the records are copied from beside the consumer, and those that
    were overwritten before they were copied are left out, and their bytes counted.
    """

    @overload
    def __init__(self: RingBuffer[bytes], map_: Map | int, *, looks_on: bool = False) -> None: ...
    @overload
    def __init__(
        self: RingBuffer[bytes | Value],
        map_: Map | int,
        *,
        type: str,
        btf: BTF | None = None,
        looks_on: bool = False,
    ) -> None: ...
    def __init__(
        self,
        map_: Map | int,
        *,
        type: str | None = None,  # noqa: A002 - the word that people look for
        btf: BTF | None = None,
        looks_on: bool = False,
    ) -> None:
        """Map the buffer of a map, or of the map with an id.

        UsageError for other maps, NotFound for a type that nobody has, KernelError when the kernel refuses.
        """
        super().__init__()
        self._map: Map | None = None
        self._ring: Ring | None = None
        self._looks_on = looks_on
        try:
            self._open(map_)
            self._decode = events.decoder(type, self.info, btf)
        except BaseException:
            self.close()
            raise

    def _open(self, map_: Map | int) -> None:
        self._map, self.info = events.opened(map_, MapType.RINGBUF, "ring buffer")
        if self.info.map_flags & MapFlag.RB_OVERWRITE:
            raise UsageError(f"map {self.info.id} is a ring buffer that overwrites its oldest records")
        tried = f"can't map the ring buffer of map {self.info.id}"
        try:
            self._ring = Ring(self._map.fileno(), self.info.max_entries, looks_on=self._looks_on)
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise events.refused(tried, error) from None
        if self._ring is None:
            self._map = events.writable(self._map, self.info)
            try:
                self._ring = Ring(self._map.fileno(), self.info.max_entries, looks_on=self._looks_on)
            except OSError as error:
                raise events.refused(tried, error) from None
        wanted = select.EPOLLIN
        if self._looks_on:
            self._period = _PERIOD
            wanted |= select.EPOLLET  # what the consumer leaves lying does not concern us
        self._epoll.register(self._map.fileno(), wanted)

    def _mapped(self) -> Ring:
        if self._ring is None:
            raise ValueError("the reader is closed")
        return self._ring

    def _take(self, most: int) -> list[Any]:
        with self._lock:
            try:
                records = self._mapped().take(most)
            except OSError as error:
                raise events.refused(f"can't read the ring buffer of map {self.info.id}", error) from None
            self._told = self._facts()
        if self._decode is events.raw:
            return records
        return list(map(self._decode, records))

    def _is_there(self) -> bool:
        return bool(self._waiting) or (self._looks_on and self._mapped().behind > 0)

    def _facts(self) -> tuple[int, int, int]:
        with suppress(ValueError), self._lock:
            ring = self._mapped()
            return ring.discarded, ring.missed, ring.moved
        return self._told

    _told = (0, 0, 0)  # as it was when the reader was closed

    @property
    def looks_on(self) -> bool:
        """Whether records are copied from beside the consumer."""
        return self._looks_on

    @property
    def discarded(self) -> int:
        """How many of the records met so far a program had reserved and then discarded."""
        return self._facts()[0]

    @property
    def missed(self) -> int:
        """How many bytes of records were overwritten before who looks on could copy them."""
        return self._facts()[1]

    @property
    def contended(self) -> bool:
        """Whether somebody else consumes from this buffer too, so that each gets a part of the records."""
        return self._facts()[2] > 0

    def position(self) -> int:
        """Return how many bytes were ever consumed from this buffer, by whomever."""
        with self._in_use():
            return self._mapped().consumer_position

    def pending(self) -> int:
        """Return how many bytes of records nobody has consumed so far, with their headers."""
        with self._in_use():
            ring = self._mapped()
            return ring.producer_position - ring.consumer_position

    def _free(self) -> None:
        ring, self._ring = self._ring, None
        map_, self._map = self._map, None
        if ring is not None:
            self._told = ring.discarded, ring.missed, ring.moved
            ring.close()
        if map_ is not None:
            map_.close()
