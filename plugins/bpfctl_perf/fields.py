"""What a program on a perf event can read: its context is struct bpf_perf_event_data, registers first.

The registers are struct pt_regs of include/uapi, or struct user_pt_regs, of each architecture; they can be read in
words of 8 bytes alone (pe_prog_is_valid_access() in kernel/trace/bpf_trace.c).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.plugin import CTX, Integer, in_context, number

if TYPE_CHECKING:
    from bpfctl.plugin import Code, Field, Reg

_ADDRESS = Integer(8, hexadecimal=True)


class _Registers(NamedTuple):
    """Of one architecture: bytes of all registers, and where the instruction pointer lies among them."""

    size: int
    ip: int


_MACHINES = {
    "x86_64": _Registers(168, 128),
    "aarch64": _Registers(272, 256),
    "riscv64": _Registers(256, 0),
    "s390x": _Registers(152, 16),
    "ppc64le": _Registers(352, 256),
    "loongarch64": _Registers(360, 264),
}
_X86_CS, _ARM_PSTATE = 136, 264


def _in_user_mode_x86(code: Code, register: Reg) -> None:
    code.ldx(8, register, CTX, _X86_CS).and_(register, 2).rsh(register, 1)  # ring 3, not 0


def _in_user_mode_arm(code: Code, register: Reg) -> None:
    code.ldx(8, register, CTX, _ARM_PSTATE).and_(register, 0xF).add(register, -1).rsh(register, 63)  # EL0 is 0


_USER = {"x86_64": _in_user_mode_x86, "aarch64": _in_user_mode_arm}


def fields(machine: str, *, with_address: bool) -> list[Field]:
    """Return the fields of an event on a machine, as uname calls it; ``with_address`` where the event is about one.

    ``ip`` is the instruction that was interrupted, and ``period`` how many events there were since the last hit.
    """
    found: list[Field] = []
    registers = _MACHINES.get(machine)
    if registers is None:  # without the size of its registers nothing of the context can be found
        return found
    found.append(in_context("ip", registers.ip, _ADDRESS, "unsigned long"))
    if machine in _USER:
        found.append(number("user", _USER[machine], Integer(1), "bool"))
    if with_address:
        found.append(in_context("addr", registers.size + 8, _ADDRESS, "u64"))
    found.append(in_context("period", registers.size, Integer(8), "u64"))
    return found


def here(*, with_address: bool) -> list[Field]:
    """Return the fields of an event on this machine."""
    return fields(os.uname().machine, with_address=with_address)
