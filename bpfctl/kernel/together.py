"""Several pins that are made all, or not at all.

    with together() as pins:
        pins.file(program, "/sys/fs/bpf/first")
        pins.inside(map_, "/sys/fs/bpf/maps", "counts")

An error within, or a signal that comes meanwhile, takes away what was made before it: pins, folders and mounts. Signals
wait until then; of those that cannot wait, SIGKILL alone leaves something behind.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from bpfctl._sys import calls
from bpfctl.errors import KernelError, UsageError
from bpfctl.host import bpffs
from bpfctl.kernel.pin import mount_bpffs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.handle import Handle

_STOP = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class Together:
    """Pins in the making; ``mounted`` are the folders over which a BPF file system was mounted for them."""

    def __init__(self, undone: ExitStack, *, mount: bool) -> None:
        self.mounted: list[str] = []
        self._undone = undone
        self._mount = mount

    def file(self, handle: Handle, path: str) -> str:
        """Pin an object at a path, and return it, where ``free`` finds nothing wrong; KernelError."""
        free(path, mount=self._mount)
        folder = os.path.dirname(path) or "."
        if not calls.is_bpffs(folder):
            self._mount_over(folder)
        return self._pin(handle, path)

    def inside(self, handle: Handle, folder: str, name: str) -> str:
        """Pin an object by a name in a folder, which is made where there is none, and return the path.

        Names in a BPF file system have no dots. UsageError, KernelError.
        """
        self.folder(folder)
        return self._pin(handle, f"{folder}/{name.replace('.', '_')}")

    def folder(self, path: str) -> None:
        """Have a folder for pins, where ``room`` finds nothing wrong; KernelError."""
        if calls.is_bpffs(path):
            return
        room(path, mount=self._mount)
        if not os.path.lexists(path):
            try:
                os.mkdir(path, 0o700)
            except OSError as error:
                raise KernelError(f"can't make folder '{path}' for the pins", error.errno or 0) from None
            self._undone.callback(_remove, path)
        if not calls.is_bpffs(path):
            self._mount_over(path)

    def _pin(self, handle: Handle, path: str) -> str:
        handle.pin(path)
        self._undone.callback(_unlink, path)
        return path

    def _mount_over(self, folder: str) -> None:
        real = os.path.realpath(folder)
        self._undone.callback(_unmount, real, _layers(real))
        mount_bpffs(folder)
        self.mounted.append(folder)


@contextmanager
def together(*, mount: bool = True) -> Iterator[Together]:
    """Keep what is pinned within, or nothing of it; without ``mount`` no BPF file system is mounted for it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        with ExitStack() as undone:
            yield Together(undone, mount=mount)
            if not stopped():
                undone.pop_all()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stopped() -> bool:
    """Return whether somebody wants us to stop, so that what is `together` is undone.

    A signal that is ignored, as after nohup(1), waits like others as long as it is blocked, and means nothing.
    """
    return any(signal.getsignal(number) is not signal.SIG_IGN for number in signal.sigpending() & _STOP)


def free(path: str, *, mount: bool = True) -> None:
    """Raise UsageError where nothing can be pinned: something is there, or no folder, or nothing may be mounted."""
    if os.path.lexists(path):
        raise UsageError(f"can't pin BPF object: path '{path}' already exists")
    folder = os.path.dirname(path) or "."
    if calls.is_bpffs(folder):
        return
    if not os.path.exists(folder):
        raise UsageError(f"can't pin BPF object: dir '{folder}' doesn't exist")
    _may_mount(folder, mount=mount)


def room(path: str, *, mount: bool = True) -> None:
    """Raise UsageError where there can be no folder for pins."""
    if calls.is_bpffs(path):
        return
    if not os.path.lexists(path):
        above = os.path.dirname(path.rstrip("/")) or "."
        if calls.is_bpffs(above):
            return
        if not os.path.exists(above):
            raise UsageError(f"can't create dir '{path}' to pin BPF object: parent dir '{above}' doesn't exist")
    _may_mount(path, mount=mount)


def _may_mount(folder: str, *, mount: bool) -> None:
    if not mount:
        raise UsageError("no BPF file system found, not mounting it due to --nomount option")
    if os.path.realpath(folder) == "/":
        raise UsageError("no BPF file system is mounted over /")


def _layers(folder: str) -> int:
    """Return how many mounts lie over a folder."""
    return sum(one.path == folder for one in bpffs.mounts())


def _unmount(folder: str, layers: int) -> None:
    while _layers(folder) > layers:
        calls.unmount(folder)


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):  # somebody was faster
        os.unlink(path)


def _remove(folder: str) -> None:
    with suppress(OSError):  # somebody else uses it by now
        os.rmdir(folder)
