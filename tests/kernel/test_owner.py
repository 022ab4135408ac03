"""Owners: /proc and a BPF iterator tell the same, and what the test knows because it made the processes itself."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bpfctl._sys import programs
from bpfctl.kernel import handle, owner
from bpfctl.kernel.owner import Owner
from bpfctl.kernel.surroundings import Surroundings
from tests.kernel import client
from tests.kernel.facts import Facts
from tests.kernel.holder import FAMILY, RAW_TRACEPOINT, RETURN_0, SOCKET_FILTER, objects, process
from tests.kernel.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {kind.word: kind for kind in (handle.PROG, handle.MAP, handle.LINK, handle.BTF)}
PERF_EVENT, TRACING = 7, 26
TRACE_ITER, ATTACH_PERF_EVENT = 28, 41
SOFTWARE, CPU_CLOCK = 1, 0


@pytest.fixture(scope="module")
def facts() -> Facts:
    return Facts("")


@pytest.fixture(scope="module", autouse=True)
def _unlimited_memory() -> Iterator[None]:
    """Kernels before 5.11 count BPF memory against RLIMIT_MEMLOCK; the others need not let us raise it."""
    before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    with suppress(ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    yield
    resource.setrlimit(resource.RLIMIT_MEMLOCK, before)


@pytest.fixture(scope="module", params=["proc", "iter"])
def how(request, facts) -> str:
    """Each of the two ways; the iterator where the kernel lets the independent client load one."""
    if request.param == "iter":
        function = facts.btf.id("func", "bpf_iter_task_file")
        try:
            os.close(client.prog_load(TRACING, RETURN_0, expected_attach_type=TRACE_ITER, attach_btf_id=function))
        except PermissionError:
            with Place() as place:
                if place.lockdown == "none":
                    raise
                pytest.skip(f"kernel lockdown ({place.lockdown}) forbids tracing programs")
    return request.param


@pytest.fixture
def fds() -> Iterator[dict[str, int]]:
    """One object of each kind."""
    with objects() as made:
        yield made


def owners(kind: handle.Kind, how: owner.How) -> dict[int, tuple[Owner, ...]]:
    """Return the table without processes that are none of the tests'."""
    found = owner.table(kind, how).owners
    return {id_: ours for id_, held in found.items() if (ours := tuple(o for o in held if o.pid in FAMILY))}


@pytest.mark.parametrize("word", KINDS)
def test_each_process_that_holds_it(how, fds, word):
    """One object in two processes; each is named once, in the order of pids, and we are not."""
    id_ = client.id_of(word, fds[word])
    with (
        process(fds[word], name=b"first") as one,
        process(fds[word], name=b"second") as two,
        process(name=b"nothing"),
    ):
        found = owners(KINDS[word], how)

    assert sorted([Owner(one, "first"), Owner(two, "second")]) == list(found[id_])


@pytest.mark.parametrize("word", KINDS)
def test_nobody_holds_it(how, fds, word):
    """An object that only we hold has no owner, whoever holds others of the kind, or this one before."""
    with process(fds[word]):
        pass

    assert client.id_of(word, fds[word]) not in owners(KINDS[word], how)


def test_kinds_are_kept_apart(how, fds):
    """A process with one object of each kind holds each under its own id."""
    with process(*fds.values()) as pid:
        found = {word: owners(kind, how) for word, kind in KINDS.items()}

    for word, fd in fds.items():
        id_ = client.id_of(word, fd)
        assert (Owner(pid, "holder"),) == found[word][id_]
        others = [other for other, held in found[word].items() if Owner(pid, "holder") in held]
        assert [id_] == others


def test_duplicates_count_once(how, fds):
    """Two descriptors of one object make one owner."""

    def then() -> None:
        os.dup(fds["prog"])

    with process(fds["prog"], then=then) as pid:
        found = owners(handle.PROG, how)

    assert (Owner(pid, "holder"),) == found[client.id_of("prog", fds["prog"])]


def test_threads_count_once(how, fds):
    """A process counts once, by its thread-group id and under the name of its leader."""

    def then() -> None:
        named = threading.Event()

        def thread() -> None:
            Path("/proc/thread-self/comm").write_bytes(b"thread")
            named.set()
            time.sleep(3600)

        threading.Thread(target=thread, daemon=True).start()
        named.wait()

    with process(fds["map"], then=then) as pid:
        assert len(os.listdir(f"/proc/{pid}/task")) == 2
        found = owners(handle.MAP, how)

    assert (Owner(pid, "holder"),) == found[client.id_of("map", fds["map"])]


# Holds a BPF object in a thread alone: the leader has closed it, or has ended (SYS_exit ends one thread).
THREAD = """
import ctypes, os, platform, sys, threading
CLONE_FILES, SYS_EXIT = 0x400, {"x86_64": 60}.get(platform.machine(), 93)
libc, fd, unshared, closed = ctypes.CDLL(None), int(sys.argv[2]), threading.Event(), threading.Event()
def thread():
    if sys.argv[1] == "unshared":
        assert libc.unshare(CLONE_FILES) == 0
        unshared.set()
        closed.wait()
    else:
        while open(f"/proc/{os.getpid()}/stat").read().split()[2] != "Z":
            pass
    os.write(1, b"!")
    os.read(0, 1)
    os._exit(0)
threading.Thread(target=thread).start()
if sys.argv[1] == "unshared":
    unshared.wait()
    os.close(fd)
    closed.set()
else:
    libc.syscall(SYS_EXIT, 0)
"""


@pytest.mark.parametrize("case", ["unshared", "leader ended"])
def test_a_thread_alone_holds_it(how, fds, case):
    """Threads need not share the table of their leader, and may outlive it; the owner is the process still."""
    fd = fds["map"]
    with subprocess.Popen(
        [sys.executable, "-c", THREAD, case, str(fd)], pass_fds=[fd], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.read(1) == b"!"
        FAMILY.add(child.pid)
        found = owners(handle.MAP, how)
        comm = Path(f"/proc/{child.pid}/comm").read_text().removesuffix("\n")
        child.stdin.close()

    assert found[client.id_of("map", fd)] == (Owner(child.pid, comm),)


@pytest.mark.parametrize(
    "name", [b'\x1b[31m[bold]"', b"a\nb\n", b"\xff\xfe)", "æøå漢字".encode()[:15], b"0123456789abcdefgh", b"\0"]
)
def test_hostile_names(how, fds, name):
    """A name is what the kernel keeps of it: up to 15 bytes of any kind."""
    with process(fds["prog"], name=name) as pid:
        found = owners(handle.PROG, how)

    kept = name[:15].rstrip(b"\0").decode(errors="surrogateescape")
    assert (Owner(pid, kept),) == found[client.id_of("prog", fds["prog"])]


def test_many_descriptors(how):
    """More than one page of records, behind descriptors of other kinds."""
    with ExitStack() as stack:
        programs = []
        for _ in range(300):
            programs.append(client.prog_load(SOCKET_FILTER, RETURN_0))
            stack.callback(os.close, programs[-1])
        pid = stack.enter_context(process(*programs))
        found = owners(handle.PROG, how)
        ids = [client.id_of("prog", fd) for fd in programs]

    assert [(Owner(pid, "holder"),)] * len(ids) == [found[id_] for id_ in ids]


def test_processes_that_come_and_go(how, fds):
    """Processes that end while they are looked at are no error, and those that stay are always seen."""
    id_ = client.id_of("prog", fds["prog"])
    churn = subprocess.Popen(
        ["sh", "-c", "while kill -0 $PPID; do sh -c : & sh -c :; wait; done"],
        pass_fds=[fds["prog"]],
        stdout=subprocess.DEVNULL,
    )
    try:
        with process(fds["prog"]) as pid:
            for _ in range(20 if how == "proc" else 3):
                assert Owner(pid, "holder") in owners(handle.PROG, how)[id_]
    finally:
        churn.kill()
        churn.wait()


@pytest.mark.usefixtures("fds")
def test_iterator_leaves_nothing_in_the_list(how, monkeypatch):
    """The iterator's own programs are not there any more when the list goes on."""
    load, made = programs.load, []

    def noted(*arguments: Any, **more: Any) -> programs.Loaded:
        loaded = load(*arguments, **more)
        made.append(client.id_of("prog", loaded.fd.fileno()))
        return loaded

    monkeypatch.setattr(programs, "load", noted)
    owner.table(handle.PROG, how)

    assert bool(made) == (how == "iter")
    assert not {*made} & {*client.ids("prog")}


# What else is told on the way -------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["prog", "map"])
def test_memlock_is_read_on_the_way(fds, word):
    """The text of /proc that owners come from is the text that we would read ourselves, but for the position."""
    id_ = client.id_of(word, fds[word])
    ours = Path(f"/proc/self/fdinfo/{fds[word]}").read_bytes()
    with process(fds[word]):
        around = Surroundings(KINDS[word], pinned=False, owners=True)

        assert ours == around.fdinfo(id_, fds[word])
        assert b"\nmemlock:" in ours
        assert ours == owner.table(KINDS[word], "proc").fdinfo[id_]


@pytest.mark.parametrize("cookie", [0, 0xFEDC_BA98_7654_3210])
def test_cookie_of_a_perf_event_link(facts, cookie):
    """Where links have cookies, an iterator tells them for links of perf events, and for no others."""
    if not facts.has("struct:bpf_perf_link"):
        pytest.skip("struct:bpf_perf_link (Linux 5.15)")
    with ExitStack() as stack:

        def owned(fd: int) -> int:
            stack.callback(os.close, fd)
            return fd

        program = owned(client.prog_load(PERF_EVENT, RETURN_0))
        event = owned(client.perf_event_open(SOFTWARE, CPU_CLOCK))
        link = owned(client.link_create(program, event, ATTACH_PERF_EVENT, "perf_event", bpf_cookie=cookie))
        raw = owned(client.prog_load(RAW_TRACEPOINT, RETURN_0))
        other = owned(client.raw_tracepoint_open("sched_process_exit", raw))
        stack.enter_context(process(link, other))
        around = Surroundings(handle.LINK, pinned=False, owners=True)

        assert around.cookie(client.id_of("link", link)) == cookie
        assert around.cookie(client.id_of("link", other)) is None
        assert Surroundings(handle.LINK, pinned=False, owners=False).cookie(client.id_of("link", link)) is None
