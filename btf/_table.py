"""All types of a BTF and its bases side by side, for who goes through most of them.

Inflating the types of a whole kernel takes longer than writing them down as C does. Here they stay
words of the type section: type N starts at ``words[starts[N]]`` and is of kind ``kinds[N]``. Void is
no exception, so that passes over everything need no case of their own for it or for split BTF.

Names are text of one character per byte (latin-1), so that string offsets are text offsets;
`decode` turns what was made of them into proper text.
"""

from __future__ import annotations

import sys
from array import array
from contextlib import suppress
from itertools import compress
from typing import TYPE_CHECKING

from btf import _loops
from btf import kind as _kind
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from btf import _fast
    from btf.read import BTF

_VOID = bytes(12)
_IS_ZERO = bytes([1] + [0] * 255)
_SEVEN_BITS = bytes(range(128)) * 2
#: The names that ``long`` has in debug information, their words in alphabetical order.
_LONGS = (["long"], ["int", "long"], ["long", "unsigned"], ["int", "long", "unsigned"])


class Table:
    """The words, kinds and names of every type that a BTF can refer to."""

    __slots__ = ("fast", "kinds", "names", "own", "pointer_size", "starts", "words")

    def __init__(self, btf: BTF) -> None:
        sections, starts, end = [], array("I", [0]), 0
        for part in btf.parts:
            words, own = part._sections.words, part._starts  # noqa: SLF001 - kept for whom they serve
            if isinstance(own, memoryview) and not end:
                starts.frombytes(own.cast("B"))
            else:
                starts.extend([start + end for start in own])
            sections.append(words)
            end += len(words)
        starts[0] = end
        section, strings = b"".join([*sections, _VOID]), b"".join([part.strings for part in btf.parts])
        #: The type section of each part, and a void.
        self.words = memoryview(section).cast("I")
        #: Where each type starts, by id.
        self.starts = starts
        #: The same for the loops in C; nothing if there are none, or the types are not as compilers make them.
        self.fast = _fast_table(section, starts, strings)
        #: The kind of each type, by id.
        self.kinds = self.fast.kinds() if self.fast else _kinds(self.words, starts)
        #: The ids that do not belong to a base.
        self.own = btf.ids
        self.names = Names(strings)
        self.pointer_size = self._pointer_size()

    def ids(self, *kinds: int, unless: bytes | bytearray | None = None) -> Iterator[int]:
        """Return the ids of all types of these kinds, but those that have a byte in ``unless`` that is not zero."""
        mask = bytearray(256)
        for kind in kinds:
            mask[kind] = 1
        chosen = self.kinds.translate(mask)
        if unless is not None:
            free = unless.translate(_IS_ZERO)
            both = int.from_bytes(chosen, "little") & int.from_bytes(free, "little")
            chosen = both.to_bytes(len(chosen), "little")
        return compress(range(len(chosen)), chosen)

    def _pointer_size(self) -> int:
        """Return the size of ``long`` as the first type called so has it (libbpf src/btf.c determine_ptr_size)."""
        for type_id in self.ids(_kind.INT):
            size = self.words[self.starts[type_id] + 2]
            if size in (4, 8) and sorted(self.name(type_id).split()) in _LONGS:
                return size
        return 8

    def name(self, type_id: int) -> str:
        """Return a type's name, one character per byte."""
        return self.names[self.words[self.starts[type_id]]]

    def record(self, type_id: int) -> list[int]:
        """Return all words of a type whose kind has a known size."""
        start = self.starts[type_id]
        fixed, each = _kind.WORDS.get(self.kinds[type_id], (3, 0))
        if each:
            fixed += each * (self.words[start + 1] & 0xFFFFFF)
        return self.words[start : start + fixed].tolist()

    def column(self, type_id: int, size: int, number: int) -> memoryview:
        """Return one column of a type's members, which are ``size`` words long."""
        start = self.starts[type_id]
        return self.words[start + 3 + number : start + 3 + size * (self.words[start + 1] & 0xFFFFFF) : size]


class Names(dict[int, str]):
    """String offset -> string of one character per byte, cut out when it is first asked for."""

    __slots__ = ("_text",)

    def __init__(self, strings: bytes) -> None:
        super().__init__()
        self._text = str(strings, "latin-1")

    def __missing__(self, offset: int) -> str:
        self[offset] = name = self.cut(offset)
        return name

    @property
    def size(self) -> int:
        """How many bytes all strings have."""
        return len(self._text)

    def are_plain(self, spell: Callable[[str], str] | None) -> bool:
        """Tell whether ``spell``, which goes by characters, leaves every name as it is."""
        if not self._text.isascii():
            return False
        plain = bytes(code for code in range(128) if not code or spell is None or spell(chr(code)) == chr(code))
        return len(plain) == 128 or not self._text.encode("ascii").translate(None, plain)

    def cut(self, offset: int) -> str:
        """Return the string at ``offset`` without remembering it; BTFError if there is none."""
        text = self._text
        end = text.find("\0", offset)
        if end < 0:
            raise BTFError(f"string offset {offset} is out of range")
        return text[offset:end]


def _fast_table(section: bytes, starts: array[int], strings: bytes) -> _fast.Table | None:
    if _loops.fast:
        with suppress(ValueError):
            table: _fast.Table = _loops.fast.Table(section, starts.tobytes(), strings)
            return table
    return None


def _kinds(words: memoryview, starts: array[int]) -> bytes:
    """Return the kind of each type: 7 bits of the highest byte of its second word."""
    highest = bytes(words)[3 if sys.byteorder == "little" else 0 :: 4]
    return bytes(map(highest[1:].__getitem__, starts)).translate(_SEVEN_BITS)


def decode(text: str) -> str:
    """Turn text of one character per byte into text, bytes that are not UTF-8 into surrogates."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "surrogateescape")
