"""What has to come to an end: nothing that an enemy writes may keep us busy."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30  # seconds of CPU time: what ends at all takes less than two, on a slow machine less than five


class EndlessError(Exception):
    """It would go on and on."""


@contextmanager
def soon() -> Iterator[None]:
    """Raise EndlessError out of what is still busy after PATIENCE."""

    def give_up(*_: object) -> None:
        raise EndlessError(f"no end after {PATIENCE} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
