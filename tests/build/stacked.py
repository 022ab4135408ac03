"""Programs that tell the addresses of their functions and of their own stack, and then wait."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: What begins a program: TELL(word, address) tells an address, and waits() never returns.
TELLING = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#define ALONE __attribute__((noinline, noclone))
#define TELL(word, address) printf("%s %lx\n", word, (unsigned long)(uintptr_t)(address))
__attribute__((noreturn)) ALONE static void waits(void)
{
    char byte;
    puts(".");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) { }
    exit(0);
}
"""

#: Each function calls the next with its last instruction, since none returns: what follows is another function.
CHAIN = (
    TELLING
    + r"""
#include <execinfo.h>
__attribute__((noreturn)) ALONE static void leaf(void)
{
    void *found[64];
    int count = backtrace(found, 64);
    for (int at = 0; at < count; at++) TELL("stack", found[at]);
    waits();
}
__attribute__((noreturn)) ALONE static void middle(void) { leaf(); }
__attribute__((noreturn)) ALONE void outer(void) { middle(); }
int main(void)
{
    TELL("leaf", leaf);
    TELL("middle", middle);
    TELL("outer", outer);
    outer();
}
"""
)


class Told:
    """A process, and the addresses that it has told by word."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid
        self.addresses: defaultdict[str, list[int]] = defaultdict(list)
        assert process.stdout
        for line in process.stdout:
            if line == ".\n":
                return
            word, address = line.rsplit(maxsplit=1)
            self.addresses[word].append(int(address, 16))
        raise AssertionError("it has ended")

    def end(self) -> None:
        """Let it end."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def __getitem__(self, word: str) -> int:
        return self.addresses[word][0]


@contextmanager
def telling(*command: str | Path, pass_fds: Sequence[int] = ()) -> Iterator[Told]:
    """Run a program until it has told all, and end it at the end."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(list(map(os.fspath, command)), text=True, pass_fds=pass_fds, **pipes) as process:
        try:
            yield Told(process)
        finally:
            assert process.stdin
            process.stdin.close()
