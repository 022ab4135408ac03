"""The process that makes names of C++ readable: lines in, lines out. It is run by its path and imports no bpfctl.

The demangler of libstdc++ is the best there is, but a name of 200 bytes may make it write gigabytes, and its faults
are those of C. Names come from files of any user. So it works here, with little memory, little time for each name, and
no rights.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress

_MEMORY = 256 << 20  # bytes
_SECONDS = 0.5  # of the processor for the names of a batch
_LONGEST = 1 << 12  # bytes of a name in words
_NOBODY = 65534


def main() -> None:
    """Answer the lines on standard input whenever one is empty; an empty answer says that a name is none."""
    library = ctypes.CDLL("libstdc++.so.6")
    demangle, free = library["__cxa_demangle"], library["free"]
    demangle.restype, demangle.argtypes = ctypes.c_void_p, [ctypes.c_char_p, *[ctypes.c_void_p] * 3]
    free.restype, free.argtypes = None, [ctypes.c_void_p]
    if os.geteuid() == 0:
        with suppress(OSError):  # in a user namespace that has no such user
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGVTALRM})  # whoever starts this may have blocked all
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    answers: list[bytes] = []
    for line in sys.stdin.buffer:
        name = line.rstrip(b"\n")
        if not name:
            sys.stdout.buffer.write(b"".join(answers))
            sys.stdout.buffer.flush()
            answers.clear()
            continue
        if not answers:
            signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)  # ends the process
        found = demangle(name, None, None, None)
        text = ctypes.string_at(found)[:_LONGEST] if found else b""
        free(found)
        answers.append(text.replace(b"\n", b" ") + b"\n")


if __name__ == "__main__":
    main()
