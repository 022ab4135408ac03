"""What changes in a map, round by round: counts of all of it, and the entries that change most."""

from __future__ import annotations

import time
from heapq import nlargest
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.views import entry_table, value
from bpfctl.views.view import Board, Column
from btf.value import Decoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.kernel.change import Change
    from bpfctl.kernel.meter import Meter
    from bpfctl.views.element import Shape

_MOST_NUMBERS = 6  # that a table has columns for


class Round(NamedTuple):
    """What has changed since the round before."""

    at: float  # seconds since 1970
    seconds: float  # since the round before; 0 in the first, in which nothing has changed yet
    entries: int
    added: int
    changed: int
    deleted: int
    first: tuple[Change, ...]  # those that change most, as many as are wanted

    @property
    def left_out(self) -> int:
        """How many changes are only counted."""
        return self.added + self.changed + self.deleted - len(self.first)


class _Row(NamedTuple):
    """A change as a row of a table."""

    entry: entry_table.Row
    state: str | None
    numbers: tuple[float, ...]
    differences: tuple[float, ...]
    seconds: float


def gathered(changes: Iterable[Change], meter: Meter, most: int, seconds: float) -> Round:
    """Return the round of these changes, of which no more than ``most`` are held; ``entries`` is not known yet."""
    counts = {"added": 0, "changed": 0, "deleted": 0}

    def counted() -> Iterator[Change]:
        for change in changes:
            counts[_state(change)] += 1
            yield change

    first = nlargest(most, counted(), key=meter.rank)
    return Round(time.time(), seconds, 0, **counts, first=tuple(first))


def _state(change: Change) -> str:
    return "added" if change.before is None else "deleted" if change.after is None else "changed"


def _shown_value(change: Change) -> bytes:
    """Return the value that an entry has, or had before it was gone."""
    return change.after if change.after is not None else change.before or b""


class Changes:
    """How the changes of one map look."""

    def __init__(self, shape: Shape, meter: Meter, title: str) -> None:
        self._shape = shape
        self._meter = meter
        self._title = title
        types = shape.types
        self._key_of = Decoder(types.btf, types.key) if types and types.key else None
        self._value_of = Decoder(types.btf, types.value) if types else None

    def board(self) -> Board[Round]:
        """Return the three voices of a round."""
        return Board(self._json, self._plain, self._head, self._columns, self._rows, "nothing has changed")

    # JSON

    def _json(self, found: Round) -> dict[str, Any]:
        out: dict[str, Any] = {
            "time": round(found.at, 3),
            "seconds": round(found.seconds, 3),
            "entries": found.entries,
            "added": [],
            "changed": [],
            "deleted": [],
        }
        for change in found.first:
            out[_state(change)].append(self._entry(change, found.seconds))
        return out | ({"left_out": found.left_out} if found.left_out else {})

    def _entry(self, change: Change, seconds: float) -> dict[str, Any]:
        shown = _shown_value(change)
        entry: dict[str, Any] = {"key": _bytes(change.key), "value": _bytes(shown)}
        formatted: dict[str, Any] = {}
        if self._key_of:
            formatted["key"] = value.json(self._key_of(change.key))
        if self._value_of:
            formatted["value"] = value.json(self._value_of(shown))
        if formatted:
            entry["formatted"] = formatted
        if _state(change) == "changed":
            told = {name: number for name, number in self._differences(change).items() if number}
            entry["change"] = {name: value.json(number) for name, number in told.items()}
            entry["rate"] = {name: value.json(round(number / seconds, 3)) for name, number in told.items()}
        return entry

    def _differences(self, change: Change) -> dict[str, int | float]:
        numbers = self._meter.numbers
        if change.before is None or change.after is None:
            return {}
        return {
            number.name: after - before
            for number, before, after in zip(
                numbers, self._meter.read(change.before), self._meter.read(change.after), strict=True
            )
        }

    # plain text

    def _plain(self, found: Round) -> Iterator[str]:
        clock = time.strftime("%H:%M:%S", time.localtime(found.at))
        yield f"{clock}  {self._head(found)}"
        for change in found.first:
            shown = _shown_value(change)
            line = f"{_state(change)}  key {self._text(self._key_of, change.key)}"
            told = [(name, number) for name, number in self._differences(change).items() if number]
            if told:
                now = dict(zip([number.name for number in self._meter.numbers], self._meter.read(shown), strict=True))
                line += "".join(
                    f"  {name} {_number(now[name])} {_signed(number)} ({_rate(number, found.seconds)}/s)"
                    for name, number in told
                )
            else:
                line += f"  value {self._text(self._value_of, shown)}"
            yield line
        if found.left_out:
            yield f"and {found.left_out} more"

    @staticmethod
    def _text(decoder: Decoder | None, raw: bytes) -> str:
        return value.plain(decoder(raw)) if decoder else raw.hex(" ")

    # a table

    def _head(self, found: Round) -> str:
        return (
            f"{self._title}: {found.entries} entries  {found.added} added  {found.changed} changed"
            f"  {found.deleted} deleted"
        )

    def _rows(self, found: Round) -> list[_Row]:
        return [self._row(change, found.seconds) for change in found.first]

    def _row(self, change: Change, seconds: float) -> _Row:
        shown = _shown_value(change)
        state = {"added": "new", "deleted": "gone"}.get(_state(change))
        key = self._key_of(change.key) if self._key_of else change.key
        entry = entry_table.Row(key, self._value_of(shown) if self._value_of else shown, 0)
        return _Row(entry, state, self._meter.read(shown), tuple(self._differences(change).values()), seconds)

    def _columns(self, found: Round) -> tuple[Column, ...]:
        columns = [
            column._replace(get=_of_entry(column.get))
            for column in entry_table.columns(self._shape)
            if column.title == "key" or column.title.startswith("key.")
        ]
        columns.append(Column("state", lambda row: row.state, tone="alarm"))
        moving = self._moving(found)
        for at in moving:
            name = self._meter.numbers[at].name
            columns.append(Column(name, _shown(at), "number"))
            columns.append(Column(f"+{name}", _difference(at), "number", "quiet", 1))
            columns.append(Column(f"{name}/s", _each_second(at), "number", "name"))
        if not moving:
            columns.append(Column("value", lambda row: entry_table.cell(row.entry.value)))
        return tuple(columns)

    def _moving(self, found: Round) -> list[int]:
        """Return which numbers are worth a column: those that have changed, or the first where all is new or gone."""
        every = [tuple(self._differences(change).values()) for change in found.first]
        changed = [row for row in every if row]
        if not changed:
            return list(range(min(len(self._meter.numbers), _MOST_NUMBERS)))
        return [at for at in range(len(self._meter.numbers)) if any(row[at] for row in changed)][:_MOST_NUMBERS]


def _of_entry(get: Any) -> Any:
    return lambda row: get(row.entry)


def _shown(at: int) -> Any:
    return lambda row: _number(row.numbers[at])


def _difference(at: int) -> Any:
    return lambda row: _signed(row.differences[at]) if row.differences and row.differences[at] else None


def _each_second(at: int) -> Any:
    return lambda row: _rate(row.differences[at], row.seconds) if row.differences and row.differences[at] else None


def _number(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _signed(number: float) -> str:
    return f"{number:+g}" if isinstance(number, float) else f"{number:+d}"


def _rate(number: float, seconds: float) -> str:
    rate = number / seconds
    return f"{rate:.0f}" if abs(rate) >= 100 else f"{rate:.1f}"


def _bytes(raw: bytes) -> list[str]:
    return [f"{byte:#04x}" for byte in raw]
