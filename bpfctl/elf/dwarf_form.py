"""The values of DWARF: how each form lies in the bytes of a unit, and what it means.

Format: DWARF 5, 7.5.6 and 7.6; GNU's forms are those of the file that several share, and of its drafts for split files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import ObjectError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from bpfctl.elf.dwarf_unit import Unit

IMPLICIT = 0x21  # the form whose value stands among the attributes themselves
_LONGEST = 10  # bytes of a number of 64 bits, seven in each
_SIZES = {
    0x0B: 1,
    0x05: 2,
    0x06: 4,
    0x07: 8,  # data
    0x11: 1,
    0x12: 2,
    0x13: 4,
    0x14: 8,  # references within the unit
    0x0C: 1,
    0x20: 8,  # a flag, the signature of a type
    0x25: 1,
    0x26: 2,
    0x27: 3,
    0x28: 4,
    0x29: 1,
    0x2A: 2,
    0x2B: 3,
    0x2C: 4,  # indices of strings and addresses
    0x1C: 4,
    0x24: 8,  # references into the shared file
}
_OFFSETS = frozenset({0x0E, 0x17, 0x1F, 0x1D, 0x1F20, 0x1F21})
_LEBS = frozenset({0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23, 0x1F01, 0x1F02})
_ADDRESS, _STRING, _PRESENT, _SIGNED, _INDIRECT, _BYTES_16, _REF_ADDR = 0x01, 0x08, 0x19, 0x0D, 0x16, 0x1E, 0x10
_BLOCK, _EXPRESSION = 0x09, 0x18
_SHARED = frozenset({0x1D, 0x1C, 0x24, 0x1F20, 0x1F21})
_REFERENCES = frozenset({0x11, 0x12, 0x13, 0x14, 0x15, 0x10, 0x1C, 0x24, 0x1F20})
_ADDRESSES = frozenset({0x01, 0x1B, 0x29, 0x2A, 0x2B, 0x2C, 0x1F01})
_INDICES = frozenset({0x1A, 0x25, 0x26, 0x27, 0x28, 0x1B, 0x29, 0x2A, 0x2B, 0x2C, 0x1F01, 0x1F02, 0x22, 0x23})
_LINE_STRING = 0x1F


class Unreadable(ObjectError):
    """Bytes are missing, or a form is none."""

    def __init__(self) -> None:
        super().__init__("debugging information is damaged")


class Reading:
    """Reads one number after the other."""

    def __init__(self, data: bytes, sign: str, at: int = 0) -> None:
        self.data, self.at = data, at
        self._order: Literal["little", "big"] = "little" if sign == "<" else "big"

    def fixed(self, size: int) -> int:
        """Return a number of so many bytes."""
        return int.from_bytes(self.take(size), self._order)

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        data = self.data[self.at : self.at + size]
        if len(data) < size or self.at < 0:
            raise Unreadable
        self.at += size
        return data

    def uleb(self) -> int:
        """Return a number of as many bytes as it takes."""
        data, at, found, shift = self.data, self.at, 0, 0
        for _ in range(_LONGEST):
            if at >= len(data):
                break
            byte = data[at]
            at += 1
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.at = at
                return found
            shift += 7
        raise Unreadable

    def sleb(self) -> int:
        """Return one that may be negative."""
        start = self.at
        found = self.uleb()
        bits = 7 * (self.at - start)
        return found - (1 << bits) if found >> (bits - 1) else found

    def string(self) -> bytes:
        """Return what stands before the next zero."""
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise Unreadable
        data, self.at = self.data[self.at : end], end + 1
        return data


class Value(NamedTuple):
    """The value of an attribute: a number, or the bytes of a string or a block."""

    form: Form
    number: int | bytes


class Form(NamedTuple):
    """How a value is written; ``constant`` is the value itself where it is the same for all entries of a kind."""

    code: int
    constant: int = 0

    def read(self, read: Reading, unit: Unit) -> Value:
        """Return the value that comes next."""
        if self.code == IMPLICIT:
            return Value(self, self.constant)
        if self.code == _INDIRECT:
            inner = read.uleb()
            if inner in (_INDIRECT, IMPLICIT):
                raise Unreadable
            return Form(inner).read(read, unit)
        how = _HOW.get(self.code)
        if how is None:
            raise Unreadable
        return Value(self, how(read, unit))

    @property
    def section(self) -> str:
        """Where a string lies."""
        return ".debug_line_str" if self.code == _LINE_STRING else ".debug_str"

    @property
    def is_shared(self) -> bool:
        """Whether the value is in the file that several share."""
        return self.code in _SHARED

    @property
    def is_reference(self) -> bool:
        """Whether it is another entry."""
        return self.code in _REFERENCES

    @property
    def is_global(self) -> bool:
        """Whether that may be in another unit."""
        return self.code == _REF_ADDR

    @property
    def is_address(self) -> bool:
        """Whether it is an address."""
        return self.code in _ADDRESSES

    @property
    def is_index(self) -> bool:
        """Whether it is the place of the value in a table."""
        return self.code in _INDICES


def _fixed(size: int) -> Callable[[Reading, Unit], int]:
    return lambda read, _: read.fixed(size)


def _reference(read: Reading, unit: Unit) -> int:
    return read.fixed(unit.address_size if unit.version == 2 else unit.width)


#: How each form is read.
_HOW: dict[int, Callable[[Reading, Unit], int | bytes]] = {
    **{code: _fixed(size) for code, size in _SIZES.items()},
    **dict.fromkeys(_OFFSETS, lambda read, unit: read.fixed(unit.width)),
    **dict.fromkeys(_LEBS, lambda read, _: read.uleb()),
    _REF_ADDR: _reference,
    _ADDRESS: lambda read, unit: read.fixed(unit.address_size),
    _PRESENT: lambda *_: 1,
    _SIGNED: lambda read, _: read.sleb(),
    _STRING: lambda read, _: read.string(),
    **dict.fromkeys((_BLOCK, _EXPRESSION), lambda read, _: read.take(read.uleb())),
    0x0A: lambda read, _: read.take(read.fixed(1)),
    0x03: lambda read, _: read.take(read.fixed(2)),
    0x04: lambda read, _: read.take(read.fixed(4)),
    _BYTES_16: lambda read, _: read.take(16),
}
