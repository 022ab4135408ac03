"""The files that processes have mapped, and their functions: each file is read once, whoever has mapped it.

How much is kept is bounded; what was not used for the longest time goes first.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from bpfctl._sys.fd import FD, Closing
from bpfctl.elf import debug
from bpfctl.elf.image import Identity, Image
from bpfctl.errors import BpfctlError
from bpfctl.host import binary, process
from bpfctl.symbols.space import device
from bpfctl.symbols.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.symbols.space import Mapping

    Key = tuple[int, int, str]

_MOST = 128  # files, of which each has a descriptor, and its debug file has another
_ROOM = 48 << 20  # bytes of their tables
_MOST_KEYS = 1 << 14
_REAL_DEVICE = 1 << 20  # those of btrfs and overlayfs, below, are not what stat(2) tells


class _File:
    """An open file; it is read when its functions are asked for, which are none where it is no ELF file."""

    def __init__(self, fd: FD, identity: Identity, path: str, root: str) -> None:
        self.fd, self.identity, self._path, self._root = fd, identity, path, root
        self.is_read = False
        self.table: Table | None = None
        self._debug: list[FD] = []

    def read(self) -> None:
        self.is_read = True
        try:
            image = Image(partial(_read, self.fd), self._path, self.identity)
            self.table = Table(image, self._others(image))
        except BpfctlError:  # no ELF file, or a damaged one
            self.table = None

    def _others(self, image: Image) -> Iterator[Image]:
        """Yield what has symbols of a file beside it, until something is damaged."""
        with suppress(BpfctlError):
            for other in debug.images(image, self._path, self._root):
                fd = _open(other.name, None) if other.identity else None
                if fd is not None:  # many names are read, and it may be replaced
                    self._debug.append(fd)
                    yield Image(partial(_read, fd), other.name)
                elif not other.identity:
                    yield other

    def close(self) -> None:
        for fd in (self.fd, *self._debug):
            fd.close()

    @property
    def size(self) -> int:
        return self.table.size if self.table else 0


class Files(Closing):
    """The functions of mapped files."""

    def __init__(self) -> None:
        self._files: dict[Identity, _File] = {}  # the one used last is the last
        self._keys: dict[Key, Identity] = {}
        self._missing: set[tuple[Mapping, int]] = set()
        self._seen: set[Key] = set()

    def turn(self) -> None:
        """Look again for files that were not there."""
        self._missing.clear()

    def table(self, mapping: Mapping, pids: Iterable[int]) -> Table | None:
        """Return the functions of what one of the processes has mapped; None where nobody has them any more."""
        file = self._file(mapping, pids)
        if file is None:
            return None
        if not file.is_read:
            file.read()
            self._make_room()
        return file.table

    def hold(self, mapping: Mapping, pid: int) -> None:
        """Open what a process has mapped if it cannot be opened any more when the process has ended."""
        key = _key(mapping)
        if key in self._seen or not mapping.is_file:
            return
        if not _is_there(mapping) and self._file(mapping, (pid,)) is None:
            return  # a static program is mapped twice where the first place does not suit it, and only the second stays
        if len(self._seen) >= _MOST_KEYS:
            self._seen.clear()
        self._seen.add(key)

    def _file(self, mapping: Mapping, pids: Iterable[int]) -> _File | None:
        """Return an open file, and keep it open for a while."""
        key = _key(mapping)
        identity = self._keys.get(key)
        file = self._files.pop(identity, None) if identity is not None else None
        if file is None:
            file = self._opened(mapping, pids)
            if file is None:
                return None
            if len(self._keys) >= _MOST_KEYS:
                self._keys.clear()
            self._keys[key] = file.identity
        self._files[file.identity] = file
        if len(self._files) > _MOST:
            self._make_room()
        return file

    def _opened(self, mapping: Mapping, pids: Iterable[int]) -> _File | None:
        for pid in pids:
            missing = mapping, pid
            if missing in self._missing:
                continue
            for path, is_sure in _places(mapping, pid):
                fd = _open(path, None if is_sure else mapping)
                if fd is None:
                    continue
                status = os.fstat(fd.fileno())
                identity = Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
                known = self._files.pop(identity, None)
                if known is not None:
                    fd.close()
                return known or _File(fd, identity, mapping.name, _root(pid))
            if len(self._missing) < _MOST_KEYS:
                self._missing.add(missing)
        return None

    def _make_room(self) -> None:
        """Close files but for the one used last, until there is room."""
        used = sum(file.size for file in self._files.values())
        while len(self._files) > 1 and (used > _ROOM or len(self._files) > _MOST):
            file = self._files.pop(next(iter(self._files)))
            used -= file.size
            file.close()

    def close(self) -> None:
        """Close all files."""
        files, self._files = self._files, {}
        for file in files.values():
            file.close()


def _key(mapping: Mapping) -> Key:
    return mapping.device, mapping.inode, mapping.path


def _root(pid: int) -> str:
    """Return where a process has its folders; empty where they are ours, since those are there when it has ended."""
    try:
        return f"/proc/{pid}/root" if pid and not process.sees_as_we_do(pid) else ""
    except OSError:  # it has ended
        return ""


def _places(mapping: Mapping, pid: int) -> Iterator[tuple[str, bool]]:
    """Yield where a file may be opened, and whether that is the mapped one for sure; 0 is for us ourselves.

    map_files takes CAP_CHECKPOINT_RESTORE (Linux 5.9) or CAP_SYS_ADMIN, and leads to deleted files too.
    """
    if pid:
        folder = f"/proc/{pid}/map_files"
        yield f"{folder}/{mapping.start:x}-{mapping.end:x}", True
        # What a program begins with is mapped with room for all of it, told of, and cut (fs/binfmt_elf.c elf_map()).
        with suppress(OSError):
            begin = f"{mapping.start:x}-"
            yield from ((f"{folder}/{name}", True) for name in os.listdir(folder) if name.startswith(begin))
    try:
        yield binary.outside(mapping.path, f"/proc/{pid}/root" if pid else ""), False
    except (BpfctlError, ValueError):  # links that go round in a circle, a path that can be none
        return


def _open(path: str, mapping: Mapping | None) -> FD | None:
    """Open a file, of which a mapping may tell which one it has to be; None where that is not there."""
    try:
        if not _is_right(os.stat(path), mapping):
            return None
        fd = FD(os.open(path, binary.FLAGS))
    except (OSError, ValueError):  # the process has ended, or the file is not ours to read
        return None
    if _is_right(os.fstat(fd.fileno()), mapping):
        return fd
    fd.close()  # another one has taken its place meanwhile
    return None


def _is_there(mapping: Mapping) -> bool:
    try:
        return _is_right(os.stat(mapping.path), mapping)
    except (OSError, ValueError):
        return False


def _is_right(status: os.stat_result, mapping: Mapping | None) -> bool:
    # Where a file system has devices of its own (btrfs, overlayfs), stat(2) and the kernel do not agree on the number.
    if not stat.S_ISREG(status.st_mode) or mapping is None:
        return stat.S_ISREG(status.st_mode)
    where = device(os.major(status.st_dev), os.minor(status.st_dev))
    same = where == mapping.device or where < _REAL_DEVICE or mapping.device < _REAL_DEVICE
    return same and status.st_ino == mapping.inode


def _read(fd: FD, offset: int, size: int) -> bytes:
    try:
        return os.pread(fd.fileno(), size, offset) if offset < 1 << 63 else b""
    except OSError:  # a disk or a network that fails
        return b""
