"""System calls by their functions: names, arguments by name, counts and returned values."""

from __future__ import annotations

import mmap
import os

import pytest

from bpfctl.errors import NotFound
from bpfctl.probe.actions.count import Count
from bpfctl.probe.actions.trace import Trace
from bpfctl.probe.sources import Sources
from tests.kernel.probing import probing, read

OURS = f"pid == {os.getpid()}"
ABSENT = "/nonexistent/ksyscall"


def opens(count):
    for _ in range(count):
        with pytest.raises(FileNotFoundError):
            os.open(ABSENT, os.O_RDONLY | os.O_DIRECTORY)


def maps(count):
    """Map a file from an offset, which is the last of six arguments."""
    with open("/proc/self/exe", "rb") as file:
        for _ in range(count):
            mmap.mmap(file.fileno(), 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ, offset=0x1000).close()


def told(spec):
    sources = Sources()
    return {
        str(point): {field.name: field.told for field in sources.of(point.kind).fields(point)}
        for point in sources.resolve([spec])
    }


def test_arguments_have_their_names():
    assert told("ksyscall:openat") == {
        "ksyscall:openat": {"dfd": "int", "filename": "const char *", "flags": "int", "mode": "umode_t"}
    }
    assert told("kretsyscall:openat") == {"kretsyscall:openat": {"retval": "long"}}


def test_a_call_without_arguments_has_numbers():
    fields = told("ksyscall:sync")["ksyscall:sync"]

    assert [name for name in fields if name.startswith("arg")] == [f"arg{number}" for number in range(6)]


def test_each_function_of_a_call_is_there():
    """The names are those of the kernel's functions; each is one that has no other for 64 bits."""
    found = {point.target for point in Sources().resolve(["ksyscall:*"])}

    assert {"openat", "read", "clone", "newuname"} <= found
    assert "ni_syscall" not in found
    assert len(found) > 250


def test_other_names_of_calls():
    """The call uname(2) is done by newuname; uname is what it was before there were 64 bits."""
    assert [str(point) for point in Sources().resolve(["ksyscall:uname"])] == ["ksyscall:newuname"]
    with pytest.raises(NotFound, match="there is no system call 'opennat', did you mean 'openat'"):
        Sources().resolve(["ksyscall:opennat"])


@pytest.mark.usefixtures("kprobes")
def test_counts_and_arguments():
    counts = Count(("filename", "dfd", "str1", "arg2"))
    with probing(counts, "ksyscall:openat", where=f"{OURS} && filename == '{ABSENT}' "):
        opens(100)

        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        assert [(row.values, row.hits) for row in counts.rows()] == [((ABSENT, -100, ABSENT, flags), 100)]


@pytest.mark.usefixtures("kprobes")
def test_the_fourth_argument_and_those_behind_it():
    """A system call has its fourth argument in another register than a function."""
    hits = Trace(("len", "prot", "flags", "fd", "off"))
    with (
        probing(hits, "ksyscall:mmap", where=f"{OURS} && off == 0x1000 && len == 4096 && flags == 2") as run,
        hits.reader() as reader,
    ):
        maps(20)
        run.stop()
        found = [hit.values for hit in read(hits, reader, 20)]

    assert len(found) == 20
    assert {values[:3] for values in found} == {(4096, 1, 2)}
    assert all(values[3] > 2 for values in found)


@pytest.mark.usefixtures("kprobes")
def test_what_calls_return():
    counts = Count(("probe", "retval"))
    with probing(counts, "kretsyscall:openat", where=f"{OURS} && retval < 0"):
        opens(50)

        assert [(row.values, row.hits) for row in counts.rows()] == [(("kretsyscall:openat", -2), 50)]


@pytest.mark.usefixtures("kprobes")
def test_many_calls_by_a_pattern():
    counts = Count()
    with probing(counts, "ksyscall:*yield", "ksyscall:getpp*", where=OURS):
        for _ in range(30):
            os.sched_yield()
            os.getppid()

        found = {row.values[0]: row.hits for row in counts.rows() if row.hits}
    assert found == {"ksyscall:sched_yield": 30, "ksyscall:getppid": 30}
