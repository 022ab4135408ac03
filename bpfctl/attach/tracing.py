"""Tracing programs (fentry, fexit and their kin), which have said when they were loaded what they attach to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl._sys import attach as attach_calls
from bpfctl.errors import KernelError
from bpfctl.kernel.link import Link

if TYPE_CHECKING:
    from bpfctl.kernel.prog import Program


def attach(program: Program) -> Link:
    """Attach a program; KernelError with ENOTSUPP (524) where this kernel cannot on this architecture."""
    try:
        return Link(attach_calls.raw_tracepoint_open(None, program.fileno()))
    except OSError as error:
        raise KernelError("can't attach the tracing program", error.errno or 0) from None
