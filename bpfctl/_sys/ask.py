"""Any command of bpf(2) with any attributes, also such as no function of this room would send: to see what comes."""

from __future__ import annotations

from bpfctl._sys import calls
from bpfctl._sys._ffi import ffi, lib


def ask(cmd: int, attributes: bytes) -> int:
    """Make the call once and return a result, which may be a descriptor that the caller owns, or a negated errno."""
    attr = ffi.new("uint8_t[]", attributes)

    def make() -> int:
        return int(lib.bpfctl_bpf(cmd, attr, len(attributes)))

    return calls.traced(f"bpf command {cmd}", None, make, attributes=attributes.hex())
