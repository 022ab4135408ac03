"""
A ring buffer under stress: two programs that write to it faster than it is read, and readers that believe nothing.

    python -m tests.kernel.ring_stress [RECORDS]

Each record says who sent it and which of that sender's it is, and repeats that in all of its words; its size follows
from the number. So a reader sees if a record is torn, out of order or missing, and the programs count the records for
which they found no room. It needs the package and the right to load programs, on any processor.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from bpfctl import Map, MapType, Program, ProgType, RingBuffer
from bpfctl._sys import programs
from bpfctl.asm.build import Program as Code
from bpfctl.asm.insn import R0, R1, R2, R3, R4, R6, R7, R8, R10

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RINGBUF_OUTPUT, MAP_LOOKUP = 130, 1
SENDERS = 2
SHIFT = 48  # of the sender in the word that a record repeats
_NUMBER = (1 << SHIFT) - 1
WORDS = 34  # at most
CHUNK = 2_000  # runs of a program in one system call
PAUSE = 0.002  # seconds, after a chunk for which there was not room enough
PACKET = bytes(64)
ROOM = 1 << 20
_PR_SET_PDEATHSIG = 1

_COUNTS = struct.Struct("=QQ")  # what a sender keeps: how many it sent, and how many found no room


def words(number: int) -> int:
    """Return how many words the record with this number has."""
    return 2 + (number * 13 & 31)


def is_whole(record: bytes, word: int) -> bool:
    """Return whether a record is one that was sent, and all of it; ``word`` is its first."""
    length = len(record) >> 3
    return word >> SHIFT < SENDERS and length == words(word & _NUMBER) and record[:8] * length == record


class Stress:
    """A ring buffer and the programs that write to it."""

    def __init__(self, stack: ExitStack, room: int = ROOM) -> None:
        self.ring = stack.enter_context(Map.create(MapType.RINGBUF, 0, 0, room, name="stressed"))
        self.counts = []
        self.programs = []
        for sender in range(SENDERS):
            state = stack.enter_context(Map.create(MapType.ARRAY, 4, _COUNTS.size + 8 * WORDS, 1, name="sender"))
            insns = _sending(self.ring.fileno(), state.fileno(), sender)
            self.counts.append(state)
            self.programs.append(stack.enter_context(Program.load(ProgType.SOCKET_FILTER, insns, name="sending")))

    def send(self, sender: int, records: int = CHUNK) -> None:
        """Have a program send records, on one CPU."""
        with suppress(InterruptedError):  # what is not sent now is sent the next time
            programs.run(self.programs[sender].fileno(), data_in=PACKET, repeat=records)

    def sent(self, sender: int) -> tuple[int, int]:
        """Return how many records a sender has tried to send, and how many found no room."""
        return _COUNTS.unpack_from(self.counts[sender].lookup(bytes(4)))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Have all senders send, each in a process of its own, as long as this goes on."""
        with ExitStack() as stack:
            for sender in range(SENDERS):
                stack.enter_context(forked(lambda sender=sender: self._forever(sender)))
            yield

    def _forever(self, sender: int) -> None:
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[sender % len(cpus)]})
        before = 0
        while True:
            self.send(sender)
            without_room = self.sent(sender)[1]
            if without_room > before:  # the readers need the processor too
                time.sleep(PAUSE)
            before = without_room


def _sending(ring_fd: int, state_fd: int, sender: int) -> bytes:
    """Return a program that sends its next record: bytes 0 to 7 of its state count them, 8 to 15 those without room."""
    code = Code()
    code.st(4, R10, -4, 0).mov(R2, R10).add(R2, -4).ld_map_fd(R1, state_fd).call(MAP_LOOKUP)
    code.jump("jeq", R0, 0, "out").mov(R6, R0)
    code.ldx(8, R7, R6, 0)  # the number, from 0
    code.mov(R1, R7).add(R1, 1).stx(8, R6, 0, R1)
    code.ld_imm64(R8, sender << SHIFT).alu("or", R8, R7)
    for at in range(WORDS):
        code.stx(8, R6, _COUNTS.size + 8 * at, R8)
    code.mov(R3, R7).mul(R3, 13).and_(R3, 31).add(R3, 2).lsh(R3, 3)
    code.ld_map_fd(R1, ring_fd).mov(R2, R6).add(R2, _COUNTS.size).mov(R4, 0).call(RINGBUF_OUTPUT)
    code.jump("jeq", R0, 0, "out").ldx(8, R1, R6, 8).add(R1, 1).stx(8, R6, 8, R1)
    return code.label("out").mov(R0, 0).exit_().assemble()


class Seen:
    """What a reader has seen, and what was wrong with it."""

    def __init__(self) -> None:
        self.records: Counter[int] = Counter()  # by sender
        self.last = [-1] * SENDERS
        self.torn = 0
        self.disorder = 0  # records that came after a later one, or twice

    def take(self, batch: Iterable[bytes]) -> None:
        """Look at records."""
        for record in batch:
            word = int.from_bytes(record[:8], sys.byteorder)
            if is_whole(record, word):
                self.note(word)
            else:
                self.torn += 1

    def note(self, word: int) -> None:
        """Note the word of a record that is whole."""
        sender, number = word >> SHIFT, word & _NUMBER
        if number <= self.last[sender]:
            self.disorder += 1
        self.last[sender] = number
        self.records[sender] += 1

    def total(self) -> int:
        """Return how many good records there were."""
        return self.records.total()


class Result(NamedTuple):
    """What came of a run; all but the first three should be 0."""

    records: int
    without_room: int
    seconds: float
    torn: int
    disorder: int
    lost: int  # records that found room, and never came


def consume(stress: Stress, records: int) -> Result:
    """Consume at least so many records while they are sent, and then the rest."""
    seen = Seen()
    begin = time.monotonic()
    with RingBuffer(stress.ring) as ring:
        with stress.sending():
            for batch in ring.batches():
                seen.take(batch)
                if seen.total() >= records:
                    break
        seconds = time.monotonic() - begin
        while batch := ring.read():
            seen.take(batch)
    sent, without_room = map(sum, zip(*map(stress.sent, range(SENDERS)), strict=True))
    return Result(seen.total(), without_room, seconds, seen.torn, seen.disorder, sent - without_room - seen.total())


@contextmanager
def forked(run) -> Iterator[int]:
    """Run a function that never ends in a process of its own, and kill that at the end; it does not outlive us."""
    us, child = os.getpid(), os.fork()
    if not child:
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == us:
                run()
        finally:
            os._exit(1)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended == -signal.SIGKILL, "what should never end broke off"


def looking_on(stress: Stress, tell: int) -> None:
    """Look on for ever, and tell after each batch through a descriptor what was seen."""
    seen = Seen()
    with RingBuffer(stress.ring, looks_on=True) as ring:
        for batch in ring.batches():
            seen.take(batch)
            if batch:
                told = (seen.total(), seen.torn, seen.disorder, ring.missed)
                os.pwrite(tell, struct.pack("=4Q", *told), 0)


def main() -> int:
    """Run it, say what came of it, and return 1 if anything went wrong."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with ExitStack() as stack:
        stress = Stress(stack)
        tells = [os.memfd_create("told") for _ in range(2)]
        for tell in tells:
            stack.callback(os.close, tell)
            stack.enter_context(forked(lambda tell=tell: looking_on(stress, tell)))
        result = consume(stress, records)
        time.sleep(0.2)
        wrong = result.torn or result.disorder or result.lost
        print(f"consumed {result.records} records in {result.seconds:.2f} s; {result.without_room} found no room")
        print(f"torn {result.torn}, out of order or twice {result.disorder}, lost {result.lost}")
        for tell in tells:
            seen, torn, disorder, missed = struct.unpack("=4Q", os.pread(tell, 32, 0).ljust(32, b"\0"))
            print(f"looking on: {seen} records, torn {torn}, out of order {disorder}, {missed} bytes missed")
            wrong = wrong or torn or disorder or not seen
    print("wrong" if wrong else "all is well")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
