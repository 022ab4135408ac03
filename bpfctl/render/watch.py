"""The rhythm of a display that is drawn again and again."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STOP = frozenset({signal.SIGINT, signal.SIGTERM})


def rounds(seconds: float) -> Iterator[None]:
    """Yield for each round: every so many seconds, and when the terminal changes its size, until Ctrl-C or SIGTERM.

    The signals wait while a round is drawn, so that none is ever left half drawn.
    """
    waited = _STOP | {signal.SIGWINCH}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    try:
        while True:
            due = time.monotonic() + seconds
            yield
            came = signal.sigtimedwait(waited, max(0.0, due - time.monotonic()))
            if came is not None and came.si_signo in _STOP:
                return
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
