"""A process that does what it is told, line by line: a word and a number. It answers each with a number."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import time

_WORD = ctypes.c_int64()
_VIEW = memoryview(_WORD).cast("B").cast("q")
_MAPPED: list[mmap.mmap] = []
_LIBC = ctypes.CDLL(None)
_MADV_NOHUGEPAGE = 15


def opens(count: int) -> int:
    """Look for files that are not there."""
    for number in range(count):
        try:
            os.close(os.open(f"/nonexistent/{number}", os.O_RDONLY))
        except FileNotFoundError:
            continue
    return count


def forks(count: int) -> int:
    """Have children, one after the other."""
    for _ in range(count):
        if not (pid := os.fork()):
            os._exit(0)
        os.waitpid(pid, 0)
    return count


def yields(count: int) -> int:
    """Let others have the CPU."""
    for _ in range(count):
        os.sched_yield()
    return count


def narrow(count: int) -> int:
    """Ask for the user as a 32-bit program does, by the number that is sched_yield() of others (x86-64); return it."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x18\0\0\0\xcd\x80\xc3")  # mov $24, %eax; int $0x80; ret
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    return max(call() for _ in range(count))


def sleeps(count: int) -> int:
    """Leave the CPU for a moment."""
    for _ in range(count):
        time.sleep(0.0001)
    return count


def spins(count: int) -> int:
    """Be busy."""
    return sum(range(count))


def calls(count: int) -> int:
    """Call the function of the C library that `function` finds."""
    for _ in range(count):
        _LIBC.getppid()
    return count


def function(_: int) -> int:
    """Return the address of what `calls` calls."""
    return ctypes.cast(_LIBC.getppid, ctypes.c_void_p).value or 0


def maps(count: int) -> int:
    """Map fresh pages; return where."""
    memory = mmap.mmap(-1, count * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(_MADV_NOHUGEPAGE)
    _MAPPED[:] = [memory]
    return ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory))


def touches(count: int) -> int:
    """Write to the first of the pages that were mapped last."""
    for page in range(count):
        _MAPPED[0][page * mmap.PAGESIZE] = 1
    return count


def where(_: int) -> int:
    """Return the address of the word that `writes` writes and `reads` reads."""
    return ctypes.addressof(_WORD)


def writes(count: int) -> int:
    """Write the word."""
    for number in range(count):
        _VIEW[0] = number
    return count


def reads(count: int) -> int:
    """Read the word."""
    return sum(_VIEW[0] == -1 for _ in range(count))


if __name__ == "__main__":
    for line in sys.stdin:
        what, number = line.split()
        print(globals()[what](int(number)), flush=True)
