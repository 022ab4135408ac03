"""Looking for names in types, and for who uses a type.

::

    for match in search(vmlinux, Wanted(name=re.compile("^lru").search)):
        print(match.kind, match.title, match.id)
    for match in search(vmlinux, Wanted(embeds=frozenset(vmlinux.ids_named("list_head")))):
        print(match.title, match.bits // 8)

Members of structs without a name are those of the struct around them, as in C: what is found is ``struct page.lru``,
however deep the kernel has nested it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from btf import kind as _kind
from btf import types
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from btf.read import BTF

#: What a match may be: types, and what is in them.
KINDS = {
    "struct": types.Struct,
    "union": types.Union,
    "enum": types.Enum,
    "typedef": types.Typedef,
    "func": types.Func,
    "var": types.Var,
    "int": types.Int,
    "float": types.Float,
    "fwd": types.Fwd,
    "section": types.Datasec,
    "decl_tag": types.DeclTag,
    "type_tag": types.TypeTag,
}
MEMBER, ENUMERATOR = "member", "enumerator"

_NUMBERS = {types.KINDS[kind]: word for word, kind in KINDS.items()} | {_kind.ENUM64: "enum"}
_RECORD_KINDS = frozenset({_kind.STRUCT, _kind.UNION})
_ENUM_KINDS = frozenset({_kind.ENUM, _kind.ENUM64})
_ENUMS = (types.Enum, types.Enum64)
_REFERENCES = _kind.MODIFIERS | {_kind.ARRAY, _kind.TYPEDEF}
_NO_NAME = "{...}"
_QUALIFIERS = (types.Const, types.Volatile, types.Restrict, types.TypeTag)
_MAX_DEPTH = 32
#: Most members that are looked at beyond one for each word of the types: those of records without a name are counted
#: for each way to them, of which there may be billions.
_MAX_MEMBERS = 1 << 16


class Wanted(NamedTuple):
    """What is looked for; what is None or empty does not matter, all else must hold.

    ``name`` decides on the name of a type, member, function or enumerator. ``embeds`` and ``points_to`` are
    ids of types: only what has one of them by value, or has a pointer to it, is found, through typedefs,
    modifiers and arrays. Functions that take or return such a pointer are found only if ``kinds`` asks
    for them.
    """

    name: Callable[[str], object] | None = None
    kinds: frozenset[str] = frozenset()
    embeds: frozenset[int] = frozenset()
    points_to: frozenset[int] = frozenset()


class Match(NamedTuple):
    """What was found: a type, or in a type ``id`` a member or enumerator.

    ``owner`` is the type that has the member or enumerator, such as ``struct page``, and ``name`` the way
    to it there. ``type_id`` is the type of a member or variable, or what a typedef stands for, ``bits``
    where a member starts, and ``width`` that of a bit field.
    """

    kind: str
    name: str
    id: int
    owner: str = ""
    type_id: int = 0
    bits: int | None = None
    width: int = 0
    value: int | None = None

    @property
    def title(self) -> str:
        """The name with what it belongs to: ``struct page.lru``, ``enum pid_type::PIDTYPE_PID``, ``struct page``."""
        if self.kind == ENUMERATOR:
            return f"{self.owner}::{self.name}"
        if self.kind == MEMBER:
            return f"{self.owner}.{self.name}"
        return f"{self.kind} {self.name}"


def search(btf: BTF, wanted: Wanted) -> Iterator[Match]:
    """Yield what is found among this BTF's own types, without those of the base, in the order of ids.

    Raises BTFError when a type refers to one that is not there, or contains itself; that may be after some matches.
    """
    return _Search(btf, wanted).run()


class _Hits(dict[int, bool]):
    """String offset -> whether the name there is wanted, decided once for each."""

    __slots__ = ("_decide", "_string")

    def __init__(self, decide: Callable[[str], object] | None, string: Callable[[int], str]) -> None:
        super().__init__({0: False})
        self._decide = decide
        self._string = string

    def __missing__(self, offset: int) -> bool:
        name = self._string(offset)
        self[offset] = hit = bool(name) and (self._decide is None or bool(self._decide(name)))
        return hit


class _Search:
    """One search. Types are inflated only when they may have what is wanted, as most have not."""

    def __init__(self, btf: BTF, wanted: Wanted) -> None:
        self._btf = btf
        self._wanted = wanted
        self._hits = _Hits(wanted.name, btf.string)
        self._names: dict[str, bool] = {}
        self._uses: dict[int, bool] = {}
        self._inner: dict[int, int] = {}
        self._left = _MAX_MEMBERS + len(btf._sections.words)  # noqa: SLF001 - same library
        self._by_use = bool(wanted.embeds or wanted.points_to)

    def run(self) -> Iterator[Match]:
        """Yield the matches."""
        btf, words, hits = self._btf, self._btf._sections.words, self._hits  # noqa: SLF001 - same library
        members, values = self._asks(MEMBER), self._asks(ENUMERATOR) and not self._by_use
        labels = self._labels() if members else {}
        asked = {word for word in KINDS if self._asks(word)}
        if self._by_use:  # types as such use nothing, and functions are told when they are asked for
            asked &= {"var"} | ({"func"} & self._wanted.kinds)
        for type_id, start in zip(btf.ids, btf._starts, strict=True):  # noqa: SLF001
            number = _kind.of(words[start + 1])
            word = _NUMBERS.get(number)
            if word in asked and hits[words[start]]:
                yield from self._type(word, type_id)
            if number in _RECORD_KINDS:
                if members and self._may_have(start):
                    yield from self._members(btf.type(type_id), labels.get(type_id, ""))
            elif number in _ENUM_KINDS and values:
                yield from self._values(type_id)

    def _asks(self, kind: str) -> bool:
        return not self._wanted.kinds or kind in self._wanted.kinds

    def _type(self, word: str, type_id: int) -> Iterator[Match]:
        of = self._btf.type(type_id)
        if isinstance(of, types.Func):
            if self._takes(of):
                yield Match(word, of.name, type_id, type_id=of.type_id)
        elif isinstance(of, types.Var):
            if self._uses_type(of.type_id):
                yield Match(word, of.name, type_id, type_id=of.type_id)
        else:
            yield Match(word, of.name, type_id, type_id=of.type_id if isinstance(of, types.Typedef) else 0)

    def _values(self, type_id: int) -> Iterator[Match]:
        of = self._btf.type(type_id)
        for value in of.values if isinstance(of, _ENUMS) else ():
            if self._named(value.name):
                yield Match(ENUMERATOR, value.name, type_id, f"enum {of.name or _NO_NAME}", type_id, value=value.val)

    def _named(self, name: str) -> bool:
        """Whether a name is wanted, which is found out once for each name."""
        found = self._names.get(name)
        if found is None:
            decide = self._wanted.name
            found = self._names[name] = bool(name) and (decide is None or bool(decide(name)))
        return found

    # members

    def _columns(self, start: int) -> tuple[memoryview, memoryview]:
        """Return the names and the types of a record's members."""
        words = self._btf._sections.words  # noqa: SLF001
        stop = start + 3 + 3 * _kind.vlen(words[start + 1])
        return words[start + 3 : stop : 3], words[start + 4 : stop : 3]

    def _may_have(self, start: int) -> bool:
        names, members = self._columns(start)
        if any(map(self._written_out, members)):
            return True
        if self._by_use and not any(map(self._uses_type, members)):
            return False
        return self._wanted.name is None or any(map(self._hits.__getitem__, names))

    def _labels(self) -> dict[int, str]:
        """Return what to call each struct and union but those that are shown as a part of another."""
        btf, words = self._btf, self._btf._sections.words  # noqa: SLF001
        inside: set[int] = set()
        labels: dict[int, str] = {}
        named: dict[int, str] = {}
        for type_id, start in zip(btf.ids, btf._starts, strict=True):  # noqa: SLF001
            number = _kind.of(words[start + 1])
            if number in _RECORD_KINDS:
                inside.update(map(self._written_out, self._columns(start)[1]))
                labels[type_id] = f"{_NUMBERS[number]} {btf.string(words[start]) or _NO_NAME}"
            elif number == _kind.TYPEDEF and (inner := self._written_out(words[start + 2])):
                named[inner] = btf.string(words[start])
        for type_id in inside:
            labels.pop(type_id, None)
        return labels | named

    def _written_out(self, type_id: int) -> int:
        """Return the id of the struct without a name that a member has, by itself or as items of an array; or 0."""
        found = self._inner.get(type_id)
        if found is None:
            found = self._inner[type_id] = self._find_inner(type_id)
        return found

    def _find_inner(self, type_id: int) -> int:
        for _ in range(_MAX_DEPTH):
            kind, target = self._step(type_id)
            if kind in _RECORD_KINDS:
                return 0 if self._btf.name(type_id) else type_id
            if kind != _kind.ARRAY and kind not in _kind.MODIFIERS:
                return 0
            type_id = target
        raise BTFError(f"type {type_id} is part of a circle of references")

    def _members(self, root: types.Type, owner: str) -> Iterator[Match]:
        if not owner:  # shown as a part of another
            return
        todo: list[tuple[Any, str, int, int]] = [(root, "", 0, 0)]
        while todo:
            of, path, start, depth = todo.pop()
            self._left -= len(of.members)
            if depth > _MAX_DEPTH or self._left < 0:
                raise BTFError(f"type {root.id} is nested too deep, or contains itself")
            later = []
            for member in of.members:
                bits = start + member.bits_offset
                name = f"{path}.{member.name}" if path and member.name else path or member.name
                if (member.name and self._named(member.name) and self._uses_type(member.type_id)) or (
                    not member.name and self._by_use and self._wanted.name is None and self._uses_type(member.type_id)
                ):
                    yield Match(MEMBER, name, root.id, owner, member.type_id, bits, member.bitfield_size)
                if inner := self._written_out(member.type_id):
                    later.append((self._btf.type(inner), name, bits, depth + 1))
            todo += reversed(later)

    # uses

    def _uses_type(self, type_id: int) -> bool:
        """Whether a value of this type has one of the wanted types in it, or a pointer to it, as it was asked."""
        if not self._by_use:
            return True
        found = self._uses.get(type_id)
        if found is None:
            wanted = self._wanted
            found = (not wanted.embeds or self._reaches(type_id, wanted.embeds, pointers=False)) and (
                not wanted.points_to or self._reaches(type_id, wanted.points_to, pointers=True)
            )
            self._uses[type_id] = found
        return found

    def _reaches(self, type_id: int, wanted: frozenset[int], *, pointers: bool) -> bool:
        pointed = not pointers
        for _ in range(_MAX_DEPTH):
            if pointed and type_id in wanted:
                return True
            kind, target = self._step(type_id)
            if kind == _kind.PTR and pointers:
                pointed = True
            elif kind not in _REFERENCES:
                return False
            type_id = target
        raise BTFError(f"type {type_id} is part of a circle of references")

    def _step(self, type_id: int) -> tuple[int, int]:
        """Return the kind of a type, and what it refers to if it is of a kind that does."""
        head = self._btf._head(type_id)  # noqa: SLF001 - same library
        kind = _kind.of(head[1])
        if kind == _kind.ARRAY:
            return kind, self._btf._head(type_id, 3)[0]  # noqa: SLF001
        return kind, head[2]

    def _takes(self, of: types.Func) -> bool:
        if not self._by_use:
            return True
        proto = self._btf.type(of.type_id)
        if not isinstance(proto, types.FuncProto):
            return False
        return any(map(self._uses_type, [proto.ret_type_id, *(param.type_id for param in proto.params)]))
