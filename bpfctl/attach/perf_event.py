"""Programs on perf events: by a link where the kernel has one for them (Linux 5.15), or else by the event itself.

Kernel: bpf_perf_link_attach() in kernel/bpf/syscall.c, perf_event_set_bpf_prog() in kernel/events/core.c.
"""

from __future__ import annotations

import struct
from errno import EINVAL
from typing import TYPE_CHECKING

from bpfctl._sys import attach as attach_calls
from bpfctl._sys import perf
from bpfctl.errors import KernelError
from bpfctl.kernel.handle import privilege_hint
from bpfctl.kernel.link import Link
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from bpfctl._sys.fd import FD, Closing
    from bpfctl.kernel.prog import Program

_TRACEPOINT = 2  # PERF_TYPE_TRACEPOINT


def attach(program: Program, event: FD, tried: str, cookie: int = 0) -> Closing:
    """Attach to an open event, which is ours from now on; what is returned detaches when it is closed.

    KernelError ``tried``. A cookie that is not 0 needs a link.
    """
    with event:
        try:
            extra = struct.pack("=Q", cookie)
            return Link(attach_calls.link_create(program.fileno(), event.fileno(), AttachType.PERF_EVENT, extra=extra))
        except OSError as error:
            if error.errno != EINVAL or cookie:
                raise _refused(tried, error) from None
        try:
            perf.ioctl(event.fileno(), perf.IOC_SET_BPF, program.fileno())
            perf.ioctl(event.fileno(), perf.IOC_ENABLE)
        except OSError as error:
            raise _refused(tried, error) from None
        return type(event)(event.detach())


def tracepoint(program: Program, number: int, name: str, cookie: int = 0) -> Closing:
    """Attach to the tracepoint with this number in tracefs; KernelError."""
    tried = f"can't attach to tracepoint '{name}'"
    try:
        event = perf.open_event(_TRACEPOINT, number, cpu=0)
    except OSError as error:
        raise _refused(tried, error) from None
    return attach(program, event, tried, cookie)


def _refused(tried: str, error: OSError) -> KernelError:
    number = error.errno or 0
    return KernelError(tried, number, hint=privilege_hint(number))
