"""System calls by name: one program for all of them, where nobody asks for their arguments.

Each system call passes the raw tracepoint sys_enter, and sys_exit when it returns, with its number. So hundreds of
events are one program and a table of numbers, and are attached and detached in milliseconds, where each of as many perf
events takes a tenth of a second to close.

As the events do, this leaves out calls of 32-bit programs, which have numbers of their own
(ARCH_TRACE_IGNORE_COMPAT_SYSCALLS in arch/x86/include/asm/ftrace.h and arch/arm64/include/asm/ftrace.h).
"""

from __future__ import annotations

import os
import struct
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.plugin import (
    CTX,
    OUT,
    POINT,
    R0,
    R1,
    R2,
    R10,
    Group,
    Helper,
    Integer,
    Map,
    MapType,
    NotFound,
    NotSupported,
    ProgType,
    attach_raw_tracepoint,
    kernel_types,
    memory,
    one_call,
)
from bpfctl_tracepoint.names import ENTER, EXIT, called
from bpfctl_tracepoint.numbers import numbers
from btf.errors import BTFError
from btf.place import find
from btf.types import Func, Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from bpfctl.plugin import Closing, Code, Field, ProbePoint, Program

_FEW = 8  # calls, which are asked for one by one faster than they are looked up


class _Machine(NamedTuple):
    """Where a machine keeps the number of a call until it returns, and how it marks tasks in a call of 32 bits."""

    number: str  # in struct pt_regs
    compat: str  # in struct thread_info
    mask: int


_MACHINES = {
    "x86_64": _Machine("orig_ax", "status", 0x2),  # TS_COMPAT
    "aarch64": _Machine("syscallno", "flags", 1 << 22),  # TIF_32BIT
}


def together(
    points: Sequence[ProbePoint],
    field: Callable[[ProbePoint], Callable[[str], Field]],
    by_event: Callable[[ProbePoint], Group],
    held: ExitStack,
) -> list[Group]:
    """Return groups for the events that are system calls with a known number; ``held`` owns the tables."""
    machine, known = os.uname().machine, numbers(os.uname().machine)
    if machine not in _MACHINES:
        return []
    found = []
    for prefix, name in ((ENTER, "sys_enter"), (EXIT, "sys_exit")):
        wanted = {point: number for point in points if (number := known.get(called(point, prefix))) is not None}
        if wanted:
            calls = tuple(wanted)
            try:
                choose = _chooser(_MACHINES[machine], prefix, list(wanted.values()), held)
            except (NotSupported, NotFound):  # a kernel that does not tell where these things are
                return []
            found.append(
                Group(
                    f"raw tracepoint {name}",
                    calls,
                    ProgType.RAW_TRACEPOINT,
                    field(calls[0]),
                    partial(_attach, name),
                    choose=choose,
                    otherwise=partial(by_event, calls[0]) if len(calls) == 1 else None,
                    frame=one_call,
                )
            )
    return found


def _attach(name: str, program: Program) -> list[Closing]:
    return [attach_raw_tracepoint(program, name)]


def _chooser(machine: _Machine, prefix: str, wanted: Sequence[int], held: ExitStack) -> Callable[[Code], None]:
    """Return what puts into r7 which of the wanted calls was hit."""
    kept = 0 if prefix == ENTER else _offset("pt_regs", machine.number)
    # the first member of task_struct (include/linux/sched.h), which has hundreds and takes long to look through
    marked = partial(_mark, _offset("thread_info", machine.compat))
    known = partial(_compared, wanted) if len(wanted) <= _FEW else _looked_up(wanted, held)

    def choose(code: Code) -> None:
        if prefix == ENTER:
            code.ldx(8, R0, CTX, 8)
        else:
            code.ldx(8, R0, CTX, 0)
            memory(code, R0, kept, Integer(4))  # on arm64 something else lies behind
        known(code)
        marked(code)
        code.and_(R0, machine.mask).jump("jne", R0, 0, OUT)

    return choose


def _compared(wanted: Sequence[int], code: Code) -> None:
    """Find the number in r0 by asking for each."""
    found = code.fresh()
    for at, number in enumerate(wanted):
        code.mov(POINT, at).jump("jeq", R0, number, found)
    code.jmp(OUT).label(found)


def _looked_up(wanted: Sequence[int], held: ExitStack) -> Callable[[Code], None]:
    """Return what finds the number in r0 in a table."""
    size = max(wanted) + 1
    table = held.enter_context(Map.create(MapType.ARRAY, 4, 4, size, name="calls"))
    table.raw.update({struct.pack("=I", number): struct.pack("=I", at + 1) for at, number in enumerate(wanted)})

    def look_up(code: Code) -> None:
        with code.scratch():
            key = code.room(8)
            code.stx(8, R10, key, R0).jump("jge", R0, size, OUT)
            code.ld_map_fd(R1, table.fileno()).mov(R2, R10).add(R2, key).call(Helper.map_lookup_elem)
            code.jump("jeq", R0, 0, OUT).ldx(4, POINT, R0).jump("jeq", POINT, 0, OUT).sub(POINT, 1)

    return look_up


def _mark(at: int, code: Code) -> None:
    """Load what marks the task that runs into r0: with no other call where the kernel knows its type (Linux 5.11)."""
    if kernel_types().find(f"bpf_{Helper.get_current_task_btf.name}", Func):
        code.call(Helper.get_current_task_btf).ldx(4, R0, R0, at)
    else:
        code.call(Helper.get_current_task)
        memory(code, R0, at, Integer(4))


def _offset(struct_name: str, path: str) -> int:
    """Return where a member lies in a structure of the kernel; NotFound."""
    btf = kernel_types()
    found = btf.find(struct_name, Struct)
    if found is None:
        raise NotFound(f"this kernel does not tell what struct {struct_name} is")
    try:
        return find(btf, found.id, path).offset
    except BTFError as error:
        raise NotFound(str(error)) from None
