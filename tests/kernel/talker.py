"""Programs that say something: into the kernel's trace, and into their own streams."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R3, R4, R5, R10
from tests.kernel import client
from tests.kernel.facts import Facts

if TYPE_CHECKING:
    from contextlib import ExitStack

SOCKET_FILTER, SYSCALL, ARRAY = 1, 31, 2
TRACE_PRINTK = 6
RDONLY_PROG = 1 << 7
STDOUT = 1


def _text_on_stack(prog: Program, text: bytes, below: int = 0) -> int:
    """Put text and a null byte on the stack; return where it begins."""
    padded = (text + b"\0").ljust((len(text) + 8) // 8 * 8, b"\0")
    at = -below - len(padded)
    for offset in range(0, len(padded), 8):
        prog.ld_imm64(R1, struct.unpack_from("=Q", padded, offset)[0]).stx(8, R10, at + offset, R1)
    return at


def printer(stack: ExitStack, text: bytes) -> int:
    """Load a program that puts any bytes but null ones into the trace with %s; return its fd."""
    prog = Program()
    said = _text_on_stack(prog, text)
    form = _text_on_stack(prog, b"%s", -said)
    prog.mov(R1, R10).add(R1, form).mov(R2, 3).mov(R3, R10).add(R3, said).call(TRACE_PRINTK).mov(R0, 0).exit_()
    fd = client.prog_load(SOCKET_FILTER, prog.assemble(), license=b"GPL", name="printer")
    stack.callback(os.close, fd)
    return fd


def streamer(stack: ExitStack, text: bytes, stream: int = STDOUT) -> int:
    """Load a program that writes a text into a stream of its own and returns the helper's answer; return its fd.

    LookupError before Linux 6.17.
    """
    names = ("bpf_stream_vprintk", "bpf_stream_vprintk_impl")
    kfunc = next((id_ for name in names if (id_ := Facts("none").btf.id("func", name))), 0)
    if not kfunc:
        raise LookupError("this kernel has no streams of programs")
    value = b"%s\0".ljust(8, b"\0") + text + b"\0"
    rodata = client.map_create(ARRAY, 4, len(value), 1, name="talk.rodata", map_flags=RDONLY_PROG)
    stack.callback(os.close, rodata)
    client.map_update(rodata, bytes(4), value)
    client.map_freeze(rodata)
    prog = Program().ld_map_value(R1, rodata, 8).stx(8, R10, -8, R1)
    prog.mov(R1, stream).ld_map_value(R2, rodata).mov(R3, R10).add(R3, -8).mov(R4, 8).mov(R5, 0).call_kfunc(kfunc)
    fd = client.prog_load(SYSCALL, prog.exit_().assemble(), license=b"GPL", name="streamer", prog_flags=16)
    stack.callback(os.close, fd)
    return fd
