"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
from errno import EEXIST
from stat import S_IMODE
from typing import TYPE_CHECKING

from bpfctl.errors import KernelError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self


class NewFile:
    """A file beside the one that is meant, whose place it takes once everything is in it; gone if it never is.

    KernelError, before anything is done for it, where no file can be made there. What is no file, such as a pipe or
    /dev/stdout, is written as it is.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._beside = ""
        try:
            self._fd = self._opened()
        except OSError as error:
            raise KernelError(f"can't write '{path}'", error.errno or 0) from None

    def _opened(self) -> int:
        if os.path.exists(self._path) and not os.path.isfile(self._path):
            return os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        real = os.path.realpath(self._path)
        folder, name = os.path.split(real)
        mode = S_IMODE(os.stat(real).st_mode) if os.path.exists(real) else 0o666  # what is private stays so
        for number in range(1000):
            beside = os.path.join(folder, f".{name}.{os.getpid()}.{number}")
            try:
                fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
            except FileExistsError:
                continue
            self._beside, self._path = beside, real
            return fd
        raise OSError(EEXIST, "")

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write everything, and put the file where it shall be; OutputError, and then it is as it was."""
        try:
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[os.write(self._fd, left) :]
            if self._beside:
                os.replace(self._beside, self._path)
        except OSError as error:
            raise OutputError(f"can't write '{self._path}': {error.strerror}") from None
        self._beside = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close the file, and remove it if it was not written."""
        os.close(self._fd)
        if self._beside:
            os.unlink(self._beside)
