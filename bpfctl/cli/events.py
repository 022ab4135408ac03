"""bpfctl events: the records of ring buffers and perf event arrays, without taking them from whoever reads them."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.cli import grammar, opt
from bpfctl.cli.map_events import named
from bpfctl.cli.stop import stopping
from bpfctl.errors import BpfctlError, KernelError, UsageError
from bpfctl.kernel.consumer import consumers
from bpfctl.kernel.map import Map
from bpfctl.kernel.perf_buffer import PerfBuffer
from bpfctl.kernel.ring_buffer import RingBuffer
from bpfctl.uapi.enums import MapType
from bpfctl.views.record import EVENTS, Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.cli.stop import Stop
    from bpfctl.kernel.perf_buffer import Sample
    from bpfctl.kernel.select import Select
    from bpfctl.render.output import Output

_A_LOOK = 0.05  # seconds in which a consumer's position may tell of a process that /proc does not


def show(
    ctx: opt.Context,
    words: opt.Words = None,
    *,
    type_: opt.RecordType = None,
    limit: opt.Records = None,
    seconds: opt.Seconds = None,
    take: opt.Take = False,
) -> None:
    """Show the records of a ring buffer or perf event array, until Ctrl-C.

    They are shown as they come, until Ctrl-C: the time, the CPU where it is known, and the record. Nothing is taken
    silently from a process that reads the map already.
    """
    left = grammar.Words(words)
    left.at_least(2, "events")
    which = grammar.map_(left)
    left.end()
    wanted = Wanted({"type": type_} if type_ else {}, limit, None if seconds is None else time.monotonic() + seconds)
    with _opened(which) as map_, stopping() as stop:
        info = map_.info()
        run = _Run(ctx.obj.out, map_, stop, wanted)
        if info.type is MapType.RINGBUF:
            run.ring(take=take)
        elif info.type is MapType.PERF_EVENT_ARRAY:
            run.perf(take=take)
        else:
            raise UsageError(f"map {info.id} is neither a ring buffer nor a perf event array")


def _opened(which: Select) -> Map:
    """Open a map, a pin for writing where that is allowed: to do so later takes the right to open it by its id."""
    if which.by == "pinned":
        with suppress(KernelError):
            return Map.pinned(str(which.value), write=True)
    return Map.one(which)


class Wanted(NamedTuple):
    """What the options say: how to decode, and when to end."""

    decode: dict[str, Any]
    limit: int | None
    end: float | None  # of time.monotonic()


class _Run:
    """One run: where records come from and go to, and when it ends."""

    def __init__(self, out: Output, map_: Map, stop: Stop, wanted: Wanted) -> None:
        self._out = out
        self._map = map_
        self._info = map_.info()
        self._stop = stop
        self._decode, self._limit, self._end = wanted

    def _left(self) -> float | None:
        return None if self._end is None else max(self._end - time.monotonic(), 0)

    def ring(self, *, take: bool) -> None:
        """Show the records of a ring buffer: take them, or look on where another process does."""
        reader = self._reader()
        if reader and take:
            self._out.warn(f"{reader} reads map {self._info.id} too: each gets a part of the records")
        elif reader:
            self._out.warn(f"{reader} reads map {self._info.id}: looking on, --take takes records from it")
        self._out.follow(EVENTS, self._of_ring(looks_on=bool(reader) and not take, take=take, told=bool(reader)))

    def _reader(self) -> str:
        """Return who reads the ring buffer; empty when nobody seems to."""
        with RingBuffer(self._map, looks_on=True) as ring:
            before = ring.position()
            others = consumers(self._info)
            if others:
                return named(others)
            if ring.pending() or ring.position() != before:
                time.sleep(_A_LOOK)
            return "a process that /proc does not show" if ring.position() != before else ""

    def _of_ring(self, *, looks_on: bool, take: bool, told: bool) -> Iterator[list[Event]]:
        with RingBuffer(self._map, looks_on=looks_on, **self._decode) as ring:
            self._stop.closes(ring)
            missed, left_to_others = 0, False
            for batch in ring.batches(limit=self._limit, seconds=self._left()):
                now = time.time_ns()
                events = [Event(now, None, record) for record in batch]
                if ring.missed > missed:
                    events.insert(0, Event(now, None, None, missed=ring.missed - missed))
                    missed = ring.missed
                yield events
                self._limit = None if self._limit is None else self._limit - len(batch)
                if ring.contended and not told:
                    told = True
                    if not take:
                        left_to_others = True
                        break
                    self._out.warn(f"another process reads map {self._info.id} too: each gets a part of the records")
        self._total(ring.discarded, "were discarded by the program")
        if ring.missed:
            self._out.warn(f"{ring.missed} bytes of records were overwritten before they could be copied")
        if left_to_others and self._limit != 0:
            self._out.warn(f"another process has begun to read map {self._info.id}: looking on from here")
            yield from self._of_ring(looks_on=True, take=False, told=True)

    def perf(self, *, take: bool) -> None:
        """Show the records of a perf event array, unless that takes them from another process."""
        others = consumers(self._info)
        if others and not take:
            raise BpfctlError(
                f"{named(others)} reads map {self._info.id}, and a perf event array has no two readers: "
                "with --take that process gets nothing from it any more"
            )
        if others:
            self._out.warn(f"{named(others)} reads map {self._info.id} and gets nothing from it any more")
        self._out.follow(EVENTS, self._of_perf())

    def _of_perf(self) -> Iterator[list[Event]]:
        since = time.time_ns() - time.monotonic_ns()
        with PerfBuffer(self._map, **self._decode) as perf:
            self._stop.closes(perf)
            known: dict[int, int] = {}
            batch: list[Sample[Any]]
            for batch in perf.batches(limit=self._limit, seconds=self._left()):
                events = [Event(since + sample.time, sample.cpu, sample.data) for sample in batch]
                lost = perf.lost_by_cpu
                if lost != known:
                    now = time.time_ns()
                    news = ((cpu, count - known.get(cpu, 0)) for cpu, count in lost.items())
                    events += [Event(now, cpu, None, lost=count) for cpu, count in news if count]
                    known = lost
                yield events
        self._total(perf.lost, "were lost: the buffer of their CPU was full")

    def _total(self, count: int, what: str) -> None:
        if count:
            self._out.warn(f"{count} record{'s' if count > 1 else ''} {what}")
