"""What differs between two sets of types: what only one has, and what has changed in those that both have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.views import items
from bpfctl.views.view import Column, Stream
from btf import diff as words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from btf.diff import Change, Difference

_PIECE = 256  # types


class _Row(NamedTuple):
    """A change in a table."""

    of: Difference
    change: Change


_ONLY = (
    Column("kind", lambda row: row.kind, tone="quiet"),
    Column("name", lambda row: row.name, tone="name"),
    Column("id", lambda row: row.second if row.first is None else row.first, "number", "handle"),
)
_CHANGED = (
    Column("type", lambda row: f"{row.of.kind} {row.of.name}", tone="name"),
    Column("what", lambda row: row.change.what, tone="quiet"),
    Column("member", lambda row: row.change.name or None),
    Column("first", lambda row: side(row.change, row.change.first)),
    Column("second", lambda row: side(row.change, row.change.second)),
)


def streams(found: Sequence[Difference], safe: Callable[[str], str]) -> list[Stream]:
    """Return what shows the types that are removed, added and changed; ``safe`` makes a line harmless."""
    removed = [one for one in found if one.second is None]
    added = [one for one in found if one.first is None]
    changed = [one for one in found if one.first is not None and one.second is not None]
    return [
        _stream("removed", removed, _ONLY, json=_only_json, lines=lambda one: [f"- {one.kind} {one.name}"], safe=safe),
        _stream("added", added, _ONLY, json=_only_json, lines=lambda one: [f"+ {one.kind} {one.name}"], safe=safe),
        _stream("changed", changed, _CHANGED, json=_changed_json, lines=_lines, safe=safe),
    ]


def _rows(found: Sequence[Difference]) -> Iterator[Any]:
    """Yield the rows of a table: one for each type that only one side has, and one for each change."""
    for one in found:
        if one.changes:
            yield from (_Row(one, change) for change in one.changes)
        else:
            yield one


def _stream(
    title: str,
    found: Sequence[Difference],
    columns: tuple[Column, ...],
    *,
    json: Callable[[Difference], dict[str, Any]],
    lines: Callable[[Difference], list[str]],
    safe: Callable[[str], str],
) -> Stream:
    def plain() -> Iterator[bytes]:
        for at in range(0, len(found), _PIECE):
            text = [f"{safe(line)}\n" for one in found[at : at + _PIECE] for line in lines(one)]
            yield "".join(text).encode()

    return Stream(
        head={},
        title=f"{title}: {len(found)}",
        items=title,
        json=lambda depth, spell: items.pieces(map(json, found), depth, spell),
        plain=plain,
        document=None,
        columns=lambda: columns,
        rows=lambda: _rows(found),
        empty="none",
    )


def _only_json(one: Difference) -> dict[str, Any]:
    return {"kind": one.kind, "name": one.name, "id": one.second if one.first is None else one.first}


def _changed_json(one: Difference) -> dict[str, Any]:
    changes = [change._asdict() for change in one.changes]
    for change in changes:
        if not change["name"]:
            del change["name"]
    return {"kind": one.kind, "name": one.name, "ids": [one.first, one.second], "changes": changes}


def side(change: Change, value: int | str | None) -> str | None:
    """Return one side of a change in words: an offset as bytes, with bits behind a colon where it has some."""
    if value is None:
        return None
    if change.what == words.MOVED and isinstance(value, int):
        byte, bit = divmod(value, 8)
        return f"{byte}:{bit}" if bit else str(byte)
    return str(value)


def _lines(one: Difference) -> list[str]:
    title = f"~ {one.kind} {one.name}"
    return [title + _told(change) for change in one.changes]


def _told(change: Change) -> str:
    first, second = side(change, change.first), side(change, change.second)
    name = f".{change.name}" if change.what in _OF_MEMBERS else f"::{change.name}" if change.name else ""
    if first is None:
        return f"{name}: {change.what}: {second}"
    if second is None:
        return f"{name}: {change.what}: {first}"
    return f"{name}: {change.what}: {first} -> {second}"


_OF_MEMBERS = (words.ADDED, words.REMOVED, words.MOVED, words.RESIZED, words.RETYPED)
