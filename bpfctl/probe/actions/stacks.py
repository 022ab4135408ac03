"""Counts hits by the calls that led to them, or adds up a number, or the time that threads wait there."""

from __future__ import annotations

from contextlib import ExitStack
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.asm.insn import R0, R1, R2, R3, R4, R10
from bpfctl.errors import KernelError, UsageError
from bpfctl.host import cpus
from bpfctl.kernel.elements import Walk
from bpfctl.kernel.map import Map
from bpfctl.probe.action import Action, is_signed, number
from bpfctl.probe.callchain import NUMBER, Callchains
from bpfctl.probe.code import OURS, OUT
from bpfctl.probe.keys import Keys, add_one, added, look_up, look_up_or_make
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.probe.action import Part
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field
    from bpfctl.probe.source import ProbePoint

_PID = "pid"
_USUAL = ("comm", _PID)
_HITS, _SUM, _VALUE = 0, 8, 16  # offsets in a value, and its size
_START = 8  # bytes before the key of a thread that waits: since when
_LOST, _DISTURBED = 0, 1  # counters
_GONE = 0x30  # EXIT_DEAD | EXIT_ZOMBIE in include/linux/sched.h: it never comes back
_THREADS = 1 << 14  # that wait at the same time


class Stack(NamedTuple):
    """The hits with the same values and the same calls; addresses, leaf first."""

    values: tuple[Any, ...]
    pid: int  # whose ``user`` addresses these are; 0 without them
    kernel: tuple[int, ...]
    user: tuple[int, ...]
    hits: int
    total: int  # what was added up: as many as hits without --of


class Switch(NamedTuple):
    """What tells at a switch of threads which one goes, which one comes, and whether the first has ended."""

    leaves: str
    comes: str
    state: str


#: As a tracepoint tells it, and as the kernel's structures do.
_SWITCHES = (Switch("prev_pid", "next_pid", "prev_state"), Switch("prev.pid", "next.pid", "prev.exit_state"))


class Stacks(Action):
    """Tells hits apart by stack, of the kernel, of processes, or both, and by fields: by thread name and process.

    ``of`` is added up instead of counting. With ``off_cpu`` a hit is a thread that goes off its CPU at a switch, and
    what is added up are nanoseconds until it is back, if they are at least ``over``. ``max_entries`` stacks have room,
    and as many sets of values with a stack; hits with more than that are lost, and counted as such.
    """

    def __init__(
        self,
        by: Sequence[str] | None = None,
        *,
        kernel: bool = True,
        user: bool = True,
        of: str | None = None,
        depth: int | None = None,
        max_entries: int = 10_000,
        off_cpu: bool = False,
        over: int = 0,
    ) -> None:
        if off_cpu and of is not None:
            raise UsageError("off CPU it is time that is added up, and nothing else")
        if over and not off_cpu:
            raise UsageError("a time of waiting is known with --off-cpu alone")
        self.of = of
        self.off_cpu = off_cpu
        self._over = over
        self._kernel, self._user = kernel, user
        self.by_as_usual = by is None
        self._shown = _USUAL if by is None else tuple(by)
        self._keys = Keys(self._shown if not user or _PID in self._shown else (*self._shown, _PID))
        self._depth, self._max_entries = depth, max_entries
        self._switches: dict[str, Switch] = {}  # by kind of source
        self._signed = False
        self._unknown = 0  # hits whose stack was taken back: see callchain
        self._held = ExitStack()

    @property
    def by(self) -> tuple[str, ...]:
        """The fields by which hits are told apart, beside their stacks."""
        return self._shown

    @property
    def depth(self) -> int:
        """How many calls of each stack are told at most."""
        return self._chains.depth

    @property
    def unit(self) -> str:
        """What is added up: a field, nanoseconds, or nothing but hits."""
        return "nanoseconds" if self.off_cpu else self.of or ""

    def names(self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]]) -> frozenset[str]:
        """Return the fields that are read."""
        names = self._keys.names
        if self.of is not None:
            names |= {self.of}
        if self.off_cpu:
            for point in points:
                self._switches[point.kind] = switch = _switch(point, own)
                names |= {*switch}
        return names

    def open(self, parts: Sequence[Part]) -> None:
        """Make the maps; UsageError where what shall be added up is no number."""
        if self.of is not None:
            self._signed = is_signed(self.of, parts)
        self._keys.settle(parts)
        self._fields_size = -(-self._keys.size // 8) * 8
        self._size = self._fields_size + 2 * NUMBER
        self._chains = self._held.enter_context(Callchains(self._depth, self._max_entries))
        self._counts = self._made(MapType.PERCPU_HASH, self._size, _VALUE, self._max_entries, "counts")
        self._lost = self._made(MapType.PERCPU_ARRAY, 4, 8, 2, "lost")
        if self.off_cpu:
            self._off = self._made(MapType.HASH, 4, _START + self._size, max(_THREADS, self._max_entries), "off")

    def _made(self, kind: MapType, key: int, value: int, entries: int, name: str) -> Map:
        return self._held.enter_context(Map.create(kind, key, value, entries, name=name))

    def always(self, code: Code, part: Part) -> None:
        """Off CPU: add the time of the thread that comes, where its going was a hit."""
        if not self.off_cpu:
            return
        skip = code.fresh()
        with code.scratch():
            thread, key, amount = code.cleared(8), code.room(self._size), code.room(8)
            number(part, self._switches[part.points[0].kind].comes)(code, R0)
            code.stx(4, R10, thread, R0)
            look_up(code, self._off, thread)
            code.jump("jeq", R0, 0, skip).mov(OURS, R0)
            code.call(Helper.ktime_get_ns).ldx(8, R1, OURS, 0).sub(R0, R1).stx(8, R10, amount, R0)
            for at in range(0, self._size, 8):
                code.ldx(8, R1, OURS, _START + at).stx(8, R10, key + at, R1)
            code.ld_map_fd(R1, self._off.fileno()).mov(R2, R10).add(R2, thread).call(Helper.map_delete_elem)
            if self._over:
                code.ldx(8, R0, R10, amount).ld_imm64(R1, self._over).jump("jlt", R0, R1, skip)
            self._add(code, key, amount, skip)
            code.label(skip)

    def emit(self, code: Code, part: Part) -> None:
        """Count the hit, or remember the thread until it comes back."""
        lost, disturbed = code.fresh(), code.fresh()
        start = code.cleared(_START + self._size)
        key, amount, thread = start + _START, code.cleared(8), code.cleared(8)
        if self.off_cpu:
            self._leaving(code, part, thread)
        elif self.of is not None:
            number(part, self.of)(code, R0)
            code.stx(8, R10, amount, R0)
        else:
            code.st(8, R10, amount, 1)
        self._keys.store(code, part, key)
        self._chains.begin(code)
        if self._kernel:
            self._chains.store(code, key + self._fields_size, lost, disturbed, user=False)
        if self._user:
            self._chains.store(code, key + self._fields_size + NUMBER, lost, disturbed, user=True, caller=part.caller)
        if self.off_cpu:
            code.call(Helper.ktime_get_ns).stx(8, R10, start, R0)
            code.ld_map_fd(R1, self._off.fileno()).mov(R2, R10).add(R2, thread).mov(R3, R10).add(R3, start)
            code.mov(R4, 0).call(Helper.map_update_elem).jump("jne", R0, 0, lost)
        else:
            self._add(code, key, amount, OUT)
        counter, count = code.room(8), code.fresh()
        code.jmp(OUT).label(lost).st(4, R10, counter, _LOST).jmp(count)
        code.label(disturbed).st(4, R10, counter, _DISTURBED).label(count)
        add_one(code, self._lost, counter)

    def _leaving(self, code: Code, part: Part, thread: int) -> None:
        """Go on with a thread that may come back: no CPU that has nothing to do, and none that has ended."""
        switch = self._switches[part.points[0].kind]
        number(part, switch.state)(code, R0)
        code.and_(R0, _GONE).jump("jne", R0, 0, OUT)
        number(part, switch.leaves)(code, R0)
        code.jump("jeq", R0, 0, OUT).stx(4, R10, thread, R0)

    def _add(self, code: Code, key: int, amount: int, otherwise: str) -> None:
        def nothing(code: Code) -> None:
            code.mov(R3, R10).add(R3, code.cleared(_VALUE))

        with code.scratch():
            look_up_or_make(code, self._counts, key, nothing, self._lost, otherwise=otherwise)
        code.mov(R1, 1).atomic_add(8, R0, _HITS, R1).ldx(8, R1, R10, amount).atomic_add(8, R0, _SUM, R1)

    def lost(self) -> int:
        """Return how many hits were not counted, because there was no room for their stacks or values."""
        return added(self._lost, _LOST)

    def disturbed(self) -> int:
        """Return how many hits were not counted, because another came on their CPU before their stack was kept."""
        return added(self._lost, _DISTURBED) + self._unknown

    def waiting(self) -> int:
        """Return how many threads are off their CPU now, whose time is not counted yet."""
        return sum(chunk.entries for chunk in Walk(self._off, self._off.facts)) if self.off_cpu else 0

    def rows(self) -> list[Stack]:
        """Return what was counted, most first."""
        unpack = Struct(f"={2 * cpus.possible()}Q").unpack
        try:
            counts = [(key, unpack(value)) for key, value in Walk(self._counts, self._counts.facts).pairs()]
        except KernelError as error:
            raise KernelError("can't read the counts", error.errno or 0) from None
        frames = self._chains.frames()  # after what refers to them
        rows: list[Stack] = []
        self._unknown = 0
        for key, numbers in counts:
            hits, total = sum(numbers[::2]), sum(numbers[1::2]) & (1 << 64) - 1
            ends = self._fields_size, self._fields_size + NUMBER
            kernel, user = frames.get(key[ends[0] : ends[1]]), frames.get(key[ends[1] :])
            if kernel is None or user is None:
                self._unknown += hits
            elif hits:
                values = self._keys.values(key[: self._keys.size])
                pid = values[self._keys.by.index(_PID)] if user else 0
                rows.append(Stack(values[: len(self._shown)], pid, kernel, user, hits, self._sum(total)))
        return sorted(rows, key=lambda row: -row.total)

    def _sum(self, total: int) -> int:
        return total - (1 << 64) if self._signed and total >> 63 else total

    def spelled(self, values: Sequence[Any]) -> list[str]:
        """Return values as people read them."""
        missing = (0,) * (len(self._keys.by) - len(values))
        return self._keys.spelled((*values, *missing))[: len(values)]

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()


def _switch(point: ProbePoint, own: Callable[[ProbePoint], Sequence[Field]]) -> Switch:
    """Return what tells at a point which thread goes; UsageError where nothing does."""
    there = {field.name for field in own(point)}
    for switch in _SWITCHES:
        if {name.partition(".")[0] for name in switch} <= there:
            return switch
    missing = [name for name in _SWITCHES[0] if name not in there]
    raise UsageError(
        f"--off-cpu is about switches of threads, such as sched:sched_switch: {point} has no {', '.join(missing)}"
    )
