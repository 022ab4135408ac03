"""
Small files for what stays true until the machine is booted again, or something else that the key tells changes.

They are in /run/bpfctl for root and in $XDG_RUNTIME_DIR/bpfctl for others, who have no cache where that is not set.
Only what nobody else could have written is believed: a regular file of mode 0600 in a folder of mode 0700, both our
own, with one name and no symbolic link. Whatever is wrong with a file, it is as if there were none; and a cache that
cannot be written is no failure of the command that would have liked to.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LARGEST = 4 << 20  # bytes
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_FOLDER_FLAGS = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_RDONLY | os.O_CLOEXEC
# A pipe of that name must not make us wait, nor a terminal become ours.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def boot_id() -> str:
    """Return what identifies the time since the machine was booted; empty without /proc."""
    try:
        with open(_BOOT_ID, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


class BootCache:
    """One file of the cache; ``folder`` is for tests."""

    def __init__(self, name: str, folder: str | None = None) -> None:
        self._name = f"{name}.json"
        self._folder = folder if folder is not None else _own_folder()

    def read(self, key: Mapping[str, object]) -> Any:
        """Return what was written under this very key; None when there is nothing to be believed."""
        with suppress(OSError, ValueError, RecursionError), self._open() as folder:
            fd = os.open(self._name, _FILE_FLAGS, dir_fd=folder)
            with open(fd, "rb") as file:
                facts = os.fstat(fd)
                if not stat.S_ISREG(facts.st_mode) or not _ours(facts) or facts.st_nlink != 1:
                    return None
                found = json.loads(file.read(_LARGEST))
            if isinstance(found, dict) and found.get("key") == key:
                return found.get("content")
        return None

    def write(self, key: Mapping[str, object], content: object) -> None:
        """Put something JSON in the place of what was there, in one step."""
        text = json.dumps({"key": key, "content": content}, separators=(",", ":")).encode()
        if len(text) >= _LARGEST or not self._folder:
            return
        new = f".{self._name}.{os.getpid()}"
        with suppress(OSError):
            with suppress(FileExistsError):
                os.mkdir(self._folder, 0o700)
            with self._open() as folder:
                fd = os.open(new, _NEW_FLAGS, 0o600, dir_fd=folder)
                try:
                    with open(fd, "wb") as file:
                        file.write(text)
                    os.rename(new, self._name, src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    os.unlink(new, dir_fd=folder)
                    raise

    @contextmanager
    def _open(self) -> Iterator[int]:
        """Open the folder; OSError when it is not ours alone."""
        if not self._folder:
            raise FileNotFoundError
        fd = os.open(self._folder, _FOLDER_FLAGS)
        try:
            if not _ours(os.fstat(fd)):
                raise PermissionError
            yield fd
        finally:
            os.close(fd)


def _own_folder() -> str:
    """Return the folder of this user; empty where there is no place for one."""
    if os.geteuid() == 0:
        return "/run/bpfctl"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return f"{runtime}/bpfctl" if runtime.startswith("/") else ""


def _ours(facts: os.stat_result) -> bool:
    return facts.st_uid == os.geteuid() and not facts.st_mode & _OTHERS
