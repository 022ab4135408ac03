"""Commands that go on until somebody stops them: Ctrl-C, SIGTERM and SIGHUP are then a good end, not an error."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bpfctl.render.watch import stops

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.kernel.events import Reader


class Stop:
    """Whether somebody wants us to stop, and the readers that are closed then."""

    def __init__(self) -> None:
        self.came = False
        self._readers: list[Reader[Any]] = []

    def closes(self, reader: Reader[Any]) -> None:
        """Close a reader when somebody wants us to stop; at once if that was before."""
        self._readers.append(reader)
        if self.came:
            reader.close()

    def __call__(self, number: int, _frame: object) -> None:
        """Handle a signal; a second one does not wait until the first has taken effect."""
        signal.signal(number, signal.SIG_DFL)
        self.came = True
        for reader in self._readers:
            reader.close()


@contextmanager
def stopping() -> Iterator[Stop]:
    """Take the signals that mean a stop; those that were held back are taken first.

    Ctrl-C is one also of what a shell has started with ``&``, which has it ignored: scripts end it by ``kill -INT``.
    """
    stop = Stop()
    before = {number: signal.signal(number, stop) for number in stops()}
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, before)
    try:
        yield stop
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Keep signals that mean a stop for whoever takes or waits for them, so that none cuts us short before.

    Those that nobody has waited for are dropped in the end, since it is what they ask for.
    """
    held = stops()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        _drop(held)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hurry() -> None:
    """Let Ctrl-C through again: whoever presses it from now on does not want to wait for what is left to do."""
    _drop({signal.SIGINT})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _drop(held: Iterable[signal.Signals]) -> None:
    while signal.sigtimedwait(held, 0):
        pass


def wait(seconds: float | None) -> None:
    """Wait for so many seconds, None for ever; a signal that means a stop ends it too."""
    with held_back():
        if seconds is None:
            signal.sigwaitinfo(stops())
        else:
            signal.sigtimedwait(stops(), seconds)


def stopped_within(seconds: float) -> bool:
    """Wait for so many seconds, and return whether a signal that means a stop came; they must be held back."""
    return signal.sigtimedwait(stops(), seconds) is not None
