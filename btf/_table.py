"""All types of a BTF and its bases side by side, for who goes through most of them.

Inflating the types of a whole kernel takes longer than writing them down as C does. Here they stay
words of the type section: type N starts at ``words[starts[N]]``, and void is no exception, so that
passes over everything need no case of their own for split BTF or for id 0.

Names are text of one character per byte (latin-1), so that string offsets are text offsets;
`decode` turns what was made of them into proper text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import kind as _kind
from btf.errors import BTFError

if TYPE_CHECKING:
    from btf.read import BTF

_VOID = bytes(12)


class Table:
    """The words, starts and names of every type that a BTF can refer to."""

    __slots__ = ("names", "own", "pointer_size", "starts", "words")

    def __init__(self, btf: BTF) -> None:
        chain = [btf]
        while (base := chain[0].base) is not None:
            chain.insert(0, base)
        sections, starts = b"", []
        for part in chain:
            shift = len(sections) // 4
            own = part._starts  # noqa: SLF001 - this is its reading, kept for whom it serves
            starts += [start + shift for start in own] if shift else own
            sections += bytes(part._sections.words)  # noqa: SLF001
        starts.insert(0, len(sections) // 4)
        #: The type section of each part, and a void after them.
        self.words = memoryview(sections + _VOID).cast("I")
        #: Where each type starts, by id.
        self.starts = starts
        #: The ids that do not belong to a base.
        self.own = btf.ids
        self.names = Names(b"".join([part.strings for part in chain]))
        self.pointer_size = btf.pointer_size

    def infos(self) -> list[int]:
        """Return the info word of each type, by id."""
        words = self.words
        return [words[start + 1] for start in self.starts]

    def head(self, type_id: int) -> tuple[int, int, int]:
        """Return a type's kind, its size or the type it refers to, and where its own words start."""
        try:
            start = self.starts[type_id]
        except IndexError:
            raise BTFError(f"type id {type_id} is out of range") from None
        return _kind.of(self.words[start + 1]), self.words[start + 2], start + 3

    def name(self, type_id: int) -> str:
        """Return a type's name, one character per byte."""
        return self.names[self.words[self.starts[type_id]]]


class Names(dict[int, str]):
    """String offset -> string of one character per byte, cut out when it is first asked for."""

    __slots__ = ("_text",)

    def __init__(self, strings: bytes) -> None:
        super().__init__()
        self._text = str(strings, "latin-1")

    def __missing__(self, offset: int) -> str:
        text = self._text
        end = text.find("\0", offset)
        if end < 0:
            raise BTFError(f"string offset {offset} is out of range")
        self[offset] = name = text[offset:end]
        return name


def decode(text: str) -> str:
    """Turn text of one character per byte into text, bytes that are not UTF-8 into surrogates."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "surrogateescape")
