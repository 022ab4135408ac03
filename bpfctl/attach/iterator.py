"""Iterators: programs that are run for each object of a kind when somebody reads what is pinned (Linux 5.8)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bpfctl._sys import iterator
from bpfctl.errors import KernelError
from bpfctl.kernel.link import Link
from bpfctl.uapi.enums import AttachType

if TYPE_CHECKING:
    from bpfctl.kernel.map import Map
    from bpfctl.kernel.prog import Program

_INFO = struct.Struct("=I12x")  # map_fd in union bpf_iter_link_info (include/uapi/linux/bpf.h)


def attach(program: Program, map_: Map | None = None) -> Link:
    """Attach an iterator, one over the entries of a map to that map; KernelError."""
    info = b"" if map_ is None else _INFO.pack(map_.fileno())
    try:
        return Link(iterator.attach(program.fileno(), AttachType.TRACE_ITER, info))
    except OSError as error:
        raise KernelError("can't attach the iterator", error.errno or 0) from None
