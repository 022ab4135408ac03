"""Small programs for tests that probe processes; those of C are compiled once in a run."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Reads lines of a word and a number, does that so many times, and answers with the number.
TALK = r"""
#include <stdio.h>
#include <string.h>
static void does(const char *what, long count);
int main(void)
{
    char what[64];
    long count;
    while (scanf("%63s %ld", what, &count) == 2) {
        does(what, count);
        snprintf(what, sizeof(what), "%ld", count);
        puts(what);
        fflush(stdout);
    }
    return 0;
}
"""


@cache
def folder() -> Path:
    """Return a folder for what is compiled; it goes when the tests end."""
    made = tempfile.TemporaryDirectory(prefix="bpfctl-called-")
    _kept.append(made)
    return Path(made.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


@cache
def built(name: str, source: str, *options: str, compiler: str = "gcc", language: str = "c") -> Path:
    """Return a program of a source, which is asked by `Called` where it defines ``does``."""
    path = folder() / name
    command = [compiler, "-O1", "-g0", "-x", language, "-", "-o", str(path), *options]
    subprocess.run(command, input=source, text=True, check=True)
    return path


class Called:
    """A process that does what it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def does(self, what: str, count: int = 1) -> int:
        """Have it do something so many times, and return its answer when it has."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{what} {count}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def called(*command: str | Path) -> Iterator[Called]:
    """Run a program."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Called(process)
        finally:
            assert process.stdin
            process.stdin.close()


#: NOTE(semaphore, "provider", "name", "arguments", operands...) is a static probe, as <sys/sdt.h> makes them.
NOTES = r"""
#define NOTE(semaphore, provider, name, arguments, ...) __asm__ volatile( \
    "990: nop\n" \
    ".pushsection .note.stapsdt, \"\", \"note\"\n" \
    ".balign 4\n" \
    ".4byte 992f - 991f, 994f - 993f, 3\n" \
    "991: .asciz \"stapsdt\"\n" \
    "992: .balign 4\n" \
    "993: .8byte 990b, _.stapsdt.base, " semaphore "\n" \
    ".asciz \"" provider "\", \"" name "\", \"" arguments "\"\n" \
    "994: .balign 4\n" \
    ".popsection\n" \
    ".ifndef _.stapsdt.base\n" \
    ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n" \
    ".weak _.stapsdt.base\n" \
    ".hidden _.stapsdt.base\n" \
    "_.stapsdt.base: .space 1\n" \
    ".size _.stapsdt.base, 1\n" \
    ".popsection\n" \
    ".endif\n" \
    : : __VA_ARGS__)
"""
