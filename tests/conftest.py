"""What holds for every test: who may run where, and that nothing of the kernel's stays behind."""

from __future__ import annotations

import gc
import os
import signal
import struct
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TESTS = Path(__file__).parent
ON_THE_KERNEL = {"kernel", "bpftool"}  # the rooms whose tests make objects in the running kernel
KINDS = ("prog", "map", "link")  # a BTF lives only as long as one of these or a descriptor does
NAMES = {"prog": 64, "map": 24}  # where the name lies in struct bpf_prog_info and struct bpf_map_info
OURS = "BPFCTL_TESTS"  # says in the environment of a process which run of the tests has started it
_PROG_ARRAY = 3  # BPF_MAP_TYPE_PROG_ARRAY
PATIENCE = 10.0  # seconds: the kernel frees what nobody refers to only after several RCU grace periods

# Helpers copy it when they are imported, which a folder's conftest.py may do before any hook is called. No pager waits.
os.environ |= {"BPFCTL_PAGER": "", OURS: str(os.getpid())}

_before = pytest.StashKey[dict[str, set[int]]]()
_verdict = pytest.StashKey[str]()


def _room(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, also where whoever started the tests had it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Boot guests only when asked to (-m vm), and leave the kernel alone without root."""
    if "vm" not in config.option.markexpr:
        guests = [item for item in items if item.get_closest_marker("vm")]
        items[:] = [item for item in items if item not in guests]
        config.hook.pytest_deselected(items=guests)
    if os.geteuid() != 0:
        for item in items:
            if _room(item) in ON_THE_KERNEL:
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Iterator[None]:
    """Fail a test that closes descriptor 0, 1 or 2: the next files get their numbers, and strange things happen."""
    before = {fd: _file(fd) for fd in range(3)}
    try:
        return (yield)
    finally:
        if lost := [fd for fd, file in before.items() if file and _file(fd) != file]:
            for fd in lost:
                _fill(fd)
            pytest.fail(f"closed the streams of all tests: {', '.join(map(str, lost))}", pytrace=False)


def _file(fd: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _fill(fd: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)  # which no test mistakes for a file of its own
    if null != fd:
        os.dup2(null, fd)
        os.close(null)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What a test puts on it ends with the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def held(stack: ExitStack) -> Callable[[int], int]:
    """Keep descriptors, which are closed at the end."""

    def keep(fd: int) -> int:
        stack.callback(os.close, fd)
        return fd

    return keep


@pytest.fixture(autouse=True)
def _no_leaked_descriptor(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a file descriptor open, and name what it refers to."""
    if _room(request.node) not in ON_THE_KERNEL:
        yield
        return
    before = _descriptors()
    yield
    if _descriptors() - before:
        gc.collect()  # a caught exception may have kept its frames, and with them a handle, in a cycle
    if leaked := _descriptors() - before:
        targets = ", ".join(str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in sorted(leaked))
        pytest.fail(f"left open: {targets}", pytrace=False)


def _descriptors() -> set[int]:
    # Numbers, and the links only of those that are too many: this runs twice per test over the zoo's two hundred.
    return set(filter(_is_open, map(int, os.listdir("/proc/self/fd"))))


def _is_open(fd: int) -> bool:
    try:
        os.get_inheritable(fd)  # the cheapest question there is
    except OSError:  # the descriptor that the listing itself needed
        return False
    return True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Remember the BPF objects that were here before the first test."""
    if os.geteuid() == 0 and any(_room(item) in ON_THE_KERNEL for item in session.items):
        session.config.stash[_before] = _objects()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if BPF objects of its making outlive it: pinned, attached or held open by somebody."""
    before = session.config.stash.get(_before, None)
    if before is None:
        return
    gc.collect()
    deadline = time.monotonic() + PATIENCE
    while new := _new(before):
        holders = _holders(new)
        ours = {pid for pid in holders if _is_ours(pid)}
        others = sorted(holders.keys() - ours)
        if others and not ours:
            session.config.stash[_verdict] = f"not judged: processes {others} made BPF objects meanwhile"
            return
        if time.monotonic() > deadline:
            left = set().union(*(holders[pid] for pid in ours)) if others else new
            left = {object_ for object_ in left if not _is_lost_by_the_kernel(*object_)}
            if not left:
                return
            names = ", ".join(_describe(*object_) for object_ in sorted(left))
            session.config.stash[_verdict] = f"left behind: {names}" + (f" in processes {sorted(ours)}" if ours else "")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        time.sleep(0.3)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what became of the BPF objects, if anything is to be said."""
    if verdict := config.stash.get(_verdict, ""):
        terminalreporter.section("BPF objects")
        terminalreporter.line(verdict, red=verdict.startswith("left behind"))


def _objects() -> dict[str, set[int]]:
    from tests.kernel import client

    return {kind: set(client.ids(kind)) for kind in KINDS}


def _new(before: dict[str, set[int]]) -> set[tuple[str, int]]:
    return {(kind, id_) for kind, ids in _objects().items() for id_ in ids - before[kind]}


def _holders(objects: set[tuple[str, int]]) -> dict[int, set[tuple[str, int]]]:
    """Return the other processes with a descriptor of one of OBJECTS, and which each has."""
    pids = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()} - {os.getpid()}
    return {pid: held for pid in pids if (held := objects.intersection(_held(pid)))}


def _is_ours(pid: int) -> bool:
    """Return whether the tests have started a process: a child of theirs, or one with their mark."""
    with suppress(OSError):
        folder = Path(f"/proc/{pid}")
        parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        mark = f"{OURS}={os.getpid()}".encode()
        return int(parent) == os.getpid() or mark in (folder / "environ").read_bytes().split(b"\0")
    return False


def _held(pid: int) -> Iterator[tuple[str, int]]:
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):  # it may end while we look
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            if str(entry.readlink()).startswith("anon_inode:bpf"):
                for line in Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text().splitlines():
                    name, _, value = line.partition(":")
                    if name.endswith("_id") and value.strip().isdecimal():
                        yield name.removesuffix("_id"), int(value)


def _is_lost_by_the_kernel(kind: str, id_: int) -> bool:
    """Return whether it is an empty program array, to which the kernel may lose a reference.

    It takes one for the work that empties the array when its last descriptor goes, and does not give it back where
    that work waits already: whoever lists maps at that moment opens the last descriptor once more.
    Kernel: kernel/bpf/arraymap.c, prog_array_map_clear().
    """
    from tests.kernel import client

    if kind != "map":
        return False
    try:
        fd = client.fd_by_id(kind, id_)
    except OSError:  # gone at last
        return True
    try:
        type_, _, _, _, entries = struct.unpack_from("=5I", client.info(fd))
        return bool(type_ == _PROG_ARRAY and not any(_has(fd, slot) for slot in range(entries)))
    finally:
        os.close(fd)


def _has(fd: int, slot: int) -> bool:
    from tests.kernel import client

    with suppress(OSError):
        client.map_lookup(fd, slot.to_bytes(4, "little"), 4)
        return True
    return False


def _describe(kind: str, id_: int) -> str:
    from tests.kernel import client

    name = b""
    with suppress(OSError):  # gone at last
        fd = client.fd_by_id(kind, id_)
        try:
            name = client.info(fd)[NAMES[kind] :][:16].rstrip(b"\0") if kind in NAMES else b""
        finally:
            os.close(fd)
    return f"{kind} {id_} {name.decode(errors='replace')}".rstrip()
