"""An output that a test can read back."""

from __future__ import annotations

import os

from bpfctl.render.sink import Sink


class Memory(Sink):
    """A sink into a file that exists only in memory."""

    def __init__(self) -> None:
        super().__init__(os.memfd_create("output"))

    def __del__(self) -> None:
        os.close(self.fd)

    @property
    def text(self) -> str:
        """What was written so far."""
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0).decode(errors="surrogateescape")
