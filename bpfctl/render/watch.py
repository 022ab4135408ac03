"""The rhythm of a display that is drawn again and again."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STOP = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def stops() -> frozenset[signal.Signals]:
    """Return the signals that mean an end: Ctrl-C, SIGTERM, and where nohup(1) has not been, a terminal that goes."""
    return _STOP if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else _STOP - {signal.SIGHUP}


def rounds(seconds: float, count: int | None = None, *, first: float = 0) -> Iterator[None]:
    """Yield for each round: every so many seconds, and when the terminal changes its size, until a signal that ends it.

    ``count`` is how many rounds there are at most, and ``first`` the seconds until the first of them. The signals wait
    while a round is drawn, so that none is ever left half drawn.
    """
    ends = stops()
    waited = ends | {signal.SIGWINCH}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    try:
        due, left = time.monotonic() + first, count
        came = signal.sigtimedwait(waited, first) if first else None
        while came is None or came.si_signo not in ends:
            if came is None:  # else the size has changed, and the round is not over
                due = time.monotonic() + seconds
                left = None if left is None else left - 1
            yield
            if left == 0:
                return
            came = signal.sigtimedwait(waited, max(0.0, due - time.monotonic()))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
