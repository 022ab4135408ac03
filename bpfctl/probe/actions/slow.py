"""Sends a record of each call that took long through a ring buffer (BPF_MAP_TYPE_RINGBUF, Linux 5.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bpfctl.asm.insn import R0, R1, R2, R3, R4, R10
from bpfctl.kernel.map import Map
from bpfctl.kernel.ring_buffer import RingBuffer
from bpfctl.probe.action import common_type
from bpfctl.probe.actions.timed import HEAD, MAX_CALLS, Timed
from bpfctl.probe.actions.trace import USUAL, Hits, check_size, laid_out
from bpfctl.probe.callchain import deepest
from bpfctl.probe.code import CTX, MORE, OURS, POINT
from bpfctl.probe.common import FIELDS, OWN
from bpfctl.probe.field import Addresses, Duration
from bpfctl.probe.keys import add_one, added, write
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import StackFlag
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bpfctl.asm.insn import Reg
    from bpfctl.probe.action import Part, Slot
    from bpfctl.probe.actions.trace import Layout
    from bpfctl.probe.calls import Call
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field, Load, Type
    from bpfctl.probe.source import ProbePoint

#: The time of a call among the fields of its line.
LATENCY = "latency"
#: What stands behind the fields of a slow call: its stacks.
_STACKS = ("kernel", "user")
_DEPTH = 127  # calls of a stack


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
        check_size(size)
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
            self._own[point] = tuple(OWN + field.name for field in own(point))
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
        return max(self._kept(layout) for layout in by_call) - HEAD

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
            write(code, part, slot, base, at - HEAD)

    def _slots(self, part: Part, names: Sequence[str]) -> list[Slot]:
        return [slot for slot in self._layouts[part.first].slots if slot.name in names]

    def finish(self, code: Code, part: Part, forget: Callable[[], None]) -> None:
        """Send a record of a call that took so long, if there is room for one."""
        quick, free = code.fresh(), code.fresh()
        code.ld_imm64(R1, self._over).jump("jlt", OURS, R1, quick)
        layout = self._layouts[part.first]
        with code.scratch():
            kept, took = code.room(8), code.room(8)
            code.stx(8, R10, kept, MORE).stx(8, R10, took, OURS)
            code.ld_map_fd(R1, self._ring.fileno()).mov(R2, layout.size).mov(R3, 0).call(Helper.ringbuf_reserve)
            code.jump("jne", R0, 0, free)
            add_one(code, self._lost, code.cleared(8))
            code.jmp(quick).label(free).mov(OURS, R0).ldx(8, MORE, R10, kept)
            for at in range(HEAD, self._kept(layout), 8):
                code.ldx(8, R0, MORE, at).stx(8, OURS, at, R0)
            code.ldx(8, R0, R10, took).stx(8, OURS, layout.slots[0].at, R0)
            FIELDS["time"].store(code, OURS, 0)
            _, then = self._shown(self.calls[self._ends[part.points[0]]])
            for slot in self._slots(part, then):
                write(code, part, slot, OURS, 0)
            pid = cast("Load", FIELDS["pid"].load)
            stacks = layout.slots[len(layout.slots) - len(self._stacks) :]
            for slot, flags in zip(stacks, (0, StackFlag.USER_STACK), strict=False):
                code.mov(R1, CTX).mov(R2, OURS).add(R2, slot.at + 16).mov(R3, slot.type.size - 16).mov(R4, flags)
                code.call(Helper.get_stack).stx(8, OURS, slot.at, R0)
                pid(code, R0)
                code.stx(8, OURS, slot.at + 8, R0)
            code.mov(R1, OURS).mov(R2, 0).call(Helper.ringbuf_submit)
        code.label(quick)
        forget()

    def reader(self) -> RingBuffer[bytes]:
        """Return what reads the records."""
        return RingBuffer(self._ring)

    def hits(self, records: Sequence[bytes]) -> Hits:
        """Return what records tell."""
        return Hits(records, self._layouts)

    def lost(self) -> int:
        """Return how many slow calls found the ring buffer full."""
        return added(self._lost)
