"""What differs between two sets of types: of two kernels, or of two builds of an object.

::

    for one in diff(old, new):
        print(one.kind, one.name, "changed" if one.changes else "removed" if one.second is None else "added")
        for change in one.changes:
            print(change.what, change.name, change.first, change.second)

Types are compared by kind and name. A type that refers to another one has not changed because that one
has: a pointer to ``struct page`` stays what it is. A member has, however, if its bytes have become more
or less. Members of structs without a name are those of the struct around them, as in C. The names of
parameters, and type tags, make no difference.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from btf import kind as _kind
from btf import types
from btf._table import Table, decode
from btf.declare import declare
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from btf.read import BTF

#: What is compared; sections and tags have no life of their own.
KINDS = {
    _kind.STRUCT: "struct",
    _kind.UNION: "union",
    _kind.ENUM: "enum",
    _kind.ENUM64: "enum",
    _kind.TYPEDEF: "typedef",
    _kind.FUNC: "func",
    _kind.VAR: "var",
    _kind.INT: "int",
    _kind.FLOAT: "float",
}

# What may have changed.
SIZE = "size"
ADDED, REMOVED, MOVED, RESIZED, RETYPED = "added", "removed", "moved", "resized", "retyped"
VALUE_ADDED, VALUE_REMOVED, VALUE = "value added", "value removed", "value changed"
PROTOTYPE, TYPE, ENCODING = "prototype", "type", "encoding"

_RECORDS = frozenset({_kind.STRUCT, _kind.UNION})
_ENUMS = frozenset({_kind.ENUM, _kind.ENUM64})
_ENCODINGS = {types.SIGNED: "signed", types.CHAR: "char", types.BOOL: "bool"}
_MAX_DEPTH = 32
#: Most members that are looked at beyond one for each word of the types: those of records without a name are counted
#: for each way to them, of which there may be billions.
_MAX_MEMBERS = 1 << 16


class Change(NamedTuple):
    """One thing that has changed in a type.

    ``what`` is one of the words of this module, ``name`` that of the member or enumerator. Offsets
    (`MOVED`) are in bits, sizes in bytes, of bit fields in bits; types and prototypes are C. What is
    added has no ``first``, what is removed no ``second``.
    """

    what: str
    name: str = ""
    first: int | str | None = None
    second: int | str | None = None


class Difference(NamedTuple):
    """A type that is not the same in both; the id is None where the type is missing."""

    kind: str
    name: str
    first: int | None
    second: int | None
    changes: tuple[Change, ...] = ()


def diff(first: BTF, second: BTF, *, name: Callable[[str], object] | None = None) -> Iterator[Difference]:
    """Yield the types that are not the same in both, or those of them whose ``name`` is wanted; by kind and name.

    Only the own types of a BTF are compared, not those of its base. Where several types have one name,
    those that are equal are left out, and the others compared in the order of their ids. Raises BTFError
    for damaged types.
    """
    numbers: dict[Any, int] = {}
    sides = _Side(first, numbers), _Side(second, numbers)
    try:
        yield from _diff(sides, [side.index(name) for side in sides])
    except (IndexError, RecursionError):
        raise BTFError("a type refers to one that is not there, or to itself") from None


def _diff(sides: tuple[_Side, _Side], indexes: list[dict[tuple[str, str], list[int]]]) -> Iterator[Difference]:
    one, other = sides
    for key in sorted(indexes[0].keys() | indexes[1].keys()):
        kind, name = key[0], decode(key[1])
        ours, theirs = (index.get(key, []) for index in indexes)
        if len(ours) > 1 or len(theirs) > 1:
            ours, theirs = _unequal(one, ours, other, theirs)
        for at in range(max(len(ours), len(theirs))):
            if at >= len(theirs):
                yield Difference(kind, name, ours[at], None)
            elif at >= len(ours):
                yield Difference(kind, name, None, theirs[at])
            elif one.shape(ours[at]) != other.shape(theirs[at]):
                changes = tuple(_changes(one, ours[at], other, theirs[at]))
                yield Difference(kind, name, ours[at], theirs[at], changes)


def _unequal(one: _Side, ours: list[int], other: _Side, theirs: list[int]) -> tuple[list[int], list[int]]:
    """Return both lists without what is in both."""
    both = Counter(map(one.shape, ours)) & Counter(map(other.shape, theirs))
    return _without(one, ours, both), _without(other, theirs, both)


def _without(side: _Side, ids: list[int], both: Counter[Any]) -> list[int]:
    left, gone = [], both.copy()
    for type_id in ids:
        shape = side.shape(type_id)
        gone[shape] -= 1
        if gone[shape] < 0:
            left.append(type_id)
    return left


class _Place(NamedTuple):
    """A member: where it is, its bits if it is a bit field, what and how large."""

    bits: int
    width: int
    type: int  # the number of its type
    size: int


class _Side:
    """One of two sets of types; types that are the same in both have the same number."""

    def __init__(self, btf: BTF, numbers: dict[Any, int]) -> None:
        self.btf = btf
        self._table = Table(btf)
        self._all = numbers
        self._numbers: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._left = _MAX_MEMBERS + len(self._table.words)

    def index(self, wanted: Callable[[str], object] | None) -> dict[tuple[str, str], list[int]]:
        """Return the ids of the types that are compared, by kind and name."""
        table, found = self._table, dict[tuple[str, str], list[int]]()
        names, words, starts, kinds = table.names, table.words, table.starts, table.kinds
        chosen: dict[str, bool] = {}
        for type_id in table.own:
            word = KINDS.get(kinds[type_id])
            if not word or not (name := names[words[starts[type_id]]]):
                continue
            if wanted is not None:
                if name not in chosen:
                    chosen[name] = bool(wanted(decode(name)))
                if not chosen[name]:
                    continue
            found.setdefault((word, name), []).append(type_id)
        return found

    def number(self, type_id: int) -> int:
        """Return the number of a type: of named ones by the name, of others by what they are."""
        found = self._numbers.get(type_id)
        if found is None:
            key = self._key(type_id)
            found = key if isinstance(key, int) else self._all.setdefault(key, len(self._all))
            self._numbers[type_id] = found
        return found

    def _key(self, type_id: int) -> Any:
        table = self._table
        kind, start, words = table.kinds[type_id], table.starts[type_id], table.words
        name = table.names[words[start]]
        if kind == _kind.TYPE_TAG:
            return self.number(words[start + 2])
        if kind in _kind.MODIFIERS or kind == _kind.PTR:
            return kind, self.number(words[start + 2])
        if kind == _kind.ARRAY:
            return kind, self.number(words[start + 3]), words[start + 5]
        if kind == _kind.FWD:
            return _kind.UNION if words[start + 1] >> 31 else _kind.STRUCT, name
        if kind == _kind.FUNC_PROTO:
            params = table.column(type_id, 2, 1)
            return kind, self.number(words[start + 2]), *map(self.number, params)
        if name or not type_id:
            return _kind.ENUM if kind == _kind.ENUM64 else kind, name
        if kind in _RECORDS:
            places = tuple(table.column(type_id, 3, 2)), tuple(map(self.number, table.column(type_id, 3, 1)))
            return kind, words[start + 2], tuple(table.names[at] for at in table.column(type_id, 3, 0)), *places
        if kind in _ENUMS:
            return _kind.ENUM, tuple(self.values(type_id).items())
        return kind, *table.record(type_id)[1:]

    def size(self, type_id: int) -> int:
        """Return the bytes of a value."""
        found = self._sizes.get(type_id)
        if found is None:
            found = self._sizes[type_id] = self.btf.size_of(type_id)
        return found

    def bytes(self, type_id: int) -> int:
        """Return the size that a type itself says."""
        return self._table.words[self._table.starts[type_id] + 2]

    def encoding(self, type_id: int) -> str:
        """Return how an integer is to be read, in words."""
        word = self._table.words[self._table.starts[type_id] + 3]
        signs = [text for bit, text in _ENCODINGS.items() if word >> 24 & bit]
        return " ".join([f"{word & 0xFF} bits", *([f"from {word >> 16 & 0xFF}"] if word >> 16 & 0xFF else []), *signs])

    def values(self, type_id: int) -> dict[str, int]:
        """Return the enumerators of an enum."""
        table, start = self._table, self._table.starts[type_id]
        rows = _kind.enum_rows(table.words[start + 1], table.record(type_id)[3:])
        return {table.names[at]: value for at, value in rows}

    def members(self, type_id: int) -> dict[str, tuple[int, _Place]]:
        """Return the type and the place of each member of a record, those of records without a name too, by its way."""
        found: dict[str, tuple[int, _Place]] = {}
        self._members(type_id, "", 0, 0, found)
        return found

    def _members(self, type_id: int, path: str, start: int, depth: int, found: dict[str, tuple[int, _Place]]) -> None:
        table = self._table
        rows = table.record(type_id)[3:]
        self._left -= len(rows) // 3
        if depth > _MAX_DEPTH or self._left < 0:
            raise BTFError(f"type {type_id} is nested too deep, or contains itself")
        wide = table.words[table.starts[type_id] + 1] >> 31
        for at, member, place in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
            bits, width = (place & 0xFFFFFF, place >> 24) if wide else (place, 0)
            name = table.names[at]
            way = f"{path}.{name}" if path and name else path or name
            inner = self._written_out(member)
            if name:
                # what is inside has members of its own to tell what has changed there
                number = -table.kinds[inner] if inner else self.number(member)
                found[way] = member, _Place(start + bits, width, number, width or self.size(member))
            if inner:
                self._members(inner, way, start + bits, depth + 1, found)

    def _written_out(self, type_id: int) -> int:
        """Return the id of the record without a name that a member has, by itself or as items of an array; or 0."""
        table = self._table
        for _ in range(_MAX_DEPTH):
            kind, start = table.kinds[type_id], table.starts[type_id]
            if kind in _RECORDS:
                return 0 if table.words[start] else type_id
            if kind == _kind.ARRAY:
                type_id = table.words[start + 3]
            elif kind in _kind.MODIFIERS:
                type_id = table.words[start + 2]
            else:
                return 0
        raise BTFError(f"type {type_id} is part of a circle of references")

    def shape(self, type_id: int) -> Any:
        """Return what a type is compared by, which does not depend on the order of members."""
        table = self._table
        kind, start = table.kinds[type_id], table.starts[type_id]
        target = table.words[start + 2]
        if kind in _RECORDS:
            return target, frozenset((way, place) for way, (_, place) in self.members(type_id).items())
        if kind in _ENUMS:
            return target, frozenset(self.values(type_id).items())
        if kind == _kind.TYPEDEF and (inner := self._written_out(target)):
            return table.kinds[inner], self.shape(inner)
        if kind == _kind.INT:
            return target, table.words[start + 3]
        if kind == _kind.FLOAT:
            return target
        return self.number(target)

    def inside(self, type_id: int) -> int:
        """Return the record without a name that a typedef stands for, else the type itself."""
        table = self._table
        if table.kinds[type_id] != _kind.TYPEDEF:
            return type_id
        return self._written_out(table.words[table.starts[type_id] + 2]) or type_id

    def kind(self, type_id: int) -> int:
        """Return the kind of a type."""
        return self._table.kinds[type_id]


def _changes(one: _Side, first: int, other: _Side, second: int) -> Iterator[Change]:
    first, second = one.inside(first), other.inside(second)
    kinds = one.kind(first), other.kind(second)
    if kinds[0] in _RECORDS and kinds[0] == kinds[1]:
        yield from _sizes(one.bytes(first), other.bytes(second))
        yield from _members(one, one.members(first), other, other.members(second))
    elif _ENUMS.issuperset(kinds):
        yield from _sizes(one.bytes(first), other.bytes(second))
        yield from _values(one.values(first), other.values(second))
    elif kinds[0] in (_kind.INT, _kind.FLOAT):
        yield from _sizes(one.bytes(first), other.bytes(second))
        if kinds[0] == _kind.INT and one.encoding(first) != other.encoding(second):
            yield Change(ENCODING, "", one.encoding(first), other.encoding(second))
    else:
        what = PROTOTYPE if kinds[0] == _kind.FUNC else TYPE
        yield Change(what, "", _declared(one.btf, first), _declared(other.btf, second))


def _declared(btf: BTF, type_id: int) -> str:
    """Return what a function or variable is in C, or what a typedef stands for."""
    of: Any = btf.type(type_id)
    return declare(btf, of.type_id if btf.kind(type_id) == _kind.TYPEDEF else type_id)


def _sizes(first: int, second: int) -> Iterator[Change]:
    if first != second:
        yield Change(SIZE, "", first, second)


def _members(
    one: _Side, ours: dict[str, tuple[int, _Place]], other: _Side, theirs: dict[str, tuple[int, _Place]]
) -> Iterator[Change]:
    for way in ours:
        if way not in theirs:
            yield Change(REMOVED, decode(way), declare(one.btf, ours[way][0]), None)
    for way, (type_id, place) in theirs.items():
        name = decode(way)
        if way not in ours:
            yield Change(ADDED, name, None, declare(other.btf, type_id))
            continue
        before_id, before = ours[way]
        if before.bits != place.bits:
            yield Change(MOVED, name, before.bits, place.bits)
        if (before.size, before.width) != (place.size, place.width):
            yield Change(RESIZED, name, before.size, place.size)
        if before.type != place.type:
            yield Change(RETYPED, name, declare(one.btf, before_id), declare(other.btf, type_id))


def _values(ours: dict[str, int], theirs: dict[str, int]) -> Iterator[Change]:
    for name, value in ours.items():
        if name not in theirs:
            yield Change(VALUE_REMOVED, decode(name), value, None)
    for name, value in theirs.items():
        if name not in ours:
            yield Change(VALUE_ADDED, decode(name), None, value)
        elif ours[name] != value:
            yield Change(VALUE, decode(name), ours[name], value)
