"""Whose something is, when that process may have ended: /proc/PID/stat, status and ns/pid (proc(5))."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple

_STARTED = 19  # field of stat behind the name, which is the second and may have blanks and brackets
_INITIAL = 0xEFFFFFFC  # the namespace that has all processes (PROC_PID_INIT_INO in include/linux/proc_ns.h)


class Lifetime(NamedTuple):
    """A process among all that there have been since the machine started, as numbers are given again."""

    pid: int
    started: int  # clock ticks since then
    namespace: int  # in which this is its number


def own() -> Lifetime:
    """Return that of this process; OSError where /proc is not there."""
    return Lifetime(os.getpid(), _started("self"), _namespace("self"))


def is_over(life: Lifetime) -> bool | None:
    """Return whether a process has ended; None where it may be in a namespace that cannot be seen from here."""
    here = _namespace("self")
    if life.namespace == here:
        with suppress(OSError):
            return _started(str(life.pid)) != life.started
        return True
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):  # it is gone meanwhile
            if _namespace(name) == life.namespace and _started(name) == life.started and _inner(name) == life.pid:
                return False
    return True if here == _INITIAL else None


def _started(name: str) -> int:
    with open(f"/proc/{name}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[_STARTED])


def _namespace(name: str) -> int:
    return os.stat(f"/proc/{name}/ns/pid").st_ino


def _inner(name: str) -> int:
    """Return the number of a process in its own namespace."""
    with open(f"/proc/{name}/status", "rb") as file:
        lines = file.read().split(b"\n")  # the process may have named itself with other ends of line
    return next((int(line.split()[-1]) for line in lines if line.startswith(b"NSpid:")), int(name))
