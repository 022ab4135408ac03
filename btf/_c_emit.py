"""Definitions one after the other, and before each the declarations that it needs.

A definition may mention what is not defined yet: behind a pointer, or because two types need each
other. Then a declaration comes first. Whether anything has to be done is looked up type by type, and
types that are settled for good are remembered, which soon are nearly all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import kind as _kind

if TYPE_CHECKING:
    from btf._c_text import Writer
    from btf._table import Table

_RECORDS = frozenset({_kind.STRUCT, _kind.UNION})
_ENUMS = frozenset({_kind.ENUM, _kind.ENUM64})
_TRANSPARENT = _kind.MODIFIERS | {_kind.PTR}
#: What a compiler may know but not define, and what to define it as (libbpf src/btf_dump.c missing_base_types).
_MISSING = {
    "__Poly8_t": "unsigned char",
    "__Poly16_t": "unsigned short",
    "__Poly64_t": "unsigned long long",
    "__Poly128_t": "unsigned __int128",
}
_NOTHING = 0


class Emitter:
    """Writes types in the order of a queue."""

    def __init__(self, table: Table, writer: Writer) -> None:
        self.table = table
        self.writer = writer
        #: What was written.
        self.out: list[str] = []
        #: Ids whose mention needs nothing before it any more.
        self._settled = {0}
        self._open: set[int] = set()

    def define(self, type_id: int) -> None:
        """Write a type of the queue, which has a name or is an enum."""
        table, settled = self.table, self._settled
        kind = table.kinds[type_id]
        if kind in _RECORDS:
            members = table.column(type_id, 3, 1)
            if not settled.issuperset(members):
                self._open.add(type_id)
                for member in members:
                    if member not in settled:
                        self._mention(member, type_id)
                self._open.remove(type_id)
            self.out.append(self.writer.record(type_id) + ";\n\n")
            settled.add(type_id)
        elif kind not in _ENUMS:
            self._mention(type_id, _NOTHING)
        elif type_id not in settled:
            self.out.append(self.writer.enum(type_id) + ";\n\n")
            settled.add(type_id)

    def _mention(self, type_id: int, owner: int) -> bool:  # noqa: C901, PLR0912 - one case for each kind
        """Write what has to come before a mention of this type; tell whether that settles it for good.

        Inside its own definition, ``owner``, a record needs no declaration; elsewhere it may still.
        """
        settled, table = self._settled, self.table
        if type_id in settled:
            return True
        kind, start = table.kinds[type_id], table.starts[type_id]
        done = True
        if kind in _TRANSPARENT:
            done = self._mention(table.words[start + 2], owner)
        elif kind in _RECORDS:
            if not table.words[start]:
                done = self._mention_members(type_id, owner)
            elif type_id == owner:
                return False
            else:
                self.out.append(self.writer.forward(type_id) + ";\n\n")
        elif kind == _kind.FUNC_PROTO:
            done = self._mention(table.words[start + 2], owner)
            for param in table.column(type_id, 2, 1):
                if param not in settled and not self._mention(param, owner):
                    done = False
            if not done:
                self.writer.spend(1)
        elif kind == _kind.TYPEDEF:
            if type_id not in self._open:
                self._open.add(type_id)
                self._mention(table.words[start + 2], type_id)
                self._open.remove(type_id)
            if type_id not in settled:
                self.out.append(self.writer.typedef(type_id))
        elif kind == _kind.ARRAY:
            done = self._mention(table.words[start + 3], owner)
        elif kind == _kind.FWD:
            self.out.append(self.writer.forward(type_id) + ";\n\n")
        elif kind == _kind.INT:
            known = _MISSING.get(self.writer.tag(type_id))
            if known:
                self.out.append(f"typedef {known} {self.writer.tag(type_id)};\n\n")
        if done:
            settled.add(type_id)
        return done

    def _mention_members(self, type_id: int, owner: int) -> bool:
        """Write what has to come before a record without a name, which is defined where it is mentioned."""
        if type_id in self._open:
            return False
        done = True
        self._open.add(type_id)
        for member in self.table.column(type_id, 3, 1):
            if not self._mention(member, owner):
                done = False
        self._open.remove(type_id)
        if not done:
            self.writer.spend(1)
        return done
