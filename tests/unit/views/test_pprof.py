"""Profiles, read back by the numbers of profile.proto."""

from __future__ import annotations

import gzip
from collections import defaultdict

import pytest

from bpfctl.symbols.frame import Frame
from bpfctl.views.pprof import profile
from tests.unit.views.stacks import LIBC, PROGRAM, READ, USER, stack


def varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def message(data):
    """Return the members of a message by their numbers."""
    found, at = defaultdict(list), 0
    while at < len(data):
        key, at = varint(data, at)
        assert key & 7 in (0, 2)
        value, at = varint(data, at)
        if key & 7 == 2:
            value, at = data[at : at + value], at + value
        found[key >> 3].append(value)
    assert at == len(data)
    return found


def numbers(data):
    found, at = [], 0
    while at < len(data):
        number, at = varint(data, at)
        found.append(number - (1 << 64) if number >> 63 else number)
    return found


class Read:
    """A profile, as its readers see it."""

    def __init__(self, rows, by=("comm", "pid"), unit="", **more):
        self.all = message(gzip.decompress(profile(rows, by, unit, at=1.5, seconds=2.0, **more)))
        self.strings = [text.decode() for text in self.all[6]]
        self.types = [tuple(self.text(message(each), member) for member in (1, 2)) for each in self.all[1]]
        self.mappings = self.by_id(3)
        self.locations = self.by_id(4)
        self.functions = self.by_id(5)
        self.samples = [message(each) for each in self.all[2]]

    def by_id(self, member):
        found = [message(each) for each in self.all[member]]
        assert [one[1] for one in found] == [[number] for number in range(1, len(found) + 1)]
        return {one[1][0]: one for one in found}

    def text(self, found, member):
        return self.strings[found[member][0]] if found[member] else ""

    def calls(self, sample):
        """Return function, file and address of each call."""
        found = []
        for number in numbers(sample[1][0]):
            location = self.locations[number]
            function = self.functions[message(location[4][0])[1][0]]
            mapping = self.mappings[location[2][0]] if location[2] else {5: [0]}
            found.append((self.text(function, 2), self.text(mapping, 5), location[3][0]))
        return found

    def labels(self, sample):
        labels = map(message, sample[3])
        return {self.text(one, 1): self.text(one, 2) or (one[3][0] if one[3] else 0) for one in labels}


def test_what_was_counted():
    read = Read([stack(READ, USER, hits=300), stack(READ[:1], hits=2, values=("swapper", 0))])
    first, second = read.samples

    assert read.strings[0] == ""
    assert read.types == [("hits", "count")]
    assert read.calls(first) == [
        ("vfs_read", "[kernel]", 0x1000),
        ("ksys_read", "[kernel]", 0x1000),
        ("do_syscall_64", "[kernel]", 0x1001),
        ("ext4_read", "[ext4]", 0x1002),
        ("read", LIBC, 0x2000),
        ("[program]", PROGRAM, 0x2000),
        ("jitted", "[jit]", 0x2001),
        ("[unknown]", "", 0x2002),
    ]
    assert all(one[2] == one[3] for one in read.functions.values()), "its name is what the linker calls it, too"
    assert numbers(first[2][0]) == [300]
    assert read.labels(first) == {"comm": "cat", "pid": 7}
    assert read.labels(second) == {"comm": "swapper", "pid": 0}
    assert (read.all[9], read.all[10]) == ([1_500_000_000], [2_000_000_000])


def test_what_several_stacks_share_is_there_once():
    read = Read([stack(READ, USER), stack(READ, USER, values=("dog", 9))])

    assert len(read.locations) == len(read.functions) == 8
    assert read.samples[0][1] == read.samples[1][1]
    assert [mapping[7] for mapping in read.mappings.values()] == [[1]] * len(read.mappings)


def test_sums():
    read = Read([stack(READ, hits=3, total=-5)], unit="bytes")
    off = Read([stack(READ, hits=3, total=1 << 40)], unit="nanoseconds")

    assert read.types == [("hits", "count"), ("bytes", "count")]
    assert numbers(read.samples[0][2][0]) == [3, -5]
    assert off.types == [("hits", "count"), ("off_cpu", "nanoseconds")]
    assert numbers(off.samples[0][2][0]) == [3, 1 << 40]


@pytest.mark.parametrize("hits", [127, 128, 16_383, 16_384, (1 << 63) - 1])
def test_numbers_of_more_bytes(hits):
    assert numbers(Read([stack(READ, hits=hits)]).samples[0][2][0]) == [hits]


def test_build_ids():
    rows = [stack((), USER[:1], pid=pid, values=("cat", pid)) for pid in (7, 8, 9, 7)]
    read = Read(rows, build_id=lambda pid, _: {7: "abcdef", 9: "123456"}.get(pid, ""))

    assert [read.text(one, 5) for one in read.mappings.values()] == [LIBC] * 3
    assert [read.text(one, 6) for one in read.mappings.values()] == ["abcdef", "", "123456"]
    assert read.samples[0][1] == read.samples[3][1] != read.samples[1][1]


def test_any_name():
    """What prints profiles on a terminal does not ask what is in names."""
    read = Read([stack((), [Frame("\udc80\x1b[2J;é", 1, "\udc81")], values=("\u202e", 1))])

    assert read.calls(read.samples[0]) == [("\ufffd\ufffd[2J;é", "\ufffd", 0x2000)]


def test_nothing_at_all():
    assert Read([]).samples == []
