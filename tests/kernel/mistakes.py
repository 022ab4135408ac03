"""Programs with a typical mistake each, which the verifier refuses."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Self

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R3, R6, R10, Insn
from tests.kernel import client

if TYPE_CHECKING:
    from collections.abc import Callable

SOCKET_FILTER, KPROBE, XDP, CGROUP_SKB = 1, 2, 6, 8
HASH, ARRAY, RINGBUF = 1, 2, 27
MAP_LOOKUP, PROBE_READ, TRACE_PRINTK, GET_PRANDOM = 1, 4, 6, 7
RINGBUF_RESERVE = 131
F_RDONLY_PROG = 1 << 7


class Mistake(NamedTuple):
    """A program that is refused: what is wrong with it in our words, and the label of the instruction that is."""

    program: Callable[[Maps], Program]
    sentence: str  # with what differs from kernel to kernel left out, as in fnmatch
    at: str | None = "here"  # None: it is not one instruction
    prog_type: int = SOCKET_FILTER
    license: bytes = b"GPL"


class Maps:
    """The maps that the programs use."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.hash = self._made(HASH, 4, 8, 4)
        self.array = self._made(ARRAY, 4, 16, 1)
        self.ring = self._made(RINGBUF, 0, 0, 4096)
        self.constant = self._made(ARRAY, 4, 8, 1, map_flags=F_RDONLY_PROG)

    def _made(self, kind: int, key: int, value: int, entries: int, **more: int) -> int:
        fd = client.map_create(kind, key, value, entries, name="mistaken", **more)
        self._stack.callback(os.close, fd)
        return fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def lookup(maps: Maps) -> Program:
    """Begin a program that looks something up: R0 is a value, or nothing."""
    prog = Program().st(4, R10, -4, 1).mov(R2, R10).add(R2, -4)
    return prog.ld_map_fd(R1, maps.hash).call(MAP_LOOKUP)


def checked(maps: Maps) -> Program:
    """Begin a program that has looked something up and found it; it ends at the label "out"."""
    return lookup(maps).jump("jne", R0, 0, "found").mov(R0, 0).exit_().label("found")


def end(prog: Program) -> Program:
    """End a program with 0."""
    return prog.mov(R0, 0).exit_()


def too_many_jumps(_: Maps) -> Program:
    """Branch more often than the verifier remembers."""
    prog = Program().call(GET_PRANDOM)
    for number in range(8200):
        prog.jump("jeq", R0, number, "out")
    return prog.label("out").mov(R0, 0).exit_()


def deep(_: Maps) -> Program:
    """Use more stack than two functions have together."""
    prog = Program().st(8, R10, -400, 0).label("here").call_sub("sub").exit_()
    return prog.label("sub").st(8, R10, -400, 0).mov(R0, 0).exit_()


def kept(maps: Maps) -> Program:
    """Take room in a ring buffer and forget it."""
    prog = Program().ld_map_fd(R1, maps.ring).mov(R2, 8).mov(R3, 0).call(RINGBUF_RESERVE)
    return prog.jump("jeq", R0, 0, "out").label("out").mov(R0, 0).label("here").exit_()


def indexed(maps: Maps, most: int) -> Program:
    """Begin a program that has R6 point into a value, up to so many bytes from its start."""
    return checked(maps).mov(R6, R0).call(GET_PRANDOM).and_(R0, most).add(R6, R0)


NO_VALUE = "R{} is read before anything is written to it"
LEAVES_VALUE = "an access of {} leaves the map's value, which has 8 bytes"
LEAVES_STACK = "an access of 8 bytes at {} leaves the stack, which is from -512 to 0"

MISTAKES = {
    "uninitialised register": Mistake(
        lambda _: Program().label("here").mov(R0, R6).exit_(),
        NO_VALUE.format(6),
    ),
    "no result": Mistake(
        lambda _: Program().label("here").exit_(),
        NO_VALUE.format(0),
    ),
    "too few arguments": Mistake(
        lambda m: end(Program().ld_map_fd(R1, m.hash).label("here").call(MAP_LOOKUP)),
        NO_VALUE.format(2),
    ),
    "register that a call has cleared": Mistake(
        lambda _: Program().mov(R3, 1).call(GET_PRANDOM).label("here").mov(R0, R3).exit_(),
        NO_VALUE.format(3) + ": a call before has cleared it",
    ),
    "null pointer": Mistake(
        lambda m: end(lookup(m).label("here").ldx(8, R1, R0, 0)),
        "R0 may be null: compare it with 0 before you use it",
    ),
    "added before the check": Mistake(
        lambda m: end(lookup(m).label("here").add(R0, 8)),
        "R0 may be null: compare it with 0 first",
    ),
    "past the value": Mistake(
        lambda m: end(checked(m).label("here").ldx(8, R1, R0, 8)),
        LEAVES_VALUE.format("8 bytes at 8"),
    ),
    "before the value": Mistake(
        lambda m: end(checked(m).label("here").stx(4, R0, -4, R0)),
        LEAVES_VALUE.format("4 bytes at -4"),
    ),
    "index too large": Mistake(
        lambda m: end(indexed(m, 255).label("here").ldx(1, R1, R6, 0)),
        LEAVES_VALUE.format("1 byte at 255"),
    ),
    "index without a limit": Mistake(
        lambda m: end(checked(m).mov(R6, R0).call(GET_PRANDOM).label("here").add(R6, R0).ldx(1, R1, R6, 0)),
        "what is added to a pointer to a map's value may be any number: compare it with the size of what is pointed to",
    ),
    "reference that is kept": Mistake(
        kept,
        "what instruction 4 acquires is not released on a way to the end",
    ),
    "endless loop": Mistake(
        lambda _: Program().mov(R0, 0).label("here").jmp("here"),
        "a loop that never ends, or has no end that the kernel sees",
    ),
    "too many jumps": Mistake(
        too_many_jumps,
        "there are too many ways through the program: 8193 jumps in a row",
        at=None,
    ),
    "unreachable": Mistake(
        lambda _: end(Program().mov(R0, 0).exit_().label("here")),
        "no way leads to this instruction",
    ),
    "no exit": Mistake(
        lambda _: Program().mov(R0, 0),
        "the program runs on past its end: the last instruction must be an exit or a jump",
        at=None,
    ),
    "jump out of the program": Mistake(
        lambda _: Program().label("here").raw(Insn(0x05, off=9)).mov(R0, 0).exit_(),
        "the jump leads out of the function, to 10",
    ),
    "opcode that is none": Mistake(
        lambda _: end(Program().label("here").raw(Insn(0xFF))),
        "this kernel has no instruction with opcode ff",
    ),
    "helper of another type": Mistake(
        lambda _: end(Program().mov(R1, R10).add(R1, -8).mov(R2, 8).mov(R3, 0).label("here").call(PROBE_READ)),
        "programs of this type cannot call bpf_probe_read",
        prog_type=XDP,
    ),
    "helper that is none": Mistake(
        lambda _: end(Program().label("here").call(99999)),
        "this kernel has no helper 99999",
    ),
    "GPL": Mistake(
        lambda _: end(Program().st(8, R10, -8, 0).mov(R1, R10).add(R1, -8).mov(R2, 8).label("here").call(TRACE_PRINTK)),
        "only programs whose licence is compatible with the GPL may call bpf_trace_printk",
        prog_type=KPROBE,
        license=b"Proprietary",
    ),
    "number for a pointer": Mistake(
        lambda m: end(Program().ld_map_fd(R1, m.hash).mov(R2, 5).label("here").call(MAP_LOOKUP)),
        "R2 is a number, where bpf_map_lookup_elem wants a pointer to memory, such as the stack or a map's value",
    ),
    "number for a map": Mistake(
        lambda _: end(Program().mov(R1, 5).mov(R2, R10).label("here").call(MAP_LOOKUP)),
        "R1 is a number, where bpf_map_lookup_elem wants a map",
    ),
    "number as a pointer": Mistake(
        lambda _: end(Program().mov(R1, 5).label("here").ldx(8, R0, R1, 0)),
        "R1 is a number, and no pointer that can be followed",
    ),
    "outside the context": Mistake(
        lambda _: end(Program().label("here").ldx(8, R0, R1, 1000)),
        "programs of this type cannot access 8 bytes at 1000 of their context so",
    ),
    "context plus a number": Mistake(
        lambda _: end(Program().add(R1, 4).label("here").ldx(4, R0, R1, 0)),
        "R1 is the context plus a number: keep the number in the offset of the access",
    ),
    "above the stack": Mistake(
        lambda _: end(Program().label("here").st(8, R10, 0, 1)),
        LEAVES_STACK.format(0),
    ),
    "below the stack": Mistake(
        lambda _: end(Program().label("here").st(8, R10, -520, 1)),
        LEAVES_STACK.format(-520),
    ),
    "deep stack": Mistake(
        deep,
        "2 functions that call each other need 8?? bytes of stack together, and 512 are allowed",
        at=None,
    ),
    "stack that nobody has written": Mistake(
        lambda m: end(Program().mov(R2, R10).add(R2, -4).ld_map_fd(R1, m.hash).label("here").call(MAP_LOOKUP)),
        "bpf_map_lookup_elem reads 4 bytes at -4 of the stack, where nothing has been written at -4",
    ),
    "half of a pointer": Mistake(
        lambda _: end(Program().stx(8, R10, -8, R1).label("here").ldx(4, R0, R10, -8)),
        "a pointer on the stack can only be read whole, as 8 bytes",
    ),
    "shifted pointer": Mistake(
        lambda _: end(Program().label("here").alu("lsh", R1, 3)),
        "R1 is a pointer, which cannot be calculated with <<=",
    ),
    "pointer of 32 bits": Mistake(
        lambda _: end(Program().label("here").alu("add", R1, 1, width=32)),
        "R1 is a pointer, which has 64 bits and not 32",
    ),
    "pointer plus pointer": Mistake(
        lambda _: end(Program().mov(R2, R10).label("here").add(R1, R2)),
        "R1 is a pointer, and so is what is added to it",
    ),
    "added to a map": Mistake(
        lambda m: end(Program().ld_map_fd(R1, m.hash).label("here").add(R1, 8)),
        "nothing can be added to R1, which is a map",
    ),
    "frame pointer": Mistake(
        lambda _: end(Program().label("here").mov(R10, 0)),
        "R10 cannot be changed: it points to the stack",
    ),
    "division by zero": Mistake(
        lambda _: Program().mov(R0, 1).label("here").alu("div", R0, 0).exit_(),
        "a division by zero",
    ),
    "shift too far": Mistake(
        lambda _: Program().mov(R0, 1).label("here").alu("lsh", R0, 64).exit_(),
        "a shift by 64 bits is too far",
    ),
    "result out of range": Mistake(
        lambda _: Program().mov(R0, 77).label("here").exit_(),
        "the result in R0 must be from 0 to [0-9]*",
        prog_type=CGROUP_SKB,
    ),
    "packet without a check": Mistake(
        lambda _: end(Program().ldx(4, R2, R1, 0).label("here").ldx(1, R0, R2, 0)),
        "an access of 1 byte at 0 from R2 may leave the packet: compare with its end first",
        prog_type=XDP,
    ),
    "read-only map": Mistake(
        lambda m: end(Program().ld_map_value(R1, m.constant).label("here").st(4, R1, 0, 1)),
        "programs cannot write to this map",
    ),
}
