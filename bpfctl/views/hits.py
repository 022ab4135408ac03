"""What probes have seen: counts, and hits one by one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.views.view import Board, Column, Growth, View

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from bpfctl.probe.actions.count import Row
    from bpfctl.probe.actions.trace import Hit

SECOND = 10**9  # nanoseconds
#: What tells a point's own fields from those that are read everywhere.
OWN = "args."
_FEW = 10  # counts, of which also those are shown that are zero


class Round(NamedTuple):
    """What was counted until now."""

    at: float  # seconds since 1970
    seconds: float  # since the start
    by: Sequence[str]
    rows: Sequence[Row]  # as many as are wanted
    spelled: Sequence[tuple[list[str], int]]  # the same, as people read them
    every: int  # how many there are
    hits: int  # of all
    lost: int
    missed: int


def missing(missed: int) -> str:
    """Return what is said of hits that the kernel has kept from programs."""
    return f"{missed} hits were missed: the kernel was in the program already, or in more calls than it follows"


def keyed(by: Sequence[str], values: Sequence[Any], others: Container[str]) -> dict[str, Any]:
    """Return values by name; of a point's own field that is called as others beside it, such as ``count``, in full."""
    return {OWN + name if name in others else name: value for name, value in zip(by, values, strict=True)}


def _round_json(told: Round) -> dict[str, Any]:
    return {
        "time": round(told.at, 3),
        "seconds": round(told.seconds, 3),
        "counts": [keyed(told.by, row.values, ("count",)) | {"count": row.hits} for row in told.rows],
        "left_out": told.every - len(told.rows),
        "hits": told.hits,
        "lost": told.lost,
        "missed": told.missed,
    }


def _round_plain(told: Round) -> Iterator[str]:
    shown = _shown(told)
    width = max((len(str(hits)) for _, hits in shown), default=1)
    widths = [max(map(len, column)) for column in zip(*(values for values, _ in shown), strict=True)]
    for values, hits in shown:
        padded = (f"{value:<{room}}" for value, room in zip(values, widths, strict=True))
        yield f"{hits:>{width}}  {'  '.join(padded)}".rstrip()
    yield from _remarks(told)


def _shown(told: Round) -> list[tuple[list[str], int]]:
    """Return what people are shown: of many points only those that were hit."""
    return [row for row in told.spelled if row[1] or len(told.spelled) <= _FEW]


def _remarks(told: Round) -> Iterator[str]:
    quiet = len(told.spelled) - len(_shown(told))
    return remarks(left_out=told.every - len(told.rows), quiet=quiet, lost=told.lost, missed=told.missed)


def remarks(*, left_out: int, lost: int, missed: int, quiet: int = 0) -> Iterator[str]:
    """Yield what else there is to say of what was counted: nothing is passed over in silence."""
    if left_out:
        yield f"{left_out} more are not shown"
    if quiet:
        yield f"{quiet} were not hit"
    if lost:
        yield f"{lost} hits were not counted: there was no room for their values (--max-entries N makes more)"
    if missed:
        yield missing(missed)


def _head(told: Round) -> str:
    told_of = f"{told.hits} hits in {told.seconds:.1f} s"
    return "; ".join([told_of, *_remarks(told)])


def _columns(told: Round) -> tuple[Column, ...]:
    def of(at: int) -> Column:
        return Column(told.by[at], lambda row: row[0][at], tone="name" if told.by[at] == "probe" else "")

    return (Column("count", lambda row: row[1], "number"), *map(of, range(len(told.by))))


def _orders(told: Round) -> list[tuple[str, Callable[[Any], Any], bool]]:
    def of(at: int) -> Callable[[Any], Any]:
        exact = {id(shown): row.values[at] for shown, row in zip(told.spelled, told.rows, strict=True)}
        is_number = all(isinstance(value, int) for value in exact.values())
        return lambda shown: exact[id(shown)] if is_number else str(shown[0][at])

    return [("count", lambda row: row[1], True), *((name, of(at), False) for at, name in enumerate(told.by))]


#: Counts that grow.
BOARD: Board[Round] = Board(
    _round_json,
    _round_plain,
    _head,
    _columns,
    _shown,
    "nothing was hit yet",
    measures=True,
    growth=Growth(lambda told: told.hits, lambda row: tuple(row[0]), lambda row: row[1]),
    orders=_orders,
)


def _members(hit: Hit) -> dict[str, Any]:
    """Return the values by name, those of the point itself apart."""
    found: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for slot, value in zip(hit.layout.slots, hit.values, strict=True):
        if slot.name.startswith(OWN):
            own[slot.name.removeprefix(OWN)] = value
        else:
            found[slot.name] = value
    return found | ({"args": own} if own else {})


def _hit_json(hit: Hit) -> dict[str, Any]:
    return {"time": hit.time / SECOND, "probe": str(hit.point)} | _members(hit)


def _clock(hit: Hit) -> str:
    seconds, rest = divmod(hit.time, SECOND)
    return time.strftime("%H:%M:%S", time.localtime(seconds)) + f".{rest // 1000:06}"


def _told(hit: Hit) -> str:
    everywhere = {slot.name for slot in hit.layout.slots}
    return " ".join(
        f"{shown_name(slot.name, everywhere)}={slot.type.spell(value)}"
        for slot, value in zip(hit.layout.slots, hit.values, strict=True)
    )


def shown_name(name: str, others: set[str]) -> str:
    """Return the name of a point's own field without what says so, unless another field has that name."""
    short = name.removeprefix(OWN)
    return name if short in others else short


def _hit_plain(hit: Hit) -> Iterator[str]:
    yield f"{_clock(hit)} {hit.point} {_told(hit)}"


_PROBE = Column("probe", lambda hit: str(hit.point), tone="name")

#: Hits as they come; and those of a single point, whose name a person knows.
HITS: View[Hit] = View(
    "hits",
    _hit_json,
    _hit_plain,
    (Column("time", _clock, tone="quiet"), _PROBE, Column("fields", _told)),
    lambda _hit: {},
)
OF_ONE = HITS._replace(columns=tuple(column for column in HITS.columns if column is not _PROBE))
