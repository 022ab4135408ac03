"""Any command of bpf(2) with any attributes, also such as no function of this room would send: to see what comes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bpfctl._sys import calls
from bpfctl._sys._ffi import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Mapping


def ask(cmd: int, attributes: bytes, buffers: Mapping[int, bytes] | None = None) -> int:
    """Make the call once and return a result, which may be a descriptor that the caller owns, or a negated errno.

    ``buffers`` are laid into memory for the call, and the address of each is written at its offset in the attributes.
    """
    attr = ffi.new("uint8_t[]", attributes)
    kept = []
    for offset, data in (buffers or {}).items():
        kept.append(ffi.new("uint8_t[]", data))
        struct.pack_into("=Q", ffi.buffer(attr), offset, calls.address(kept[-1]))

    def make() -> int:
        return int(lib.bpfctl_bpf(cmd, attr, len(attributes)))

    return calls.traced(f"bpf command {cmd}", None, make, attributes=attributes.hex())
