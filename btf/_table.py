"""All types of a BTF and its bases side by side, for who goes through most of them.

Inflating the types of a whole kernel takes longer than writing them down as C does. Here they stay
words of the type section: type N starts at ``words[starts[N]]`` and is of kind ``kinds[N]``. Void is
no exception, so that passes over everything need no case of their own for it or for split BTF.

Names are text of one character per byte (latin-1), so that string offsets are text offsets;
`decode` turns what was made of them into proper text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import kind as _kind
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btf.read import BTF

_VOID = bytes(12)


class Table:
    """The words, kinds and names of every type that a BTF can refer to."""

    __slots__ = ("kinds", "names", "own", "pointer_size", "starts", "words")

    def __init__(self, btf: BTF) -> None:
        chain = [btf]
        while (base := chain[0].base) is not None:
            chain.insert(0, base)
        sections, starts, end = [], [0], 0
        for part in chain:
            words, own = part._sections.words, part._starts  # noqa: SLF001 - kept for whom they serve
            starts += [start + end for start in own] if end else own
            sections.append(words)
            end += len(words)
        starts[0] = end
        #: The type section of each part, and a void.
        self.words = memoryview(b"".join([*sections, _VOID])).cast("I")
        #: Where each type starts, by id.
        self.starts = starts
        #: The kind of each type, by id.
        self.kinds = bytes(map(_Kinds().__getitem__, map(self.words[1:].__getitem__, starts)))
        #: The ids that do not belong to a base.
        self.own = btf.ids
        self.names = Names(b"".join([part.strings for part in chain]))
        self.pointer_size = btf.pointer_size

    def ids(self, kind: int) -> Iterator[int]:
        """Yield the ids of all types of a kind."""
        find, type_id = self.kinds.find, -1
        while (type_id := find(kind, type_id + 1)) >= 0:
            yield type_id

    def name(self, type_id: int) -> str:
        """Return a type's name, one character per byte."""
        return self.names[self.words[self.starts[type_id]]]

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

    def cut(self, offset: int) -> str:
        """Return the string at ``offset`` without remembering it; BTFError if there is none."""
        text = self._text
        end = text.find("\0", offset)
        if end < 0:
            raise BTFError(f"string offset {offset} is out of range")
        return text[offset:end]


class _Kinds(dict[int, int]):
    """Info word -> kind; a whole kernel uses only some 300 info words."""

    __slots__ = ()

    def __missing__(self, info: int) -> int:
        self[info] = kind = _kind.of(info)
        return kind


def decode(text: str) -> str:
    """Turn text of one character per byte into text, bytes that are not UTF-8 into surrogates."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "surrogateescape")
