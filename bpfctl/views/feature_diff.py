"""What differs between two reports of `feature probe`: what is lost, gained, told by one alone, and changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.feature.answer import NO, UNKNOWN, YES, Answer
from bpfctl.feature.diff import CHANGED, GAINED, LOST, UNTOLD
from bpfctl.views import items
from bpfctl.views.view import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfctl.feature.diff import Comparison, Difference, OneSided
    from bpfctl.views.view import Stream

_MOST = 3  # names that a line has of what is not compared
_SIGNS = {LOST: "-", GAINED: "+", UNTOLD: "?", CHANGED: "~"}
_TITLES = {LOST: "lost", GAINED: "gained", UNTOLD: "cannot be told of one", CHANGED: "changed"}
_AVAILABLE = {YES: True, NO: False, UNKNOWN: None}
_SAID = {YES: "available", NO: "not available", UNKNOWN: "cannot be told"}


class _Row(NamedTuple):
    """Helpers that have changed in the same way for the same types of programs; or one thing of another kind."""

    names: tuple[str, ...]
    of: tuple[str, ...]
    one: Difference  # what is the same for all of them


_ONLY = (
    Column("kind", lambda row: row.one.kind, tone="quiet"),
    Column("name", lambda row: row.names, "list", "name"),
    Column("of programs", lambda row: row.of, "list"),
)
_SIDES = (
    *_ONLY,
    Column("first", lambda row: _spelled(row.one.first)),
    Column("second", lambda row: _spelled(row.one.second)),
    Column("why", lambda row: _reason(row.one), rank=1),
)
_ALONE = (
    Column("kind", lambda row: row.kind, tone="quiet"),
    Column("told by", lambda row: f"the {row.told_by}"),
    Column("count", lambda row: len(row.names), "number"),
    Column("names", lambda row: _some(row.names)),
)


def streams(found: Comparison, safe: Callable[[str], str]) -> list[Stream]:
    """Return what shows the differences by what has become of each, and what only one report tells."""
    return [
        *(_stream(change, [one for one in found.differences if one.change == change], safe) for change in _SIGNS),
        items.stream("not compared", found.one_sided, _ALONE, json=_alone_json, line=_alone_line, safe=safe)._replace(
            items="not_compared"
        ),
    ]


def _stream(change: str, found: Sequence[Difference], safe: Callable[[str], str]) -> Stream:
    rows = list(_rows(found))
    columns = _ONLY if change in (LOST, GAINED) else _SIDES
    stream = items.stream(
        f"{_TITLES[change]}: {len(found)}", rows, columns, json=dict, line=lambda row: _line(change, row), safe=safe
    )
    return stream._replace(items=change, json=lambda depth, spell: items.pieces(map(_json, found), depth, spell))


def _rows(found: Sequence[Difference]) -> Iterator[_Row]:
    """Yield one row for things with the same fate for the same types of programs, which for helpers are many."""
    places: dict[tuple[Any, ...], list[Difference]] = {}
    for one in found:
        places.setdefault((one.kind, one.name, *_fate(one)), []).append(one)
    rows: dict[tuple[Any, ...], list[Difference]] = {}
    for ones in places.values():
        of = tuple(one.of for one in ones if one.of)
        rows.setdefault((ones[0].kind, of or ones[0].name, *_fate(ones[0])), []).append(ones[0])
    for (_, of, *_), ones in rows.items():
        yield _Row(tuple(one.name for one in ones), of if ones[0].of else (), ones[0])


def _fate(one: Difference) -> tuple[str | None, ...]:
    return _spelled(one.first), _spelled(one.second), _reason(one)


def _spelled(side: Answer | str) -> str:
    return _SAID[side.can] if isinstance(side, Answer) else side


def _reason(one: Difference) -> str | None:
    sides = (side for side in (one.first, one.second) if isinstance(side, Answer) and side.can == UNKNOWN)
    return "; ".join(dict.fromkeys(side.why for side in sides if side.why)) or None


def _line(change: str, row: _Row) -> str:
    of = f" ({', '.join(row.of)})" if row.of else ""
    text = f"{_SIGNS[change]} {row.one.kind} {', '.join(row.names)}{of}"
    if change in (LOST, GAINED):
        return text
    reason = _reason(row.one)
    return f"{text}: {_spelled(row.one.first)} -> {_spelled(row.one.second)}" + (f" ({reason})" if reason else "")


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


def _alone_line(row: OneSided) -> str:
    return f"# only the {row.told_by} report tells: {row.kind} {_some(row.names)}"


def _json(one: Difference) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": one.kind, "name": one.name}
    if one.of:
        out["for"] = one.of
    out |= {"first": _value(one.first), "second": _value(one.second)}
    reason = _reason(one)
    return out | {"reason": reason} if reason else out


def _value(side: Answer | str) -> bool | str | None:
    return _AVAILABLE[side.can] if isinstance(side, Answer) else side


def _alone_json(row: OneSided) -> dict[str, Any]:
    return {"kind": row.kind, "told_by": row.told_by, "names": list(row.names)}
