"""Files of tracefs, wherever it is mounted; and where it is not, of one that nobody else sees.

Kernel: Documentation/trace/events.rst. Only mounts that are there are looked at: to touch /sys/kernel/debug/tracing
would make the kernel mount one there.
"""

from __future__ import annotations

import os
from errno import ENODEV, ENOSYS
from typing import TYPE_CHECKING

from bpfctl._sys import calls
from bpfctl._sys.fd import FD, Closing
from bpfctl.errors import KernelError, NotSupported
from bpfctl.host import bpffs

if TYPE_CHECKING:
    from typing import Self

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Tracefs(Closing):
    """An open tracefs. KernelError where that is not allowed; NotSupported where this kernel has or shows none."""

    def __init__(self, root: FD) -> None:
        self._root = root

    @classmethod
    def open(cls, tried: str = "can't open tracefs") -> Self:
        """Open the first that is mounted and may be looked into, or else one of our own (Linux 5.2, CAP_SYS_ADMIN)."""
        refusal: OSError | None = None
        for mount in bpffs.mounts():
            if mount.type == "tracefs":
                try:
                    return cls(FD(os.open(mount.path, _FOLDER)))
                except OSError as error:
                    refusal = error
        try:
            return cls(calls.detached_mount("tracefs"))
        except OSError as error:
            number = (refusal or error).errno or 0
            if number == ENOSYS:
                raise NotSupported(f"{tried}: mount -t tracefs none /sys/kernel/tracing") from None
            if number == ENODEV:
                raise NotSupported(f"{tried}: this kernel is built without it (CONFIG_FTRACE)") from None
            raise refused(tried, number) from None

    def close(self) -> None:
        """Close it; a mount of our own is gone then."""
        self._root.close()

    def file(self, path: str, flags: int) -> FD:
        """Open a file; OSError as open(2) has it, and a KernelError that says what to do where it is not for us."""
        try:
            return FD(os.open(path, flags | os.O_CLOEXEC, dir_fd=self._root.fileno()))
        except PermissionError as error:
            raise refused(f"can't open {path} in tracefs", error.errno or 0) from None

    def read(self, path: str) -> str:
        """Return what a file says; OSError where it cannot be opened or read."""
        with os.fdopen(self.file(path, os.O_RDONLY).detach(), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    def folders(self, path: str) -> list[str]:
        """Return the names of the folders in a folder, sorted; OSError as open(2) has it."""
        with self.file(path, _FOLDER) as folder, os.scandir(folder.fileno()) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))


def refused(tried: str, errno: int) -> KernelError:
    """Return the error of a file of tracefs that is not for us, with what to do about it."""
    from bpfctl.kernel.refusal import tracefs_hint  # noqa: PLC0415 - only an error needs it

    return KernelError(tried, errno, hint=tracefs_hint(errno))
