"""BTF for older kernels: what a kernel does not know is replaced by the nearest thing that it does.

::

    blob = sanitize(btf, known_to((5, 10)))

A kernel refuses a BTF as a whole when it has a kind of type that is newer than the kernel. Every type
is replaced by one type, so that ids stay what they are, and strings stay where they are: a ``.BTF.ext``
still fits. What is lost is what the kernel would have done with it, no more. The rules are those of
libbpf's bpf_object__sanitize_btf (src/libbpf.c) but for two: a 64-bit enum becomes an integer of its
size, which also a bitfield can be of, and a prototype becomes an empty struct, as its parameters may
have no names.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from btf import kind as _kind
from btf._record import IDS
from btf._table import Table
from btf.errors import BTFError
from btf.types import BOOL, SIGNED, Int
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Collection

    from btf.read import BTF


class Feature(Enum):
    """What a kernel may know of BTF; the values are for people."""

    KIND_FLAG = "bitfields and forward declarations of unions marked by kind_flag"
    FUNC = "kinds FUNC and FUNC_PROTO"
    DATASEC = "kinds VAR and DATASEC"
    FUNC_LINKAGE = "global functions"
    FLOAT = "kind FLOAT"
    DECL_TAG = "kind DECL_TAG"
    TYPE_TAG = "kind TYPE_TAG"
    ENUM64 = "kind ENUM64, and signed enums marked by kind_flag"
    SECTION_NAMES = "sections with any printable name, such as ?.struct_ops"
    ATTRIBUTES = "tags that are compiler attributes, marked by kind_flag"
    VLEN = "more than 65535 members"


#: The first Linux with each feature, and the commit that brought it. Distributions backport: a kernel
#: may know more than its version says, and loading a type is the only way to be sure.
SINCE: dict[Feature, tuple[int, int]] = {
    Feature.KIND_FLAG: (5, 0),  # 9d5f9f701b18
    Feature.FUNC: (5, 0),  # 2667a2626f4d
    Feature.DATASEC: (5, 2),  # 1dc92851849c
    Feature.FUNC_LINKAGE: (5, 6),  # 51c39bb1d5d1
    Feature.FLOAT: (5, 13),  # b1828f0b0482
    Feature.DECL_TAG: (5, 16),  # b5ea834dde6b
    Feature.TYPE_TAG: (5, 17),  # 8c42d2fa4eea
    Feature.ENUM64: (6, 0),  # 6089fb325cf7
    Feature.SECTION_NAMES: (6, 9),  # bd70a8fb7ca4
    Feature.ATTRIBUTES: (6, 15),  # 53ee0d66d7a6
    Feature.VLEN: (7, 1),
}

_FLAG = 1 << 31
_MANY = 0xFFFF
_WORD = 0xFFFFFFFF
#: What the first kernels took for names of sections, and what C has for names.
_NOT_IN_SECTION = re.compile(rb"[^A-Za-z0-9_.]")
_NOT_IN_C = re.compile(rb"[^A-Za-z0-9_]")


def known_to(version: tuple[int, int]) -> frozenset[Feature]:
    """Return what a kernel of this version knows at least; without BTF (before 4.18) that means nothing."""
    return frozenset(feature for feature, since in SINCE.items() if since <= version)


def sanitize(btf: BTF, features: Collection[Feature]) -> bytes:
    """Return the BTF in terms that a kernel with these features accepts; ids and string offsets stay.

    A few integers may be added after the last type. Raises BTFError for more members than the kernel
    can count, and when a type is damaged.
    """
    rewriting = _Rewriting(btf, features)
    try:
        return rewriting.all()
    except IndexError:
        raise BTFError("a type refers to an id that is out of range") from None


class _Rewriting:
    """A BTF on its way into an older form."""

    def __init__(self, btf: BTF, features: Collection[Feature]) -> None:
        self._btf, self._table = btf, Table(btf)
        self._builder = Builder(byteorder=btf.byteorder, base=btf.base, strings=btf.strings)
        lacks = frozenset(Feature).difference(features)
        if lacks & {Feature.FUNC, Feature.DATASEC}:
            lacks |= {Feature.DECL_TAG}  # nothing is left that could have some of the tags
        rules = {
            _kind.INT: self._int,
            _kind.STRUCT: self._record if Feature.KIND_FLAG in lacks else None,
            _kind.UNION: self._record if Feature.KIND_FLAG in lacks else None,
            _kind.ENUM: self._without_flag if Feature.ENUM64 in lacks else None,
            _kind.FWD: self._without_flag if Feature.KIND_FLAG in lacks else None,
            _kind.FUNC: self._func if lacks & {Feature.FUNC, Feature.FUNC_LINKAGE} else None,
            _kind.FUNC_PROTO: self._empty_struct if Feature.FUNC in lacks else None,
            _kind.VAR: self._byte if Feature.DATASEC in lacks else None,
            _kind.DATASEC: self._datasec if lacks & {Feature.DATASEC, Feature.SECTION_NAMES} else None,
            _kind.FLOAT: self._empty_struct if Feature.FLOAT in lacks else None,
            _kind.DECL_TAG: self._byte if Feature.DECL_TAG in lacks else self._tag,
            _kind.TYPE_TAG: self._const if Feature.TYPE_TAG in lacks else self._tag,
            _kind.ENUM64: self._enum64 if Feature.ENUM64 in lacks else None,
        }
        self._lacks = lacks
        self._rules = {kind: rule for kind, rule in rules.items() if rule is not None}
        #: (size, bits, encoding) of integers that are needed and are added in the end -> id
        self._added: dict[tuple[int, int, int], int] = {}

    def all(self) -> bytes:
        for type_id in self._btf.ids:
            words = self._table.record(type_id)
            kind = _kind.of(words[1])
            if kind not in IDS:
                raise BTFError(f"type {type_id} is of unknown kind {kind}")
            if Feature.VLEN in self._lacks and _kind.vlen(words[1]) > _MANY:
                raise BTFError(f"type {type_id} has {_kind.vlen(words[1])} members, more than the kernel can count")
            self._builder.add_words(self._rules.get(kind, list)(words))
        for size, bits, encoding in self._added:
            self._builder.add_int("", size, nr_bits=bits, encoding=encoding)
        return self._builder.build()

    def _integer(self, size: int, bits: int, encoding: int = 0) -> int:
        """Return the id of an integer, added if there is none yet."""
        return self._added.setdefault((size, bits, encoding), self._btf.ids.stop + len(self._added))

    def _string(self, offset: int) -> bytes:
        return self._table.names.cut(offset).encode("latin-1")

    def _name(self, offset: int, unwanted: re.Pattern[bytes]) -> int:
        """Return the offset of a name without unwanted characters."""
        name = self._string(offset)
        return self._builder.string(unwanted.sub(b"_", name)) if unwanted.search(name) else offset

    def _int(self, words: list[int]) -> list[int]:
        # every kernel so far takes one encoding at a time (btf_int_check_meta)
        word = words[3]
        encoding = word >> 24 & 0xF
        if encoding & encoding - 1:
            words[3] = word & 0xFFFFFF | (encoding & SIGNED or encoding & BOOL) << 24
        return words

    def _record(self, words: list[int]) -> list[int]:
        # without kind_flag, a bitfield is a member whose type is an integer of few bits
        if not _kind.flag(words[1]):
            return words
        words[1] &= ~_FLAG
        for at in range(3, len(words), 3):
            width, words[at + 2] = words[at + 2] >> 24, words[at + 2] & 0xFFFFFF
            if width:
                of = self._btf.type(self._btf.resolve(words[at + 1]))
                signed = of.encoding & SIGNED if isinstance(of, Int) else 0
                words[at + 1] = self._integer(self._btf.size_of(of.id), width, signed)
        return words

    def _without_flag(self, words: list[int]) -> list[int]:
        return [words[0], words[1] & ~_FLAG, *words[2:]]

    def _func(self, words: list[int]) -> list[int]:
        if Feature.FUNC in self._lacks:
            return [self._name(words[0], _NOT_IN_C), _kind.TYPEDEF << 24, words[2]]
        return [words[0], _kind.FUNC << 24, words[2]]

    def _empty_struct(self, words: list[int]) -> list[int]:
        # nameless, as C has no ``struct float``; as large as it was, or of no size for a prototype
        return [0, _kind.STRUCT << 24, words[2] if _kind.of(words[1]) == _kind.FLOAT else 0]

    def _byte(self, words: list[int]) -> list[int]:
        # a variable may be as small as that, and a section that has become a struct must not overflow
        return [words[0], _kind.INT << 24, 1, 8]

    def _datasec(self, words: list[int]) -> list[int]:
        name, info, size, *variables = words
        if Feature.DATASEC not in self._lacks:
            return [self._name(name, _NOT_IN_SECTION), info, size, *variables]
        members: list[int] = []
        for type_id, offset in zip(variables[::3], variables[1::3], strict=True):
            is_variable = self._table.kinds[type_id] == _kind.VAR
            label = self._name(self._table.words[self._table.starts[type_id]], _NOT_IN_C)
            members += label, type_id if is_variable else self._integer(1, 8), offset * 8 & _WORD
        size = max([size, *(min(offset + 1, _WORD) for offset in variables[1::3])])
        return [self._name(name, _NOT_IN_C), _kind.STRUCT << 24 | _kind.vlen(info), size, *members]

    def _tag(self, words: list[int]) -> list[int]:
        # an attribute becomes a tag that says so: there are tags that mean something to the kernel
        if Feature.ATTRIBUTES in self._lacks and _kind.flag(words[1]):
            words[0] = self._builder.string(b"attribute:" + self._string(words[0]))
            words[1] &= ~_FLAG
        return words

    def _const(self, words: list[int]) -> list[int]:
        return [0, _kind.CONST << 24, words[2]]

    def _enum64(self, words: list[int]) -> list[int]:
        encoding = SIGNED if _kind.flag(words[1]) else 0
        return [words[0], _kind.INT << 24, words[2], encoding << 24 | (words[2] * 8 & 0xFF)]
