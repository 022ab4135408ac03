"""Lines of what a ring buffer brings, until that is over, and what was lost of it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Protocol

from bpfctl.cli.probe_run import is_watched
from bpfctl.views.hit_lines import HitLines
from bpfctl.views.hits import HITS, OF_ONE, missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.cli.session import Session
    from bpfctl.cli.stop import Stop
    from bpfctl.kernel.ring_buffer import RingBuffer
    from bpfctl.probe.actions.trace import Hit, Hits
    from bpfctl.probe.session import Probing
    from bpfctl.views.view import View

_AT_ONCE = 4096  # hits


class Lines(Protocol):
    """An action that sends records of hits."""

    def reader(self) -> RingBuffer[bytes]:
        """Return what reads the records."""

    def hits(self, records: Sequence[bytes]) -> Hits:
        """Return what records tell."""

    def lost(self) -> int:
        """Return how many hits found the buffer full."""


def lines(*, one: bool) -> View[Hit]:
    """Return how hits are shown; ``one`` says that a person knows where they come from."""
    return (OF_ONE if one else HITS)._replace(lines=HitLines())


def follow(
    session: Session,
    action: Lines,
    run: Probing,
    stop: Stop,
    view: View[Hit],
    *,
    limit: int | None,
    duration: float | None,
) -> None:
    """Show hits as they come, until somebody stops us, or so many have come, or the time is over; then detach."""
    out, told = session.out, 0

    def tell_lost() -> None:
        nonlocal told
        lost = action.lost()
        if lost > told:
            out.warn(f"{lost - told} hits were lost: the buffer was full (--buffer BYTES makes a larger one)")
            told = lost

    with action.reader() as reader:
        stop.closes(reader)

        def batches() -> Iterator[Hits]:
            left = limit
            for records in reader.batches(limit=limit, seconds=duration):
                left = None if left is None else left - len(records)
                yield action.hits(records)
                tell_lost()
            run.stop()
            if left == 0:
                return
            rest = _rest(action, left)  # what came before the end and is still in the buffer
            yield from islice(rest, 1) if is_watched(session) else rest
            if more := sum(map(len, rest)):
                out.warn(f"{more} more hits are not shown: the terminal was slower than they came")

        out.follow(view, batches())
        tell_lost()
        if missed := run.missed():
            out.warn(missing(missed))


def _rest(action: Lines, limit: int | None) -> Iterator[Hits]:
    """Yield what is in the buffer when nobody writes to it any more."""
    with action.reader() as reader:
        while limit is None or limit > 0:
            records = reader.read(_AT_ONCE if limit is None else min(limit, _AT_ONCE))
            if not records:
                return
            limit = None if limit is None else limit - len(records)
            yield action.hits(records)
