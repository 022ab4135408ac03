"""
Owners: which processes hold an object open.

There are two ways to know, with the same answer:

* ``proc``: /proc/PID/fd and fdinfo. It costs a readlink(2) for each open descriptor of the machine, 2 to 4 us.
* ``iter``: a BPF iterator (`bpfctl.kernel.owner_iter`). It costs 100 to 200 ms at once, to find a dozen offsets in
  the kernel's BTF, and then next to nothing for each descriptor. Kernels under lockdown may refuse it.

So ``auto`` begins with /proc and turns to the iterator when it has met as many descriptors as the iterator's
start is worth: however many there are, that takes at most twice as long as the better way would have. It also asks
the iterator where /proc does not tell: who holds an object that no process seems to hold while some processes are
not ours to look at (a container with CAP_SYS_ADMIN but without CAP_SYS_PTRACE), and the cookie of a perf event link
before Linux 6.9. Where the kernel refuses the iterator, what /proc tells has to do.

Neither way counts our own process, which holds whatever it lists.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, NamedTuple

from bpfctl._sys import task
from bpfctl.errors import BpfctlError, KernelError
from bpfctl.host import fdinfo
from bpfctl.kernel.handle import FILE_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.handle import Kind

    How = Literal["auto", "iter", "proc", "none"]

_ITERATOR_IS_WORTH = 30_000  # descriptors; see above


class Owner(NamedTuple):
    """A process that holds an object: its thread-group id and the name of its leader."""

    pid: int
    comm: str


class Table(NamedTuple):
    """What the search for owners found, by the ids of the objects of one kind."""

    owners: dict[int, tuple[Owner, ...]]  # ascending by pid
    fdinfo: dict[int, bytes]  # what /proc says of some of the objects, read on the way
    cookies: dict[int, int] | None  # BPF cookies of perf event links; None: /proc does not tell them
    partial: bool  # some process was not ours to look at


def table(kind: Kind, how: How = "auto") -> Table:
    """Return who holds the objects of a kind.

    With ``iter`` it raises NotSupported, NotPermitted or KernelError where the kernel lets no iterator run.
    """
    if how == "none":
        return Table({}, {}, {}, partial=False)
    if how == "iter":
        return by_iterator(kind)
    walk = _Walk(kind)
    for met in walk.steps():
        if how == "auto" and met > _ITERATOR_IS_WORTH:
            how = "proc"  # from here on, unless the iterator answers
            try:
                return by_iterator(kind)
            except BpfctlError:  # the kernel refuses it: /proc has to do
                continue
    return walk.table()


def complete(found: Table, kind: Kind) -> Table:
    """Add to a table from /proc what only an iterator tells; where the kernel refuses one, it stays what it was."""
    try:
        more = by_iterator(kind)
    except BpfctlError:
        return found._replace(cookies={}, partial=False)  # as much as will ever be known
    return more._replace(fdinfo=found.fdinfo)


def by_iterator(kind: Kind) -> Table:
    """Return who holds the objects of a kind as a BPF iterator finds it; raises as ``table`` does."""
    from bpfctl.kernel import owner_iter  # noqa: PLC0415 - mostly /proc is the better way

    return owner_iter.table(kind)


class _Walk:
    """A walk through the open files of all processes in /proc."""

    def __init__(self, kind: Kind) -> None:
        self._files = {name for name, word in FILE_KINDS.items() if word == kind.word}
        self._id = f"{kind.word}_id".encode()
        self._owners: dict[int, dict[int, Owner]] = {}
        self._fdinfo: dict[int, bytes] = {}
        self._refused = False

    def table(self) -> Table:
        """Return what the walk has found."""
        owners = {id_: tuple(sorted(held.values())) for id_, held in self._owners.items()}
        return Table(owners, self._fdinfo, None, self._refused)

    def steps(self) -> Iterator[int]:
        """Walk process by process; before each yield how many descriptors there are up to and in it.

        A process that ends meanwhile is no error, and neither is one that is not ours to look at.
        """
        try:
            ours, entries = os.readlink("/proc/self"), os.listdir("/proc")
        except FileNotFoundError:  # no /proc in this mount namespace
            return
        except OSError as error:
            raise KernelError("can't look at the processes in /proc", error.errno or 0) from None
        met = 0
        for entry in entries:
            if not entry.isdecimal() or entry == ours:
                continue
            try:
                for folder in _tables(entry):
                    names = os.listdir(folder)
                    if names:
                        met += len(names)
                        yield met
                        self._look(int(entry), folder, names)
            except PermissionError:
                self._refused = True
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError as error:
                raise KernelError(f"can't look at the open files of process {entry}", error.errno or 0) from None

    def _look(self, pid: int, folder: str, names: list[str]) -> None:
        """Look at the open files of a process."""
        # All is looked up from this folder, so that it is of one process even if its number is given to another.
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            held = self._held(place, names)
            if held:
                leader = "../../../comm" if "/task/" in folder else "../comm"
                comm = fdinfo.at(leader, place).removesuffix(b"\n").decode(errors="surrogateescape")
                for id_ in held:
                    self._owners.setdefault(id_, {})[pid] = Owner(pid, comm)
        finally:
            os.close(place)

    def _held(self, place: int, names: list[str]) -> set[int]:
        """Return the ids of the objects behind a process's descriptors."""
        held = set()
        files, wanted, readlink = self._files, self._id, os.readlink
        for name in names:
            try:
                if readlink(name, dir_fd=place) not in files:
                    continue
                text = fdinfo.at(f"../fdinfo/{name}", place)
            except FileNotFoundError:  # closed meanwhile
                continue
            id_ = fdinfo.number(text, wanted)
            if id_ is not None:  # else it was closed and something else opened
                held.add(id_)
                self._fdinfo[id_] = text
        return held


def _tables(pid: str) -> Iterator[str]:
    """Yield a folder for each table of open files that a process has.

    Nearly always that is the one of its leader. But a thread may have a table of its own (unshare(2)), and the
    leader may have ended before the others. Where kcmp(2) does not tell, threads count as sharing.
    """
    yield f"/proc/{pid}/fd"
    threads = f"/proc/{pid}/task"
    if os.stat(threads).st_nlink == 3:  # one thread, "." and ".."
        return
    known = [int(pid)]
    for thread in map(int, os.listdir(threads)):
        try:
            shares = any(task.same_files(thread, other) for other in known)
        except OSError:
            continue
        if not shares:
            known.append(thread)
            yield f"{threads}/{thread}/fd"
