"""What pyelftools reads of a section: a piece of the file at a time, and no more than a question is worth.

pyelftools believes what files say, such as that a list has 4,294,967,295 items. Each of them is read from here, so this
is where that ends.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfctl.errors import ObjectError

if TYPE_CHECKING:
    from bpfctl.elf.image import Image, Section

_PIECE = 1 << 18  # bytes
_WHOLE = 1 << 23  # bytes of a section that is read as one piece
_MOST_READS = 1 << 24  # a minute, or less
_LONGEST_NUMBER = 1 << 12  # bytes: honest ones have 10


class Patience:
    """How much is left to read until a question is given up."""

    def __init__(self) -> None:
        self.left = _MOST_READS

    def renew(self) -> None:
        """Begin with another question."""
        self.left = _MOST_READS


class Stream:
    """A section, unpacked where that is needed; ``size`` in bytes."""

    def __init__(self, image: Image, section: Section, patience: Patience) -> None:
        self._image, self._section, self._patience = image, section, patience
        self._at = self._start = self._run = 0
        self._piece = b""
        self.size = image.unpacked_size(section)

    def seek(self, at: int, _: int = os.SEEK_SET) -> int:
        """Go to a place, counted from the beginning."""
        self._at = at
        return at

    def tell(self) -> int:
        """Return the place that comes next."""
        return self._at

    def read(self, size: int) -> bytes:
        """Return so many bytes, or fewer where the section ends."""
        into = self._at - self._start
        data = self._piece[into : into + size] if into >= 0 else b""
        if len(data) < size:
            data = self._fetched(size)
        self._at += len(data)
        self._patience.left -= 1
        # Each byte of a number that goes on and on makes it longer, and each takes longer than the one before.
        self._run = self._run + 1 if size == 1 and data > b"\x7f" else 0
        if self._patience.left < 0 or self._run > _LONGEST_NUMBER:
            raise ObjectError(f"{self._image.name}: its debugging information has no end")
        return data

    def _fetched(self, size: int) -> bytes:
        if not 0 <= self._at < self.size:
            return b""
        if self._section.is_compressed:
            self._piece = self._piece or self._image.unpacked(self._section)
        else:
            is_small = self.size <= _WHOLE
            self._start = 0 if is_small else self._at // _PIECE * _PIECE
            end = self.size if is_small else self._at + max(size, _PIECE)
            self._piece = self._image.part(self._section, self._start, end - self._start)
        into = self._at - self._start
        return self._piece[into : into + size]
