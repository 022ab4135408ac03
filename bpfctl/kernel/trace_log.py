"""What programs say: the lines of bpf_trace_printk() in the kernel's trace, and the two streams of a program.

Text of programs is bytes of anybody's making; bytes that are not UTF-8 are lone surrogates in it, as in paths.
"""

from __future__ import annotations

import os
import select
from collections import deque
from errno import EBUSY, EINVAL, ENOSYS
from typing import TYPE_CHECKING

from bpfctl._sys import calls, programs
from bpfctl._sys.fd import FD
from bpfctl.errors import KernelError, NotSupported
from bpfctl.host import bpffs
from bpfctl.kernel.events import Reader
from bpfctl.kernel.refusal import tracefs_hint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.prog import Program

#: The streams of a program (enum bpf_stream_id in kernel/bpf/stream.c).
STREAMS = {"stdout": 1, "stderr": 2}

_ROOM = 1 << 16
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class _Lines:
    """Makes lines of pieces of text."""

    def __init__(self) -> None:
        self.rest = b""

    def add(self, piece: bytes) -> list[str]:
        """Return the lines that are complete now, each with its line break."""
        *lines, self.rest = (self.rest + piece).split(b"\n")
        return [line.decode(errors="surrogateescape") + "\n" for line in lines]


class TraceLog(Reader[str]):
    """The kernel's trace as it is written, a line with its line break each; who reads a line takes it from all others.

    KernelError where that is not allowed, or somebody else reads; NotSupported where there is no tracefs.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            self._pipe = _trace_pipe()
            self._epoll.register(self._pipe.fileno(), select.EPOLLIN)
        except BaseException:
            self.close()
            raise
        self._lines = _Lines()
        self._ready: deque[str] = deque()  # what the kernel has given us and nobody has asked for yet

    def _take(self, most: int) -> list[str]:
        if not self._ready:
            try:
                self._ready.extend(self._lines.add(os.read(self._pipe.fileno(), _ROOM)))
            except BlockingIOError:
                return []
        return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    def _is_there(self) -> bool:
        return bool(self._ready) or super()._is_there()

    def _free(self) -> None:
        if hasattr(self, "_pipe"):
            self._pipe.close()


def _trace_pipe() -> FD:
    """Open the trace where a tracefs is mounted, or else in one that nobody else sees."""
    tried = "could not open trace pipe"
    mounted = [mount.path for mount in bpffs.mounts() if mount.type == "tracefs"]
    try:
        if mounted:
            return FD(os.open(f"{mounted[0]}/trace_pipe", _READ))
        with calls.detached_mount("tracefs") as root:
            return FD(os.open("trace_pipe", _READ, dir_fd=root.fileno()))
    except OSError as error:
        number = error.errno or 0
        if number == ENOSYS:  # before Linux 5.2
            raise NotSupported("could not find tracefs: mount -t tracefs none /sys/kernel/tracing") from None
        hint = _readers() if number == EBUSY else tracefs_hint(number)
        raise KernelError(tried, number, hint=hint) from None


def _readers() -> str:
    """Return who reads the trace, as far as /proc tells."""
    from bpfctl.host import holders  # noqa: PLC0415 - only an error needs it

    found = [f"{comm}({pid})" for pid, comm in holders.of_file("/trace_pipe")]
    return f"{' and '.join(found)} reads it" if found else ""


def stream(program: Program, which: int) -> Iterator[list[str]]:
    """Yield what a program has written to one of its STREAMS and nobody has read, and take it; lines as they are there.

    The last has no line break if the program has written none. NotSupported before Linux 6.17.
    """
    lines = _Lines()
    try:
        while piece := programs.stream_read(program.fileno(), which, _ROOM):
            yield lines.add(piece)
    except OSError as error:
        number = error.errno or 0
        if number == EINVAL:
            raise NotSupported("this kernel has no streams of programs, Linux 6.17 brought them") from None
        raise KernelError("can't read the stream of the program", number) from None
    if lines.rest:
        yield [lines.rest.decode(errors="surrogateescape")]
