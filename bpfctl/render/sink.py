"""Where output goes, and what becomes of it when it cannot go there."""

from __future__ import annotations

import os
from errno import EAGAIN, EPIPE

from bpfctl.errors import OutputError

_ENOUGH = 1 << 16


class ClosedPipe(Exception):
    """Whoever read our output has closed it: no error, the reader has had enough."""


class Sink:
    """A descriptor that text is written to in large pieces; other parts of the program never write to it.

    Once a write has failed or was interrupted, nothing more is written: half a piece is followed by nothing.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._pieces: list[str] = []
        self._size = 0
        self._dead = False

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
        if self._dead:
            return
        try:
            while data:
                data = data[self._some(data) :]
        except BaseException:
            self._dead = True
            raise

    def _some(self, data: memoryview) -> int:
        try:
            return os.write(self.fd, data)
        except OSError as error:
            if error.errno == EAGAIN:  # whoever shares our output has made it non-blocking
                _wait(self.fd)
                return 0
            if error.errno == EPIPE:
                raise ClosedPipe from None
            raise OutputError(f"can't write the output: {error.strerror}") from None

    def drop(self) -> None:
        """Forget what was not written yet."""
        self._pieces.clear()
        self._size = 0


def _wait(fd: int) -> None:
    import select  # noqa: PLC0415 - hardly any output is non-blocking

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()
