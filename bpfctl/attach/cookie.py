"""Numbers that a program is told at each of the places that it is attached to (Linux 5.15)."""

from __future__ import annotations

from errno import EINVAL
from functools import cache

from bpfctl._sys import programs
from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0
from bpfctl.uapi.enums import ProgType
from bpfctl.uapi.helpers import Helper


@cache
def has_cookies() -> bool:
    """Return whether this kernel has them; True where it does not say, as the reason comes with the next load."""
    code = Program().call(Helper.get_attach_cookie).mov(R0, 0).exit_().assemble()
    try:
        programs.load(ProgType.KPROBE, code).fd.close()
    except OSError as error:  # EINVAL: no such helper; all else says nothing of it
        return error.errno != EINVAL
    return True
