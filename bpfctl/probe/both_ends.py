"""One program at both ends of calls, where the kernel has that: sessions of kprobes (Linux 6.10) and uprobes (6.13).

A session costs one link, a call that a condition leaves out does not run into its return, and the kernel itself tells
which return belongs to which beginning: the two share a cookie of eight bytes, in which the frame of the call is kept.

Kernel: bpf_session_is_return() and bpf_session_cookie() in kernel/trace/bpf_trace.c. They take the context since Linux
7.0, and nothing before, when what is in r1 does not matter.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.asm.insn import R0, R1
from bpfctl.errors import NotSupported
from bpfctl.host.boot_cache import BootCache, boot_id
from bpfctl.probe.code import CTX, OUT, POINT, Code
from bpfctl.probe.filter import Filter
from bpfctl.probe.registers import call_frame

if TYPE_CHECKING:
    from bpfctl.asm.insn import Reg
    from bpfctl.probe.action import Action, Part
    from bpfctl.probe.source import Group
    from bpfctl.probe.where import Tree

_NAMES = ("bpf_session_is_return", "bpf_session_cookie")
_END, _SKIP = "returns", "left_out"


class Functions(NamedTuple):
    """The kernel's functions for sessions, by their numbers among its types."""

    is_return: int
    cookie: int


@cache
def functions() -> Functions | None:
    """Return those of this kernel, None where it has none. Types take long to read, so they are kept for this boot."""
    memory, key = BootCache("session_functions"), {"boot": boot_id()}
    found = memory.read(key) if key["boot"] else None
    if not isinstance(found, list):
        found = _looked_up()
        memory.write(key, found)
    return Functions(*found) if len(found) == len(_NAMES) and all(isinstance(id_, int) for id_ in found) else None


def _looked_up() -> list[int]:
    from bpfctl.probe.types import kernel_types  # noqa: PLC0415 - once in a boot
    from btf.types import Func  # noqa: PLC0415

    try:
        types = kernel_types()
    except NotSupported:
        return []
    return [found.id for name in _NAMES if (found := types.find(name, Func)) is not None]


def assemble(group: Group, begin: Part, end: Part, wheres: tuple[Tree | None, Tree | None], action: Action) -> bytes:
    """Return the program of a group that is at both ends; a call that does not count runs into no return."""
    functions_ = _known()
    code = Code()
    code.mov(CTX, R1)
    if group.choose is not None:
        group.choose(code)
    code.mov(R1, CTX).call_kfunc(functions_.is_return).and_(R0, 1).jump("jne", R0, 0, _END)
    for part, where, otherwise in ((begin, wheres[0], _SKIP), (end, wheres[1], OUT)):
        if group.choose is not None:
            code.add(POINT, part.first)
        else:
            code.mov(POINT, part.first)
        with code.scratch():
            action.always(code, part)
            if where is not None:
                Filter(code, part.field).unless(where, otherwise)
            action.emit(code, part)
        code.jmp(OUT)
        if part is begin:
            code.label(_END)
    if wheres[0] is not None:
        code.label(_SKIP).mov(R0, 1).exit_()
    return code.end(interrupted=group.interrupted)


def _known() -> Functions:
    found = functions()
    if found is None:
        raise NotSupported("this kernel has no sessions (Linux 6.10)")
    return found


def began(code: Code, register: Reg) -> None:
    """Load the frame of a call that begins, and leave it for its return."""
    code.mov(R1, CTX).call_kfunc(_known().cookie)
    call_frame(returns=False)(code, R1)
    code.stx(8, R0, 0, R1).mov(register, R1)


def returned(code: Code, register: Reg) -> None:
    """Load the frame of a call that returns."""
    code.mov(R1, CTX).call_kfunc(_known().cookie).ldx(8, register, R0, 0)
