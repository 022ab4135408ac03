"""Objects of each kind for a test, and processes that hold just what the test gives them."""

from __future__ import annotations

import os
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kernel import client
from tests.kernel.typeblob import Blob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")
SOCKET_FILTER, RAW_TRACEPOINT = 1, 17
ARRAY = 2

#: The processes of the tests, this one included; others may list BPF objects at any moment.
FAMILY = {os.getpid()}


@contextmanager
def objects() -> Iterator[dict[str, int]]:
    """One object of each kind."""
    made: dict[str, int] = {}
    try:
        made["prog"] = client.prog_load(SOCKET_FILTER, RETURN_0, name="owned")
        made["map"] = client.map_create(ARRAY, 4, 4, 1, name="owned")
        blob = Blob()
        blob.int_("int", 4, 1)
        made["btf"] = client.btf_load(blob.raw())
        program = client.prog_load(RAW_TRACEPOINT, RETURN_0)
        try:
            made["link"] = client.raw_tracepoint_open("sched_process_exit", program)
        finally:
            os.close(program)
        yield made
    finally:
        for fd in made.values():
            os.close(fd)


@contextmanager
def process(*fds: int, name: bytes = b"holder", then: Callable[[], object] = lambda: None) -> Iterator[int]:
    """A process with these descriptors and no other BPF object, that has called ``then``; yields its pid."""
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        try:
            keep = {*fds, ready[1], go[0]}
            for fd in map(int, os.listdir("/proc/self/fd")):
                if fd > 2 and fd not in keep:
                    try:
                        os.close(fd)
                    except OSError:  # the folder that was listed
                        continue
            Path("/proc/self/comm").write_bytes(name)
            then()
            os.write(ready[1], b"!")
            os.read(go[0], 1)
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(0)
    os.close(ready[1])
    os.close(go[0])
    try:
        assert os.read(ready[0], 1) == b"!", "the process could not do its part"
        FAMILY.add(pid)
        yield pid
    finally:
        os.close(ready[0])
        os.close(go[1])
        os.waitpid(pid, 0)
