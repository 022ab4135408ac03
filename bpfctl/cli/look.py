"""Which of a map's entries are shown: the options of ``map dump`` and ``map watch``."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import UsageError
from bpfctl.kernel import sieve
from bpfctl.kernel.address import address, network
from bpfctl.kernel.field import Fields
from bpfctl.uapi.enums import MapType
from bpfctl.views import map as map_view
from bpfctl.views.element import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bpfctl.kernel.cpu_sum import Summed
    from bpfctl.kernel.elements import Chunk
    from bpfctl.kernel.map import MapInfo
    from bpfctl.kernel.map_types import Types
    from bpfctl.render.output import Output
    from bpfctl.views.view import Stream

_HEX = frozenset(string.hexdigits)


class Look(NamedTuple):
    """What the options say; all of them together hold, in this order."""

    prefix: str | None = None
    sum: bool = False
    where: Sequence[str] | None = None
    top: tuple[str, int] | None = None
    limit: int | None = None


EVERYTHING = Look()


class Looking:
    """A look at one map; UsageError for options that make no sense for it."""

    def __init__(self, info: MapInfo, types: Types | None, look: Look) -> None:
        #: What is known of the map; with --sum, of the sums.
        self.info = info
        self.types = types
        self._map = info
        self._summed: Summed | None = None
        self._steps: list[Callable[[Iterable[Chunk]], Iterable[Chunk]]] = []
        grid = Fields(info, types).grid
        if look.prefix is not None:
            prefix = key_prefix(look.prefix, info)
            self._steps.append(lambda chunks: prefix.sieve(chunks, grid))
        if look.sum:
            self._sum()
        found = Fields(self.info, self.types)
        if look.where:
            self._steps.append(sieve.Sieve(found, look.where))
        if look.top is not None:
            path, most = look.top
            if most < 1:
                raise UsageError(f"--top: the number of entries is 1 or more, not {most}")
            found.find(path).number()
            self._steps.append(lambda chunks: sieve.largest(chunks, found, path, most))
        if look.limit is not None:
            limit = look.limit
            self._steps.append(lambda chunks: sieve.limited(chunks, limit, found.grid))

    def _sum(self) -> None:
        from bpfctl.kernel.cpu_sum import Summed

        self._summed = Summed(self.info, self.types)
        self.info, self.types = self._summed.info, self._summed.types
        self._steps.append(self._summed)

    def chunks(self, chunks: Iterable[Chunk]) -> Iterable[Chunk]:
        """Return what is left of a map's chunks."""
        for step in self._steps:
            chunks = step(chunks)
        return chunks

    def stream(self, chunks: Iterable[Chunk]) -> Stream:
        """Return what shows the entries."""
        shape = Shape(self.info, self.types)
        there = (chunk for chunk in chunks if not shape.is_gap(chunk))
        head, title = map_view.head_json(self._map), map_view.head_plain(self._map)
        stream = shape.stream(self.chunks(there))
        if self._summed is not None:
            stream = stream._replace(extra=None)  # nobody could restore the map from sums
        return stream._replace(head=head, title=title, empty=f"no entries of map {self.info.id} match")

    def tell(self, out: Output) -> None:
        """Say afterwards what a reader must know of the numbers."""
        if self._summed is not None and self._summed.overflows:
            sums = f"{self._summed.overflows} sums" if self._summed.overflows > 1 else "a sum"
            out.warn(f"map {self.info.id}: {sums} did not fit into 64 bits, and went round as in C")


def key_prefix(text: str, info: MapInfo) -> sieve.Prefix:
    """Read what keys begin with: hexadecimal bytes, ``str TEXT``, an address or a network."""
    trie = info.type is MapType.LPM_TRIE
    prefix = _network(text, info.key_size, trie=trie) or sieve.Prefix(data := _bytes(text), len(data) * 8)
    if (prefix.bits + 7) // 8 + prefix.at > info.key_size:
        raise UsageError(f"--key-prefix: {(prefix.bits + 7) // 8} bytes are more than the {info.key_size} of a key")
    return prefix


def _bytes(text: str) -> bytes:
    if text.startswith("str "):
        return text[4:].encode(errors="surrogateescape")
    words = text.removeprefix("hex ").replace(":", " ").split()
    digits = [word[2:] if word[:2] in ("0x", "0X") else word for word in words]
    if len(digits) == 1 and len(digits[0]) % 2 == 0:
        digits = [digits[0][at : at + 2] for at in range(0, len(digits[0]), 2)]
    if not digits or not all(0 < len(word) <= 2 and _HEX.issuperset(word) for word in digits):
        raise UsageError(
            f"--key-prefix: '{text}' is neither hexadecimal bytes such as '0a 00', nor 'str TEXT', nor an address"
        )
    return bytes(int(word, 16) for word in digits)


def _network(text: str, key_size: int, *, trie: bool) -> sieve.Prefix | None:
    """Read an address or a network, where the key or the trie's address has room for it."""
    at = 4 if trie else 0
    for size in (4, 16):
        found = network(text, size)
        if found is not None and (key_size - at == size if trie else key_size >= size):
            return sieve.Prefix(*found, at)
        if found is None and "/" in text and address(text.partition("/")[0], size) is not None:
            raise UsageError(f"--key-prefix: '{text}' has no prefix length of 0 to {size * 8}")
        if found is not None:
            room = f"{key_size - at} bytes"
            raise UsageError(f"--key-prefix: '{text}' is an address of {size} bytes, and keys have {room} for one")
    return None
