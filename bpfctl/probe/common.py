"""Fields that can be read at every point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.asm.insn import R0, R1, R2
from bpfctl.probe.field import Field, Integer, Text, number
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from bpfctl.asm.insn import Reg
    from bpfctl.probe.code import Code

_COMM = 16  # TASK_COMM_LEN


def _comm(code: Code, base: Reg, offset: int) -> None:
    code.mov(R1, base).add(R1, offset).mov(R2, _COMM).call(Helper.get_current_comm)


def _half(name: str, helper: Helper, *, upper: bool, told: str) -> Field:
    """Return one of the two numbers of 32 bits that a helper returns in one."""

    def load(code: Code, register: Reg) -> None:
        code.call(helper)
        if upper:
            code.rsh(R0, 32)
        code.mov32(register, R0)

    return number(name, load, Integer(4), told)


def _whole(name: str, helper: Helper, type_: Integer, told: str) -> Field:
    return number(name, lambda code, register: code.call(helper).mov(register, R0), type_, told)


#: What is known of the task that runs, of the CPU and of the time, by name.
FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        _half("pid", Helper.get_current_pid_tgid, upper=True, told="process, as users number them"),
        _half("tid", Helper.get_current_pid_tgid, upper=False, told="thread"),
        _half("uid", Helper.get_current_uid_gid, upper=False, told="user"),
        _half("gid", Helper.get_current_uid_gid, upper=True, told="group"),
        Field("comm", Text(_COMM), _comm, None, "name of the thread"),
        _whole("cpu", Helper.get_smp_processor_id, Integer(4), "CPU"),
        _whole("cgroup", Helper.get_current_cgroup_id, Integer(8), "id of the cgroup"),
        _whole("time", Helper.ktime_get_ns, Integer(8), "nanoseconds since the start of the machine"),
    )
}
