"""How a kernel structure lies in memory."""

from __future__ import annotations

from struct import Struct
from typing import Any


class Layout:
    """The fields of a structure that the kernel fills: (name, offset, struct format character or count and 's').

    A bit field is read as the whole word that holds it.
    """

    __slots__ = ("_names", "_struct", "_untold", "ends", "offsets", "size")

    def __init__(self, size: int, fields: tuple[tuple[str, int, str], ...]) -> None:
        form, at = "=", 0
        self.ends: dict[str, int] = {}
        for name, offset, code in fields:
            form += f"{offset - at}x{code}" if offset > at else code
            at = offset + Struct("=" + code).size
            self.ends[name] = at
        self._struct = Struct(form + (f"{size - at}x" if size > at else ""))
        self._names = tuple(name for name, _, _ in fields)
        self.offsets = {name: offset for name, offset, _ in fields}
        self.size = size

    def unpack(self, raw: bytes) -> dict[str, Any]:
        """Decode a structure as long as the kernel wrote it; a field that it did not write is None."""
        if len(raw) >= self.size:
            return dict(zip(self._names, self._struct.unpack_from(raw), strict=True))
        fields = dict(zip(self._names, self._struct.unpack(raw.ljust(self.size, b"\0")), strict=True))
        for name, end in self.ends.items():
            if end > len(raw):
                fields[name] = None
        return fields
