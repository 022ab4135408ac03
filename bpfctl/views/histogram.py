"""Histograms: bars for people, buckets for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.views.calls import remarks_on_calls
from bpfctl.views.hits import keyed, remarks
from bpfctl.views.view import Board, Column, Growth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfctl.probe.histograms import Bucket, Histogram
    from bpfctl.probe.started import Tally

_PERCENT = (50, 90, 99)
_WIDTH = 40  # characters of the longest bar
_UNITS = "KMGTPE"
_WHOLE = 1e4  # from which on a mean is told without what is behind the point


class Round(NamedTuple):
    """What was counted until now."""

    at: float  # seconds since 1970
    seconds: float  # since the start
    of: str  # the number that is put into buckets
    by: Sequence[str]
    rows: Sequence[Histogram]  # as many as are wanted
    spelled: Sequence[Sequence[str]]  # their values, as people read them
    every: int  # how many there are
    hits: int  # of all
    lost: int
    missed: int
    noun: str = "hits"  # what was counted
    unit: str = ""  # of the numbers, where they have one
    spell: Callable[[float], str] | None = None  # what people read instead of a number
    tally: Tally | None = None  # what became of calls


class _Bar(NamedTuple):
    """A bucket on a screen."""

    values: Sequence[str]  # only before the first bucket of a histogram
    range: str
    hits: int
    bar: str


def _json(told: Round) -> dict[str, Any]:
    return (
        {
            "time": round(told.at, 3),
            "seconds": round(told.seconds, 3),
            "of": told.of,
            "histograms": [_histogram(told, row) for row in told.rows],
            "left_out": told.every - len(told.rows),
            "hits": told.hits,
            "lost": told.lost,
            "missed": told.missed,
        }
        | ({"unit": told.unit} if told.unit else {})
        | ({"calls": told.tally._asdict()} if told.tally else {})
    )


def _histogram(told: Round, row: Histogram) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "count": row.hits,
        "mean": round(row.mean, 3),
        "below": {str(percent): row.below(percent) for percent in _PERCENT},
        "buckets": [{"from": bucket.low, "below": bucket.below, "count": bucket.hits} for bucket in row.buckets],
    }
    return keyed(told.by, row.values, shown) | shown


def _number(number: int) -> str:
    """Return a number, shorter where it is 1024 or a power of that some times."""
    for power in range(len(_UNITS), 0, -1):
        unit = 1 << 10 * power
        if number and not number % unit:
            return f"{number // unit}{_UNITS[power - 1]}"
    return str(number)


def _range(told: Round, bucket: Bucket) -> str:
    spell, low, below = told.spell or _number, bucket.low, bucket.below
    if low is not None and below == low + 1 and told.spell is None:
        return f"[{spell(low)}]"
    begin = "(..." if low is None else f"[{spell(low)}"
    return f"{begin}, {'...' if below is None else spell(below)})"


def _summary(told: Round, row: Histogram) -> str:
    spell = told.spell or _number
    parts = [_hits(told, row.hits), f"mean {told.spell(row.mean) if told.spell else _mean(row.mean)}"]
    for percent in _PERCENT:
        below = row.below(percent)
        if below is not None:
            parts.append(f"{percent} % below {spell(below)}")
    return ", ".join(parts)


def _mean(number: float) -> str:
    """Return a mean with four digits, and all of those before the point."""
    return f"{number:.4g}" if abs(number) < _WHOLE else f"{number:.0f}"


def _bars(told: Round, row: Histogram) -> list[tuple[str, int, str]]:
    most = max((bucket.hits for bucket in row.buckets), default=1)
    return [(_range(told, bucket), bucket.hits, "@" * (bucket.hits * _WIDTH // most)) for bucket in row.buckets]


def _hits(told: Round, number: int) -> str:
    return f"{number} {told.noun}" if number != 1 or told.tally is None else f"1 {told.noun.removesuffix('s')}"


def _of(told: Round) -> str:
    """Return what people read of which number is meant: its unit too, where each number does not tell that."""
    return f"{told.of} ({told.unit})" if told.unit and told.spell is None else told.of


def _plain(told: Round) -> Iterator[str]:
    for at, (row, spelled) in enumerate(zip(told.rows, told.spelled, strict=True)):
        if at:
            yield ""
        values = " ".join(f"{name}={value}" for name, value in zip(told.by, spelled, strict=True))
        yield f"{values or _of(told)}: {_summary(told, row)}"
        bars = _bars(told, row)
        widths = max(len(bar[0]) for bar in bars), max(len(str(bar[1])) for bar in bars)
        for range_, hits, bar in bars:
            yield f"{range_:<{widths[0]}}  {hits:>{widths[1]}}  |{bar:<{_WIDTH}}|"
    yield from _remarks(told)


def _remarks(told: Round) -> Iterator[str]:
    yield from remarks(left_out=told.every - len(told.rows), lost=told.lost, missed=told.missed)
    if told.tally is not None:
        yield from remarks_on_calls(told.tally)


def _head(told: Round) -> str:
    alone = [_summary(told, told.rows[0])] if len(told.rows) == 1 else [_hits(told, told.hits)]
    return "; ".join([f"{_of(told)}: {alone[0]} in {told.seconds:.1f} s", *_remarks(told)])


def _columns(told: Round) -> tuple[Column, ...]:
    def of(at: int) -> Column:
        return Column(told.by[at], lambda bar: bar.values[at] if bar.values else None, tone="name")

    return (
        *map(of, range(len(told.by))),
        Column(_of(told), lambda bar: bar.range),
        Column("count", lambda bar: bar.hits, "number"),
        Column("", lambda bar: bar.bar),
    )


def _rows(told: Round) -> list[_Bar]:
    return [
        _Bar(() if at else spelled, *bar)
        for row, spelled in zip(told.rows, told.spelled, strict=True)
        for at, bar in enumerate(_bars(told, row))
    ]


#: Histograms that grow.
BOARD: Board[Round] = Board(
    _json, _plain, _head, _columns, _rows, "nothing was hit yet", measures=True, growth=Growth(lambda told: told.hits)
)
