"""Stacks of calls, kept in the kernel: each distinct one once, by a number of 128 bits that is made of its addresses.

The kernel's own table of stacks (BPF_MAP_TYPE_STACK_TRACE) has one place for each number of few bits, and refuses a
stack whose place another one has: of 10,000 in 16,384 places that is every fourth, long before the table is full.
So programs take addresses with bpf_get_stack(), make the number themselves, and keep the stack in a hash table, which
refuses nothing until it is full.

Addresses are taken into memory of this CPU. Some programs can be put aside while they run (those of uprobes, say), and
the next one on that CPU may use the same memory: so whoever uses it writes his name there, the time, and looks whether
it is still there before he believes what he has read.

Kernel: bpf_get_stack() in kernel/bpf/stackmap.c (Linux 4.18).
"""

from __future__ import annotations

from contextlib import ExitStack
from struct import Struct
from typing import TYPE_CHECKING

from bpfctl._sys.fd import Closing
from bpfctl.asm.insn import R0, R1, R2, R3, R4, R5, R10
from bpfctl.errors import KernelError, UsageError
from bpfctl.kernel.elements import Walk
from bpfctl.kernel.map import Map
from bpfctl.probe.code import CTX, MORE, OURS, OUT
from bpfctl.probe.keys import look_up
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import StackFlag
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Load

#: Bytes of the number of a stack; no frames at all have the number 0.
NUMBER = 16

_NAME, _LENGTH, _FRAMES = 0, 8, 16  # offsets in the memory of a CPU; from the length on it is what is kept
_WORD = 8
_PLACES = 8  # in the memory of a CPU, so that threads which are there at the same time seldom share one
_BEFORE = 8  # frames between what is probed and the program
_NOEXIST = 1
_EEXIST = -17
#: Addresses of a process, in bits: nothing is in the first page, and what is beyond 48 it must ask for.
_LOWEST, _HIGHEST = 12, 48
#: What addresses are multiplied with, odd numbers whose bits look random, and how far the product is then shifted.
_MIX = ((-1640531535, 32), (-2048144777, 29))
_SYSCTL = "/proc/sys/kernel/perf_event_max_stack"
_USUAL_DEPTH = 127  # PERF_MAX_STACK_DEPTH in include/uapi/linux/perf_event.h


def deepest() -> int:
    """Return how many frames the kernel follows at most."""
    try:
        with open(_SYSCTL, encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return _USUAL_DEPTH


class Callchains(Closing):
    """The stacks of a run: at most ``max_entries`` of ``depth`` frames each, which are the innermost ones.

    Those of the kernel have some more, since they begin with calls from the probe to the program. UsageError for more
    frames than the kernel follows.
    """

    def __init__(self, depth: int | None, max_entries: int) -> None:
        most = deepest()
        self.depth = min(most, _USUAL_DEPTH) if depth is None else depth
        if self.depth > most:
            raise UsageError(f"the kernel follows {most} frames at most (sysctl kernel.perf_event_max_stack)")
        self._deeper = min(most, self.depth + _BEFORE)
        size = _FRAMES + _WORD * self._deeper
        with ExitStack() as held:
            self._scratch = held.enter_context(
                Map.create(MapType.PERCPU_ARRAY, 4, size + _WORD, _PLACES, name="scratch"),
            )
            self._stacks = held.enter_context(
                Map.create(MapType.HASH, NUMBER, size - _LENGTH, max_entries, name="stacks"),
            )
            self._held = held.pop_all()

    def begin(self, code: Code) -> None:
        """Put the memory of this CPU into r8, which `store` uses."""
        with code.scratch():
            place = code.room(8)
            code.call(Helper.get_current_pid_tgid).and_(R0, _PLACES - 1).stx(4, R10, place, R0)
            look_up(code, self._scratch, place)
        code.jump("jeq", R0, 0, OUT).mov(OURS, R0)

    def store(self, code: Code, at: int, lost: str, disturbed: str, *, user: bool, caller: Load | None = None) -> None:
        """Write the number of the kernel's or the process's stack into cleared room.

        Go to ``lost`` where there is no room for the stack, and to ``disturbed`` where another run has come between: in
        our memory, or in the kernel's own, which then says EFAULT.
        Kernel threads have no stack of a process; that has the number 0. ``caller`` loads the address behind the first
        where the kernel may lack it. r8, which then is elsewhere in the memory, and r9 are used.
        """
        depth = self.depth if user else self._deeper
        none, found, kept = code.fresh(), code.fresh(), code.fresh()
        with code.scratch():
            name, memory, back = code.room(8), code.room(8), code.room(8)
            code.call(Helper.ktime_get_ns).stx(8, R10, name, R0).stx(8, OURS, _NAME, R0).stx(8, R10, memory, OURS)
            if caller is not None:
                caller(code, R0)
                code.stx(8, R10, back, R0)
            code.mov(R1, CTX).mov(R2, OURS).add(R2, _FRAMES + _WORD * (caller is not None)).mov(R3, _WORD * depth)
            code.mov(R4, StackFlag.USER_STACK if user else 0).call(Helper.get_stack)
            code.jump("jslt", R0, 0, disturbed).jump("jeq", R0, 0, none)
            code.ldx(8, R1, R10, name).stx(8, OURS, _NAME, R1)  # again: now the frames are ours as well
            if caller is not None:
                code.ldx(8, R1, R10, back)
                _put_behind_the_first(code, depth)
            self._number(code, at, depth, user=user)
            code.jump("jeq", MORE, 0, none).stx(8, OURS, _LENGTH, MORE)
            code.ldx(8, R1, R10, name).ldx(8, R2, R10, memory).ldx(8, R2, R2, _NAME).jump("jne", R1, R2, disturbed)
            look_up(code, self._stacks, at)
            code.jump("jne", R0, 0, found)
            code.ld_map_fd(R1, self._stacks.fileno()).mov(R2, R10).add(R2, at).mov(R3, OURS).add(R3, _LENGTH)
            code.mov(R4, _NOEXIST).call(Helper.map_update_elem)
            code.jump("jeq", R0, 0, kept).jump("jeq", R0, _EEXIST, found).jmp(lost)
            code.label(kept).ldx(8, R1, R10, name).ldx(8, R2, R10, memory).ldx(8, R2, R2, _NAME)
            code.jump("jeq", R1, R2, found)
            code.ld_map_fd(R1, self._stacks.fileno()).mov(R2, R10).add(R2, at).call(Helper.map_delete_elem)
            code.jmp(disturbed)
            code.label(none).label(found)

    def _number(self, code: Code, at: int, depth: int, *, user: bool) -> None:
        """Make the number of the frames in the memory, of which r0 says the bytes; r9 gets their count.

        Where code has no frame pointers the kernel takes other data for the last frame. What can be no address of code
        ends a stack here, or each such hit would have a stack of its own.
        """
        again, done = code.fresh(), code.fresh()
        code.rsh(R0, 3).mov(R4, R0).mov(R0, 1).mov(R3, 2).mov(MORE, 0)
        code.label(again).jump("jge", MORE, R4, done).jump("jge", MORE, depth, done)
        code.mov(R1, MORE).lsh(R1, 3).add(R1, OURS).ldx(8, R2, R1, _FRAMES)
        if user:
            code.mov(R5, R2).rsh(R5, _LOWEST).jump("jeq", R5, 0, done)
            code.rsh(R5, _HIGHEST - _LOWEST).jump("jne", R5, 0, done)
        for register, (factor, bits) in zip((R0, R3), _MIX, strict=True):
            code.xor(register, R2).mul(register, factor).mov(R5, register).rsh(R5, bits).xor(register, R5)
        code.add(MORE, 1).jmp(again)
        code.label(done).stx(8, R10, at, R0).stx(8, R10, at + 8, R3)

    def frames(self) -> dict[bytes, tuple[int, ...]]:
        """Return the stacks by their numbers, leaf first."""
        length = Struct("=Q")
        whole = Struct(f"={self._deeper}Q")
        found: dict[bytes, tuple[int, ...]] = {bytes(NUMBER): ()}
        try:
            for number, value in Walk(self._stacks, self._stacks.facts).pairs():
                (count,) = length.unpack_from(value)
                found[number] = whole.unpack_from(value, length.size)[:count]
        except KernelError as error:
            raise KernelError("can't read the stacks", error.errno or 0) from None
        return found

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()


def _put_behind_the_first(code: Code, depth: int) -> None:
    """Put the address in r1 between the first two frames unless it is there; r0 says their bytes.

    The frames lie a word behind their place, to which either all of them come by moving r8, or the first alone does.
    """
    there, missing, done = code.fresh(), code.fresh(), code.fresh()
    code.jump("jeq", R1, 0, there).jump("jlt", R0, 2 * _WORD, missing)
    code.ldx(8, R2, OURS, _FRAMES + 2 * _WORD).jump("jeq", R1, R2, there)
    code.label(missing).ldx(8, R2, OURS, _FRAMES + _WORD).stx(8, OURS, _FRAMES, R2).stx(8, OURS, _FRAMES + _WORD, R1)
    code.jump("jge", R0, depth * _WORD, done).add(R0, _WORD).jmp(done)
    code.label(there).add(OURS, _WORD)
    code.label(done)
