"""Times from where calls begin to where they return, or between two probes, measured in the kernel."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import ExitStack
from struct import Struct
from typing import TYPE_CHECKING

from bpfctl.asm.insn import R0, R1, R2, R3, R4, R10, Reg
from bpfctl.errors import UsageError
from bpfctl.host import cpus
from bpfctl.kernel.map import Map
from bpfctl.kernel.ring_buffer import RingBuffer
from bpfctl.probe.action import Action, Slot, common_type
from bpfctl.probe.actions.trace import USUAL, Hits, laid_out
from bpfctl.probe.callchain import deepest
from bpfctl.probe.code import CTX, MORE, OURS, POINT
from bpfctl.probe.common import FIELDS
from bpfctl.probe.duration import UNITS
from bpfctl.probe.field import Addresses, Duration
from bpfctl.probe.histograms import Histograms, scale
from bpfctl.probe.keys import PROBE, Keys, add_one, write
from bpfctl.probe.started import Started
from bpfctl.probe.where import names
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import StackFlag
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bpfctl.probe.action import Part
    from bpfctl.probe.actions.trace import Layout
    from bpfctl.probe.calls import Call
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field, Type
    from bpfctl.probe.histograms import Histogram, Linear
    from bpfctl.probe.source import ProbePoint
    from bpfctl.probe.started import Tally
    from bpfctl.probe.where import Tree

#: The time of a call among the fields of its line.
LATENCY = "latency"
#: Calls that may be on their way at the same time.
MAX_CALLS = 10_240
#: What a thread has when a call returns as it had when that began.
_LASTING = frozenset({"pid", "tid", "uid", "gid", "cgroup"})
_HEAD = 8  # bytes of a record before what is kept of a call: the time
_OWN = "args."
#: What stands behind the fields of a slow call: its stacks.
_STACKS = ("kernel", "user")
_DEPTH = 127  # calls of a stack


class Timed(Action):
    """Finds for each call that ends when it began; what is done with its time is for others to say.

    ``at_end`` are the fields that are read where calls end, all others are read where they begin. ``key`` are pairs of
    fields that tell what belongs together, one where it begins and one where it ends; without it, it is the thread.
    ``nested`` says that calls have no frames, since they are what is between two probes. ``max_calls`` have room.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        *,
        at_end: Iterable[str] = (),
        key: Sequence[tuple[str, str]] = (),
        nested: bool = False,
        max_calls: int = MAX_CALLS,
    ) -> None:
        self.calls = tuple(calls)
        self.at_end = frozenset(at_end)
        self._key, self._nested, self._max_calls = tuple(key), nested, max_calls
        self._ends = {point: number for number, call in enumerate(calls) for point in call.end}
        self._begins = {point: number for number, call in enumerate(calls) for point in call.begin}
        self._sees_all = True
        self._held = ExitStack()

    def sides(self, points: Sequence[ProbePoint]) -> Sequence[Sequence[ProbePoint]]:
        """Return the ends first: whatever begins when all is attached can be seen to end."""
        ends = [point for point in points if point in self._ends]
        return [ends, [point for point in points if point in self._begins]]

    def end(self, point: ProbePoint) -> ProbePoint | None:
        """Return where calls of a function return; what is between probes has no return."""
        number = self._begins.get(point)
        return None if number is None or self._nested or self._key else self.calls[number].end[0]

    def condition(self, points: Sequence[ProbePoint], where: Tree | None) -> Tree | None:
        """Return the condition where calls begin; where they end it is not asked, but for what a thread keeps."""
        if points[0] in self._begins or where is None:
            return where
        lasts = not self._key and _LASTING.issuperset(names(where))
        self._sees_all = self._sees_all and lasts
        return where if lasts else None

    def names(self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]]) -> frozenset[str]:
        """Return the fields that are read at these points."""
        begins = points[0] in self._begins
        keys = {begin if begins else end for begin, end in self._key}
        return frozenset(keys | {*self.read(points, own, begins=begins)} - {PROBE})

    @abstractmethod
    def read(
        self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]], *, begins: bool
    ) -> Iterable[str]:
        """Return the fields that are read of calls at points of one source, where they begin or where they end."""

    def open(self, parts: Sequence[Part]) -> None:
        """Make the tables; UsageError where fields are of no use."""
        ends = [part for part in parts if part.points[0] in self._ends]
        begins = [part for part in parts if part.points[0] in self._begins]
        key = None
        if self._key:
            key = Keys([name for name, _ in self._key])
            key.settle([*begins, *map(self._renamed, ends)])
        keep = self.prepare(parts, begins, ends)
        self._started = self._held.enter_context(
            Started(
                parts,
                self._ends | self._begins,
                key=key,
                frames=not self._nested and all(part.frame is not None for part in parts),
                keep=keep,
                max_calls=self._max_calls,
            )
        )

    @abstractmethod
    def prepare(self, parts: Sequence[Part], begins: Sequence[Part], ends: Sequence[Part]) -> int:
        """Make what else is needed, and return how many bytes are kept of a call that has begun."""

    def _renamed(self, part: Part) -> Part:
        """Return a part where calls end, whose key has the names that it has where they begin."""
        at_end = dict(self._key)
        return part._replace(field=lambda name: part.field(at_end.get(name, name)))

    def emit(self, code: Code, part: Part) -> None:
        """Keep a call that begins, or take the time of one that ends."""
        if part.points[0] in self._begins:
            self._started.begin(code, part, lambda code, base, at: self.keep(code, part, base, at))
        else:
            key = self._started.end(code, self._renamed(part))
            self.finish(code, part, lambda: self._started.forget(code, key))

    @abstractmethod
    def keep(self, code: Code, part: Part, base: Reg, at: int) -> None:
        """Append what writes the fields that are read where a call begins to ``base + at``."""

    @abstractmethod
    def finish(self, code: Code, part: Part, forget: Callable[[], None]) -> None:
        """Append what is done with a call: r8 is its time, r9 where it was kept until ``forget`` appends its end."""

    def tally(self) -> Tally:
        """Return what became of the calls."""
        found = self._started.tally()
        return found if self._sees_all else found._replace(began_before=None)

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()


class Latency(Timed):
    """Histograms of the times: of powers of 2 or ``linear``, in a ``unit``, or else in nanoseconds.

    ``max_entries`` sets of values of the fields ``by`` are told apart; calls with more than that are lost, and counted.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        by: Sequence[str] = (),
        *,
        linear: Linear | None = None,
        unit: str = "",
        max_entries: int = 1000,
        at_end: Iterable[str] = (),
        key: Sequence[tuple[str, str]] = (),
        nested: bool = False,
        max_calls: int = MAX_CALLS,
    ) -> None:
        super().__init__(calls, at_end=at_end, key=key, nested=nested, max_calls=max_calls)
        if linear is not None:
            linear.check()
            if linear.low < 0:
                raise UsageError("times are never negative")
        self._keys, self._linear, self._max_entries = Keys(by), linear, max_entries
        if unit and unit not in UNITS:
            raise UsageError(f"'{unit}' is no unit of time: there are {', '.join(UNITS)}")
        self.unit = unit

    @property
    def by(self) -> tuple[str, ...]:
        """The fields by which calls are told apart."""
        return self._keys.by

    def read(
        self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]], *, begins: bool
    ) -> Iterable[str]:
        """Return the fields by which calls are told apart."""
        del points, own
        return {*self.by} - self.at_end if begins else self.at_end.intersection(self.by)

    def prepare(self, parts: Sequence[Part], begins: Sequence[Part], ends: Sequence[Part]) -> int:
        """Make the histograms; a call keeps the key that it will have there."""
        self._keys.settle(parts, {name: ends if name in self.at_end else begins for name in self.by})
        hists = Histograms(
            self._keys,
            scale(self._linear, signed=False),
            self._max_entries,
            signed=False,
            unit=UNITS[self.unit or "ns"],
        )
        self._hists = self._held.enter_context(hists)
        return self._keys.size if self.by else 0

    def keep(self, code: Code, part: Part, base: Reg, at: int) -> None:
        """Write what the key has where a call begins."""
        self._keys.write(code, part, {*self.by} - self.at_end, base, at)

    def finish(self, code: Code, part: Part, forget: Callable[[], None]) -> None:
        """Add the time to the histogram of the call's values."""
        key = code.cleared(self._keys.size)
        if self.by:
            for at in range(0, self._keys.size, 8):
                code.ldx(8, R0, MORE, _HEAD + at).stx(8, R10, key + at, R0)
            self._keys.write(code, part, self.at_end, R10, key)
        forget()
        self._hists.emit(code, key)

    def lost(self) -> int:
        """Return how many calls were not counted, because there was no room for their values."""
        return self._hists.lost()

    def rows(self) -> list[Histogram]:
        """Return the histograms, the one with most calls first."""
        return self._hists.rows()

    def spelled(self, row: Histogram) -> list[str]:
        """Return the values of a row as people read them."""
        return self._keys.spelled(row.values)


class SlowCalls(Timed):
    """Sends a record of each call that took at least ``over`` nanoseconds through a ring buffer of ``size`` bytes.

    It has some ``fields``: by default the USUAL, and all that the points themselves have; and behind them, with
    ``stacks``, the calls in the kernel and in the process as they are when the call ends.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        over: int,
        fields: Sequence[str] = (),
        *,
        unit: str = "",
        size: int = 8 << 20,
        stacks: bool = False,
        at_end: Iterable[str] = (),
        key: Sequence[tuple[str, str]] = (),
        nested: bool = False,
        max_calls: int = MAX_CALLS,
    ) -> None:
        super().__init__(calls, at_end=at_end, key=key, nested=nested, max_calls=max_calls)
        self._over, self._fields, self._size = over, tuple(fields), size
        self._time = Duration(unit)
        self._stacks = [Addresses(min(deepest(), _DEPTH)) for _ in _STACKS] if stacks else []
        self._own: dict[ProbePoint, tuple[str, ...]] = {}
        self._layouts: dict[int, Layout] = {}  # by the number of the point where a call began

    def read(
        self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]], *, begins: bool
    ) -> Iterable[str]:
        """Return the fields of a line."""
        if self._fields:
            return {*self._fields} - self.at_end if begins else self.at_end.intersection(self._fields)
        for point in points:
            self._own[point] = tuple(_OWN + field.name for field in own(point))
        found = {name for point in points for name in self._own[point]}
        return found.union(USUAL) if begins else found

    def _shown(self, call: Call) -> tuple[Sequence[str], Sequence[str]]:
        """Return the fields of a call's line that are read where it begins, and those that are read where it ends."""
        begin = self._fields or (*USUAL, *self._own[call.begin[0]])
        if self._fields:
            return [name for name in begin if name not in self.at_end], [name for name in begin if name in self.at_end]
        return begin, [name for name in self._own[call.end[0]] if name not in begin]

    def prepare(self, parts: Sequence[Part], begins: Sequence[Part], ends: Sequence[Part]) -> int:
        """Make the ring buffer, and settle what lies where in a record; a call keeps all of it but for the time."""
        self._ring = self._held.enter_context(Map.create(MapType.RINGBUF, 0, 0, self._size, name="slow"))
        self._lost = self._held.enter_context(Map.create(MapType.PERCPU_ARRAY, 4, 8, 1, name="lost"))
        by_call: list[Layout] = []
        for number, call in enumerate(self.calls):
            first, then = self._shown(call)
            fields: list[tuple[str, Type]] = [(LATENCY, self._time)]
            fields += self._types(first, begins, self._begins, number)
            fields += self._types(then, ends, self._ends, number)
            fields += zip(_STACKS, self._stacks, strict=False)
            by_call.append(laid_out(call.begin[0], fields))
        for part in parts:
            for at, point in enumerate(part.points, part.first):
                number = self._begins.get(point, self._ends.get(point, 0))
                self._layouts[at] = by_call[number]._replace(point=point)
        return max(self._kept(layout) for layout in by_call) - _HEAD

    def _kept(self, layout: Layout) -> int:
        """Return where what is kept of a call ends: no stack is known before it ends."""
        return layout.size - sum(type_.size for type_ in self._stacks)

    @staticmethod
    def _types(
        names: Sequence[str], parts: Sequence[Part], numbers: Mapping[ProbePoint, int], number: int
    ) -> list[tuple[str, Type]]:
        """Return the types of fields at the points of a call."""
        of = [part for part in parts if any(numbers[point] == number for point in part.points)]
        found = []
        for name in names:
            types = [part.field(name).type for part in of]
            found.append((name, types[0] if len(types) == 1 else common_type(name, types)))
        return found

    def keep(self, code: Code, part: Part, base: Reg, at: int) -> None:
        """Write the number of the point, and the fields, where a record will have them."""
        code.stx(8, base, at, POINT)
        first, _ = self._shown(self.calls[self._begins[part.points[0]]])
        for slot in self._slots(part, first):
            write(code, part, slot, base, at - _HEAD)

    def _slots(self, part: Part, names: Sequence[str]) -> list[Slot]:
        return [slot for slot in self._layouts[part.first].slots if slot.name in names]

    def finish(self, code: Code, part: Part, forget: Callable[[], None]) -> None:
        """Send a record of a call that took so long, if there is room for one."""
        quick, free, done = code.fresh(), code.fresh(), code.fresh()
        code.ld_imm64(R1, self._over).jump("jlt", OURS, R1, quick)
        layout = self._layouts[part.first]
        with code.scratch():
            kept, took = code.room(8), code.room(8)
            code.stx(8, R10, kept, MORE).stx(8, R10, took, OURS)
            code.ld_map_fd(R1, self._ring.fileno()).mov(R2, layout.size).mov(R3, 0).call(Helper.ringbuf_reserve)
            code.jump("jne", R0, 0, free)
            add_one(code, self._lost, code.cleared(8))
            code.jmp(quick).label(free).mov(OURS, R0).ldx(8, MORE, R10, kept)
            for at in range(_HEAD, self._kept(layout), 8):
                code.ldx(8, R0, MORE, at).stx(8, OURS, at, R0)
            code.ldx(8, R0, R10, took).stx(8, OURS, layout.slots[0].at, R0)
            FIELDS["time"].store(code, OURS, 0)
            _, then = self._shown(self.calls[self._ends[part.points[0]]])
            for slot in self._slots(part, then):
                write(code, part, slot, OURS, 0)
            stacks = layout.slots[len(layout.slots) - len(self._stacks) :]
            for slot, flags in zip(stacks, (0, StackFlag.USER_STACK), strict=False):
                code.mov(R1, CTX).mov(R2, OURS).add(R2, slot.at + 16).mov(R3, slot.type.size - 16).mov(R4, flags)
                code.call(Helper.get_stack).stx(8, OURS, slot.at, R0)
                part.field("pid").store(code, OURS, slot.at + 8)
            code.mov(R1, OURS).mov(R2, 0).call(Helper.ringbuf_submit)
        code.label(quick)
        forget()
        code.label(done)

    def reader(self) -> RingBuffer[bytes]:
        """Return what reads the records."""
        return RingBuffer(self._ring)

    def hits(self, records: Sequence[bytes]) -> Hits:
        """Return what records tell."""
        return Hits(records, self._layouts)

    def lost(self) -> int:
        """Return how many slow calls found the ring buffer full."""
        return sum(Struct(f"={cpus.possible()}Q").unpack(self._lost.lookup(bytes(4))))
