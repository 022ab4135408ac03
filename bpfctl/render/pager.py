"""What is longer than the screen goes through a pager: that of BPFCTL_PAGER or PAGER, else less, if it is installed.

Where nothing has been written that fills the screen, no pager is started. While one runs Ctrl-C is its own, and who
quits it has seen enough: that is no error.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.render import screen
from bpfctl.render.sink import ClosedPipe, Sink

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from types import FrameType

_NONE = ("", "cat")
_LESS = "less"
_LESS_OPTIONS = "FRX"  # end at once where all fits, pass colours on, leave the text on the screen


class Command(NamedTuple):
    """How a pager is started."""

    argv: list[str]
    env: Mapping[str, str]


class Quit(ClosedPipe):
    """The pager has ended before it had read everything."""


def command(fd: int) -> Command | None:
    """Return the pager for a descriptor; None for what is no terminal, where nobody can press keys, or for none."""
    if screen.is_dumb() or not os.isatty(fd) or not screen.is_ours():
        return None
    import shlex  # noqa: PLC0415 - as long as there is no terminal nobody needs them
    import shutil  # noqa: PLC0415

    words = next((value for name in ("BPFCTL_PAGER", "PAGER") if (value := os.environ.get(name)) is not None), _LESS)
    try:
        argv = shlex.split(words)
    except ValueError:  # a quote that is not closed
        return None
    path = shutil.which(argv[0]) if words.strip() not in _NONE else None
    if path is None:
        return None
    if os.path.basename(os.path.realpath(path)) == "busybox":  # whose less ends where it knows an option not
        return Command(argv, os.environ)
    env = {"LESS": _LESS_OPTIONS, **os.environ}
    if "SUDO_UID" in env:  # who may run this as another user may not therefore run a shell as him
        env.setdefault("LESSSECURE", "1")
    return Command([*argv, f"-{_LESS_OPTIONS}"] if argv == [_LESS] else argv, env)


@contextmanager
def paged(terminal: Sink) -> Iterator[Sink]:
    """Yield what is to be written to instead of a terminal."""
    found = command(terminal.fd)
    if found is None:
        yield terminal
        return
    sink = Paged(terminal, found)
    try:
        yield sink
    except Quit:
        return
    finally:
        sink.finish()


class Paged(Sink):
    """Keeps what a screen has room for, and starts the pager for more."""

    def __init__(self, terminal: Sink, pager: Command) -> None:
        super().__init__(terminal.fd)
        self._terminal = terminal
        self._pager = pager
        _, self._room = screen.size(terminal.fd)
        self._kept: list[bytes] = []
        self._lines = 0
        self._running: subprocess.Popen[bytes] | None = None
        self._pipe: Sink | None = None
        self._before: Any = None
        self._has_gone = False  # when Ctrl-C was pressed last

    def write_bytes(self, data: bytes) -> None:
        """Take text."""
        if self._pipe is None:
            self._kept.append(data)
            self._lines += data.count(b"\n")
            if self._lines >= self._room:  # the prompt of the shell has a line, too
                self._start()
        else:
            self._pass(self._pipe, data)

    def flush(self) -> None:
        """Have the pager read what there is."""
        if self._pipe is not None:
            self._pass(self._pipe, b"", flush=True)

    def finish(self) -> None:
        """Write what is left, and wait until nobody reads any more."""
        if self._pipe is None or self._running is None:
            self._terminal.write_bytes(b"".join(self._kept))
            self._kept.clear()
            return
        try:
            self._pipe.flush()
        except ClosedPipe:
            pass
        finally:
            os.close(self._pipe.fd)
            self._running.wait()
            signal.signal(signal.SIGINT, self._before)

    def _start(self) -> None:
        import subprocess  # noqa: PLC0415 - most of what is written fits the screen

        self._terminal.flush()
        self._before = signal.getsignal(signal.SIGINT)
        if callable(self._before):
            signal.signal(signal.SIGINT, self._ctrl_c)
        reads, writes = os.pipe()
        try:
            self._running = subprocess.Popen(self._pager.argv, stdin=reads, env=self._pager.env)
        except OSError:  # it is no program: what is written goes where it would without a pager
            os.close(writes)
            signal.signal(signal.SIGINT, self._before)
            self._pipe = self._terminal
        else:
            self._pipe = Sink(writes)
            self.is_read = True
        os.close(reads)
        kept = b"".join(self._kept)
        self._kept.clear()
        self._pass(self._pipe, kept, flush=True)

    def _pass(self, pipe: Sink, data: bytes, *, flush: bool = False) -> None:
        try:
            pipe.write_bytes(data)
            if flush:
                pipe.flush()
        except ClosedPipe:
            if self._running is None:
                raise
            raise Quit from None

    def _ctrl_c(self, number: int, frame: FrameType | None) -> None:
        """Leave Ctrl-C to the pager; once it has gone, the key means us.

        The first that comes after its end may have been pressed before that.
        """
        if self._has_gone:
            self._before(number, frame)
        self._has_gone = self._running is not None and self._running.poll() is not None
