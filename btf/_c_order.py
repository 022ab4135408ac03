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
    from collections.abc import Container, Iterable

    from btf._table import Table

ENUMS = frozenset({_kind.ENUM, _kind.ENUM64})
RECORDS = frozenset({_kind.STRUCT, _kind.UNION})
#: Kinds whose third word is a reference that makes an enum part of another type.
REFERENCES = (*_kind.MODIFIERS, _kind.PTR, _kind.TYPEDEF, _kind.VAR, _kind.DECL_TAG)
#: Kinds whose members are such references, the size of a member, and which of its words is one.
_COLUMNS = ((_kind.STRUCT, 3, 1), (_kind.UNION, 3, 1), (_kind.FUNC_PROTO, 2, 1), (_kind.DATASEC, 3, 0))
#: Kinds that need no definition of their own.
SILENT = frozenset({_kind.FUNC, _kind.VAR, _kind.DATASEC, _kind.DECL_TAG})
DONE, _OPEN = 2, 1
#: How often a type may be met again before its definition is due, on average; in a kernel that is 0.1.
_PATIENCE = 64


class Search:
    """Collects what has to be defined for some types, each after what it needs."""

    def __init__(self, table: Table, constants: Container[int] | None = None) -> None:
        self.table = table
        self._constants = constants
        #: The ids to write at the top level, in order.
        self.queue: list[int] = []
        #: Per type: DONE when nothing is left to do for it.
        self.state = bytearray(len(table.starts))
        self.state[0] = DONE
        #: Enums that were found as the result of a function.
        self.results: set[int] = set()
        self._patience = _PATIENCE * (len(table.starts) + 16)

    @property
    def constants(self) -> Container[int]:
        """The enums without a name that only define constants, unless the caller deals with them."""
        if self._constants is None:
            self._constants = constants(self.table)
        return self._constants

    def all(self, type_ids: Iterable[int]) -> None:
        """Queue these types and what they need; BTFError if a type contains itself."""
        state, visit = self.state, self._visit
        for type_id in type_ids:
            if state[type_id] != DONE:
                visit(type_id, behind=False)

    def _visit(self, type_id: int, *, behind: bool) -> bool:  # noqa: C901, PLR0912 - one case for each kind
        """Queue what a type needs, then the type; the answer is whether it is defined by now.

        ``behind`` says that a pointer leads here. Without one a search leaves everything on its way
        done, with one it may have to come back for more.
        """
        state, table = self.state, self.table
        kind, start = table.kinds[type_id], table.starts[type_id]
        defined = True
        if kind in RECORDS:
            if table.words[start]:
                if behind:
                    return False
                self._visit_members(type_id)
                self.queue.append(type_id)
            else:
                self._visit_members(type_id)
        elif kind == _kind.PTR:
            target = table.words[start + 2]
            if state[target] != DONE:
                defined = self._visit(target, behind=True)
        elif kind in _kind.MODIFIERS or kind == _kind.TYPEDEF:
            target = table.words[start + 2]
            if state[target] != DONE:
                defined = self._visit(target, behind=behind)
            if kind == _kind.TYPEDEF:
                if behind and not defined:
                    self._wait()
                    return False
                self.queue.append(type_id)
                defined = True
            elif behind:
                return defined
        elif kind == _kind.ARRAY:
            element = table.words[start + 3]
            if state[element] != DONE:
                defined = self._visit(element, behind=False)
        elif kind == _kind.FUNC_PROTO:
            defined = self._visit_signature(type_id, behind=behind)
            if behind:
                self._wait()
                return defined
        elif kind in ENUMS:
            if table.words[start] or type_id in self.constants:
                self.queue.append(type_id)
        elif kind == _kind.FWD:
            self.queue.append(type_id)
        elif kind in (_kind.INT, _kind.FLOAT) or kind in SILENT:
            defined = False
        else:
            raise BTFError(f"type {type_id} is of unknown kind {kind}")
        state[type_id] = DONE
        return defined

    def _visit_members(self, type_id: int) -> None:
        state = self.state
        if state[type_id] == _OPEN:
            raise BTFError(f"type {type_id} contains itself")
        state[type_id] = _OPEN
        for member in self.table.column(type_id, 3, 1):
            if state[member] != DONE:
                self._visit(member, behind=False)

    def _visit_signature(self, type_id: int, *, behind: bool) -> bool:
        state, table = self.state, self.table
        result, defined = table.words[table.starts[type_id] + 2], True
        if state[result] != DONE:
            if table.kinds[result] in ENUMS:
                self.results.add(result)
            defined = self._visit(result, behind=behind)
        for param in table.column(type_id, 2, 1):
            if state[param] == DONE or self._visit(param, behind=behind):
                defined = True
        return defined

    def _wait(self) -> None:
        """Note that a type has to be met again; such types can refer to each other in 2 ** n ways."""
        self._patience -= 1
        if not self._patience:
            raise BTFError("types refer to each other in too many ways")


def constants(table: Table) -> set[int]:
    """Return the enums without a name that are part of no other type, which the result of a function is not."""
    words, starts = table.words, table.starts
    found = {type_id for kind in ENUMS for type_id in table.ids(kind) if not words[starts[type_id]]}
    for kind in REFERENCES if found else ():
        found.difference_update([words[starts[type_id] + 2] for type_id in table.ids(kind)])
    for kind, size, number in _COLUMNS if found else ():
        for type_id in table.ids(kind):
            found.difference_update(table.column(type_id, size, number))
    for type_id in table.ids(_kind.ARRAY) if found else ():
        found.difference_update(words[starts[type_id] + 3 : starts[type_id] + 5])
    return found
