"""Fields that can be read at every point.

Numbers of processes are those of our own namespace, as users see them: in a container those of the container.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bpfctl.asm.insn import R0, R1, R2, R3, R4, R10
from bpfctl.host import pidns
from bpfctl.probe.field import Field, Integer, Text, number
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from bpfctl.asm.insn import Reg
    from bpfctl.probe.code import Code

_COMM = 16  # TASK_COMM_LEN
#: What tells a point's own fields from those that are read everywhere.
OWN = "args."


def _comm(code: Code, base: Reg, offset: int) -> None:
    code.mov(R1, base).add(R1, offset).mov(R2, _COMM).call(Helper.get_current_comm)


def _load_half(helper: Helper, code: Code, register: Reg, *, upper: bool) -> None:
    """Append what loads one of the two numbers of 32 bits that a helper returns in one."""
    code.call(helper)
    if upper:
        code.rsh(R0, 32)
    code.mov32(register, R0)


def _half(name: str, helper: Helper, *, upper: bool, told: str) -> Field:
    return number(name, partial(_load_half, helper, upper=upper), Integer(4), told)


def _task(name: str, *, at: int, told: str) -> Field:
    """Return a number of the task that runs, by its place in struct bpf_pidns_info; 0 is outside of our namespace."""

    def load(code: Code, register: Reg) -> None:
        own = pidns.own()
        if own is None:
            _load_half(Helper.get_current_pid_tgid, code, register, upper=at > 0)
            return
        with code.scratch():
            place = code.room(8)
            code.ld_imm64(R1, own.device).ld_imm64(R2, own.inode).mov(R3, R10).add(R3, place).mov(R4, 8)
            code.st(8, R10, place, 0).call(Helper.get_ns_current_pid_tgid)  # Linux 5.7
            code.ldx(4, register, R10, place + at)

    return number(name, load, Integer(4), told)


def _whole(name: str, helper: Helper, type_: Integer, told: str) -> Field:
    return number(name, lambda code, register: code.call(helper).mov(register, R0), type_, told)


#: What is known of the task that runs, of the CPU and of the time, by name.
FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        _task("pid", at=4, told="process, as users number them"),
        _task("tid", at=0, told="thread"),
        _half("uid", Helper.get_current_uid_gid, upper=False, told="user"),
        _half("gid", Helper.get_current_uid_gid, upper=True, told="group"),
        Field("comm", Text(_COMM), _comm, None, "name of the thread"),
        _whole("cpu", Helper.get_smp_processor_id, Integer(4), "CPU"),
        _whole("cgroup", Helper.get_current_cgroup_id, Integer(8), "id of the cgroup"),
        _whole("time", Helper.ktime_get_ns, Integer(8), "nanoseconds since the start of the machine"),
    )
}
