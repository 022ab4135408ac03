"""Reading BTF: index the types once, inflate one when it is asked for."""

from __future__ import annotations

from itertools import compress, count, pairwise
from operator import itemgetter
from struct import pack

from btf import _loops
from btf import kind as _kind
from btf._section import Sections
from btf.errors import BTFError

TYPE_CHECKING = False  # what typing has to say costs 10 ms, more than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from mmap import mmap
    from typing import Any, Literal, TypeAlias

    from typing_extensions import TypeVar

    from btf.types import Type

    T = TypeVar("T", bound=Type, default=Type)
    KindOf: TypeAlias = type[T]

#: As the kernel's MAX_RESOLVE_DEPTH: no honest chain of types is longer.
_MAX_DEPTH = 32
#: Lookups by name answered by scanning, in C or in Python; whoever asks more often gets a dictionary, which takes as
#: long as 60 scans in C, or 12 in Python.
_SCANS, _SLOW_SCANS = 32, 8
_TRANSPARENT = _kind.MODIFIERS | {_kind.TYPEDEF}
_SIZED = frozenset({_kind.INT, _kind.STRUCT, _kind.UNION, _kind.ENUM, _kind.ENUM64, _kind.DATASEC, _kind.FLOAT})


class BTF:
    """A set of types, read from bytes; ids of a split BTF continue those of its base.

    Length and iteration are of this BTF's own types, without void and those of the base.
    """

    __slots__ = (
        "_by_name",
        "_cache",
        "_first_string",
        "_name_offsets",
        "_pointer_size",
        "_scans",
        "_sections",
        "_starts",
        "base",
        "ids",
    )

    def __init__(self, sections: Sections, base: BTF | None) -> None:
        self._sections = sections
        self._first_string = base.strings_end if base is not None else 0
        first_id = base.ids.stop if base is not None else 1
        self._starts, _ = sections.walk(first_id)
        self.base = base
        #: The ids of this BTF's own types.
        self.ids: range = range(first_id, first_id + len(self._starts))
        self._cache: dict[int, Type] = {}
        self._name_offsets: tuple[int, ...] | None = None
        self._scans = 0
        self._pointer_size = 0
        self._by_name: dict[str, list[int]] | None = None

    @classmethod
    def from_bytes(cls, data: bytes | mmap, base: BTF | None = None) -> BTF:
        """Read raw BTF of either byte order, of which copies are made; ``base`` is what a split BTF was made against.

        Raises BTFError when the header, a section or a type does not fit the data. Names and
        references inside a type are checked when they are read.
        """
        sections = Sections(data)
        if base is None and not sections.strings.startswith(b"\0"):
            raise BTFError("the first string is not empty")
        return cls(sections, base)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Type]:
        from btf._inflate import inflate  # noqa: PLC0415 - the first type pays for it

        words, string = self._sections.words, _Strings(self.string).__getitem__
        spans = pairwise([*self._starts, len(words)])
        for type_id, (start, stop) in zip(self.ids, spans, strict=True):
            yield inflate(type_id, words[start:stop].tolist(), string)

    def __repr__(self) -> str:
        return f"<BTF {self.byteorder}-endian, types {self.ids.start} to {self.ids.stop - 1}>"

    @property
    def parts(self) -> list[BTF]:
        """The bases of a split BTF, the lowest first, and the BTF itself."""
        return [self] if self.base is None else [*self.base.parts, self]

    @property
    def byteorder(self) -> Literal["little", "big"]:
        """Either ``little`` or ``big``, as `int.from_bytes` takes it."""
        return self._sections.byteorder

    @property
    def strings(self) -> bytes:
        """The string section, without that of the base."""
        return self._sections.strings

    @property
    def strings_end(self) -> int:
        """The string offset at which a BTF split off this one starts."""
        return self._first_string + len(self._sections.strings)

    def string(self, offset: int) -> str:
        """Return the string at ``offset``, bytes that are not UTF-8 as surrogates."""
        if self.base is not None and offset < self._first_string:
            return self.base.string(offset)
        return self._sections.string(offset - self._first_string)

    def name(self, type_id: int) -> str:
        """Return a type's name, empty when it has none, without inflating the type."""
        return self.string(self._head(type_id)[0])

    def kind(self, type_id: int) -> int:
        """Return a type's kind, a number of `btf.kind`, without inflating the type."""
        return _kind.of(self._head(type_id)[1])

    def type(self, type_id: int) -> Type:
        """Return the type with this id; raises BTFError if there is none or it is damaged."""
        if self.base is not None and type_id < self.ids.start:
            return self.base.type(type_id)
        found = self._cache.get(type_id)
        if found is None:
            found = self._cache[type_id] = self._inflate(type_id)
        return found

    def resolve(self, type_id: int) -> int:
        """Return the id behind typedefs and modifiers; raises BTFError when they go in circles."""
        for _ in range(_MAX_DEPTH):
            _, info, target = self._head(type_id)
            if _kind.of(info) not in _TRANSPARENT:
                return type_id
            type_id = target
        raise BTFError(f"type {type_id} is part of a circle of references")

    def size_of(self, type_id: int) -> int:
        """Return the size of a value in bytes; raises BTFError for types that have no values."""
        target, times = type_id, 1
        for _ in range(_MAX_DEPTH):
            target = self.resolve(target)
            _, info, size_or_type = self._head(target)
            kind = _kind.of(info)
            if kind in _SIZED:
                return times * size_or_type
            if kind == _kind.PTR:
                return times * self.pointer_size
            if kind == _kind.ARRAY:
                target, _, nr_elems = self._head(target, 3)
                times *= nr_elems
            elif kind == _kind.VAR:
                target = size_or_type
            else:
                break
        raise BTFError(f"type {type_id} has no size")

    @property
    def pointer_size(self) -> int:
        """Size of a pointer where this BTF comes from: that of ``long``, or 8 if it has none."""
        if self.base is not None:
            return self.base.pointer_size
        if not self._pointer_size:
            self._pointer_size = self._find_pointer_size()
        return self._pointer_size

    def _find_pointer_size(self) -> int:
        from btf.types import Int  # noqa: PLC0415 - types are imported when one is asked for

        for name in ("long unsigned int", "unsigned long", "long int", "long"):
            found = self.find(name, Int)
            if found and found.size in (4, 8):
                return found.size
        return 8

    def find(self, name: str, kind: KindOf[T] | None = None) -> T | None:
        """Return the first type with this name (and kind, a class of `btf.types`), base first."""
        return next(self._find(name, kind), None)

    def find_all(self, name: str, kind: KindOf[T] | None = None) -> list[T]:
        """Return every type with this name (and kind, a class of `btf.types`) in order of id."""
        return list(self._find(name, kind))

    def ids_named(self, name: str) -> list[int]:
        """Return the ids of every type with this name, those of the base too, without inflating any."""
        return (self.base.ids_named(name) if self.base is not None else []) + self._ids_named(name)

    def names(self, prefix: str) -> set[str]:
        """Return the names of types, those of the base too, that begin with a prefix, which must not be empty."""
        found = self.base.names(prefix) if self.base is not None else set()
        offsets = self._strings(lambda sections: sections.strings_beginning(prefix))
        if prefix and offsets:
            found.update(self.name(self.ids[index]) for index in self._named(offsets))
        return found

    def _find(self, name: str, kind: KindOf[Any] | None) -> Iterator[Any]:
        if self.base is not None:
            yield from self.base._find(name, kind)  # noqa: SLF001 - same class
        for type_id in self._ids_named(name):
            if kind is None or self.kind(type_id) == _number(kind):
                yield self.type(type_id)

    def _ids_named(self, name: str) -> list[int]:
        """Return this BTF's own types with this name; types without one cannot be asked for."""
        if not name or "\0" in name:
            return []
        self._scans += 1
        if self._scans > (_SCANS if _loops.fast else _SLOW_SCANS):
            return self._names().get(name, [])
        offsets = self._strings(lambda sections: sections.string_offsets(name))
        if not offsets:
            return []
        return list(map(self.ids.__getitem__, self._named(offsets)))

    def _strings(self, found: Callable[[Sections], Iterator[int]]) -> list[int]:
        """Return the offsets of strings found in each part: types of a split BTF may have names of the base."""
        return [part._first_string + at for part in self.parts for at in found(part._sections)]  # noqa: SLF001 - same class

    def _named(self, offsets: list[int]) -> Iterable[int]:
        """Return which of the types, counted from 0, have their name at one of the sorted offsets."""
        if _loops.fast and isinstance(self._starts, memoryview):
            found = _loops.fast.named(self._sections.words, self._starts, pack(f"={len(offsets)}Q", *offsets))
            if found is not None:
                return memoryview(found).cast("I")
        return compress(count(), map(set(offsets).__contains__, self._offsets()))

    def _names(self) -> dict[str, list[int]]:
        """Return the ids by name, a dictionary made once."""
        if self._by_name is None:
            self._by_name = {}
            for type_id, offset in zip(self.ids, self._offsets(), strict=True):
                if offset:
                    self._by_name.setdefault(self.string(offset), []).append(type_id)
        return self._by_name

    def _offsets(self) -> tuple[int, ...]:
        """Return the name offset of each type."""
        if self._name_offsets is None:
            # the two zeros keep itemgetter answering with a tuple, whatever the number of types
            words = itemgetter(*self._starts, 0, 0)(self._sections.words) if self._starts else ()
            self._name_offsets = words[: len(self._starts)]
        return self._name_offsets

    def _head(self, type_id: int, at: int = 0) -> list[int]:
        """Return the first three words of a type (name, info, size or type), or from ``at`` on."""
        if not type_id:
            return [0, 0, 0]
        if self.base is not None and type_id < self.ids.start:
            return self.base._head(type_id, at)  # noqa: SLF001 - same class
        if type_id not in self.ids:
            raise BTFError(f"type id {type_id} is out of range")
        start = self._starts[type_id - self.ids.start] + at
        return self._sections.words[start : start + 3].tolist()

    def _inflate(self, type_id: int) -> Type:
        from btf._inflate import inflate  # noqa: PLC0415 - the first type pays for it

        words = self._head(type_id)
        if type_id:
            position = type_id - self.ids.start
            stop = self._starts[position + 1] if position + 1 < len(self) else None
            words = self._sections.words[self._starts[position] : stop].tolist()
        return inflate(type_id, words, self.string)


class _Strings(dict[int, str]):
    """Offset -> string, for who reads all types: a kernel's names are used five times each."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[int], str]) -> None:
        super().__init__()
        self.read = read

    def __missing__(self, offset: int) -> str:
        self[offset] = string = self.read(offset)
        return string


def _number(kind: KindOf[Any]) -> int:
    from btf.types import KINDS  # noqa: PLC0415 - types are imported when one is asked for

    return KINDS[kind]


def enum_values(data: bytes | mmap, name: str) -> dict[str, int]:
    """Return one enum's values out of raw BTF, nothing if it has no enum of this name.

    For callers who want nothing else: this walks no further than the enum and inflates nothing.
    Raises BTFError as `BTF.from_bytes` does.
    """
    sections = Sections(data)
    for offset in sections.string_offsets(name):
        for start in sections.words_equal(offset):
            info, enums = sections.words[start + 1], (_kind.ENUM, _kind.ENUM64)
            if _kind.of(info) not in enums:
                continue
            # so far the word may be anything; it is a name only if a type starts here
            starts, stop = sections.walk(1, start + 1)
            if starts[-1] == start:
                rows = _kind.enum_rows(info, sections.words[start + 3 : stop].tolist())
                return {sections.string(name_offset): value for name_offset, value in rows}
    return {}
