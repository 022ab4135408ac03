"""The order in which ``bpftool btf dump … format c`` goes through the types (src/btf.c sort_btf_c).

It keeps headers alike from one build of a kernel to the next: types come by kind, then by the name of
the type at the end of their chain of references, then by their own name, and what is still equal by
a hash of the names inside.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, islice
from operator import mul
from typing import TYPE_CHECKING

from btf import kind as _kind
from btf._c_order import DONE, SILENT
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btf._table import Table

_ENUMS = frozenset({_kind.ENUM, _kind.ENUM64})
_RECORDS = frozenset({_kind.STRUCT, _kind.UNION})
_CHAIN = _kind.MODIFIERS | {_kind.PTR, _kind.TYPEDEF, _kind.DECL_TAG, _kind.ARRAY}
#: Kinds that nothing is written for; a tag is one too, but has its place.
_SILENT = SILENT - {_kind.DECL_TAG}
_CONSTANTS, _LAST = 0, 10
_RANKS = {
    _kind.ENUM: 1,
    _kind.ENUM64: 1,
    _kind.INT: 2,
    _kind.FLOAT: 2,
    _kind.STRUCT: 3,
    _kind.UNION: 3,
    _kind.FUNC_PROTO: 4,
}
_MASK = (1 << 64) - 1
_MAX_DEPTH = 200


def ordered(table: Table, state: bytearray) -> Iterator[int]:
    """Yield all ids that a definition may be needed for, but the very first.

    bpftool's order begins with void as number 0, which it passes over; but having sorted void to
    where it belongs, it passes over whatever came first instead (src/btf.c dump_btf_c). In a kernel
    that is one enum of constants. Who needs it finds it in a header that is not sorted.

    Those of the last rank come without what is done by then according to ``state``: they are the
    bulk of the types, and hardly any of them has something left to define.
    """
    ranks: defaultdict[int, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    words, names, records = table.words, table.names, ranks[_RANKS[_kind.STRUCT]]
    last: list[int] = []
    for type_id, start in enumerate(table.starts):
        kind = words[start + 1] >> 24 & 0x7F
        if kind in _SILENT:
            continue
        offset = words[start]
        if not offset and kind not in _ENUMS:
            last.append(type_id)
        elif kind in _RECORDS:
            own = names[offset]
            records[f"{own}\0{own}"].append(type_id)
        else:
            rank, name = _place(table, type_id)
            if rank == _LAST:
                last.append(type_id)
            else:
                ranks[rank][f"{name}\0{names[offset]}"].append(type_id)
    hashes = Hashes(table)
    first = chain.from_iterable(_by_name(ranks[rank], hashes) for rank in sorted(ranks))
    yield from islice(first, 1, None)
    rest: defaultdict[str, list[int]] = defaultdict(list)
    for type_id in last:
        if state[type_id] != DONE:
            rest[f"{_place(table, type_id)[1]}\0{table.name(type_id)}"].append(type_id)
    yield from _by_name(rest, hashes)


def _by_name(types: dict[str, list[int]], hashes: Hashes) -> Iterator[int]:
    for name in sorted(types):
        type_ids = types[name]
        if len(type_ids) > 1:
            # the ids are in order, and stay so where the hashes are equal
            type_ids.sort(key=hashes.of)
        yield from type_ids


def _place(table: Table, type_id: int) -> tuple[int, str]:
    """Return a type's rank and the name that it is sorted by."""
    words, names = table.words, table.names
    start = table.starts[type_id]
    name, info = words[start], words[start + 1]
    kind = info >> 24 & 0x7F
    if kind in _ENUMS and not name:
        return _CONSTANTS, names[words[start + 3]] if info & 0xFFFFFF else ""
    named = name
    for _ in range(_MAX_DEPTH):
        if kind not in _CHAIN:
            return _RANKS.get(kind, _LAST) if named else _LAST, names[name]
        start = table.starts[words[start + 3 if kind == _kind.ARRAY else start + 2]]
        name, kind = words[start], words[start + 1] >> 24 & 0x7F
    raise BTFError(f"type {type_id} is part of a circle of references")


class Hashes:
    """What tells types with the same name apart (src/btf.c btf_type_disambig_hash)."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._strings: dict[int, int] = {}

    def of(self, type_id: int) -> int:
        """Return the hash of a type with its members."""
        return self._hash(type_id, members=True, depth=0)

    def _hash(self, type_id: int, *, members: bool, depth: int) -> int:
        if depth > _MAX_DEPTH:
            raise BTFError(f"type {type_id} is part of a circle of references")
        table = self.table
        words = table.words
        start = table.starts[type_id]
        name, info, target = words[start : start + 3]
        kind, vlen = info >> 24 & 0x7F, info & 0xFFFFFF
        value = self._add_name(0, name)
        if kind in _ENUMS:
            step = 2 if kind == _kind.ENUM else 3
            for at in range(start + 3, start + 3 + step * vlen, step):
                value = self._add_name(value, words[at])
        elif kind in _RECORDS:
            if members:
                for at in range(start + 3, start + 3 + 3 * vlen, 3):
                    value = self._add_name(value, words[at])
                    value = _add(value, self._hash(words[at + 1], members=False, depth=depth + 1))
        elif kind == _kind.ARRAY:
            value = _add(value, words[start + 5])
            value = _add(value, self._hash(words[start + 3], members=members, depth=depth + 1))
        elif kind in _CHAIN:
            value = _add(value, self._hash(target, members=members, depth=depth + 1))
        return value

    def _add_name(self, value: int, offset: int) -> int:
        if not offset:
            return value
        hashed = self._strings.get(offset)
        if hashed is None:
            # libbpf's str_hash; a char has a sign where most kernels are looked at
            text = memoryview(self.table.names[offset].encode("latin-1")).cast("b")
            hashed = self._strings[offset] = sum(map(mul, reversed(text), _powers(len(text)))) & _MASK
        return _add(value, hashed)


def _add(value: int, more: int) -> int:
    return (value * 31 + more) & _MASK


_POWERS = [1]


def _powers(count: int) -> list[int]:
    """Return at least so many powers of 31."""
    while len(_POWERS) < count:
        _POWERS.append(_POWERS[-1] * 31 & _MASK)
    return _POWERS
