"""Records of the side band, as the kernel writes them and as it never would."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.symbols.follow import Born, Ended, Executed, Mapped, SideBand
from bpfctl.symbols.space import Mapping, device
from tests.soon import soon

MMAP, LOST, COMM, EXIT, FORK, MMAP2 = 1, 2, 3, 4, 7, 10
IS_EXEC = 1 << 13
FOREVER = 1 << 63


def record(kind, body, misc=0, time=5):
    body += pack("=Q", time)
    return pack("=IHH", kind, misc, 8 + len(body)) + body


def mapped(path, pid=7, time=5):
    name = path.ljust(-(-(len(path) + 1) // 8) * 8, b"\0")
    return record(MMAP2, pack("=IIQQQIIQQII", pid, 8, 0x1000, 0x2000, 0x3000, 0xFE, 1, 99, 1, 5, 2) + name, time=time)


class Ring:
    """A buffer of these batches."""

    def __init__(self, *batches):
        self.batches = [*batches]

    def take(self):
        batch = self.batches.pop(0) if self.batches else []
        if isinstance(batch, OSError):
            raise batch
        return batch


def band(*rings):
    made = SideBand.__new__(SideBand)
    made.lost, made._rings, made._early = 0, [*rings], []
    return made


MAPPING = Mapping(0x1000, 0x3000, 0x3000, device(0xFE, 1), 99, "/usr/lib/libx.so")


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (mapped(b"/usr/lib/libx.so"), Mapped(7, MAPPING)),
        (mapped(b"/\xff\x1b[m"), Mapped(7, MAPPING._replace(path="/\udcff\x1b[m"))),
        (record(COMM, pack("=II8s", 7, 7, b"new"), IS_EXEC), Executed(7)),
        (record(FORK, pack("=IIIIQ", 9, 7, 9, 7, 5)), Born(9, 7)),
        (record(EXIT, pack("=IIIIQ", 9, 7, 9, 7, 5)), Ended(9)),
    ],
)
def test_events(raw, event):
    assert [event] == band(Ring([raw])).take()


@pytest.mark.parametrize(
    "raw",
    [
        record(COMM, pack("=II8s", 7, 7, b"renamed")),
        record(FORK, pack("=IIIIQ", 7, 7, 8, 7, 5)),
        record(EXIT, pack("=IIIIQ", 7, 7, 8, 7, 5)),
        record(MMAP, bytes(64)),
        record(99, bytes(64)),
        # Those of other namespaces have no number for us.
        mapped(b"/a", pid=0),
        mapped(b"/a", pid=0xFFFFFFFF),
    ],
)
def test_what_is_no_event(raw):
    """Threads, names and records of other kinds do not count."""
    made = band(Ring([raw]))

    assert made.take() == []
    assert made.lost == 0


def test_order():
    """Those of several CPUs come by time; what happened after all buffers were read waits for the next turn."""
    late = mapped(b"/late", time=FOREVER)
    made = band(Ring([mapped(b"/b", time=20), late]), Ring([mapped(b"/a", time=10)], [mapped(b"/c", time=30)]))

    assert [event.mapping.path for event in made.take()] == ["/a", "/b", "/c"]
    assert [event.mapping.path for _, event in made._early] == ["/late"]


def test_processes_that_do_more_than_can_be_read():
    """What happens while we read is left for the next time."""

    ring = Ring(*[[mapped(b"/a", time=10), mapped(b"/late", time=FOREVER)]] * 100)
    made = band(ring, Ring([mapped(b"/b", time=20)]))

    assert [event.mapping.path for event in made.take()] == ["/a", "/b"]
    assert len(ring.batches) == 99


def test_losses():
    made = band(Ring([record(LOST, pack("=QQ", 1, 40)), pack("=IHH", MMAP2, 0, 8)]), Ring(OSError(74, "wrong")))

    assert made.take() == []
    assert made.lost == 42


@given(st.integers(0, 25), st.binary(max_size=120))
def test_records_of_an_enemy(kind, body):
    with soon():
        for event in band(Ring([pack("=IHH", kind, IS_EXEC, 8 + len(body)) + body])).take():
            assert event.pid > 0
