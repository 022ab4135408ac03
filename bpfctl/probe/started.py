"""Calls on their way: a table in the kernel of what has begun, until it ends.

A call is known by its thread and by where its frame is, so that calls within calls, of the same function too, each
find their own beginning. What left a function by another door, such as longjmp(3), or whose return the kernel has not
told, is found out when a later call of the thread has the same frame, or one nearer to the bottom of the stack.

Between two probes nothing tells one call of a thread from another: the one that began last ends first, and of more than
so many the oldest are forgotten. With a key of fields there is one at a time: what begins anew begins again.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys.fd import Closing
from bpfctl.asm.insn import R0, R1, R2, R3, R4, R10
from bpfctl.errors import KernelError
from bpfctl.host import pidns, thread
from bpfctl.kernel.elements import Walk
from bpfctl.kernel.map import Map
from bpfctl.probe.code import MORE, OURS, OUT, POINT
from bpfctl.probe.keys import add_one, added, look_up
from bpfctl.probe.registers import one_call
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bpfctl.asm.insn import Reg
    from bpfctl.probe.action import Part
    from bpfctl.probe.code import Code
    from bpfctl.probe.keys import Keys
    from bpfctl.probe.source import ProbePoint

    #: Writes what is kept of a call to ``base + at``, which is cleared.
    Fill = Callable[[Code, Reg, int], None]

#: Offsets in the key of a call: which of the calls it is, its frame, and its thread or the fields that stand for it.
_NUMBER, _FRAME, _WHO = 0, 8, 16
_TIME = 8  # bytes before what is kept of a call: when it began
_NESTED = 16  # calls of a thread whose frames nobody knows
_ON_STACK = 128  # bytes; of more than that is made room in the table first
_ANY, _NOEXIST, _EEXIST = 0, 1, -17
_KEY = Struct("=QQQ")
_BEGAN, _LAST, _U32 = Struct("=Q"), Struct("=QQ"), Struct("=I")
#: Two frames that are farther apart may be of different stacks: THREAD_SIZE, and less than a stack of a thread has.
_STACK_OF_KERNEL, _STACK_OF_PROCESS = 16 << 10, 64 << 10
_KERNEL = 1 << 63
_BEGUN, _ENDED, _REPLACED, _NO_ROOM, _BEFORE = range(5)


class Tally(NamedTuple):
    """What became of the calls that began: all of them are in one of the numbers that follow the first."""

    begun: int
    ended: int
    running: int
    never_ended: int
    too_deep: int
    no_room: int
    #: Calls that ended and had begun before anybody looked; None where others cannot be told from them.
    began_before: int | None


class Started(Closing):
    """The table of calls; ``numbers`` tells which call a point is of, ``keep`` how many bytes are kept of each."""

    def __init__(
        self,
        parts: Sequence[Part],
        numbers: Mapping[ProbePoint, int],
        *,
        key: Keys | None,
        frames: bool,
        keep: int,
        max_calls: int,
    ) -> None:
        self._numbers, self._key, self._frames = numbers, key, frames and key is None
        self._nested = key is None and not frames
        #: Whether a return tells of other calls of its thread, those deeper on the stack.
        self._tells = self._frames and any(part.frame is not one_call for part in parts)
        self._size = _TIME + -(-keep // 8) * 8
        size = _WHO + (8 if key is None else -(-key.size // 8) * 8)
        self._key_size = size
        self._gone = 0  # calls of threads that have ended
        with ExitStack() as held:
            self._calls = held.enter_context(Map.create(MapType.HASH, size, self._size, max_calls, name="calls"))
            self._empty = held.enter_context(Map.create(MapType.ARRAY, 4, self._size, 1, name="empty"))
            self._tally = held.enter_context(Map.create(MapType.PERCPU_ARRAY, 4, 8, _BEFORE + 1, name="tally"))
            if self._tells:
                self._last = held.enter_context(Map.create(MapType.LRU_HASH, size, _LAST.size, max_calls, name="last"))
            if self._nested:
                self._depths = held.enter_context(Map.create(MapType.HASH, size, 8, max_calls, name="depths"))
            points = [numbers[point] for part in parts for point in part.points]
            self._which = held.enter_context(Map.create(MapType.ARRAY, 4, 4, len(points), name="which"))
            self._which.raw.update({_U32.pack(at): _U32.pack(number) for at, number in enumerate(points)})
            self._held = held.pop_all()

    def begin(self, code: Code, part: Part, fill: Fill) -> None:
        """Append what keeps a call that begins."""
        self._count(code, _BEGUN)
        key = self._store_key(code, part)
        if self._nested:
            self._deeper(code, key)
        with code.scratch():
            if self._size <= _ON_STACK:
                value = code.cleared(self._size)
                fill(code, R10, value + _TIME)
                code.call(Helper.ktime_get_ns).stx(8, R10, value, R0)
                self._update(code, key, lambda: code.mov(R3, R10).add(R3, value))
            else:
                zero = code.cleared(8)
                empty = code.room(8)
                look_up(code, self._empty, zero)
                code.jump("jeq", R0, 0, OUT).stx(8, R10, empty, R0)
                self._update(code, key, lambda: code.ldx(8, R3, R10, empty))
                look_up(code, self._calls, key)
                code.jump("jeq", R0, 0, OUT).mov(MORE, R0)
                fill(code, MORE, _TIME)
                code.call(Helper.ktime_get_ns).stx(8, MORE, 0, R0)

    def _update(self, code: Code, key: int, value: Callable[[], object]) -> None:
        """Put a value into the table; ``value`` puts its address into r3."""
        full, done = code.fresh(), code.fresh()
        for flag in (_NOEXIST, _ANY):
            value()
            code.ld_map_fd(R1, self._calls.fileno()).mov(R2, R10).add(R2, key).mov(R4, flag)
            code.call(Helper.map_update_elem).jump("jeq", R0, 0, done, width=32)
            if flag:
                code.jump("jne", R0, _EEXIST, full, width=32)
                self._count(code, _REPLACED)
        code.label(full)
        self._count(code, _NO_ROOM)
        code.jmp(OUT).label(done)

    def end(self, code: Code, part: Part) -> int:
        """Append what finds a call that ends: r9 is what was kept of it, r8 its time. Return where its key is."""
        with_time = code.room(8)
        code.call(Helper.ktime_get_ns).stx(8, R10, with_time, R0)
        key = self._store_key(code, part)
        if self._tells:
            self._remember(code, key, with_time)
        if self._nested:
            self._shallower(code, key)
        look_up(code, self._calls, key)
        found = code.fresh()
        code.jump("jne", R0, 0, found)
        if not self._nested:  # where there is a depth, it was counted when it was forgotten
            self._count(code, _BEFORE)
        code.jmp(OUT).label(found)
        code.mov(MORE, R0).ldx(8, OURS, R10, with_time).ldx(8, R1, MORE, 0)
        code.jump("jeq", R1, 0, OUT)  # another CPU is about to write it
        code.sub(OURS, R1)
        forward = code.fresh()
        code.jump("jsge", OURS, 0, forward).mov(OURS, 0).label(forward)
        self._count(code, _ENDED)
        return key

    def _remember(self, code: Code, key: int, time: int) -> None:
        """Have the last return of this thread known, and where it was: what is deeper is over."""
        new, done = code.fresh(), code.fresh()
        with code.scratch():
            value = code.room(_LAST.size)
            code.ldx(8, R1, R10, time).stx(8, R10, value, R1)
            code.ldx(8, OURS, R10, key + _FRAME).stx(8, R10, value + 8, OURS).st(8, R10, key + _FRAME, 0)
            look_up(code, self._last, key)
            code.jump("jeq", R0, 0, new).ldx(8, R1, R10, time).stx(8, R0, 0, R1).stx(8, R0, 8, OURS).jmp(done)
            code.label(new).ld_map_fd(R1, self._last.fileno()).mov(R2, R10).add(R2, key).mov(R3, R10).add(R3, value)
            code.mov(R4, _ANY).call(Helper.map_update_elem).label(done).stx(8, R10, key + _FRAME, OURS)

    def forget(self, code: Code, key: int) -> None:
        """Append what takes a call out of the table; what was kept of it is gone then."""
        code.ld_map_fd(R1, self._calls.fileno()).mov(R2, R10).add(R2, key).call(Helper.map_delete_elem)

    def _store_key(self, code: Code, part: Part) -> int:
        key = code.cleared(self._key_size)
        self._store_number(code, part, key + _NUMBER)
        if self._key is not None:
            self._key.store(code, part, key + _WHO)
            return key
        known = code.fresh()
        code.call(Helper.get_current_pid_tgid).jump("jne", R0, 0, known)
        code.call(Helper.get_smp_processor_id).xor(R0, -1).label(known)  # each CPU has a thread 0 of its own
        code.stx(8, R10, key + _WHO, R0)
        if self._frames and part.frame is not None:
            part.frame(code, R0)
            code.stx(8, R10, key + _FRAME, R0)
        return key

    def _store_number(self, code: Code, part: Part, at: int) -> None:
        """Write which call this is: what is in a row is counted, all else is looked up."""
        numbers = [self._numbers[point] for point in part.points]
        if numbers == [*range(numbers[0], numbers[0] + len(numbers))]:
            code.mov(R0, POINT).add(R0, numbers[0] - part.first).stx(4, R10, at, R0)
        elif len({*numbers}) == 1:
            code.st(4, R10, at, numbers[0])
        else:
            with code.scratch():
                key = code.room(8)
                code.stx(8, R10, key, POINT)
                look_up(code, self._which, key)
            code.jump("jeq", R0, 0, OUT).ldx(4, R0, R0).stx(4, R10, at, R0)

    def _deeper(self, code: Code, key: int) -> None:
        """Have one more call of this thread, and write its number where its frame would be."""
        found = code.fresh()
        with code.scratch():
            zero = code.cleared(8)
            look_up(code, self._depths, key)
            code.jump("jne", R0, 0, found)
            code.ld_map_fd(R1, self._depths.fileno()).mov(R2, R10).add(R2, key).mov(R3, R10).add(R3, zero)
            code.mov(R4, _NOEXIST).call(Helper.map_update_elem)
        look_up(code, self._depths, key)
        code.jump("jne", R0, 0, found)
        self._count(code, _NO_ROOM)
        code.jmp(OUT).label(found)
        code.ldx(8, R1, R0).mov(R2, R1).add(R2, 1).stx(8, R0, 0, R2)
        code.and_(R1, _NESTED - 1).stx(8, R10, key + _FRAME, R1)

    def _shallower(self, code: Code, key: int) -> None:
        """Have one call less of this thread, and write its number where its frame would be."""
        found, last = code.fresh(), code.fresh()
        look_up(code, self._depths, key)
        code.jump("jne", R0, 0, found)
        self._count(code, _BEFORE)
        code.jmp(OUT).label(found)
        code.ldx(8, R1, R0).sub(R1, 1).stx(8, R0, 0, R1).mov(OURS, R1).jump("jne", R1, 0, last)
        code.ld_map_fd(R1, self._depths.fileno()).mov(R2, R10).add(R2, key).call(Helper.map_delete_elem)
        code.label(last).and_(OURS, _NESTED - 1).stx(8, R10, key + _FRAME, OURS)

    def _count(self, code: Code, what: int) -> None:
        with code.scratch():
            at = code.room(8)
            code.st(8, R10, at, what)
            add_one(code, self._tally, at)

    def tally(self) -> Tally:
        """Return what became of all calls until now; those of threads that have ended are taken out of the table."""
        running, lost = self._running()
        begun, ended, replaced, no_room, before = (added(self._tally, at) for at in range(_BEFORE + 1))
        too_deep = replaced if self._nested else 0
        never = self._gone + lost + replaced - too_deep
        return Tally(begun, ended, running, never, too_deep, no_room, None if no_room else before)

    def _running(self) -> tuple[int, int]:
        """Return how many calls are in the table that may still return, and how many never will."""
        rows = [*Walk(self._calls, self._calls.facts).pairs()]
        if self._key is not None:
            return len(rows), 0
        stacks: dict[tuple[int, int], list[tuple[int, int]]] = {}
        ended: dict[int, bool] = {}
        for key, value in rows:
            number, frame, who = _KEY.unpack(key)
            if who not in ended:
                ended[who] = not who & _KERNEL and pidns.own() is None and thread.has_ended(who & 0xFFFFFFFF)
            if ended[who]:
                with suppress(KernelError):  # another thread has the number by now, and such a call
                    self._calls.delete(key)
                    self._gone += 1
            else:
                stacks.setdefault((number, who), []).append((_BEGAN.unpack_from(value)[0], frame))
        last = {}
        if self._tells:
            for key, value in Walk(self._last, self._last.facts).pairs():
                number, _, who = _KEY.unpack(key)
                last[number, who] = _LAST.unpack(value)
        lost = sum(left(calls, last.get(of)) for of, calls in stacks.items()) if self._frames else 0
        return sum(map(len, stacks.values())) - lost, lost

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()


def left(calls: Sequence[tuple[int, int]], last: tuple[int, int] | None) -> int:
    """Return how many of a thread's calls are over though they have not returned: a later event is not within them.

    Events are the time and the frame of each call that is there, and of the last return.
    """
    events = [*calls, last] if last is not None else calls
    return sum(any(time > began and _is_above(frame, other) for time, other in events) for began, frame in calls)


def _is_above(frame: int, other: int) -> bool:
    """Return whether a frame is where another call's caller is, on the same stack; stacks grow down."""
    return 0 <= other - frame < (_STACK_OF_KERNEL if frame & _KERNEL else _STACK_OF_PROCESS)
