"""What the terminal is like, as far as its descriptor and the environment tell."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_DUMB = ("", "dumb", "unknown")


def is_dumb() -> bool:
    """Return whether the terminal knows no styles and cannot move its cursor, or nobody says what it can."""
    return os.environ.get("TERM", "") in _DUMB


def is_ours() -> bool:
    """Return whether stdin is a terminal whose keys come to us: to who reads in the background it would be a stop."""
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def size(fd: int) -> tuple[int, int]:
    """Return the columns and lines of a terminal; what COLUMNS and LINES say comes first, as for other programs.

    Where tables go into a pipe, they are as wide as the terminal of stderr, or of stdin.
    """
    there = os.terminal_size((0, 0))
    for one in (fd, 2, 0):
        with suppress(OSError):
            there = os.get_terminal_size(one)
            break
    wide, high = (os.environ.get(name, "") for name in ("COLUMNS", "LINES"))
    return int(wide if wide.isdecimal() else there[0]) or 80, int(high if high.isdecimal() else there[1]) or 25


def is_utf8() -> bool:
    """Return whether the user's locale is UTF-8, other than by what Python makes of the C locale (PEP 538)."""
    names = ["LC_ALL", "LC_CTYPE", "LANG"]
    if sys.flags.utf8_mode and os.environ.get("LC_CTYPE") == "C.UTF-8":
        names.remove("LC_CTYPE")
    locale = next((value for name in names if (value := os.environ.get(name))), "")
    return locale.lower().replace("-", "").endswith("utf8")
