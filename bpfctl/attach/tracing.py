"""Tracing programs (fentry, fexit and their kin), which have said when they were loaded what they attach to."""

from __future__ import annotations

import os
import struct
from errno import EINVAL
from typing import TYPE_CHECKING

from bpfctl._sys import attach as attach_calls
from bpfctl.errors import ENOTSUPP, KernelError, NotSupported
from bpfctl.kernel.link import Link
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from bpfctl._sys.fd import FD
    from bpfctl.kernel.prog import Program


def attach(program: Program, attach_type: AttachType | int = 0, cookie: int = 0) -> Link:
    """Attach a program; KernelError, NotSupported where this kernel cannot on this architecture.

    A cookie that is not 0 needs the type for which the program was loaded, and Linux 5.19, or 6.10 for TRACE_RAW_TP;
    NotSupported before.
    """
    try:
        return Link(_opened(program, attach_type, cookie))
    except OSError as error:
        if cookie and error.errno == EINVAL:
            since = "6.10" if attach_type == AttachType.TRACE_RAW_TP else "5.19"
            raise NotSupported(
                f"this kernel has no cookies for tracing programs of this type (Linux {since})"
            ) from None
        if error.errno == ENOTSUPP:
            since = " (Linux 6.0)" if os.uname().machine == "aarch64" else ""
            raise NotSupported(
                f"this kernel cannot attach tracing programs to functions on this architecture{since}"
            ) from None
        raise KernelError("can't attach the tracing program", error.errno or 0) from None


def _opened(program: Program, attach_type: int, cookie: int) -> FD:
    """Open a link. bpf_raw_tp_link_attach() takes a cookie, but has none for functions."""
    if cookie and attach_type != AttachType.TRACE_RAW_TP:
        # The members of tracing in union bpf_attr (include/uapi/linux/bpf.h): target_btf_id and cookie.
        extra = struct.pack("=I4xQ", 0, cookie)
        return attach_calls.link_create(program.fileno(), 0, attach_type, extra=extra)
    return attach_calls.raw_tracepoint_open(None, program.fileno(), cookie)
