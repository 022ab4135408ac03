"""Where output goes, and what becomes of it when it cannot go there."""

from __future__ import annotations

import os
from errno import EPIPE

from bpfctl.errors import OutputError

_ENOUGH = 1 << 16


class ClosedPipe(Exception):  # noqa: N818 - not an error: the reader has had enough
    """Whoever read our output has closed it."""


class Sink:
    """A descriptor that text is written to in large pieces; other parts of the program never write to it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._pieces: list[str] = []
        self._size = 0

    def write(self, text: str) -> None:
        """Take text; it may stay here until flush()."""
        self._pieces.append(text)
        self._size += len(text)
        if self._size >= _ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Write everything; ClosedPipe or OutputError when that is impossible."""
        data = memoryview("".join(self._pieces).encode(errors="surrogateescape"))
        self.drop()
        while data:
            try:
                data = data[os.write(self.fd, data) :]
            except OSError as error:
                if error.errno == EPIPE:
                    raise ClosedPipe from None
                raise OutputError(f"can't write the output: {error.strerror}") from None

    def drop(self) -> None:
        """Forget what was not written yet."""
        self._pieces.clear()
        self._size = 0
