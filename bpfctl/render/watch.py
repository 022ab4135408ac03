"""The rhythm of a display that is drawn again and again."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SOON = 0.05  # seconds: nobody notices
_STOP = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def stops() -> frozenset[signal.Signals]:
    """Return the signals that mean an end: Ctrl-C, SIGTERM, and where nohup(1) has not been, a terminal that goes."""
    return _STOP if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else _STOP - {signal.SIGHUP}


@contextmanager
def rounds(
    seconds: float, count: int | None = None, *, first: float = 0, woken: Callable[[], bool] | None = None
) -> Iterator[Iterator[bool]]:
    """Give an iterator that yields True for each round, every so many seconds, until a signal that ends it.

    And False when something else is to be drawn meanwhile: the terminal has another size, or ``woken``, which is asked
    several times in a second, says so. ``count`` is how many rounds there are at most, and ``first`` the seconds until
    the first of them. All the time signals wait until the next round is asked for, so that nothing is left half drawn.
    """
    ends = stops()
    waited = ends | {signal.SIGWINCH}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    try:
        yield _rounds(seconds, count, first, ends, partial(_came, waited, woken))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _rounds(
    seconds: float, left: int | None, first: float, ends: frozenset[int], wait: Callable[[float], int | None]
) -> Iterator[bool]:
    due = time.monotonic() + first
    while left != 0 and (came := wait(due)) not in ends:
        if came is None:
            due = time.monotonic() + seconds
            left = None if left is None else left - 1
        yield came is None


def _came(waited: frozenset[signal.Signals], woken: Callable[[], bool] | None, due: float) -> int | None:
    """Wait, and return the signal that came, 0 for none but ``woken``; None where the time is over."""
    while (left := due - time.monotonic()) > 0:
        came = signal.sigtimedwait(waited, left if woken is None else min(left, _SOON))
        if came is not None:
            return came.si_signo
        if woken is not None and woken():
            return 0
    return None
