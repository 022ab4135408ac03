"""The order in which ``bpftool btf dump … format c`` goes through the types (src/btf.c sort_btf_c).

It keeps headers alike from one build of a kernel to the next: types come by kind, then by the name of
the type at the end of their chain of references, then by their own name, and what is still equal by
a hash of the names inside.

Most types come last: functions, pointers and whatever has no name. By then what they need has been
defined but for a handful of types, so that only those are sorted that lead to one of the handful.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

from btf import kind as _kind
from btf._c_hash import Hashes
from btf._c_order import DONE, ENUMS, RECORDS, REFERENCES, Search, constants
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from btf._table import Table

    #: Names to sort by -> the types that have them.
    ByName: TypeAlias = defaultdict[str, list[int]]

_CHAIN = _kind.MODIFIERS | {_kind.PTR, _kind.TYPEDEF, _kind.DECL_TAG, _kind.ARRAY}
#: Kind -> its place in the order. Enums without a name have the first; types without a place are last.
_RANKS = {
    _kind.ENUM: 1,
    _kind.ENUM64: 1,
    _kind.INT: 2,
    _kind.FLOAT: 2,
    _kind.STRUCT: 3,
    _kind.UNION: 3,
    _kind.FUNC_PROTO: 4,
}
_MAX_CHAIN = 200


def sorted_queue(table: Table) -> list[int]:
    """Return all definitions of a header in bpftool's order; BTFError if a type contains itself.

    The very first type is left out unless another one needs it. In bpftool the first is void, which
    it passes over; but having sorted void to where it belongs, it passes over what came first
    instead (src/btf.c dump_btf_c). In a kernel that is one enum of constants. Who needs it finds it
    in a header that is not sorted.
    """
    hashes = Hashes(table)
    enums, *ranks = [list(_in_order(names, hashes)) for names in _ranks(table)]
    first = next(chain(enums, *ranks), 0)
    search = Search(table, _Constant(table, first))
    for rank in ranks:
        search.all(rank[1:] if rank[:1] == [first] else rank)
    # enums that only define constants come first, but which ones those are is cheaper to tell now
    if not search.results.isdisjoint(enums):
        loose = constants(table)
    else:
        loose = {type_id for type_id in enums if search.state[type_id] != DONE}
    names: ByName = defaultdict(list)
    for type_id in _Rest(table, search.state).leading_to_more(first, loose) - {first}:
        names[f"{table.name(_end(table, type_id))}\0{table.name(type_id)}"].append(type_id)
    search.all(_in_order(names, hashes))
    return [type_id for type_id in enums if type_id in loose and type_id != first] + search.queue


def _ranks(table: Table) -> list[ByName]:
    """Return the types of each rank but the last."""
    words, starts, kinds, names = table.words, table.starts, table.kinds, table.names
    ranks: list[ByName] = [defaultdict(list) for _ in range(5)]
    for kind in ENUMS:
        for type_id in table.ids(kind):
            start = starts[type_id]
            if words[start]:  # offset 0 is no name, an empty string elsewhere is one
                name = names[words[start]]
                ranks[1][f"{name}\0{name}"].append(type_id)
            else:
                ranks[0][names[words[start + 3]] if words[start + 1] & 0xFFFFFF else ""].append(type_id)
    for kind in (_kind.INT, _kind.FLOAT, *RECORDS):
        rank = ranks[_RANKS[kind]]
        for type_id in table.ids(kind):
            if words[starts[type_id]] or kind not in RECORDS:
                name = names[words[starts[type_id]]]
                rank[f"{name}\0{name}"].append(type_id)
    for kind in (_kind.TYPEDEF, _kind.TYPE_TAG, _kind.DECL_TAG):
        for type_id in table.ids(kind):
            end = _end(table, type_id)
            if place := _RANKS.get(kinds[end]):
                ranks[place][f"{names[words[starts[end]]]}\0{names[words[starts[type_id]]]}"].append(type_id)
    return ranks


def _end(table: Table, type_id: int) -> int:
    """Return the type at the end of a chain of references."""
    words, starts, kinds, end = table.words, table.starts, table.kinds, type_id
    for _ in range(_MAX_CHAIN):
        kind = kinds[end]
        if kind not in _CHAIN:
            return end
        end = words[starts[end] + (3 if kind == _kind.ARRAY else 2)]
    raise BTFError(f"type {type_id} is part of a circle of references")


def _in_order(types: ByName, hashes: Hashes) -> Iterator[int]:
    for name in sorted(types):
        type_ids = types[name]
        if len(type_ids) > 1:
            type_ids.sort(key=lambda type_id: (hashes.of(type_id), type_id))
        yield from type_ids


class _Constant:
    """The enum that was passed over, if it only defines constants; a search for others may still find it."""

    def __init__(self, table: Table, type_id: int) -> None:
        self.table = table
        self.type_id = type_id

    def __contains__(self, type_id: object) -> bool:
        return type_id == self.type_id and type_id in constants(self.table)


class _Rest:
    """The types that no search has reached."""

    def __init__(self, table: Table, state: bytearray) -> None:
        self._table = table
        self._state = state
        words, starts = table.words, table.starts
        #: Type -> the types of the rest that refer to it, and all functions that do.
        self._referrers = referrers = defaultdict[int, list[int]](list)
        for type_id in table.ids(*REFERENCES, unless=state):
            referrers[words[starts[type_id] + 2]].append(type_id)
        for type_id in table.ids(_kind.ARRAY, unless=state):
            for target in words[starts[type_id] + 3 : starts[type_id] + 5]:
                referrers[target].append(type_id)
        for type_id in table.ids(*RECORDS, unless=state):
            for member in table.column(type_id, 3, 1):
                referrers[member].append(type_id)
        #: What is part of another type, which the result of a function is not.
        self._parts = {*referrers, *self._passed_over()}
        for type_id in table.ids(_kind.FUNC_PROTO):
            start = starts[type_id]
            # the result's type and the type in each (name, type) of a parameter
            result, *params = words[start + 2 : start + 3 + 2 * (words[start + 1] & 0xFFFFFF) : 2].tolist()
            referrers[result].append(type_id)
            for param in params:
                referrers[param].append(type_id)
            self._parts.update(params)

    def leading_to_more(self, first: int, loose: set[int]) -> set[int]:
        """Return all types that lead to something not defined yet: the first of all, declarations, typedefs.

        On the way, drop those enums from ``loose`` that are part of another type.
        """
        loose -= self._parts
        new = set(self._table.ids(_kind.FWD, _kind.TYPEDEF, unless=self._state))
        if not self._state[first]:
            new.add(first)
        found = set(new)
        while new:
            new = {parent for type_id in new for parent in self._referrers.get(type_id, ())} - found
            found |= new
        return found

    def _passed_over(self) -> Iterator[int]:
        """Yield what types refer to without needing it to be defined, so that no search goes there."""
        words, starts = self._table.words, self._table.starts
        for type_id in self._table.ids(_kind.ARRAY):
            yield words[starts[type_id] + 4]
        for type_id in self._table.ids(_kind.DECL_TAG):
            yield words[starts[type_id] + 2]
        for type_id in self._table.ids(_kind.DATASEC):
            yield from self._table.column(type_id, 3, 0)
