"""How fast a million records of a ring buffer are read from Python, beside plain mmap and struct; and of a perf buffer.

A program fills the buffer, the reader empties it, in turn; only the reading is timed. Run as root:
python benchmarks/ring.py
"""

from __future__ import annotations

import mmap
import struct
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from bpfctl import Map, MapType, PerfBuffer, Program, ProgType, RingBuffer
from bpfctl._sys import programs
from bpfctl.asm.build import Program as Code
from bpfctl.asm.insn import R0, R1, R2, R3, R4, R5, R6, R10

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS = 1_000_000
SIZE = 32  # bytes of a record
ROOM = 1 << 22
CHUNK = 50_000  # records, for which the buffer has room
PERF_PAGES = 1024
PERF_EVENT_OUTPUT, RINGBUF_OUTPUT = 25, 130
CURRENT_CPU = 0xFFFFFFFF


def sender(target: Map, *, perf: bool) -> bytes:
    code = Code().mov(R6, R1)
    for at in range(0, SIZE, 8):
        code.st(8, R10, at - SIZE, at + 1)
    if perf:
        code.mov(R1, R6).ld_map_fd(R2, target.fileno()).ld_imm64(R3, CURRENT_CPU)
        code.mov(R4, R10).add(R4, -SIZE).mov(R5, SIZE).call(PERF_EVENT_OUTPUT)
    else:
        code.ld_map_fd(R1, target.fileno()).mov(R2, R10).add(R2, -SIZE).mov(R3, SIZE).mov(R4, 0).call(RINGBUF_OUTPUT)
    return code.mov(R0, 0).exit_().assemble()


def timed(program: Program, read: Callable[[], int], chunk: int = CHUNK) -> float:
    """Return the seconds that reading takes, without the sending."""
    seconds, left = 0.0, RECORDS
    while left > 0:
        programs.run(program.fileno(), data_in=bytes(64), repeat=chunk)
        start = time.perf_counter()
        got = read()
        seconds += time.perf_counter() - start
        if got != chunk:
            raise SystemExit(f"{chunk} records were sent, {got} came")
        left -= got
    return seconds


class Plain:
    """What a script does that has nothing but Python: without the ordering that other processors need."""

    def __init__(self, ring: Map) -> None:
        page = mmap.PAGESIZE
        self.consumer = mmap.mmap(ring.fileno(), page)
        self.pages = mmap.mmap(ring.fileno(), page + 2 * ROOM, prot=mmap.PROT_READ, offset=page)

    def read(self) -> int:
        """Return how many records there were."""
        position = struct.Struct("=Q")
        (at,), (end,) = position.unpack_from(self.consumer), position.unpack_from(self.pages)
        records = []
        while at < end:
            where = mmap.PAGESIZE + (at & ROOM - 1)
            (length,) = struct.unpack_from("=I", self.pages, where)
            if length >> 31:
                break
            if not length >> 30:
                records.append(self.pages[where + 8 : where + 8 + length])
            at += ((length & 0x3FFFFFFF) + 15) & ~7
            position.pack_into(self.consumer, 0, at)
        return len(records)

    def close(self) -> None:
        """Unmap the buffer."""
        self.consumer.close()
        self.pages.close()


def main() -> None:
    with ExitStack() as stack:
        ring = stack.enter_context(Map.create(MapType.RINGBUF, 0, 0, ROOM, name="bench"))
        fill = stack.enter_context(Program.load(ProgType.SOCKET_FILTER, sender(ring, perf=False), name="bench"))
        results = {}
        with closing(Plain(ring)) as plain:
            results["mmap and struct"] = timed(fill, plain.read)
        with RingBuffer(ring) as reader:
            results["RingBuffer.read()"] = timed(fill, lambda: len(reader.read()))
            results["for record in RingBuffer"] = timed(
                fill, lambda: sum(1 for _ in zip(range(CHUNK), reader, strict=False))
            )
        with RingBuffer(ring, looks_on=True) as beside, RingBuffer(ring) as reader:

            def both() -> int:
                count = len(beside.read())
                reader.read()
                return count

            results["looking on beside read()"] = timed(fill, both)
        with RingBuffer(ring, type="struct list_head") as reader:
            results["with a BTF type"] = timed(fill, lambda: len(reader.read()))
        array = stack.enter_context(Map.create(MapType.PERF_EVENT_ARRAY, 4, 4, 256, name="bench"))
        fill = stack.enter_context(Program.load(ProgType.SOCKET_FILTER, sender(array, perf=True), name="bench"))
        with PerfBuffer(array, pages=PERF_PAGES) as perf:
            results["PerfBuffer.read()"] = timed(fill, lambda: len(perf.read()))
    base = results["mmap and struct"]
    print(f"{RECORDS} records of {SIZE} bytes: seconds, and how many times as fast as {next(iter(results))}")
    for name, seconds in results.items():
        print(f"{name:28} {seconds:7.3f} {base / seconds:6.2f}")


if __name__ == "__main__":
    main()
