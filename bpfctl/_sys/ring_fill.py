"""How full a ring buffer is, without taking anything out of it."""

from __future__ import annotations

import mmap
from struct import Struct

_POSITION = Struct("=Q")


def positions(map_fd: int) -> tuple[int, int]:
    """Return the positions of the consumer and of the producer of a ring buffer of either kind; OSError when refused.

    They stand at the begin of its first and of its second page (struct bpf_ringbuf in kernel/bpf/ringbuf.c); both may
    be mapped by whoever may read the map. The consumer's is read first, so that the difference is never negative.
    """
    with mmap.mmap(map_fd, 2 * mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ) as pages:
        consumer = _POSITION.unpack_from(pages, 0)[0]
        return int(consumer), int(_POSITION.unpack_from(pages, mmap.PAGESIZE)[0])
