"""What tells types with the same name apart in bpftool's order (src/btf.c btf_type_disambig_hash)."""

from __future__ import annotations

from operator import mul
from typing import TYPE_CHECKING

from btf import kind as _kind
from btf._c_order import ENUMS, RECORDS
from btf.errors import BTFError

if TYPE_CHECKING:
    from btf._table import Table

_CHAIN = _kind.MODIFIERS | {_kind.PTR, _kind.TYPEDEF, _kind.DECL_TAG}
_MASK = (1 << 64) - 1
_MAX_DEPTH = 200


class Hashes:
    """Hashes of types by the names inside them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._strings: dict[int, int] = {}
        self._powers = [1]

    def of(self, type_id: int) -> int:
        """Return the hash of a type with its members; BTFError for types that go in circles."""
        return self._hash(type_id, members=True, depth=0)

    def _hash(self, type_id: int, *, members: bool, depth: int) -> int:
        if depth > _MAX_DEPTH:
            raise BTFError(f"type {type_id} is part of a circle of references")
        table = self.table
        words, start, kind = table.words, table.starts[type_id], table.kinds[type_id]
        value = self._add_name(0, words[start])
        if kind in ENUMS:
            for name in table.column(type_id, 2 if kind == _kind.ENUM else 3, 0):
                value = self._add_name(value, name)
        elif kind in RECORDS:
            if members:
                for name, member in zip(table.column(type_id, 3, 0), table.column(type_id, 3, 1), strict=True):
                    value = self._add_name(value, name)
                    value = _add(value, self._hash(member, members=False, depth=depth + 1))
        elif kind == _kind.ARRAY:
            element, _, number = words[start + 3 : start + 6]
            value = _add(value, number)
            value = _add(value, self._hash(element, members=members, depth=depth + 1))
        elif kind in _CHAIN:
            value = _add(value, self._hash(words[start + 2], members=members, depth=depth + 1))
        return value

    def _add_name(self, value: int, offset: int) -> int:
        if not offset:
            return value
        hashed = self._strings.get(offset)
        if hashed is None:
            # libbpf's str_hash; a char has a sign where most kernels are looked at
            text = memoryview(self.table.names[offset].encode("latin-1")).cast("b")
            while len(self._powers) < len(text):
                self._powers.append(self._powers[-1] * 31 & _MASK)
            hashed = self._strings[offset] = sum(map(mul, reversed(text), self._powers)) & _MASK
        return _add(value, hashed)


def _add(value: int, more: int) -> int:
    return (value * 31 + more) & _MASK
