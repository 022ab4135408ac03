"""Histograms: each number is in the bucket where it belongs, however large it is."""

from __future__ import annotations

import ctypes
import json
import os
import signal
from collections import Counter

import pytest

from bpfctl.errors import NotFound, UsageError
from bpfctl.probe.actions.hist import Hist, Linear
from tests.kernel.command import run, running
from tests.kernel.probing import is_waiting, probing, until

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.lseek.restype = ctypes.c_long
SEEK, UNMAP = "tracepoint:syscalls:sys_exit_lseek", "tracepoint:syscalls:sys_enter_munmap"
OURS = f"tid == {os.getpid()}"
BORDERS = [number for bit in range(63) for number in ((1 << bit) - 1, 1 << bit)]


@pytest.fixture
def seek():
    """Return what has lseek(2) answer with a number, or with an error, and tells its answer as the kernel gives it."""
    with open(os.memfd_create("hist"), "rb") as file:

        def ask(number):
            answer = LIBC.lseek(file.fileno() if number >= 0 else -1, ctypes.c_long(number), 0)
            return answer if answer >= 0 else -ctypes.get_errno()

        yield ask


def unmap(number):
    """Have munmap(2) refuse an address."""
    LIBC.munmap(ctypes.c_ulong(number), 0)


def power(number):
    """Return the bucket of a number, as people would work it out."""
    if number < 0:
        return None, 0
    return (0, 1) if not number else (1 << number.bit_length() - 1, 1 << number.bit_length())


def step(number, low, high, size):
    if number < low:
        return None, low
    if number >= high:
        return high, None
    begin = low + (number - low) // size * size
    return begin, min(begin + size, high)


def found(hist):
    (row,) = hist.rows()
    return row, {(bucket.low, bucket.below): bucket.hits for bucket in row.buckets if bucket.hits}


def test_signed_numbers(seek):
    numbers = [-1, -1, *BORDERS[1:], (1 << 63) - 1]
    with Hist("ret") as hist, probing(hist, SEEK, where=f"{OURS} && ret != 0") as run:  # as Python asks where it is
        answers = [seek(number) for number in numbers]
        run.stop()
        row, buckets = found(hist)

    assert [answer for answer in answers if answer >= 0] == numbers[2:]
    assert buckets == Counter(map(power, answers))
    assert row.hits == len(answers)


def test_unsigned_numbers():
    numbers = [*BORDERS, 1 << 63, (1 << 64) - 1]
    with Hist("addr") as hist, probing(hist, UNMAP, where=f"{OURS} && len == 0"):
        for number in numbers:
            unmap(number)
        row, buckets = found(hist)

    assert buckets == Counter(map(power, numbers))
    assert row.hits == len(numbers)
    assert row.below(50) == 1 << 32
    assert row.below(100) == 1 << 64


@pytest.mark.parametrize("scale", [(0, 100, 10), (5, 98, 7), (-3, 4, 1), (1 << 40, (1 << 40) + 500, 1)])
def test_steps(seek, scale):
    low, high, _ = scale
    numbers = [-1, *range(max(low - 3, 0), high + 3), (1 << 63) - 1]
    with Hist("ret", linear=Linear(*scale)) as hist, probing(hist, SEEK, where=OURS) as run:
        answers = [seek(number) for number in numbers]
        run.stop()
        row, buckets = found(hist)

    assert buckets == Counter(step(answer, *scale) for answer in answers)
    assert row.hits == len(answers)


def test_the_mean(seek):
    with Hist("ret") as hist, probing(hist, SEEK, where=OURS) as run:
        for number in (1, 2, 3, 10):
            seek(number)
        run.stop()
        (row,) = hist.rows()

    assert row.mean == 4
    assert [row.below(percent) for percent in (25, 50, 75, 100)] == [2, 4, 4, 16]


def test_one_for_each_value(child):
    with (
        Hist("dfd", ("probe", "comm")) as hist,
        probing(hist, "tracepoint:syscalls:sys_enter_openat", where=f"pid == {child.pid}"),
    ):
        child.does("opens", 300)
        rows = hist.rows()

    assert [(row.values[0], row.hits) for row in rows] == [("tracepoint:syscalls:sys_enter_openat", 300)]


def test_more_values_than_there_is_room_for():
    with (
        Hist("len", ("addr",), max_entries=10) as hist,
        probing(hist, UNMAP, where=f"{OURS} && len == 0") as run,
    ):
        for number in range(100):
            unmap(number)
        run.stop()
        rows, lost = hist.rows(), hist.lost()

    assert sum(row.hits for row in rows) + lost == 100
    assert 10 <= len(rows) < 100


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Hist("comm"), "comm is no number"),
        (lambda: Hist("len", linear=Linear(-1, 1, 1)), "len is never negative"),
        (lambda: Hist("len", linear=Linear(5, 5, 1)), "no buckets"),
        (lambda: Hist("len", linear=Linear(0, 5, 0)), "no buckets"),
        (lambda: Hist("len", linear=Linear(0, 5000, 1)), "at most 1000 buckets"),
        (lambda: Hist("nobody"), "has no field 'nobody'"),
    ],
)
def test_mistakes(make, why):
    with pytest.raises((UsageError, NotFound), match=why), probing(make(), UNMAP):
        pass


@pytest.fixture
def lengths(child):
    """Return the words of a command that looks at a child."""
    return ["probe", "hist", "syscalls:sys_enter_openat", "--of", "flags", "-p", str(child.pid)]


def test_the_command_in_json(child, lengths):
    with running("-j", *lengths, "--by", "comm", "--interval", "0.2") as process:
        first = json.loads(process.stdout.readline())
        child.does("opens", 200)
        process.stdout.readline()
        told = [json.loads(process.stdout.readline()) for _ in range(2)][-1]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert first["histograms"] == []
    (row,) = told["histograms"]
    assert (told["of"], told["hits"], told["lost"], told["missed"], told["left_out"]) == ("flags", 200, 0, 0, 0)
    assert row["count"] == sum(bucket["count"] for bucket in row["buckets"]) == 200
    assert (process.returncode, errors) == (0, "")


def test_the_command_in_words(child, lengths):
    with running(*lengths) as process:
        assert until(lambda: is_waiting(process.pid))
        child.does("opens", 50)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)

    head, bar = output.splitlines()
    assert head.startswith("flags: ")
    assert int(head.split()[1]) == 50
    assert bar.endswith("|" + "@" * 40 + "|")
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "--of FIELD says which number is meant"),
        (["--of", "len", "--linear", "1:2"], "'1:2' should be MIN:MAX:STEP"),
        (["--of", "len", "--linear", "0:1:0"], "no buckets"),
        (["--of", "len", "--linear", f"0:{'9' * 5000}:1"], "should be MIN:MAX:STEP"),
    ],
)
def test_mistakes_of_the_command(words, why):
    done = run("probe", "hist", "syscalls:sys_enter_munmap", *words)

    assert done.returncode == 2
    assert why in done.stderr
