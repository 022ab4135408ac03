"""Programs that do something to what a test run gives them, for as many program types as the kernel runs so."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Self

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R3, R6, R7
from tests.kernel import client, facts
from tests.kernel.inhabitants.programs import returning

if TYPE_CHECKING:
    from collections.abc import Callable

SOCKET_FILTER, KPROBE, SCHED_CLS, XDP, CGROUP_SKB, LWT_IN = 1, 2, 3, 6, 8, 10
RAW_TRACEPOINT, FLOW_DISSECTOR, TRACING, SK_LOOKUP, SYSCALL = 17, 22, 26, 30, 31
BPF_TRACE_FENTRY = 24
BPF_SK_LOOKUP, BPF_F_SLEEPABLE = 36, 1 << 4
XDP_ADJUST_HEAD = 44

PACKET = bytes(range(64)) + "\x00\x7f\x80~ü\x1b[".encode()


def xdp() -> bytes:
    """Assemble: a header of four bytes before the packet, of which the first becomes the queue's number plus one."""
    prog = Program().mov(R6, R1).mov(R2, -4).call(XDP_ADJUST_HEAD).jump("jne", R0, 0, "fail")
    prog.ldx(4, R7, R6, 0).ldx(4, R3, R6, 4).mov(R2, R7).add(R2, 14).jump("jgt", R2, R3, "fail")
    prog.ldx(4, R1, R6, 16).add(R1, 1).stx(1, R7, 0, R1)
    for at in range(1, 4):
        prog.st(1, R7, at, 0xA0 + at)
    return prog.mov(R0, 3).exit_().label("fail").mov(R0, 0).exit_().assemble()


def tc() -> bytes:
    """Assemble: the mark and the first of cb count up, the packet's first byte too; the mark is returned."""
    prog = Program().mov(R6, R1).ldx(4, R1, R6, 8).add(R1, 1).stx(4, R6, 8, R1)
    prog.ldx(4, R2, R6, 48).add(R2, 1).stx(4, R6, 48, R2)
    prog.ldx(4, R7, R6, 76).ldx(4, R3, R6, 80).mov(R2, R7).add(R2, 14).jump("jgt", R2, R3, "out")
    prog.ldx(1, R2, R7, 0).add(R2, 1).stx(1, R7, 0, R2)
    return prog.label("out").ldx(4, R0, R6, 8).exit_().assemble()


def raw_tracepoint() -> bytes:
    """Assemble: the sum of the first two arguments."""
    return Program().ldx(8, R0, R1, 0).ldx(8, R2, R1, 8).add(R0, R2).exit_().assemble()


def syscall() -> bytes:
    """Assemble: the second number of the context becomes twice the first."""
    return Program().ldx(8, R2, R1, 0).add(R2, R2).stx(8, R1, 8, R2).mov(R0, 5).exit_().assemble()


def sk_lookup() -> bytes:
    """Assemble: the lowest byte of the local port."""
    return Program().ldx(4, R0, R1, 60).and_(R0, 1).exit_().assemble()


PROGRAMS: dict[str, Callable[[], int]] = {
    "xdp": lambda: client.prog_load(XDP, xdp(), name="run_xdp"),
    "tc": lambda: client.prog_load(SCHED_CLS, tc(), name="run_tc"),
    "socket_filter": lambda: client.prog_load(SOCKET_FILTER, returning(9), name="run_filter"),
    "cgroup_skb": lambda: client.prog_load(CGROUP_SKB, returning(1), name="run_cgroup"),
    "lwt_in": lambda: client.prog_load(LWT_IN, returning(0), name="run_lwt"),
    "flow_dissector": lambda: client.prog_load(FLOW_DISSECTOR, returning(2), name="run_flow"),
    "raw_tracepoint": lambda: client.prog_load(RAW_TRACEPOINT, raw_tracepoint(), name="run_raw"),
    "raw_simple": lambda: client.prog_load(RAW_TRACEPOINT, returning(7), name="run_raw_7"),
    "kprobe": lambda: client.prog_load(KPROBE, returning(0), name="run_kprobe"),
    "fentry": lambda: client.prog_load(
        TRACING,
        returning(0),
        name="run_fentry",
        expected_attach_type=BPF_TRACE_FENTRY,
        attach_btf_id=facts.Facts("").btf.id("func", "bpf_fentry_test1"),
    ),
    # What the kernels of the last years have not had from the beginning.
    "sk_lookup": lambda: client.prog_load(
        SK_LOOKUP, sk_lookup(), name="run_lookup", expected_attach_type=BPF_SK_LOOKUP
    ),
    "syscall": lambda: client.prog_load(SYSCALL, syscall(), name="run_syscall", prog_flags=BPF_F_SLEEPABLE),
}
#: Since Linux 5.14; where nothing is locked down.
NEW = {"syscall", "fentry"}


def sk_buff(*, mark: int = 0, cb: int = 0, length: int = 0) -> bytes:
    """Lay out struct __sk_buff as far as a test run takes it."""
    raw = bytearray(184)
    struct.pack_into("=I4xI", raw, 0, length, mark)
    struct.pack_into("=I", raw, 48, cb)
    return bytes(raw)


def xdp_md(end: int, *, queue: int = 0, ifindex: int = 0) -> bytes:
    """Lay out struct xdp_md of a packet."""
    return struct.pack("=6I", 0, end, 0, ifindex, queue, 0)


class Runnable:
    """The programs that this kernel takes, by name; they are gone when the block ends."""

    def __init__(self) -> None:
        self.fds: dict[str, int] = {}
        self.refused: dict[str, OSError] = {}
        for name, make in PROGRAMS.items():
            try:
                self.fds[name] = make()
            except OSError as error:
                self.refused[name] = error

    def __enter__(self) -> Self:
        assert set(self.refused) <= NEW, self.refused
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self.fds.values():
            os.close(fd)

    def id(self, name: str) -> str:
        """Return a program's id as a word."""
        return str(client.id_of("prog", self.fds[name]))
