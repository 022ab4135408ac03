"""Fields out of registers: struct pt_regs is the context of programs on functions, of the kernel and of processes.

Layouts: arch/x86/include/asm/ptrace.h, and struct user_pt_regs in arch/arm64/include/uapi/asm/ptrace.h, with which
arm64's begins. Which registers hold arguments: the psABIs of both.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.asm.insn import R1, R2, R3, R10
from bpfctl.errors import NotSupported
from bpfctl.probe.code import CTX
from bpfctl.probe.field import Field, Integer, extend, in_context, string
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from bpfctl.asm.insn import Reg
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Load

_ADDRESS = Integer(8, hexadecimal=True)
_X86 = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss"),
)


class Registers(NamedTuple):
    """The registers of a kind of machine: where each lies, and what functions use them for."""

    machine: str
    at: dict[str, int]
    arguments: tuple[str, ...]
    returned: str
    pc: str
    sp: str
    popped: int  # bytes of the stack that a return takes away
    link: str = ""  # which has the address to return to; without it, that is on the stack


X86_64 = Registers(
    "x86_64",
    {name: 8 * number for number, name in enumerate(_X86)},
    ("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
    "rax",
    "rip",
    "rsp",
    8,
)
ARM64 = Registers(
    "aarch64",
    {name: 8 * number for number, name in enumerate((*(f"x{number}" for number in range(31)), "sp", "pc"))},
    tuple(f"x{number}" for number in range(8)),
    "x0",
    "pc",
    "sp",
    0,
    "x30",
)


@cache
def registers() -> Registers:
    """Return those of this machine; NotSupported where they are not known."""
    machine = os.uname().machine
    for one in (X86_64, ARM64):
        if one.machine == machine:
            return one
    raise NotSupported(f"arguments cannot be read on {machine}: where they are is known for x86_64 and aarch64")


def argument_fields() -> tuple[Field, ...]:
    """Return what functions get: ``arg0`` and so on, whatever they really take."""
    here = registers()
    return tuple(
        in_context(f"arg{number}", here.at[name], _ADDRESS, "unsigned long")
        for number, name in enumerate(here.arguments)
    )


def argument_strings(*, user: bool) -> tuple[Field, ...]:
    """Return ``str0`` and so on: strings where arguments point to, of the process or of the kernel."""
    here = registers()
    return tuple(
        string(f"str{number}", word(here.at[name]), user=user, told="char *")
        for number, name in enumerate(here.arguments)
    )


def returned_fields(*, user: bool) -> tuple[Field, Field]:
    """Return ``retval``, and ``retstr``, the string where it points to."""
    here = registers()
    at = here.at[here.returned]
    return (
        in_context("retval", at, Integer(8, signed=True), "long"),
        string("retstr", word(at), user=user, told="char *"),
    )


def call_frame(*, returns: bool) -> Load:
    """Return what loads where the frame of a call is, when a function is entered or when it has returned."""

    def load(code: Code, register: Reg) -> None:
        here = registers()
        code.ldx(8, register, CTX, here.at[here.sp])
        if returns and here.popped:
            code.sub(register, here.popped)

    return load


def call_origin() -> Load:
    """Return what loads the address that a function of a process returns to, when it is just entered."""

    def load(code: Code, register: Reg) -> None:
        here = registers()
        if here.link:
            code.ldx(8, register, CTX, here.at[here.link])
        else:
            code.ldx(8, register, CTX, here.at[here.sp])
            user_memory(code, register, 0, _ADDRESS)

    return load


def one_call(code: Code, register: Reg) -> None:
    """Load what stands for the frame where a thread has one call at a time, such as a system call."""
    code.mov(register, 0)


def word(at: int) -> Load:
    """Return what loads eight bytes of the context."""

    def load(code: Code, register: Reg) -> None:
        code.ldx(8, register, CTX, at)

    return load


def user_memory(code: Code, register: Reg, at: int, type_: Integer) -> None:
    """Load a number from ``register + at`` in the memory of the process; 0 where nothing can be read."""
    with code.scratch():
        place = code.room(8)
        code.mov(R3, register).add(R3, at).st(8, R10, place, 0)
        code.mov(R1, R10).add(R1, place).mov(R2, type_.size).call(Helper.probe_read_user)
        code.ldx(type_.size, register, R10, place)
    extend(code, register, type_)
