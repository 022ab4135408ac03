"""Where a type's words hold ids and names, for who rewrites types without inflating them.

Format: the kernel's ``include/uapi/linux/btf.h``. A place is a slice of a type's words: the word
after the head of a pointer, every third word of a struct.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import kind as _kind
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableSequence, Sequence

    from btf._table import Table
    from btf.write import Builder

_HEAD = slice(2, 3)

#: Kind -> where the ids of other types are. A kind that is not here cannot be rewritten.
IDS: dict[int, tuple[slice, ...]] = {
    _kind.UNKN: (),
    _kind.INT: (),
    _kind.PTR: (_HEAD,),
    _kind.ARRAY: (slice(3, 5),),
    _kind.STRUCT: (slice(4, None, 3),),
    _kind.UNION: (slice(4, None, 3),),
    _kind.ENUM: (),
    _kind.FWD: (),
    _kind.TYPEDEF: (_HEAD,),
    _kind.VOLATILE: (_HEAD,),
    _kind.CONST: (_HEAD,),
    _kind.RESTRICT: (_HEAD,),
    _kind.FUNC: (_HEAD,),
    _kind.FUNC_PROTO: (_HEAD, slice(4, None, 2)),
    _kind.VAR: (_HEAD,),
    _kind.DATASEC: (slice(3, None, 3),),
    _kind.FLOAT: (),
    _kind.DECL_TAG: (_HEAD,),
    _kind.TYPE_TAG: (_HEAD,),
    _kind.ENUM64: (),
}

#: Kinds of three words, of which the last is an id.
PLAIN = frozenset({kind for kind, places in IDS.items() if places == (_HEAD,) and _kind.WORDS[kind] == (3, 0)})

#: Kind -> where names are, besides the first word.
NAMES: dict[int, slice] = {
    _kind.STRUCT: slice(3, None, 3),
    _kind.UNION: slice(3, None, 3),
    _kind.ENUM: slice(3, None, 2),
    _kind.FUNC_PROTO: slice(3, None, 2),
    _kind.ENUM64: slice(3, None, 3),
}


def rename(kind: int, words: MutableSequence[int], new: Callable[[int], int]) -> None:
    """Replace the string offsets in a type's words."""
    words[0] = new(words[0])
    place = NAMES.get(kind)
    if place is not None:
        words[place] = map(new, words[place])


def renumber(kind: int, words: MutableSequence[int], new: Callable[[int], int]) -> None:
    """Replace the ids in a type's words."""
    for place in IDS[kind]:
        words[place] = map(new, words[place])


class Offsets(dict[int, int]):
    """String offset of a table -> offset in what is built, where the string is then added."""

    __slots__ = ("_builder", "_table")

    def __init__(self, table: Table, builder: Builder) -> None:
        super().__init__()
        self._table, self._builder = table, builder

    def __missing__(self, offset: int) -> int:
        self[offset] = new = self._builder.string(self._table.names.cut(offset).encode("latin-1"))
        return new


def copy(table: Table, type_ids: Iterable[int], builder: Builder, ids: Sequence[int]) -> None:
    """Add types to what is built, with ``ids[old]`` for each id in them.

    Raises BTFError for references out of range and for kinds newer than this library.
    """
    offsets, kinds, add = Offsets(table, builder), table.kinds, builder.add_words
    new_name, new_id = offsets.__getitem__, ids.__getitem__
    for type_id in type_ids:
        kind, words = kinds[type_id], table.record(type_id)
        try:
            if kind in PLAIN:
                words[0], words[2] = offsets[words[0]], ids[words[2]]
            else:
                rename(kind, words, new_name)
                renumber(kind, words, new_id)
        except KeyError:
            raise BTFError(f"type {type_id} is of unknown kind {kind}") from None
        except IndexError:
            raise BTFError(f"type {type_id} refers to a type that is out of range") from None
        add(words)
