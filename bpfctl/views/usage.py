"""What programs cost: a table that is looked at again and again, and what a list tells of one look."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.kernel.names import prog_type
from bpfctl.views import prog as prog_view
from bpfctl.views.view import Board, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfctl.kernel.prog import ProgramRow
    from bpfctl.kernel.usage import Usage
    from bpfctl.views.view import View


class Round(NamedTuple):
    """What programs did in some seconds, in the order in which they are shown."""

    at: float  # seconds since 1970
    seconds: float
    programs: int
    ran: int
    cpu: float  # per cent of one CPU, of all programs together
    usages: tuple[Usage, ...]  # as many as are wanted


def _type(usage: Usage) -> str:
    return prog_type(usage.info.type) or str(int(usage.info.type))


# What programs are sorted by, and whether the largest come first.
ORDERS: dict[str, tuple[Callable[[Usage], Any], bool]] = {
    "id": (lambda usage: usage.id, False),
    "type": (_type, False),
    "name": (lambda usage: usage.name, False),
    "tag": (lambda usage: usage.info.tag, False),
    "cpu": (lambda usage: usage.cpu, True),
    "runs": (lambda usage: usage.runs, True),
    "runs/s": (lambda usage: usage.per_second, True),
    "ns/run": (lambda usage: usage.per_run or 0, True),
    "missed": (lambda usage: usage.misses or 0, True),
    "total runs": (lambda usage: usage.info.run_cnt or 0, True),
    "total time": (lambda usage: usage.info.run_time_ns or 0, True),
}


def gathered(usages: Sequence[Usage], order: str, *, backwards: bool, limit: int | None) -> Round:
    """Return the round of these, sorted by one of ORDERS; of equals the one that ran more stands first."""
    get, largest = ORDERS[order]
    found = sorted(usages, key=lambda usage: (usage.run_time, usage.runs), reverse=True)
    found.sort(key=get, reverse=largest is not backwards)
    return Round(
        time.time(),
        max((usage.seconds for usage in usages), default=0.0),
        len(usages),
        sum(usage.runs > 0 for usage in usages),
        sum(usage.cpu for usage in usages),
        tuple(found[:limit]),
    )


def _json(found: Round) -> dict[str, Any]:
    return {
        "time": round(found.at, 3),
        "seconds": round(found.seconds, 3),
        "programs": [
            prog_view.head_json(usage.info, usage.name) | {"seconds": round(usage.seconds, 6)} | members(usage)
            for usage in found.usages
        ],
    }


def members(usage: Usage) -> dict[str, Any]:
    """Return what a program did in some time, as members of a JSON object."""
    told = {
        "runs": usage.runs,
        "time_ns": usage.run_time,
        "runs_per_second": round(usage.per_second, 3),
        "ns_per_run": None if usage.per_run is None else round(usage.per_run, 1),
        "cpu_percent": round(usage.cpu, 6),
        "misses": usage.misses,
    }
    return {name: value for name, value in told.items() if value is not None}


def line(usage: Usage) -> str:
    """Return what a program did in some time as a line of text."""
    words = [f"runs {usage.runs} ({_rate(usage)}/s)", f"cpu {usage.cpu:.3f}%"]
    if usage.per_run is not None:
        words.insert(1, f"ns/run {usage.per_run:.1f}")
    if usage.misses:
        words.append(f"missed {usage.misses}")
    return "  ".join(words)


def _plain(found: Round) -> Iterator[str]:
    clock = time.strftime("%H:%M:%S", time.localtime(found.at))
    yield f"{clock}  {_head(found)}"
    for usage in filter(_ran, found.usages):
        yield f"{usage.id}: {_type(usage)}  name {usage.name}  {line(usage)}"


def _ran(usage: Usage) -> bool:
    return bool(usage.runs or usage.misses)


def _head(found: Round) -> str:
    return f"programs: {found.programs}  {found.ran} ran  {found.cpu:.2f}% of a CPU"


def _rate(usage: Usage) -> str:
    return f"{usage.per_second:.0f}" if usage.per_second >= 100 else f"{usage.per_second:.1f}"


def _if_ran(show: Callable[[Usage], Any]) -> Callable[[Usage], Any]:
    return lambda usage: show(usage) if usage.runs else None


_COLUMNS = (
    Column("id", lambda usage: usage.id, "number", "handle"),
    Column("type", _type, rank=2),
    Column("name", lambda usage: usage.name or None, tone="name"),
    Column("tag", lambda usage: usage.info.tag.hex(), tone="quiet", rank=5),
    Column("cpu", lambda usage: f"{usage.cpu:.2f}%" if usage.runs else "0%", "number", "name"),
    Column("runs/s", lambda usage: _rate(usage) if usage.runs else "0", "number"),
    Column("ns/run", _if_ran(lambda usage: f"{usage.per_run:.0f}"), "number"),
    Column("runs", _if_ran(lambda usage: usage.runs), "number", rank=3),
    Column("missed", lambda usage: usage.misses or None, "number", "alarm"),
    Column("total runs", lambda usage: usage.info.run_cnt or None, "number", "quiet", 4),
)

BOARD: Board[Round] = Board(
    _json, _plain, _head, lambda _: _COLUMNS, lambda found: found.usages, "no programs are loaded", measures=True
)


def with_usage(view: View[ProgramRow], usages: dict[int, Usage]) -> View[ProgramRow]:
    """Return a view of programs that also tells what those did of which that is known, by id."""

    def json(row: ProgramRow) -> dict[str, Any]:
        usage = usages.get(row.id)
        told = {"seconds": round(usage.seconds, 6)} | members(usage) if usage else None
        return view.json(row) | ({"stats": told} if told else {})

    def plain(row: ProgramRow) -> Iterator[str]:
        yield from view.plain(row)
        if usage := usages.get(row.id):
            yield f"\tin {usage.seconds:.2f}s  {line(usage)}"

    def of(get: Callable[[Usage], Any]) -> Callable[[ProgramRow], Any]:
        return lambda row: get(usages[row.id]) if row.id in usages else None

    measured = {column.title: column._replace(get=of(column.get)) for column in _COLUMNS[4:-1]}
    kept = [column for column in view.columns if column.title not in measured]
    at = next(at for at, column in enumerate(kept) if column.title == "name") + 1
    details = tuple(column for column in view.details if column.title not in measured)
    return view._replace(json=json, plain=plain, columns=(*kept[:at], *measured.values(), *kept[at:]), details=details)
