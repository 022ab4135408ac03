"""What differs between two maps, or between a map and entries from elsewhere.

One side is walked, and each of its keys looked up in the other; differences go to a file without name, so that the
memory does not depend on how many there are. A map that changes meanwhile is compared as it was when each key was met.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from errno import ENOENT, EOPNOTSUPP
from struct import Struct
from typing import TYPE_CHECKING

from bpfctl._sys import maps
from bpfctl._sys.fd import Closing
from bpfctl.errors import ENOTSUPP, KernelError, status
from bpfctl.kernel.elements import Chunk, Walk, pieces, values_untold
from bpfctl.kernel.map import PER_CPU

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bpfctl.kernel.map import Map, MapInfo

    Find = Callable[[bytes], bytes | None]

_IN_MEMORY = 1 << 22
_HEAD = Struct("=QQQ")


class Kept:
    """Chunks that are put aside."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - it lives as long as this
        self.entries = 0
        """How many entries are in them."""

    def put(self, keys: list[bytes], values: list[bytes]) -> None:
        """Put entries aside, if there are any."""
        if keys:
            packed = b"".join(keys), b"".join(values)
            try:
                self._file.write(_HEAD.pack(len(packed[0]), len(packed[1]), len(keys)) + packed[0] + packed[1])
                self._file.flush()
            except OSError as error:
                with suppress(OSError):  # what it still holds fits no better now
                    self._file.close()
                hint = "TMPDIR names a folder that has room"
                raise KernelError(
                    "can't keep the differences in a temporary file", error.errno or 0, hint=hint
                ) from None
            self.entries += len(keys)

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the chunks."""
        self._file.seek(0)
        while head := self._file.read(_HEAD.size):
            keys, values, entries = _HEAD.unpack(head)
            yield Chunk(self._file.read(keys), self._file.read(values), entries)

    def close(self) -> None:
        """Forget all of them."""
        self._file.close()


class Comparison(Closing):
    """The differences between what is walked and the map that is asked, after run(); both have the same sizes.

    Use it with ``with``: it keeps what it finds in files.
    """

    def __init__(self, asked: Map) -> None:
        self._asked = asked
        self._info = asked.info()
        self.only_walked = Kept()
        self.only_asked = Kept()
        self.changed = Kept()
        """Of each entry that both have: the key, and the value that was walked before the one that was asked for."""

    def close(self) -> None:
        """Forget everything."""
        for kept in (self.only_walked, self.only_asked, self.changed):
            kept.close()

    @property
    def found(self) -> bool:
        """Whether there are any differences."""
        return bool(self.only_walked.entries or self.only_asked.entries or self.changed.entries)

    def run(self, walked: Iterable[Chunk], find: Find | None = None) -> None:
        """Compare; ``find`` looks a key up in what is walked, else all its keys are kept in memory meanwhile.

        NotSupported where the kernel keeps values to itself, which may differ then or not.
        """
        info, look = self._info, finder(self._asked, self._info)
        room, bare = info.value_room(), _without_gaps(info)
        seen: set[bytes] = set()
        common = met = 0
        for chunk in walked:
            met += chunk.entries
            if find is None:
                seen.update(pieces(chunk.keys, info.key_size))
            alone: tuple[list[bytes], list[bytes]] = ([], [])
            changed: tuple[list[bytes], list[bytes]] = ([], [])
            for key, value in zip(
                pieces(chunk.keys, info.key_size, chunk.entries), pieces(chunk.values, room, chunk.entries), strict=True
            ):
                other = look(key)
                if other is None:
                    alone[0].append(key)
                    alone[1].append(value)
                    continue
                common += 1
                if value != other and bare(value) != bare(other):
                    changed[0].append(key)
                    changed[1].append(value + other)
            self.only_walked.put(*alone)
            self.changed.put(*changed)
        # A file may have a key twice, and then the numbers say nothing.
        if (find is None and len(seen) < met) or common != self._entries():
            self._find_only_asked(find or (lambda key: key if key in seen else None))

    def _entries(self) -> int:
        return sum(chunk.entries for chunk in Walk(self._asked, self._info).told())

    def _find_only_asked(self, find: Find) -> None:
        info, room = self._info, self._info.value_room()
        for chunk in Walk(self._asked, info).told():
            pairs = zip(pieces(chunk.keys, info.key_size), pieces(chunk.values, room, chunk.entries), strict=True)
            alone = [(key, value) for key, value in pairs if find(key) is None]
            self.only_asked.put([key for key, _ in alone], [value for _, value in alone])


def finder(map_: Map, info: MapInfo) -> Find:
    """Return what looks a key up; it returns None for one that is not there."""
    fd, room, lookup = map_.fileno(), info.value_room(), maps.lookup

    def find(key: bytes) -> bytes | None:
        try:
            return lookup(fd, key, room)
        except OSError as error:
            number = error.errno or 0
            if number == ENOENT:
                return None
            if number in {ENOTSUPP, EOPNOTSUPP}:
                raise values_untold(info) from None
            raise KernelError(f"can't look up keys of map {info.id}", number, exit_code=status(number)) from None

    return find


def _without_gaps(info: MapInfo) -> Callable[[bytes], bytes]:
    """Return what leaves out the bytes between the values of CPUs, which mean nothing."""
    size, step = info.value_size, info.value_size + 7 & ~7
    if info.type not in PER_CPU or size == step:
        return lambda value: value
    return lambda value: b"".join([value[at : at + size] for at in range(0, len(value), step)])
