"""A program on a terminal of its own, as a person would run it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STYLES = re.compile(r"\x1b\[[0-9;]*m")
_PATIENCE = 30.0


class Terminal:
    """Runs a program on a pseudo-terminal of a given size and keeps what it writes."""

    def __init__(self, argv: Sequence[str], *, size: tuple[int, int] = (80, 24), env: Mapping[str, str]) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            try:
                self._resize(1, size)
                os.execvpe(argv[0], list(argv), dict(env))
            finally:
                os._exit(127)
        self.seen = b""

    @staticmethod
    def _resize(fd: int, size: tuple[int, int]) -> None:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._reap()
        os.close(self._fd)

    def resize(self, columns: int, lines: int) -> None:
        """Do what a window manager does when the window is dragged."""
        self._resize(self._fd, (columns, lines))

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._fd, keys)

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, and takes whole lines."""
        flags = termios.tcgetattr(self._fd)[3]
        return bool(flags & termios.ECHO and flags & termios.ICANON)

    def press_ctrl_c(self) -> None:
        """Type it."""
        os.write(self._fd, b"\x03")

    def kill(self, number: int) -> None:
        """Send the program a signal."""
        os.kill(self._pid, number)

    def wait_for(self, what: bytes, times: int = 1) -> None:
        """Read until the program has written something so many times."""
        deadline = time.monotonic() + _PATIENCE
        while self.seen.count(what) < times:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            if not ready or not self._read():
                raise AssertionError(f"no {what!r} in {self.seen!r}")

    def finish(self) -> int:
        """Read until the program ends and return its exit code, negative for a signal."""
        while self._read():
            pass
        return self._reap()

    def _reap(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bytes:
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        self.seen += data
        return data

    def lines(self) -> list[str]:
        """Return what was written without its styles."""
        return STYLES.sub("", self.seen.decode()).replace("\r\n", "\n").splitlines()
