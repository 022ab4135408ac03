"""What is being done, for who waits: one line on stderr, once a second has gone by, and gone when something is shown.

A thread draws it, since the step that takes long is the one that tells nothing meanwhile.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from itertools import accumulate
from typing import TYPE_CHECKING, Self, TypeVar

from bpfctl.render import screen
from bpfctl.render.text import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bpfctl.render.output import Output

Item = TypeVar("Item")

_PATIENCE = 1.0  # seconds that nobody minds
_EVERY = 0.2  # seconds
_ERASED = b"\r\x1b[K"


class Progress:
    """The line, for as long as it is open; there is none where stderr is no terminal that can erase it.

    Nor is there one while a pager shows what has been written to ``output``.
    """

    def __init__(
        self, output: Output | None = None, *, hidden: bool = False, fd: int = 2, patience: float = _PATIENCE
    ) -> None:
        self._output = output
        self._fd = fd
        self._patience = patience
        self._text: Callable[[], str] | None = None
        self._is_drawn = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._since = 0.0
        self._thread: threading.Thread | None = None
        if not hidden and os.isatty(fd) and not screen.is_dumb():
            self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._since = time.monotonic()
        if self._thread is not None:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            self._thread.start()  # with that mask: signals are for the thread that does the work
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.hush()
        if self._thread is not None:
            self._thread.join()

    def say(self, text: str | Callable[[], str]) -> None:
        """Tell what is being done from now on; a function is asked whenever the line is drawn."""
        self._text = text if callable(text) else lambda: text

    def hush(self) -> None:
        """Erase the line, as something else is about to be written; what is said next brings it back."""
        with self._lock:
            self._text = None
            if self._is_drawn:
                self._is_drawn = False
                self._write(_ERASED)

    def over(self, items: Iterable[Item], text: Callable[[int], str]) -> Iterator[Item]:
        """Yield items, and tell while each is made what is said of how many there were before it."""
        count = 0

        def said() -> str:
            return text(count)

        iterator = iter(items)
        while True:
            self.say(said)
            try:
                item = next(iterator)
            except StopIteration:
                self.hush()
                return
            self.hush()
            yield item
            count += 1

    def _run(self) -> None:
        wait = self._patience
        while not self._over.wait(wait):
            wait = _EVERY
            with self._lock:
                text = self._text
                if text is not None and not (self._output and self._output.sink.is_read):
                    self._draw(text())

    def _draw(self, text: str) -> None:
        wide, _ = screen.size(self._fd)
        line = f"{safe(text)}, {time.monotonic() - self._since:.0f} s"
        if not screen.is_utf8():
            line = line.encode("ascii", "backslashreplace").decode()
        self._is_drawn = True
        self._write(_ERASED + _cut(line, wide - 1).encode())

    def _write(self, data: bytes) -> None:
        try:
            os.write(self._fd, data)
        except OSError:  # the terminal has gone
            self._is_drawn = False


def _cut(line: str, room: int) -> str:
    """Return what of a line has room: one that went on in the next could not be erased."""
    if line.isascii():
        return line[:room]
    from unicodedata import east_asian_width  # noqa: PLC0415 - few lines have more than ASCII

    places = accumulate(1 + (east_asian_width(char) in "FW") for char in line)
    return line[: sum(place <= room for place in places)]
