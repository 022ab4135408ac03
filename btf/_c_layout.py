"""Where C would put members, and what has to stand between them to have them where BTF says.

Sizes, alignments and offsets are in bits. What cannot be measured, such as a function, has size 0 and
alignment 8 here; only damaged BTF has such members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import kind as _kind
from btf.errors import BTFError

if TYPE_CHECKING:
    from btf._table import Table

_RECORDS = frozenset({_kind.STRUCT, _kind.UNION})
_SCALARS = frozenset({_kind.INT, _kind.ENUM, _kind.ENUM64, _kind.FLOAT})
_SIZED = _SCALARS | _RECORDS | {_kind.DATASEC}
_CHAIN = _kind.MODIFIERS | {_kind.TYPEDEF}
_MAX_DEPTH = 32  # as libbpf's MAX_RESOLVE_DEPTH
_BYTE = 8
_MAX_GAP = 1 << 23  # bits: 131,072 lines of "long: 64;"
_TOO_BIG = 1 << 32


class Layout:
    """Measures types and fills gaps."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._alignments: dict[int, int] = {}
        self._long = table.pointer_size * _BYTE
        self._units = (("long", self._long), ("int", 32), ("short", 16), ("char", 8))
        self._paddings: dict[tuple[int, int, int, str, bool], list[str]] = {}

    def size(self, type_id: int) -> int:
        """Return the size of a type, 0 if it has none."""
        table, times = self.table, 1
        for _ in range(_MAX_DEPTH):
            kind, target, rest = table.head(type_id)
            if kind in _SIZED or kind == _kind.PTR:
                size = times * (target if kind in _SIZED else table.pointer_size)
                return size * _BYTE if size < _TOO_BIG else 0
            if kind == _kind.ARRAY:
                type_id, times = table.words[rest], times * table.words[rest + 2]
            elif kind in _CHAIN:
                type_id = target
            else:
                break
        return 0

    def alignment(self, type_id: int) -> int:
        """Return the alignment that C gives to a type; a record whose members are not aligned is packed."""
        table, first = self.table, type_id
        for _ in range(_MAX_DEPTH):
            kind, target, rest = table.head(type_id)
            if kind in _SCALARS:
                return min(self._long, target * _BYTE) or _BYTE
            if kind == _kind.PTR:
                return self._long
            if kind in _RECORDS:
                return _BYTE if self.is_packed(type_id) else self._alignments[type_id]
            if kind == _kind.ARRAY:
                type_id = table.words[rest]
            elif kind in _CHAIN:
                type_id = target
            else:
                return _BYTE
        raise BTFError(f"type {first} is part of a circle of references")

    def is_packed(self, type_id: int) -> bool:
        """Tell whether a record has members, or a size, that C would align differently."""
        known = self._alignments.get(type_id)
        if known is None:
            known = self._alignments[type_id] = self._widest(type_id)
        return not known

    def note(self, type_id: int, alignment: int) -> None:
        """Remember the alignment of a record, 0 for a packed one, that was found on the way."""
        self._alignments[type_id] = alignment

    def _widest(self, type_id: int) -> int:
        """Return the widest alignment among the members of a record, 0 if it has to be packed."""
        table = self.table
        start = table.starts[type_id]
        info, size = table.words[start + 1 : start + 3]
        bitfields, widest = info >> 31, _BYTE
        for at in range(start + 3, start + 3 + 3 * (info & 0xFFFFFF), 3):
            member, offset = table.words[at + 1 : at + 3]
            alignment = self.alignment(member)
            if offset % alignment and not (bitfields and offset >> 24):
                return 0
            widest = max(widest, alignment)
        return 0 if size * _BYTE % widest else widest

    def padding(self, start: int, stop: int, alignment: int, new_line: str, *, bitfield: bool) -> list[str]:
        """Return unnamed bitfields, each after a new line, that fill the gap, where the alignment of what follows does not.

        ``bitfield`` says that the gap is between two bitfields.
        """
        key = (start % 64, stop - start, alignment, new_line, bitfield)
        found = self._paddings.get(key)
        if found is None:
            lines = self._fill(start, stop, alignment, bitfield=bitfield)
            found = self._paddings[key] = [new_line + line for line in lines]
        return found

    def _fill(self, start: int, stop: int, alignment: int, *, bitfield: bool) -> list[str]:
        # bpftool's way (libbpf src/btf_dump.c): go to the next boundary of the widest unit that has
        # one in the gap, by itself where the compiler would not, then fill up with that unit
        name, unit, boundary = "char", _BYTE, stop
        for name, unit in self._units:  # noqa: B007 - the last of them if none has a boundary there
            boundary = -(-start // unit) * unit
            if boundary <= stop:
                break
        lines = []
        if start < boundary <= stop:
            alone = -(-start // alignment) * alignment == boundary
            if (
                bitfield
                or (boundary == stop and not alone)
                or (boundary != stop and stop - boundary <= boundary - start)
            ):
                lines.append(f"{name}: {boundary - start if bitfield else 0};")
            start = boundary
        if stop - start > _MAX_GAP:
            raise BTFError(f"a gap of {stop - start} bits is too large to be filled")
        lines += [f"{name}: {unit};"] * ((stop - start) // unit)
        bits = (stop - start) % unit
        if bits:
            name = next(name for name, unit in reversed(self._units) if unit >= bits)
            lines.append(f"{name}: {bits};")
        return lines
