"""Writing many entries: in batches where the map has them, one by one where not, and always knowing how far it is.

Some maps show ids where they take descriptors: maps of maps, program arrays, and the programs of devices and CPUs in
devmaps and cpumaps (struct bpf_devmap_val and struct bpf_cpumap_val in include/uapi/linux/bpf.h). What an id names is
opened while its entry is written.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, nullcontext
from errno import E2BIG, EBUSY, ENOENT, EPERM
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys import maps
from bpfctl.errors import KernelError, NotSupported, status
from bpfctl.kernel.elements import UNREADABLE, Chunk, pieces
from bpfctl.kernel.map import OF_MAPS, Map
from bpfctl.kernel.names import map_type
from bpfctl.kernel.prog import Program
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bpfctl.kernel.map import MapInfo

_AT_ONCE = 1 << 20  # bytes of keys and values in one batch
_SINGLES = 256  # entries that are written one by one between two chances to interrupt
_OPEN = 64  # maps or programs that are held at a time
_TRIES = 100  # how often an entry is written again when others hold the lock of its bucket


class _Held(NamedTuple):
    """Where a value has the id of something, and how that is opened."""

    at: int
    open: Callable[[int], Map | Program]
    optional: bool = False  # 0 is none


_PROGRAMS = {MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP}
# Values that no file can hold, because they are sockets, or files, or what only programs put there.
_NO_VALUES = {
    MapType.SOCKMAP: "its values are sockets",
    MapType.SOCKHASH: "its values are sockets",
    MapType.REUSEPORT_SOCKARRAY: "its values are sockets",
    MapType.XSKMAP: "its values are sockets",
    MapType.PERF_EVENT_ARRAY: "its values are perf events",
    MapType.CGROUP_ARRAY: "its values are cgroups, which the kernel does not tell",
    MapType.STACK_TRACE: "only programs put stacks into it",
    MapType.STRUCT_OPS: "its value is registered with the kernel, not written",
    MapType.INSN_ARRAY: "its values belong to the program that it was loaded with",
}
_NO_KEYS = frozenset({MapType.QUEUE, MapType.STACK, MapType.BLOOM_FILTER})


def check_writable(info: MapInfo) -> None:
    """Raise NotSupported for a map whose entries cannot be written from what was read."""
    kind = info.type
    if not isinstance(kind, MapType):
        return
    reason = _NO_VALUES.get(kind) or (UNREADABLE.get(kind) if kind not in _NO_KEYS else None)
    if reason:
        raise NotSupported(f"entries cannot be brought back into a {map_type(kind)} map: {reason}")


class Writer:
    """Writes entries as they were read from a map; ``done`` says how many are there.

    ``hold`` guards what must not be interrupted, so that the count is true.
    """

    def __init__(
        self,
        map_: Map,
        info: MapInfo,
        flags: int = 0,
        hold: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._fd = map_.fileno()
        self._info = info
        self._room = info.value_room()
        self._flags = flags
        self._hold = hold
        self._held = _held(info)
        # The kernel takes no flags for entries of a batch (generic_map_update_batch() in kernel/bpf/syscall.c).
        self._batches = not flags and info.key_size > 0
        self._waiting: list[Chunk] = []
        self._size = 0
        self.done = 0
        self.deleted = 0

    def write(self, chunk: Chunk) -> None:
        """Write entries, some time before flush() returns; KernelError says at which one the kernel has refused."""
        self._waiting.append(chunk)
        self._size += len(chunk.keys) + len(chunk.values)
        if self._size >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what was put off."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        keys = b"".join([chunk.keys for chunk in waiting])
        values = b"".join([chunk.values for chunk in waiting])
        count = sum(chunk.entries for chunk in waiting)
        at = 0
        while at < count:
            step = _OPEN if self._held else count - at if self._batches else _SINGLES
            end = min(at + step, count)
            some = values[at * self._room : end * self._room]
            with ExitStack() as opened:
                if self._held:
                    some = self._opened(self._held, some, opened)
                with self._hold():
                    self._write(keys[at * self._info.key_size : end * self._info.key_size], some, end - at)
            at = end

    def _opened(self, held: _Held, values: bytes, opened: ExitStack) -> bytes:
        """Put descriptors in the place of ids."""
        fds: dict[bytes, bytes] = {bytes(4): bytes(4)} if held.optional else {}
        out = bytearray(values)
        for at in range(held.at, len(values), self._room):
            id_ = values[at : at + 4]
            if id_ not in fds:
                handle = opened.enter_context(held.open(int.from_bytes(id_, sys.byteorder)))
                fds[id_] = handle.fileno().to_bytes(4, sys.byteorder)
            out[at : at + 4] = fds[id_]
        return bytes(out)

    def _write(self, keys: bytes, values: bytes, count: int) -> None:
        size, room = self._info.key_size, self._room
        at = 0
        while at < count:
            if self._batches and count - at > 1:
                done = self._batch(keys[at * size :], values[at * room :], count - at)
                at += done
                self.done += done
                if at == count:
                    return
            self._one(keys[at * size : (at + 1) * size], values[at * room : (at + 1) * room])
            at += 1
            self.done += 1

    def _batch(self, keys: bytes, values: bytes, count: int) -> int:
        """Return how many entries a batch has set; the one after them is worth a try of its own."""
        try:
            return maps.update_batch(self._fd, keys, values, count)
        except maps.BatchError as error:
            if not error.done and not self.done:
                self._batches = False  # the map may have none
            return error.done

    def _one(self, key: bytes, value: bytes) -> None:
        for tries in range(_TRIES):
            try:
                maps.update(self._fd, key or None, value, self._flags)
            except OSError as error:
                if error.errno != EBUSY or tries == _TRIES - 1:
                    raise self._refused("update", key, error.errno or 0) from None
                time.sleep(0.001)
            else:
                return

    def delete(self, keys: bytes) -> None:
        """Delete entries one by one; those that are gone are no error."""
        for key in pieces(keys, self._info.key_size):
            with self._hold():
                try:
                    maps.delete(self._fd, key)
                except OSError as error:
                    if error.errno != ENOENT:
                        raise self._refused("delete", key, error.errno or 0) from None
                else:
                    self.deleted += 1

    def _refused(self, what: str, key: bytes, errno: int) -> KernelError:
        hint = ""
        if errno == E2BIG and what == "update":
            hint = f"the map has room for {self._info.max_entries} entries"
        elif errno == EPERM:
            hint = "the map may be frozen"
        where = f" key {key[:_SHOWN].hex(' ')}{' ...' * (len(key) > _SHOWN)}" if key else ""
        return KernelError(f"can't {what}{where}", errno, hint=hint, exit_code=status(errno))


_SHOWN = 32


def _held(info: MapInfo) -> _Held | None:
    if info.type in OF_MAPS:
        return _Held(0, lambda id_: Map.by_id(id_, write=True))
    if info.type is MapType.PROG_ARRAY:
        return _Held(0, Program.by_id)
    if info.type in _PROGRAMS and info.value_size >= 8:
        return _Held(4, Program.by_id, optional=True)
    return None
