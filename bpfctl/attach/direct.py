"""Attachments without a link: a sockmap or a network namespace holds the program itself (BPF_PROG_ATTACH).

They last until they are detached, or until what holds the program is gone. A program of a sockmap runs on the messages
of the sockets in it; a flow dissector takes packets of the network namespace apart in which it was attached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl._sys import attach as attach_calls
from bpfctl.errors import KernelError, UsageError
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl.kernel.map import Map
    from bpfctl.kernel.prog import Program

ON_SOCKMAPS = frozenset(
    {
        AttachType.SK_SKB_STREAM_PARSER,
        AttachType.SK_SKB_STREAM_VERDICT,
        AttachType.SK_SKB_VERDICT,
        AttachType.SK_MSG_VERDICT,
    }
)


def attach(program: Program, attach_type: AttachType, sockmap: Map | None = None) -> None:
    """Attach to a sockmap or sockhash, or a flow dissector to this thread's network namespace.

    What was attached there as the same type is replaced. KernelError is what the kernel refuses.
    """
    _do(attach_calls.attach, "attach", program, attach_type, sockmap)


def detach(program: Program, attach_type: AttachType, sockmap: Map | None = None) -> None:
    """Undo what `attach` did; KernelError with ENOENT when another program is attached there, or none."""
    _do(attach_calls.detach, "detach", program, attach_type, sockmap)


def _do(
    call: Callable[[int, int, int], None], word: str, program: Program, attach_type: AttachType, sockmap: Map | None
) -> None:
    if (sockmap is not None) != (attach_type in ON_SOCKMAPS):
        what = "needs a" if sockmap is None else "takes no"
        raise UsageError(f"{attach_type.name.lower()} {what} map to be attached to")
    try:
        call(0 if sockmap is None else sockmap.fileno(), program.fileno(), attach_type)
    except OSError as error:
        raise KernelError(f"can't {word} the program as {attach_type.name.lower()}", error.errno or 0) from None
