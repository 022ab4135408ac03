"""Where output goes, and what becomes of it when it cannot go there."""

from __future__ import annotations

import os
import select
import stat
from errno import EINVAL, ENOSYS, EOPNOTSUPP, EPIPE, ESPIPE

from bpfctl.errors import OutputError

_ENOUGH = 1 << 16
_AT_ONCE = 1 << 20
_AT_ONCE_BLOCKING = 4096  # PIPE_BUF: what a pipe that has room at all takes without blocking
# How the kernel tells that it cannot write "only what needs no waiting": to terminals, to pipes before Linux 6.4
# ("pipe: set FMODE_NOWAIT on pipes"), at all before 4.14.
_NO_NOWAIT = frozenset({EINVAL, ENOSYS, EOPNOTSUPP, ESPIPE})
_PATIENCE = 1000  # milliseconds that the reader has to take what is left after an interruption


class ClosedPipe(Exception):
    """Whoever read our output has closed it: no error, the reader has had enough."""


class Sink:
    """A descriptor that text is written to in large pieces; other parts of the program never write to it.

    What is here and what was written is known exactly even when Ctrl-C comes: the program's handler calls
    interrupt(), which raises KeyboardInterrupt only where nothing is half done.
    """

    #: Whether another program, which reads what is written here, has the terminal.
    is_read = False

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._pieces: list[bytes] = []
        self._size = 0
        self._left = memoryview(b"")
        self._poll: select.poll | None = None
        self._waits = _may_block(fd)
        self._nowait = self._waits and hasattr(os, "RWF_NOWAIT")  # musl before 1.2.5 has no pwritev2(2)
        self._patience: int | None = None
        self._held = 0
        self._interrupted = False

    def write(self, text: str) -> None:
        """Take text; it may stay here until flush()."""
        self.write_bytes(text.encode(errors="surrogateescape"))

    def write_bytes(self, data: bytes) -> None:
        """Take text that is encoded already."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= _ENOUGH and not self._held:
            self.flush()

    def flush(self) -> None:
        """Write everything; ClosedPipe or OutputError when that is impossible, and then nothing more is written."""
        if self._pieces:
            self.hold()
            self._left = memoryview(b"".join((self._left, *self._pieces)))
            self._pieces.clear()
            self._size = 0
            self.release()
        while self._left:
            self._wait()
            self.hold()
            try:
                self._some()
            finally:
                self.release()

    def _wait(self) -> None:
        """Wait until the reader has room, since Ctrl-C would interrupt a write with nobody knowing how far it was."""
        if not self._waits:
            return
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.fd, select.POLLOUT)
        if not self._poll.poll(self._patience):
            self._left = memoryview(b"")  # nobody reads any more

    def _some(self) -> None:
        try:
            self._left = self._left[self._write() :]
        except BlockingIOError:
            return  # another program has filled the pipe that we share
        except OSError as error:
            self._left = memoryview(b"")
            if error.errno == EPIPE:
                raise ClosedPipe from None
            raise OutputError(f"can't write the output: {error.strerror}") from None

    def _write(self) -> int:
        """Write what can be written without waiting."""
        if self._nowait:
            try:
                return os.pwritev(self.fd, [self._left[:_AT_ONCE]], -1, os.RWF_NOWAIT)
            except OSError as error:
                if error.errno not in _NO_NOWAIT:
                    raise
                self._nowait = False
        return os.write(self.fd, self._left[: _AT_ONCE_BLOCKING if self._waits else _AT_ONCE])

    def hold(self) -> None:
        """Have KeyboardInterrupt wait until release(); calls may nest."""
        self._held += 1

    def release(self) -> None:
        """End what hold() began; raise KeyboardInterrupt if one came meanwhile, and write if there is enough."""
        self._held -= 1
        if self._held:
            return
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt
        if self._size >= _ENOUGH:
            self.flush()

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt, as soon as that does no harm."""
        self._patience = _PATIENCE
        self._interrupted = True
        self.hold()
        self.release()


def _may_block(fd: int) -> bool:
    """Return whether a write may have to wait for a reader, unlike one into a file or into /dev/null."""
    mode = os.fstat(fd).st_mode
    return not stat.S_ISREG(mode) and not (stat.S_ISCHR(mode) and not os.isatty(fd))
