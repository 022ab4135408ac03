"""A command that is started to be counted: it waits until all is ready, and what it answers is told."""

from __future__ import annotations

import math
import os
import signal
import time
from errno import ENOENT, ENOEXEC
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys.fd import FD, Closing
from bpfctl.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Sequence
    from resource import struct_rusage
    from typing import NoReturn

#: What we wait for: the end of the command, and signals that are meant for it.
_AWAITED = frozenset({signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
#: What Python has changed for itself.
_CHANGED = (signal.SIGPIPE, signal.SIGXFSZ)
_LONG = 86_400.0  # seconds that are waited at once
_NOT_FOUND, _NOT_EXECUTABLE, _BY_SIGNAL = 127, 126, 128  # what a shell answers


class Ended(NamedTuple):
    """How a command has ended: its exit code, as a shell tells it, and the CPU time that it and its children took."""

    exit_code: int
    user: float  # seconds
    system: float
    is_stopped: bool = False  # whether somebody wanted that


class Workload(Closing):
    """A process that will run a command when start() says so, and that is waited for; one at a time.

    Signals that mean a stop are handed on to it meanwhile. ``stdout`` is a descriptor for what the command writes.
    """

    def __init__(self, words: Sequence[str], *, stdout: int = 1) -> None:
        self._words, self._stdout = list(words), stdout
        self.ended: Ended | None = None
        self._is_stopped = False
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        self._child = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who ignores it gets no exit code
        wait, go = map(FD, os.pipe())
        failed, tell = map(FD, os.pipe())
        self.pid = os.fork()
        if not self.pid:
            self._run(wait.fileno(), go.fileno(), tell.fileno())
        wait.close()
        tell.close()
        self._go, self._failed = go, failed

    def _run(self, wait: int, go: int, tell: int) -> NoReturn:
        """Wait in the new process, and become the command."""
        try:
            os.close(go)
            if os.read(wait, 1):
                self._become()
        except OSError as error:
            os.write(tell, str(error.errno).encode())
        finally:
            os._exit(_NOT_FOUND)

    def _become(self) -> None:
        if self._stdout != 1:
            os.dup2(self._stdout, 1)
        for number in _CHANGED:
            signal.signal(number, signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        name = self._words[0]
        if not name:
            raise FileNotFoundError(ENOENT, "")
        try:
            os.execvp(name, self._words)  # noqa: S606 - no shell is wanted
        except OSError as error:
            if error.errno != ENOEXEC:
                raise
        import shutil  # noqa: PLC0415 - few scripts lack their first line

        path = name if "/" in name else shutil.which(name) or name
        os.execv("/bin/sh", ["sh", path, *self._words[1:]])  # noqa: S606 - as execvp(3) does it

    def start(self) -> None:
        """Have it run the command; CannotStart, with the exit code that a shell has for that."""
        os.write(self._go.fileno(), b"\0")
        self._go.close()
        answer = os.read(self._failed.fileno(), 16)  # at its end when the command runs
        if answer:
            errno = int(answer)
            code = _NOT_FOUND if errno == ENOENT else _NOT_EXECUTABLE
            raise CannotStart(f"can't run '{self._words[0]}': {os.strerror(errno)}", exit_code=code)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it ends, or for so long; return whether it has ended."""
        due = math.inf if seconds is None else time.monotonic() + seconds
        while not self._is_over():
            left = min(due - time.monotonic(), _LONG)
            came = signal.sigtimedwait(_AWAITED, max(0, left))
            if came is None and left < _LONG:
                return self._is_over()
            if came is not None and came.si_signo != signal.SIGCHLD:
                self._is_stopped = True
                if came.si_code <= 0:  # kill(2) has sent it to us alone; a terminal sends it to the command too
                    os.kill(self.pid, came.si_signo)
        return True

    def _is_over(self) -> bool:
        if self.ended is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                while signal.sigtimedwait(_AWAITED - {signal.SIGCHLD}, 0):  # it has ended it before we waited for any
                    self._is_stopped = True
                self.ended = _ended(status, usage)._replace(is_stopped=self._is_stopped)
        return self.ended is not None

    def close(self) -> None:
        """Wait no more; a command that still runs is told to end."""
        if self._go.closed and not self._is_over():
            os.kill(self.pid, signal.SIGTERM)
        elif self.ended is None:
            self._go.close()
            os.waitpid(self.pid, 0)  # it never got a word, and ends at once
        self._failed.close()
        signal.signal(signal.SIGCHLD, self._child)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)


def _ended(status: int, usage: struct_rusage) -> Ended:
    code = os.waitstatus_to_exitcode(status)
    return Ended(_BY_SIGNAL - code if code < 0 else code, usage.ru_utime, usage.ru_stime)
