"""One process: whether it is there, and the files of code that it sees and has mapped.

Kernel: Documentation/filesystems/proc.rst on ``/proc/PID/root``, ``maps`` and ``map_files``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import KernelError, NotFound
from bpfctl.host import binary

if TYPE_CHECKING:
    from collections.abc import Iterator

_DELETED = " (deleted)"
_ENDED = ("Z", "X")
_OF_KERNEL = ("0", "2")  # the parents of the kernel's own threads: none, and kthreadd


class Found(NamedTuple):
    """A file: its path as a process sees it, where it is for us, and where for us that process's root folder is."""

    name: str
    path: str
    root: str = ""


class Process:
    """A process by its number; NotFound where there is none."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        status = self._status()
        if status.get("Tgid") != str(pid):
            raise NotFound(f"{pid} is a thread of process {status.get('Tgid')}")
        self._has_memory = "VmSize" in status
        is_kernels = status.get("PPid") in _OF_KERNEL and not status.get("State", "").startswith(_ENDED)
        if not self._has_memory and not is_kernels:  # it gives its memory back before it says that it ends
            raise NotFound(f"process {pid} has ended")

    def _status(self) -> dict[str, str]:
        try:
            with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace", newline="\n") as file:
                return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}
        except (FileNotFoundError, ProcessLookupError):
            raise NotFound(f"there is no process {self.pid}") from None

    def threads(self) -> list[int]:
        """Return the numbers of its threads that run now; NotFound where it has ended."""
        try:
            return sorted(map(int, os.listdir(f"/proc/{self.pid}/task")))
        except (FileNotFoundError, ProcessLookupError):
            raise NotFound(f"process {self.pid} has ended") from None

    def find(self, word: str) -> Found:
        """Return the file that a path or a name means to the process; NotFound, KernelError.

        What it has mapped comes first: it runs that, though another file may have taken its place.
        """
        if not self._has_memory:
            raise NotFound(f"{self.pid} is a thread of the kernel: it runs no file")
        name = self._mapped_as(word) or binary.find(word, self.root)
        path = binary.outside(name, self.root)
        mapped = self._mapped.get(name) or self._mapped.get(binary.real(name, self.root))
        if mapped is not None and not _is_same(mapped, path):
            path = mapped
        return Found(name, path, self.root)

    def files(self, pattern: str) -> list[str]:
        """Return the paths of the files of code that it has mapped and whose path or name a pattern matches."""
        names = {path: os.path.basename(path) for path in self._mapped}
        return sorted(path for path, name in names.items() if fnmatchcase(path, pattern) or fnmatchcase(name, pattern))

    def _mapped_as(self, word: str) -> str | None:
        """Return the path of what is mapped under a name, or under a path that nothing is at any more."""
        if "/" in word:
            path = os.path.abspath(word)
            return path if path in self._mapped else None
        library = binary.library(word)
        by_name = {os.path.basename(path): path for path in reversed(self._mapped)}
        return by_name.get(word) or next((path for name, path in by_name.items() if library.fullmatch(name)), None)

    @cached_property
    def root(self) -> str:
        """Where for us its root folder is; empty where it sees files as we do."""
        try:
            return "" if sees_as_we_do(self.pid) else f"/proc/{self.pid}/root"
        except OSError as error:
            raise self._hidden(error) from None

    @cached_property
    def _mapped(self) -> dict[str, str]:
        """Where for us each file of code is that the process has mapped, by its path."""
        try:
            return dict(self._mappings())
        except OSError as error:
            raise self._hidden(error) from None

    def _mappings(self) -> Iterator[tuple[str, str]]:
        beginning = os.readlink(f"/proc/{self.pid}/root").rstrip("/")  # of chroot(2): paths are told from our root
        with open(f"/proc/{self.pid}/maps", "rb") as file:
            lines = file.read().split(b"\n")  # a path may have other ends of line
        for line in reversed(lines):  # of several the first stays
            addresses, access, *_, path = line.split(None, 5) if line.count(b"/") else (b"", b"", b"")
            if b"x" not in access or not path.startswith(b"/"):
                continue
            first, _, last = addresses.partition(b"-")
            name = os.fsdecode(path.replace(rb"\012", b"\n")).removesuffix(_DELETED)
            if beginning and name.startswith(f"{beginning}/"):
                name = name.removeprefix(beginning)
            yield name, f"/proc/{self.pid}/map_files/{int(first, 16):x}-{int(last, 16):x}"

    def _hidden(self, error: OSError) -> NotFound | KernelError:
        if isinstance(error, (FileNotFoundError, ProcessLookupError)):
            return NotFound(f"process {self.pid} has ended")
        return KernelError(f"can't look at the files of process {self.pid}", error.errno or 0)


def sees_as_we_do(pid: int) -> bool:
    """Return whether a process has our root folder and our mounts; OSError where it has ended, or is another user's."""
    there = f"/proc/{pid}"
    return os.path.samefile(f"{there}/root", "/") and os.path.samefile(f"{there}/ns/mnt", "/proc/self/ns/mnt")


def who_sees(path: str) -> int | None:
    """Return a process in another mount namespace that has a file of this path; None where nobody is known to."""
    asked = {_namespace("self")}
    for word in os.listdir("/proc"):
        namespace = _namespace(word) if word.isdecimal() else None
        if namespace is None or namespace in asked:
            continue
        asked.add(namespace)
        with suppress(NotFound):
            if os.path.isfile(binary.outside(path, f"/proc/{word}/root")):
                return int(word)
    return None


def _namespace(word: str) -> str | None:
    try:
        return os.readlink(f"/proc/{word}/ns/mnt")
    except OSError:  # it has ended, or is another user's
        return None


def _is_same(mapped: str, path: str) -> bool:
    """Return whether a path still leads to what is mapped; also where only those may tell who may do more."""
    try:
        seen = os.stat(path)
    except OSError:  # it leads nowhere any more, or where only others may look
        return False
    with suppress(OSError):  # it has ended, or we may do less
        return os.path.samestat(os.stat(mapped), seen)
    return True
