"""Which types of a BTF are equal, forward declarations counting as what they announce."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf import kind as _kind
from btf._partition import Partition
from btf._record import IDS, PLAIN, rename
from btf._table import Table
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from btf.read import BTF

    Look = tuple[int, ...]

_NEVER_EQUAL = frozenset({_kind.VAR, _kind.DATASEC})
_RECORDS = frozenset({_kind.STRUCT, _kind.UNION})
_ENUMS = frozenset({_kind.ENUM, _kind.ENUM64})
_NAMED = _RECORDS | {_kind.TYPEDEF}
#: Honest input needs two or three passes. Input that makes each pass disprove one name of thousands gets
#: no more than these; then names with several types stay unclear.
_PASSES = 10
#: How often types are looked at side by side, on average and besides. Honest input hardly needs it; circles of 2, 3, 5,
#: 7, ... types meet in as many ways as the product of these. With no more left, too, names stay unclear.
_SIDES, _MORE_SIDES = 64, 1 << 16


class Announced(NamedTuple):
    """What has a kind and a name: types, and forward declarations of one of them."""

    types: list[int]
    declarations: list[int]


class Graph:
    """All types as what they look like and what they refer to."""

    __slots__ = ("_announced", "_looks", "_passes", "_references", "_sides", "table")

    def __init__(self, btf: BTF) -> None:
        self.table = table = Table(btf)
        self._looks: list[Look] = []
        self._references: list[list[int]] = []
        announced: dict[tuple[int, int], Announced] = {}
        same, count = _Same(table), len(table.starts)
        for type_id, kind in enumerate(table.kinds):
            if kind not in IDS:
                raise BTFError(f"type {type_id} is of unknown kind {kind}")
            words = table.record(type_id)
            if kind in PLAIN:
                references = words[2:]
                look: Look = (same[words[0]], words[1])
            else:
                rename(kind, words, same.__getitem__)
                references = []
                for place in IDS[kind]:
                    references += words[place]
                    words[place] = [0] * len(words[place])
                look = (type_id,) if kind in _NEVER_EQUAL else tuple(words)
                key, declares = _announces(kind, words)
                if key[1] and (type_id >= btf.ids.start or not declares):
                    announced.setdefault(key, Announced([], []))[declares].append(type_id)
            if references and max(references) >= count:
                raise BTFError(f"type {type_id} refers to type {max(references)}, which is out of range")
            self._looks.append(look)
            self._references.append(references)
        self._passes = _PASSES
        self._sides = _SIDES * count + _MORE_SIDES
        self._announced = [each for each in announced.values() if each.types and each.declarations]

    def classes(self) -> tuple[list[int], dict[int, int]]:
        """Return the class of each type, and by declaration the type that it counts as."""
        known: dict[int, int] = {}
        while True:
            classes, leaders = self._classes(known)
            unclear = [
                Announced(types, [each for each in declarations if each not in leaders])
                for types, declarations in self._announced
            ]
            found = self._by_context(classes, [each for each in unclear if each.declarations])
            if not found or not self._passes:
                return classes, leaders
            known |= found

    def _classes(self, known: dict[int, int]) -> tuple[list[int], dict[int, int]]:
        """Return the same, where a declaration counts as its type unless there turn out to be several."""
        # those that look different need no pass to tell
        clear = [each for each in self._announced if len({self._looks[type_id] for type_id in each.types}) == 1]
        while True:
            if not self._passes:
                clear = [each for each in clear if len(each.types) == 1]
            leaders = {each: types[0] for types, declarations in clear for each in declarations} | known
            classes = self._split(leaders)
            still = [each for each in clear if len({classes[type_id] for type_id in each.types}) == 1]
            if len(still) == len(clear):
                return classes, leaders
            clear = still

    def _split(self, leaders: dict[int, int]) -> list[int]:
        self._passes = max(self._passes - 1, 0)
        partition = Partition(self._looks, self._references)
        for type_id, leader in leaders.items():
            partition.follow(type_id, leader)
        partition.split()
        return partition.classes

    def _by_context(self, classes: list[int], unclear: list[Announced]) -> dict[int, int]:
        """Return what declarations stand for where another type like the one they are in spells it out.

        Types are alike when they are equal but for the names that are not clear.
        """
        if not unclear:
            return {}
        alike, opaque = self._alike(unclear)
        declarations = {type_id for each in unclear for type_id in each.declarations}
        groups: dict[int, dict[int, int]] = {}
        for type_id, kind in enumerate(self.table.kinds):
            if kind in _NAMED and type_id not in opaque and self._looks[type_id][0]:
                groups.setdefault(alike[type_id], {}).setdefault(classes[type_id], type_id)
        meant: dict[int, dict[int, int]] = {}
        for group in groups.values():
            for row in self._side_by_side(tuple(group.values()), classes, opaque):
                full = {classes[type_id]: type_id for type_id in row if type_id not in declarations}
                for type_id in declarations.intersection(row):
                    meant.setdefault(type_id, {}).update(full)
        if self._sides < 0:
            return {}
        return {type_id: next(iter(full.values())) for type_id, full in meant.items() if len(full) == 1}

    def _alike(self, unclear: list[Announced]) -> tuple[list[int], set[int]]:
        """Return classes in which these names are what they are and nothing more, and who has the names."""
        looks, references = list(self._looks), list(self._references)
        opaque: set[int] = set()
        for number, each in enumerate(unclear):
            for type_id in (*each.types, *each.declarations):
                looks[type_id], references[type_id] = (-1, number), []
                opaque.add(type_id)
        partition = Partition(looks, references)
        partition.split()
        return partition.classes, opaque

    def _side_by_side(self, roots: tuple[int, ...], classes: list[int], stop: set[int]) -> Iterator[tuple[int, ...]]:
        """Walk through types that are alike in step; yield the rows of types in ``stop``."""
        waiting, seen = [roots], {roots}
        while waiting and self._sides >= 0:
            row = waiting.pop()
            for below in zip(*(self._references[type_id] for type_id in row), strict=True):
                self._sides -= len(row)
                if below in seen or len({classes[type_id] for type_id in below}) == 1:
                    continue
                seen.add(below)
                if below[0] in stop:
                    yield below
                elif not (self.table.kinds[below[0]] in _NAMED and self._looks[below[0]][0]):
                    waiting.append(below)


def _announces(kind: int, words: list[int]) -> tuple[tuple[int, int], bool]:
    """Return kind and name (0 for none) that a type has or announces, and whether it announces."""
    name, info = words[:2]
    if kind in _RECORDS:
        return (kind, name), False
    if kind == _kind.FWD:
        return (_kind.UNION if _kind.flag(info) else _kind.STRUCT, name), True
    if kind in _ENUMS:
        return (_kind.ENUM, name), not _kind.vlen(info)
    return (kind, 0), False


class _Same(dict[int, int]):
    """String offset -> the first offset that was asked for with the same string."""

    __slots__ = ("_first", "_table")

    def __init__(self, table: Table) -> None:
        super().__init__({0: 0})
        self._table = table
        self._first: dict[str, int] = {"": 0}

    def __missing__(self, offset: int) -> int:
        self[offset] = first = self._first.setdefault(self._table.names.cut(offset), offset)
        return first
