"""What a person types at a display that is drawn again and again: single keys, without Enter."""

from __future__ import annotations

import os
import select
import termios
import tty
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bpfctl.render.screen import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST = 64  # keys that are taken at once


@contextmanager
def keyboard() -> Iterator[Callable[[], str] | None]:
    """Yield what returns the keys that were pressed since it was asked last; None where nobody can press any.

    The terminal is as it was in the end. Ctrl-C and Ctrl-Z are signals all the time.
    """
    if not is_ours():
        yield None
        return
    before = termios.tcgetattr(0)
    try:
        tty.setcbreak(0, termios.TCSADRAIN)
        yield _pressed
    finally:
        with suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(0, termios.TCSADRAIN, before)


def _pressed() -> str:
    ready, _, _ = select.select([0], [], [], 0)
    try:
        return os.read(0, _MOST).decode("ascii", "replace") if ready else ""
    except OSError:
        return ""
