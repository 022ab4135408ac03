"""In which order types have to be defined in C.

A definition has to come after what it contains by value; behind a pointer a declaration will do. So
this is a depth-first search in which a pointer to something with a name ends the way. The result is
a queue of what is written at the top level: structs, unions, enums and forward declarations with a
name, typedefs, and enums without a name that nothing refers to, which only define constants.

Where the searches begin is up to the caller; `btf._c_sort` has an order that keeps headers alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from btf import kind as _kind
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from btf._table import Table

_ENUMS = frozenset({_kind.ENUM, _kind.ENUM64})
_RECORDS = frozenset({_kind.STRUCT, _kind.UNION})
#: Kinds whose third word is a reference that makes an enum part of another type.
_REFERENCES = _kind.MODIFIERS | {_kind.PTR, _kind.TYPEDEF, _kind.FUNC, _kind.VAR, _kind.DECL_TAG}
#: Kinds that need no definition of their own.
SILENT = frozenset({_kind.FUNC, _kind.VAR, _kind.DATASEC, _kind.DECL_TAG})
_OPEN, DONE = 1, 2
#: How often a type is met again before its definition is due, at most and on average; a kernel has 0.1.
_PATIENCE = 64


class Search:
    """Collects what has to be defined for some types, each after what it needs."""

    def __init__(self, table: Table) -> None:
        self.table = table
        #: The ids to write at the top level, in order.
        self.queue: list[int] = []
        #: Per type: 2 when nothing is left to do for it, 1 while its members are looked at.
        self.state = bytearray(len(table.starts))
        self.state[0] = DONE
        self._referenced: set[int] | None = None
        self._patience = _PATIENCE * (len(table.starts) + 16)

    def all(self, type_ids: Iterable[int]) -> list[int]:
        """Return the queue for these types; BTFError if a type contains itself or does not exist."""
        state, visit = self.state, self._visit
        try:
            for type_id in type_ids:
                if state[type_id] != DONE:
                    visit(type_id, behind=False)
        except IndexError:
            raise BTFError("a type refers to an id that is out of range") from None
        except RecursionError:
            raise BTFError("types are nested too deep") from None
        return self.queue

    def _visit(self, type_id: int, *, behind: bool) -> bool:  # noqa: C901, PLR0912 - one case for each kind
        """Queue what a type needs, then the type; the answer is whether it is defined by now.

        ``behind`` says that a pointer leads here. Without one a search leaves everything on its way
        done, with one it may have to come back for more.
        """
        state, table = self.state, self.table
        if state[type_id] == DONE:
            return True
        start = table.starts[type_id]
        name, info, target = table.words[start : start + 3]
        kind = info >> 24 & 0x7F
        if kind in _RECORDS:
            if state[type_id] == _OPEN and not (behind and name):
                raise BTFError(f"type {type_id} contains itself")
            if behind and name:
                return False
            state[type_id] = _OPEN
            for member in table.words[start + 4 : start + 3 + 3 * (info & 0xFFFFFF) : 3]:
                if state[member] != DONE:
                    self._visit(member, behind=False)
            if name:
                self.queue.append(type_id)
        elif kind == _kind.PTR:
            defined = self._visit(target, behind=True)
            state[type_id] = DONE
            return defined
        elif kind in _kind.MODIFIERS:
            if behind:
                return self._visit(target, behind=True)
            defined = self._visit(target, behind=False)
            state[type_id] = DONE
            return defined
        elif kind == _kind.TYPEDEF:
            if not self._visit(target, behind=behind) and behind:
                self._wait()
                return False
            self.queue.append(type_id)
        elif kind == _kind.ARRAY:
            defined = self._visit(table.words[start + 3], behind=False)
            state[type_id] = DONE
            return defined
        elif kind == _kind.FUNC_PROTO:
            defined = self._visit(target, behind=behind)
            for param in table.words[start + 4 : start + 3 + 2 * (info & 0xFFFFFF) : 2]:
                if state[param] == DONE or self._visit(param, behind=behind):
                    defined = True
            if behind:
                self._wait()
            else:
                state[type_id] = DONE
            return defined
        elif kind in _ENUMS:
            if name or not self._is_referenced(type_id):
                self.queue.append(type_id)
        elif kind == _kind.FWD:
            self.queue.append(type_id)
        elif kind in (_kind.INT, _kind.FLOAT) or kind in SILENT:
            state[type_id] = DONE
            return False
        else:
            raise BTFError(f"type {type_id} is of unknown kind {kind}")
        state[type_id] = DONE
        return True

    def _wait(self) -> None:
        """Note that a type has to be met again; such types can refer to each other in 2 ** n ways."""
        self._patience -= 1
        if not self._patience:
            raise BTFError("types refer to each other in too many ways")

    def _is_referenced(self, type_id: int) -> bool:
        if self._referenced is None:
            self._referenced = _referenced(self.table)
        return type_id in self._referenced


def _referenced(table: Table) -> set[int]:
    """Return every id that is part of another type, which the result of a function is not."""
    words = table.words
    found: set[int] = set()
    for start in table.starts:
        info = words[start + 1]
        kind = info >> 24 & 0x7F
        if kind == _kind.FUNC_PROTO:
            found.update(words[start + 4 : start + 3 + 2 * (info & 0xFFFFFF) : 2])
        elif kind in _REFERENCES:
            found.add(words[start + 2])
        elif kind in _RECORDS:
            found.update(words[start + 4 : start + 3 + 3 * (info & 0xFFFFFF) : 3])
        elif kind == _kind.ARRAY:
            found.update(words[start + 3 : start + 5])
        elif kind == _kind.DATASEC:
            found.update(words[start + 3 : start + 3 + 3 * (info & 0xFFFFFF) : 3])
    return found
