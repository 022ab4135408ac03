"""The readers of shared memory, on memory that says what we want: whatever stands there, they stay within it."""

from __future__ import annotations

import errno
import mmap
import os
import struct
from contextlib import closing, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfctl._sys import ring as ring_module
from bpfctl._sys.ring import PerfRing, Ring

PAGE = mmap.PAGESIZE
SIZE = PAGE
BUSY, DISCARD = 1 << 31, 1 << 30
HEAD, TAIL = 1024, 1032  # of struct perf_event_mmap_page


class Fake:
    """Memory laid out as a ring buffer's: the consumer's page, the producer's, and the data twice."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + 2 * SIZE)

    def positions(self, consumer, producer):
        os.pwrite(self.fd, struct.pack("=Q", consumer), 0)
        os.pwrite(self.fd, struct.pack("=Q", producer), PAGE)

    def data(self, position, data):
        for at, byte in enumerate(data, position):
            for copy in range(2):
                os.pwrite(self.fd, bytes((byte,)), 2 * PAGE + copy * SIZE + at % SIZE)

    def record(self, position, payload, flags=0):
        self.data(position, struct.pack("=II", len(payload) | flags, 0) + payload)
        return position + (len(payload) + 8 + 7 & ~7)

    def consumer(self):
        return struct.unpack("=Q", os.pread(self.fd, 8, 0))[0]


@contextmanager
def fake():
    made = Fake()
    try:
        yield made
    finally:
        os.close(made.fd)


LOOKS_ON = pytest.mark.parametrize("looks_on", [False, True], ids=["takes", "looks on"])


@LOOKS_ON
@pytest.mark.parametrize("begin", [0, SIZE - 16, (1 << 64) - 24, (1 << 32) - 24], ids=["0", "end", "2^64", "2^32"])
def test_records_busy_and_discarded(looks_on, begin):
    """Positions wrap at the end of the buffer, and at the end of the numbers."""
    with fake() as memory:
        at = memory.record(begin, b"first")
        at = memory.record(at, b"dropped", DISCARD)
        at = memory.record(at, b"")
        done = at = memory.record(at, b"the second one")
        at = memory.record(at, b"unfinished", BUSY)
        mask = (1 << 64) - 1
        memory.positions(begin & mask, at & mask)
        with closing(Ring(memory.fd, SIZE, looks_on=looks_on)) as ring:
            assert ring.take() == [b"first", b"", b"the second one"]
            assert (ring.discarded, ring.missed, ring.moved) == (1, 0, 0)
            assert ring.take() == []
            assert ring.behind == at - done
            assert memory.consumer() == (begin if looks_on else done) & mask

            memory.record(done, b"unfinished")
            assert ring.take() == [b"unfinished"]


@LOOKS_ON
def test_no_more_than_wanted_is_taken(looks_on):
    with fake() as memory:
        at = 0
        for number in range(10):
            at = memory.record(at, bytes((number,)) * 9)
        memory.positions(0, at)
        with closing(Ring(memory.fd, SIZE, looks_on=looks_on)) as ring:
            assert ring.take(3) == [bytes((number,)) * 9 for number in range(3)]
            assert memory.consumer() == (0 if looks_on else 3 * 24)
            assert len(ring.take(100)) == 7


@pytest.mark.parametrize(
    ("length", "consumer", "producer"),
    [
        pytest.param(SIZE * 2, 0, 64, id="a length beyond the buffer"),
        pytest.param((1 << 30) - 1, 0, 64, id="the largest length"),
        pytest.param(57, 0, 64, id="a length beyond the producer"),
        pytest.param(8, 0, SIZE + 8, id="more than the buffer holds"),
        pytest.param(8, 64, 0, id="a consumer ahead of the producer"),
        pytest.param(8, 4, 64, id="a crooked position"),
    ],
)
def test_nonsense_is_an_error_to_who_takes_and_missed_by_who_looks_on(length, consumer, producer):
    with fake() as memory:
        memory.positions(consumer, producer)
        memory.data(consumer, struct.pack("=II", length, 0))
        with closing(Ring(memory.fd, SIZE)) as ring:
            with pytest.raises(OSError) as caught:
                ring.take()
            assert caught.value.errno == errno.EBADMSG
            assert memory.consumer() == consumer
        with closing(Ring(memory.fd, SIZE, looks_on=True)) as ring:
            assert ring.take() == []
            assert ring.behind == 0
            end = memory.record(producer, b"sense")
            memory.positions(producer, end)
            assert ring.take() == [b"sense"]


def test_who_looks_on_drops_what_was_overwritten():
    """It goes on where the consumer is, and knows how many bytes it did not see."""
    with fake() as memory:
        end = memory.record(0, b"old")
        memory.positions(0, end)
        with closing(Ring(memory.fd, SIZE, looks_on=True)) as ring:
            assert ring.take() == [b"old"]
            begin = 10 * SIZE
            memory.positions(begin, memory.record(begin, b"new"))
            assert ring.take() == [b"new"]
            assert ring.missed == begin - end


def test_another_consumer_is_noticed():
    with fake() as memory, closing(Ring(memory.fd, SIZE)) as ring:
        end = memory.record(0, b"for another")
        memory.positions(end, memory.record(end, b"for us"))
        assert ring.take() == [b"for us"]
        assert ring.moved == 1


def test_a_record_larger_than_the_room():
    size = 1 << 20
    fd = os.memfd_create("ring")
    try:
        os.ftruncate(fd, 2 * PAGE + 2 * size)
        payload = os.urandom(size // 2)
        os.pwrite(fd, struct.pack("=II", len(payload), 0) + payload, 2 * PAGE)
        os.pwrite(fd, struct.pack("=Q", len(payload) + 8), PAGE)
        for looks_on in True, False:
            with closing(Ring(fd, size, looks_on=looks_on)) as ring:
                assert ring.take() == [payload]
    finally:
        os.close(fd)


def taken_or_refused(ring):
    try:
        return ring.take()
    except OSError as error:
        if error.errno != errno.EBADMSG:
            raise
    return []


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, (1 << 32) - 1), max_size=40),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 64) - 1) | st.integers(-SIZE, SIZE),
    st.booleans(),
)
def test_any_memory(words, consumer, producer, looks_on):
    with fake() as memory:
        memory.positions(consumer, (consumer + producer) % (1 << 64))
        memory.data(consumer % SIZE & ~7, struct.pack(f"={len(words)}I", *words))
        with closing(Ring(memory.fd, SIZE, looks_on=looks_on)) as ring:
            records = [record for _ in range(3) for record in taken_or_refused(ring)]

            assert sum(map(len, records)) <= SIZE


@contextmanager
def perf(records, *, tail=0, head=None):
    """Yield the reader of a perf buffer that holds these bytes."""
    fd = os.memfd_create("perf")
    try:
        os.ftruncate(fd, PAGE + SIZE)
        for at, byte in enumerate(records, tail):
            os.pwrite(fd, bytes((byte,)), PAGE + at % SIZE)
        head = tail + len(records) if head is None else head
        os.pwrite(fd, struct.pack("=QQ", head % (1 << 64), tail % (1 << 64)), HEAD)
        with closing(PerfRing(fd, SIZE)) as ring:
            yield fd, ring
    finally:
        os.close(fd)


def perf_record(payload):
    return struct.pack("=IHH", 9, 0, 8 + len(payload)) + payload


@pytest.mark.parametrize("tail", [0, SIZE - 16, (1 << 64) - 16], ids=["0", "end", "2^64"])
def test_perf_records(tail):
    records = [perf_record(bytes((number,)) * 24) for number in range(3)]
    with perf(b"".join(records), tail=tail) as (fd, ring):
        assert ring.behind == 96
        assert ring.take(2) == records[:2]
        assert ring.take() == records[2:]
        assert ring.take() == []
        assert struct.unpack("=Q", os.pread(fd, 8, TAIL))[0] == (tail + 96) % (1 << 64)


@pytest.mark.parametrize("size", [0, 7, 12, 64, 65528], ids=str)
def test_perf_nonsense(size):
    with perf(struct.pack("=IHH", 9, 0, size) + bytes(16)) as (_, ring), pytest.raises(OSError) as caught:
        ring.take()
    assert caught.value.errno == errno.EBADMSG


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=256), st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1) | st.none())
def test_any_perf_memory(data, tail, head):
    with perf(data, tail=tail, head=head) as (_, ring):
        assert sum(map(len, taken_or_refused(ring))) <= SIZE


def test_a_closed_buffer_says_so():
    with fake() as memory:
        ring = Ring(memory.fd, SIZE)
        ring.close()
        ring.close()
        with pytest.raises(ValueError, match="closed"):
            ring.take()
        with pytest.raises(ValueError, match="closed"):
            assert ring.consumer_position


def test_what_cannot_be_mapped_is_an_error():
    with pytest.raises(OSError):
        Ring(-1, SIZE)


@LOOKS_ON
def test_a_larger_record_than_the_one_that_room_was_made_for(looks_on, monkeypatch):
    """Others may take records, or overwrite them, between two looks."""
    monkeypatch.setattr(ring_module, "_ROOM", 8)
    with fake() as memory:
        second = memory.record(0, b"a" * 16)
        end = memory.record(second, b"b" * 64)
        memory.positions(0, end)
        with closing(Ring(memory.fd, SIZE, looks_on=looks_on)) as ring:
            take, sizes = ring._take, []

            def taken(shared, batch):
                rc = take(shared, batch)
                sizes.append(batch.used)
                if len(sizes) == 1:  # before we have made room, somebody takes the first
                    memory.positions(second, end)
                    shared.at = second
                return rc

            ring._take = taken
            assert ring.take() == [b"b" * 64]
            assert sizes == [16, 64, 64]
