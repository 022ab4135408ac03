"""Perf event buffers: what programs send with bpf_perf_event_output() to a BPF_MAP_TYPE_PERF_EVENT_ARRAY.

Each CPU has a buffer of its own, that of the perf event in the map's slot for the CPU. Who wants to read puts events of
its own into the slots, and so takes the place of whoever read before: the map has no two readers.
"""

from __future__ import annotations

import mmap
import os
import select
import sys
from contextlib import ExitStack, suppress
from errno import EINVAL
from struct import Struct
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from bpfctl._sys import maps, perf
from bpfctl._sys.fd import FD
from bpfctl._sys.ring import PerfRing
from bpfctl.errors import KernelError, UsageError
from bpfctl.host import cpus as machine
from bpfctl.kernel import events
from bpfctl.kernel.events import Record
from bpfctl.kernel.map import Map
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.kernel.map import MapInfo
    from btf.read import BTF
    from btf.value import Value

# include/uapi/linux/perf_event.h
SAMPLE, LOST = 9, 2  # PERF_RECORD_
_SOFTWARE, _BPF_OUTPUT = 1, 10  # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_BPF_OUTPUT
_SAMPLE_TIME, _SAMPLE_RAW = 1 << 2, 1 << 10
_USE_CLOCKID = 1 << 25
_CLOCK_MONOTONIC = 1

HEAD = Struct("=IHHQI")  # struct perf_event_header, the time, the size of what follows
LOSS = Struct("=8xQQ")

PAGES = 64

Data = TypeVar("Data")


class Sample(NamedTuple, Generic[Data]):
    """One record: which CPU sent it, when (nanoseconds of CLOCK_MONOTONIC), and its bytes or value.

    The kernel pads the bytes to a multiple of 8 less 4, so that some may follow that the program has not sent.
    """

    cpu: int
    time: int
    data: Data


class Slot(NamedTuple):
    """A slot of the map, the CPU whose records come there, and their buffer."""

    key: int
    cpu: int
    ring: PerfRing


class Slots:
    """Slots of a map with events of ours in them; they are empty again when it is closed.

    ``where`` is pairs of a slot and a CPU.
    """

    def __init__(self, map_: Map, info: MapInfo, where: Iterable[tuple[int, int]], pages: int, *, clock: bool) -> None:
        self.slots: list[Slot] = []
        self.fds: list[int] = []
        with ExitStack() as opening:
            self._is_shared = map_.is_writable()
            # Ours, as the slots are emptied when the caller's may be closed.
            ours = Map(FD(os.dup(map_.fileno()))) if self._is_shared else Map.by_id(map_.info().id, write=True)
            map_ = opening.enter_context(ours)
            for index, cpu in where:
                self._open(opening, map_, info, (index, cpu), pages, clock=clock)
            self._opened = opening.pop_all()

    def _open(
        self, opening: ExitStack, map_: Map, info: MapInfo, at: tuple[int, int], pages: int, *, clock: bool
    ) -> None:
        index, cpu = at
        event = opening.enter_context(
            perf.open_event(
                _SOFTWARE,
                _BPF_OUTPUT,
                cpu=cpu,
                flags=_USE_CLOCKID if clock else 0,
                clockid=_CLOCK_MONOTONIC if clock else 0,
                sample_type=_SAMPLE_RAW | _SAMPLE_TIME,
                sample_period=1,
                wakeup_events=1,
            )
        )
        ring = opening.enter_context(PerfRing(event.fileno(), pages * mmap.PAGESIZE))
        key = index.to_bytes(4, sys.byteorder)
        maps.update(map_.fileno(), key, event.fileno().to_bytes(4, sys.byteorder))
        if self._is_shared or info.map_flags & MapFlag.PRESERVE_ELEMS:
            # Otherwise the kernel takes out what came through a descriptor, when that is closed.
            opening.callback(_empty, map_, key)
        perf.ioctl(event.fileno(), perf.IOC_ENABLE)
        self.slots.append(Slot(index, cpu, ring))
        self.fds.append(event.fileno())

    def close(self) -> None:
        """Empty the slots and close their events."""
        self._opened.close()


def _empty(map_: Map, key: bytes) -> None:
    with suppress(FileNotFoundError):  # somebody else has emptied it
        maps.delete(map_.fileno(), key)


def every_cpu(info: MapInfo) -> list[tuple[int, int]]:
    """Return the slot and number of each CPU that runs and that the map has a slot for."""
    return [(cpu, cpu) for cpu in machine.online() if cpu < info.max_entries]


class _PerfReader(events.Reader[Record]):
    """Reads from slots of a perf event array."""

    def __init__(
        self, map_: Map | int, where: Iterable[tuple[int, int]] | None, pages: int, *, clock: bool = True
    ) -> None:
        if pages < 1 or pages & pages - 1:
            raise UsageError(f"{pages} pages are no power of two")
        super().__init__()
        self._slots: Slots | None = None
        try:
            found, self.info = events.opened(map_, MapType.PERF_EVENT_ARRAY, "perf event array")
            with found:
                places = every_cpu(self.info) if where is None else where
                self._slots = open_slots(found, self.info, places, pages, clock=clock)
            for fd in self._slots.fds:
                self._epoll.register(fd, select.EPOLLIN)
        except BaseException:
            self.close()
            raise

    def _mapped(self) -> list[Slot]:
        if self._slots is None:
            raise ValueError("the reader is closed")
        return self._slots.slots

    def _is_there(self) -> bool:
        # The kernel announces each record once, to whomever, so that its word alone is not enough.
        return bool(self._waiting) or any(slot.ring.behind for slot in self._mapped())

    def _records(self, most: int) -> Iterator[tuple[Slot, list[bytes]]]:
        """Yield records of each slot, at least so many in all if they are there."""
        for slot in self._mapped():
            while most > 0:
                try:
                    records = slot.ring.take(most)
                except OSError as error:
                    raise events.refused(f"can't read the perf buffer of CPU {slot.cpu}", error) from None
                if not records:
                    break
                yield slot, records
                most -= len(records)

    def _free(self) -> None:
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.close()


class PerfBuffer(_PerfReader[Sample[Data]]):
    """The records that programs send to a perf event array: a Sample each, its data bytes or values of ``type``.

    Records of one CPU come in their order, those of several CPUs by time as far as they are there.
    """

    @overload
    def __init__(
        self: PerfBuffer[bytes], map_: Map | int, *, pages: int = PAGES, cpus: Iterable[int] | None = None
    ) -> None: ...
    @overload
    def __init__(
        self: PerfBuffer[bytes | Value],
        map_: Map | int,
        *,
        pages: int = PAGES,
        cpus: Iterable[int] | None = None,
        type: str,
        btf: BTF | None = None,
    ) -> None: ...
    def __init__(
        self,
        map_: Map | int,
        *,
        pages: int = PAGES,
        cpus: Iterable[int] | None = None,
        type: str | None = None,  # noqa: A002 - the word that people look for
        btf: BTF | None = None,
    ) -> None:
        """Take the slots of these CPUs, or of all that run, with so many pages each (a power of two).

        UsageError for other maps and for numbers that make no sense, NotFound for a type that nobody has, KernelError
        when the kernel refuses. Whoever read before gets nothing any more.
        """
        self._lost: dict[int, int] = {}
        super().__init__(map_, None if cpus is None else [(cpu, cpu) for cpu in cpus], pages)
        try:
            self._decode = events.decoder(type, self.info, btf)
        except BaseException:
            self.close()
            raise

    def _take(self, most: int) -> list[Sample[Any]]:
        found: list[Sample[Any]] = []
        decode, start, new = self._decode, HEAD.size, tuple.__new__
        plain = decode is events.raw
        with self._lock:
            # A record that tells of lost ones is none itself, so that there may be more to take.
            while len(found) < most:
                before = len(found)
                told = 0
                for slot, records in self._records(most - before):
                    cpu = slot.cpu
                    told += len(records)
                    for record in records:
                        kind, _, _, time, size = HEAD.unpack_from(record)
                        if kind == SAMPLE:
                            data = record[start : start + size]
                            # What Sample(...) does, in a quarter of the time.
                            found.append(new(Sample, (cpu, time, data if plain else decode(data))))
                        elif kind == LOST:
                            self._lost[cpu] = self._lost.get(cpu, 0) + LOSS.unpack_from(record)[1]
                if not told:
                    break
        found.sort(key=_time)
        return found

    @property
    def lost(self) -> int:
        """How many records the kernel has told us that it had to drop, because the buffer of their CPU was full.

        The kernel tells it with the next record for which there is room.
        """
        return sum(self._lost.values())

    @property
    def lost_by_cpu(self) -> dict[int, int]:
        """The same for each CPU that has lost any."""
        return dict(self._lost)


class PerfRecord(NamedTuple):
    """A record as the kernel writes it, struct perf_event_header and what follows; ``key`` is the slot's."""

    key: int
    cpu: int
    raw: bytes


class PerfRecords(_PerfReader[PerfRecord]):
    """Everything that comes to slots of a perf event array, with what the kernel itself has to tell.

    ``where`` is pairs of a slot and a CPU, None for all CPUs. Times are those of the scheduler's clock.
    """

    def __init__(self, map_: Map | int, where: Iterable[tuple[int, int]] | None = None, *, pages: int = PAGES) -> None:
        super().__init__(map_, where, pages, clock=False)

    def _take(self, most: int) -> list[PerfRecord]:
        with self._lock:
            return [
                PerfRecord(slot.key, slot.cpu, record) for slot, records in self._records(most) for record in records
            ]


def open_slots(map_: Map, info: MapInfo, where: Iterable[tuple[int, int]], pages: int, *, clock: bool) -> Slots:
    """Put events of ours into slots of a map; KernelError says what the kernel refuses."""
    tried = f"failed to create perf buffer of map {info.id}"
    try:
        return Slots(map_, info, where, pages, clock=clock)
    except KernelError:
        raise
    except OSError as error:
        raise events.refused(tried, error) from None
    except OverflowError:  # a number that no CPU or slot has, and that fits into no message to the kernel
        raise KernelError(tried, EINVAL) from None


def _time(sample: Sample[Any]) -> int:
    return sample.time
