"""Maps that carry events, and programs that write to them each time they are run, made without the product's calls."""

from __future__ import annotations

import os
import struct
import time

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R1, R2, R3, R4, R5, R6, R10
from tests.kernel import client

SOCKET_FILTER, PERF_EVENT_ARRAY, RINGBUF = 1, 4, 27
PERF_EVENT_OUTPUT, RINGBUF_OUTPUT = 25, 130
CURRENT_CPU = 0xFFFFFFFF
ETHERNET = 14  # what BPF_PROG_TEST_RUN takes off the front of a packet
PATIENCE = 20.0  # seconds


class Emitter:
    """A map, and a program that sends an event of ``size`` bytes, all words of which are the length of its packet."""

    def __init__(self, stack, *, perf: bool, size: int = 16, room: int = 1 << 16, program=None) -> None:
        made = (PERF_EVENT_ARRAY, 4, 4, client.CPUS) if perf else (RINGBUF, 0, 0, room)
        self.map_fd = client.map_create(*made, name="emitted")
        stack.callback(os.close, self.map_fd)
        self.id = client.id_of("map", self.map_fd)
        code = Program().mov(R6, R1)
        code.ldx(4, R2, R1, 0)
        for at in range(0, size, 4):
            code.stx(4, R10, at - size, R2)
        if perf:
            code.mov(R1, R6).ld_map_fd(R2, self.map_fd).ld_imm64(R3, CURRENT_CPU)
            code.mov(R4, R10).add(R4, -size).mov(R5, size).call(PERF_EVENT_OUTPUT)
        else:
            code.ld_map_fd(R1, self.map_fd).mov(R2, R10).add(R2, -size).mov(R3, size).mov(R4, 0).call(RINGBUF_OUTPUT)
        self.program = client.prog_load(SOCKET_FILTER, code.exit_().assemble(), name="emitting", **(program or {}))
        stack.callback(os.close, self.program)
        self.size = size

    def event(self, length: int) -> bytes:
        """Return the bytes that a packet of this length makes."""
        return struct.pack("=I", length) * (self.size // 4)

    def emit(self, *lengths: int) -> int:
        """Send an event for each, and return how many found a place."""
        return sum(client.run(self.program, bytes(length + ETHERNET)) == 0 for length in lengths)

    def emit_when_read(self, length: int) -> None:
        """Send one event as soon as somebody has put a perf event into the map."""
        deadline = time.monotonic() + PATIENCE
        while not self.emit(length):
            assert time.monotonic() < deadline, "nobody reads the map"
            time.sleep(0.01)


def pinned_to_one_cpu(stack) -> int:
    """Keep this process on one CPU, where the test runs then are; return its number."""
    before = os.sched_getaffinity(0)
    cpu = min(before)
    os.sched_setaffinity(0, {cpu})
    stack.callback(os.sched_setaffinity, 0, before)
    return cpu
