"""Links of iterators (BPF_LINK_CREATE)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bpfctl._sys import calls
from bpfctl._sys.attach import link_create

if TYPE_CHECKING:
    from bpfctl._sys.fd import FD


def attach(prog_fd: int, attach_type: int, info: bytes = b"") -> FD:
    """Create the link of an iterator; ``info`` is the union bpf_iter_link_info, where it wants to be told something."""
    _keep, address = calls.input_(info or None)
    # The members of iter in union bpf_attr (include/uapi/linux/bpf.h).
    return link_create(prog_fd, 0, attach_type, extra=struct.pack("=QI", int(address), len(info)))
