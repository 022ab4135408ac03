"""Writing many entries: in batches where the map has them, one by one where not.

The commands came with Linux 5.6 (commit aa2e93b8e58e, "bpf: Add generic support for update and delete batch ops").
"""

from __future__ import annotations

from errno import EINVAL, ENOENT, EOPNOTSUPP
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from bpfctl._sys import maps
from bpfctl.errors import ENOTSUPP, DoesNotFit, KernelError, Unfinished
from bpfctl.uapi.flags import UpdateFlag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bpfctl.kernel.map import Map

T = TypeVar("T")

_CHUNK_BYTES = 1 << 18
_CHUNK_ENTRIES = 1 << 12
# How a map answers that has no batches: old kernels do not know the command, newer ones know that the map has none.
_NO_BATCHES = frozenset({ENOTSUPP, EOPNOTSUPP, EINVAL})


def put(map_: Map, pairs: Iterable[tuple[bytes, bytes]], flags: int = 0) -> int:
    """Set entries and return how many; Unfinished and DoesNotFit tell in ``done`` how many were written before."""

    def write(chunk: list[tuple[bytes, bytes]]) -> int:
        keys, values = zip(*chunk, strict=True)
        return maps.update_batch(map_.fileno(), b"".join(keys), b"".join(values), len(chunk), flags)

    def write_one(pair: tuple[bytes, bytes]) -> int:
        map_.put(*pair, flags)
        return 1

    # The kernel takes no other flag for a batch (generic_map_update_batch() in kernel/bpf/syscall.c).
    by_batch = flags in (0, UpdateFlag.LOCK)
    return total(_written(map_, pairs, write if by_batch else None, write_one))


def delete(map_: Map, keys: Iterable[bytes]) -> int:
    """Delete keys and return how many were there; Unfinished and DoesNotFit tell in ``done`` how many before."""
    size = map_.facts.key_size

    def write(chunk: list[bytes]) -> int:
        packed, start, gone = b"".join(chunk), 0, 0
        while start < len(chunk):
            try:
                gone += maps.delete_batch(map_.fileno(), packed[start * size :], len(chunk) - start)
                break
            except maps.BatchError as error:
                gone += error.done
                start += error.done + 1  # behind a key that is not there
                if error.errno != ENOENT:
                    error.done = gone
                    raise
        return gone

    def write_one(key: bytes) -> int:
        try:
            map_.delete(key)
        except KernelError as error:
            if not error.is_missing:
                raise
            return 0
        return 1

    return total(_written(map_, keys, write, write_one))


def total(written: Iterable[int]) -> int:
    """Add up how many entries were written; where that ends in an error, it becomes one that tells how many before."""
    done = 0
    try:
        for more in written:
            done += more
    except DoesNotFit as error:
        error.done = done
        raise
    except KernelError as error:
        raise Unfinished(error.tried, error.errno or 0, done, hint=error.hint, exit_code=error.exit_code) from None
    return done


def _written(
    map_: Map, items: Iterable[T], write: Callable[[list[T]], int] | None, write_one: Callable[[T], int]
) -> Iterator[int]:
    """Write chunks, or one by one where the map turns out to have no batches; yield how many at a time."""
    room = max(1, map_.facts.key_size + map_.facts.value_room())  # ring buffers have neither
    number = max(1, min(_CHUNK_ENTRIES, _CHUNK_BYTES // room))
    rest, first = iter(items), True
    while chunk := list(islice(rest, number)):
        if write:
            try:
                yield write(chunk)
                first = False
                continue
            except maps.BatchError as error:
                yield error.done
                if not first or error.done or error.errno not in _NO_BATCHES:
                    raise map_.refused("batch failed", error) from None
                write = None
        for item in chunk:
            yield write_one(item)
