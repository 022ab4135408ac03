"""The process that makes names of C++ readable: a line in, a line out. It is run by its path, and imports no bpfctl.

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
_SECONDS = 0.5  # of the processor for a name
_LONGEST = 1 << 12  # bytes of a name in words
_NOBODY = 65534


def main() -> None:
    """Answer each line on standard input; an empty line says that a name is none."""
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
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)  # ends the process
        found = demangle(line.rstrip(b"\n"), None, None, None)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        text = ctypes.string_at(found)[:_LONGEST] if found else b""
        free(found)
        sys.stdout.buffer.write(text.replace(b"\n", b" ") + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
