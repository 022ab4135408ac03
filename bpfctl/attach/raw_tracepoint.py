"""Raw tracepoints: a program gets the tracepoint's arguments as they are (BPF_RAW_TRACEPOINT_OPEN, Linux 4.17)."""

from __future__ import annotations

from errno import EINVAL
from typing import TYPE_CHECKING

from bpfctl._sys import attach as attach_calls
from bpfctl.errors import KernelError, NotSupported
from bpfctl.kernel.link import Link

if TYPE_CHECKING:
    from bpfctl.kernel.prog import Program


def attach(program: Program, name: str, cookie: int = 0) -> Link:
    """Attach to a tracepoint by its name without category, such as ``sched_switch``; KernelError ENOENT without one.

    A cookie that is not 0 needs Linux 6.10, NotSupported before.
    """
    try:
        return Link(attach_calls.raw_tracepoint_open(name, program.fileno(), cookie))
    except OSError as error:
        if cookie and error.errno == EINVAL:
            raise NotSupported("this kernel has no cookies for raw tracepoints (Linux 6.10)") from None
        raise KernelError(f"can't attach to raw tracepoint '{name}'", error.errno or 0) from None
