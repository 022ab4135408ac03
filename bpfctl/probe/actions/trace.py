"""Sends a record of each hit through a ring buffer (BPF_MAP_TYPE_RINGBUF, Linux 5.8)."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.asm.insn import R0, R1, R2, R3, R10
from bpfctl.errors import UsageError
from bpfctl.host import cpus
from bpfctl.kernel.map import Map
from bpfctl.kernel.ring_buffer import RingBuffer
from bpfctl.probe.action import Action, Slot
from bpfctl.probe.code import MORE, OUT, POINT
from bpfctl.probe.common import FIELDS, OWN
from bpfctl.probe.field import Integer
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bpfctl.probe.action import Part
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field, Type
    from bpfctl.probe.source import ProbePoint

#: What is read where nothing else is said, beside the point's own fields.
USUAL = ("pid", "tid", "comm", "cpu")
_LARGEST = 1 << 30  # bytes of a ring buffer
_HEAD = 16  # bytes: the time, the number of the point
_POINT = itemgetter(slice(8, 16))
_UNSIGNED = {1: "B", 2: "H", 4: "I", 8: "Q"}


def check_size(size: int) -> None:
    """Raise UsageError for the size of a ring buffer that the kernel has not."""
    if size < 4096 or size & size - 1 or size > _LARGEST:
        raise UsageError(f"--buffer: {size} is no power of two from 4096 to {_LARGEST}")


class Hit(NamedTuple):
    """A hit: when it was in nanoseconds since 1970, where, and what was read there."""

    time: int
    point: ProbePoint
    layout: Layout
    values: tuple[Any, ...]  # in the order of the layout's slots


class Layout(NamedTuple):
    """What lies where in the records of a point."""

    point: ProbePoint
    slots: tuple[Slot, ...]
    size: int
    unpack: Callable[[bytes], tuple[Any, ...]]

    def decode(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return the values that were unpacked from a record, as they are meant."""
        return tuple(
            value if isinstance(slot.type, Integer) else slot.type.decode(value)
            for slot, value in zip(self.slots, values, strict=True)
        )


def laid_out(point: ProbePoint, fields: Iterable[tuple[str, Type]]) -> Layout:
    """Return the layout of records that begin with the time and the number of the point."""
    slots, at, form = [], _HEAD, "=QQ"
    for name, type_ in fields:
        if isinstance(type_, Integer):
            at, form = _aligned(at, type_.size, form)
            letter = _UNSIGNED[type_.size]
            form += letter.lower() if type_.signed else letter
        else:
            at, form = _aligned(at, 8, form)
            form += f"{type_.size}s"
        slots.append(Slot(name, at, type_))
        at += type_.size
    at, form = _aligned(at, 8, form)
    return Layout(point, tuple(slots), at, Struct(form).unpack)


class Hits:
    """Hits in the order of the ring buffer."""

    def __init__(self, records: Sequence[bytes], layouts: Mapping[int, Layout]) -> None:
        self._records = records
        self._layouts = layouts
        #: What makes nanoseconds since 1970 of the time in a record.
        self.since = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Hit]:
        for layout, rows in self.runs():
            for at, _, *values in rows:
                yield Hit(self.since + at, layout.point, layout, layout.decode(values))

    def runs(self) -> Iterator[tuple[Layout, Iterator[tuple[Any, ...]]]]:
        """Yield those of one point that came one after the other, unpacked: time, number of the point, raw values."""
        for number, records in groupby(self._records, _POINT):
            layout = self._layouts[int.from_bytes(number, sys.byteorder)]
            yield layout, map(layout.unpack, records)


class Trace(Action):
    """Reads some fields at each hit, by default the USUAL and all of the point's own.

    ``size`` is that of the ring buffer in bytes, a power of two. Hits that find it full are lost, and counted.
    """

    def __init__(self, fields: Sequence[str] = (), *, size: int = 8 << 20) -> None:
        check_size(size)
        self._fields = tuple(fields)
        self._size = size
        self._held = ExitStack()
        self._layouts: dict[int, Layout] = {}
        self._own: dict[ProbePoint, tuple[str, ...]] = {}

    def names(self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]]) -> frozenset[str]:
        """Return the fields that are read at any of these points."""
        if self._fields:
            return frozenset(self._fields)
        for point in points:
            self._own[point] = tuple(OWN + field.name for field in own(point))
        return frozenset(USUAL).union(*(self._own[point] for point in points))

    def open(self, parts: Sequence[Part]) -> None:
        """Make the ring buffer, and settle what lies where in a record."""
        self._ring = self._held.enter_context(Map.create(MapType.RINGBUF, 0, 0, self._size, name="hits"))
        self._lost = self._held.enter_context(Map.create(MapType.PERCPU_ARRAY, 4, 8, 1, name="lost"))
        for part in parts:
            for number, point in enumerate(part.points, part.first):
                self._layouts[number] = self._layout(part, point)

    def _layout(self, part: Part, point: ProbePoint) -> Layout:
        names = self._fields or (*USUAL, *self._own[point])
        return laid_out(point, [(name, part.field(name).type) for name in names])

    def emit(self, code: Code, part: Part) -> None:
        """Fill a record, if there is room for one."""
        layout, free = self._layouts[part.first], code.fresh()
        code.ld_map_fd(R1, self._ring.fileno()).mov(R2, layout.size).mov(R3, 0).call(Helper.ringbuf_reserve)
        code.jump("jne", R0, 0, free)
        zero = code.cleared(8)
        code.ld_map_fd(R1, self._lost.fileno()).mov(R2, R10).add(R2, zero).call(Helper.map_lookup_elem)
        code.jump("jeq", R0, 0, OUT).mov(R1, 1).atomic_add(8, R0, 0, R1).jmp(OUT)
        code.label(free).mov(MORE, R0)
        FIELDS["time"].store(code, MORE, 0)
        code.stx(8, MORE, 8, POINT)
        for slot in layout.slots:
            part.field(slot.name).store(code, MORE, slot.at)
        code.mov(R1, MORE).mov(R2, 0).call(Helper.ringbuf_submit)

    def reader(self) -> RingBuffer[bytes]:
        """Return what reads the records."""
        return RingBuffer(self._ring)

    def hits(self, records: Sequence[bytes]) -> Hits:
        """Return what records tell."""
        return Hits(records, self._layouts)

    def lost(self) -> int:
        """Return how many hits found the ring buffer full."""
        return sum(Struct(f"={cpus.possible()}Q").unpack(self._lost.lookup(bytes(4))))

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()


def _aligned(at: int, size: int, form: str) -> tuple[int, str]:
    gap = -at % size
    return at + gap, form + f"{gap}x" * (gap > 0)
