"""Where C would put members, and what has to stand between them to have them where BTF says.

Sizes, alignments and offsets are in bits. What cannot be measured, such as a function, has size 0 and
the alignment of a byte here; only damaged BTF has such members.
"""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING

from btf import kind as _kind
from btf.errors import BTFError

if TYPE_CHECKING:
    from btf._table import Table

_RECORDS = frozenset({_kind.STRUCT, _kind.UNION})
_SCALARS = frozenset({_kind.INT, _kind.ENUM, _kind.ENUM64, _kind.FLOAT})
_CHAIN = _kind.MODIFIERS | {_kind.TYPEDEF}
_MAX_DEPTH = 32  # as libbpf's MAX_RESOLVE_DEPTH
_BYTE = 8
_MAX_SIZE = _BYTE << 32
_MAX_GAP = 1 << 23  # bits: 131,072 lines of "long: 64;"


class Layout:
    """Measures types and fills gaps."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._long = table.pointer_size * _BYTE
        #: Id of a record -> its alignment, also when it has to be packed, and whether it has to be.
        self._records: dict[int, tuple[int, bool]] = {}
        self._units = (("long", self._long), ("int", 32), ("short", 16), ("char", 8))
        self._fillings: dict[tuple[int, int, int, bool], list[str]] = {}

    def measure(self, type_id: int) -> tuple[int, int]:
        """Return the alignment and the size that a type has in C."""
        table, times, target = self.table, 1, type_id
        for _ in range(_MAX_DEPTH):
            kind, start = table.kinds[target], table.starts[target]
            if kind == _kind.PTR:
                return self._long, _limited(times * self._long)
            if kind in _SCALARS:
                size = table.words[start + 2] * _BYTE
                return min(self._long, size) or _BYTE, _limited(times * size)
            if kind in _RECORDS:
                alignment, packed = self.record(target)
                return _BYTE if packed else alignment, _limited(times * table.words[start + 2] * _BYTE)
            if kind == _kind.ARRAY:
                target, times = table.words[start + 3], times * table.words[start + 5]
            elif kind in _CHAIN:
                target = table.words[start + 2]
            else:
                return _BYTE, 0
        raise BTFError(f"type {type_id} is part of a circle of references")

    def record(self, type_id: int) -> tuple[int, bool]:
        """Return the widest alignment in a record, and whether C would place its members differently."""
        found = self._records.get(type_id)
        if found is None:
            found = self._records[type_id] = self._record(type_id)
        return found

    def note(self, type_id: int, alignment: int, *, packed: bool) -> None:
        """Remember what was found of a record on the way."""
        self._records[type_id] = alignment, packed

    def _record(self, type_id: int) -> tuple[int, bool]:
        table = self.table
        start = table.starts[type_id]
        info, size = table.words[start + 1 : start + 3]
        bitfields, widest, packed = info >> 31, _BYTE, False
        for member, offset in zip(table.column(type_id, 3, 1), table.column(type_id, 3, 2), strict=True):
            alignment, _ = self.measure(member)
            if offset % alignment and not (bitfields and offset >> 24):
                packed = True
            widest = max(widest, alignment)
        return widest, packed or bool(size * _BYTE % widest)

    def filling(self, start: int, stop: int, alignment: int, *, bitfield: bool) -> list[str]:
        """Return unnamed bitfields for the gap before what has this alignment, where C would leave none.

        ``bitfield`` says that the gap is between two bitfields.
        """
        # only an enum of an odd size is aligned to what does not divide 64
        key = (start % lcm(64, alignment), stop - start, alignment, bitfield)
        found = self._fillings.get(key)
        if found is None:
            found = self._fillings[key] = self._fill(start, stop, alignment, bitfield=bitfield)
        return found

    def _fill(self, start: int, stop: int, alignment: int, *, bitfield: bool) -> list[str]:
        # As in libbpf (src/btf_dump.c): go to the next boundary of the widest unit that has one in
        # the gap, expressly where the compiler would not, then fill up with that unit.
        name, unit, boundary = "char", _BYTE, stop + 1
        for name, unit in self._units:  # noqa: B007 - the last of them if none has a boundary there
            boundary = -(-start // unit) * unit
            if boundary <= stop:
                break
        lines = []
        if start < boundary <= stop:
            before, behind = boundary - start, stop - boundary
            by_itself = -(-start // alignment) * alignment == boundary
            if bitfield or (not behind and not by_itself) or (behind and behind <= before):
                lines.append(f"{name}: {before if bitfield else 0};")
            start = boundary
        if stop - start > _MAX_GAP:
            raise BTFError(f"a gap of {stop - start} bits is too large to be filled")
        lines += [f"{name}: {unit};"] * ((stop - start) // unit)
        bits = (stop - start) % unit
        if bits:
            name = next(name for name, unit in reversed(self._units) if unit >= bits)
            lines.append(f"{name}: {bits};")
        return lines


def _limited(size: int) -> int:
    """Return the size, or nothing when libbpf could not count it."""
    return size if size < _MAX_SIZE else 0
