"""
BTF written by hand: the few kinds that the zoo's programs and maps need, and nothing of the product.

Kernel: include/uapi/linux/btf.h.
"""

from __future__ import annotations

import struct

_KIND_SHIFT = 24
INT, PTR, ARRAY, STRUCT, CONST, FUNC, FUNC_PROTO, VAR, DATASEC = 1, 2, 3, 4, 10, 12, 13, 14, 15
STATIC, GLOBAL = 0, 1
SIGNED, CHAR = 1, 2


class Blob:
    """Types in the making; every method returns the id of the type that it appends."""

    def __init__(self) -> None:
        self._strings = bytearray(b"\0")
        self._types = bytearray()
        self._count = 0

    def string(self, text: str) -> int:
        """Append a string, of which this is the offset."""
        if not text:
            return 0
        self._strings += text.encode() + b"\0"
        return len(self._strings) - len(text.encode()) - 1

    def _append(self, kind: int, name: str, size_or_type: int, rest: bytes = b"", vlen: int = 0) -> int:
        self._types += struct.pack("=III", self.string(name), kind << _KIND_SHIFT | vlen, size_or_type) + rest
        self._count += 1
        return self._count

    def int_(self, name: str, size: int, encoding: int = 0) -> int:
        """Append an integer."""
        return self._append(INT, name, size, struct.pack("=I", encoding << 24 | size * 8))

    def ptr(self, target: int) -> int:
        """Append a pointer; target 0 is void."""
        return self._append(PTR, "", target)

    def const(self, target: int) -> int:
        """Append a const."""
        return self._append(CONST, "", target)

    def array(self, element: int, index: int, count: int) -> int:
        """Append an array."""
        return self._append(ARRAY, "", 0, struct.pack("=III", element, index, count))

    def struct_(self, name: str, size: int, members: list[tuple[str, int, int]]) -> int:
        """Append a struct of (name, type, byte offset)."""
        rest = b"".join(struct.pack("=III", self.string(member), type_, off * 8) for member, type_, off in members)
        return self._append(STRUCT, name, size, rest, len(members))

    def func(self, name: str, returns: int, parameters: list[tuple[str, int]], linkage: int = STATIC) -> int:
        """Append a prototype and the function that has it; the id is the function's."""
        rest = b"".join(struct.pack("=II", self.string(parameter), type_) for parameter, type_ in parameters)
        proto = self._append(FUNC_PROTO, "", returns, rest, len(parameters))
        return self._append(FUNC, name, proto, vlen=linkage)

    def var(self, name: str, type_: int, linkage: int = GLOBAL) -> int:
        """Append a variable."""
        return self._append(VAR, name, type_, struct.pack("=I", linkage))

    def datasec(self, name: str, size: int, variables: list[tuple[int, int, int]]) -> int:
        """Append a section of (variable, offset, size)."""
        rest = b"".join(struct.pack("=III", *row) for row in variables)
        return self._append(DATASEC, name, size, rest, len(variables))

    def raw(self) -> bytes:
        """Return what BPF_BTF_LOAD takes."""
        lengths = (0, len(self._types), len(self._types), len(self._strings))
        return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, *lengths) + self._types + self._strings
