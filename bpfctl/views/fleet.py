"""What objects need, and which hosts of a fleet have it: counts for each host, and a table with a column for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.feature.check import MET, NOT_MET, OPEN
from bpfctl.views import items
from bpfctl.views.need import MOST_USES, Check, check_json, named, need_json, needers, places, told_uses
from bpfctl.views.view import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfctl.feature.fleet import Outcome, Row
    from bpfctl.views.view import Stream

_STATUSES = (NOT_MET, OPEN, MET)
_ALL_MET = "all is met by all"
_MARKS = {MET: "met", NOT_MET: "no", OPEN: "?"}


class _Counts(NamedTuple):
    """How many needs of an object came to what, on hosts where that is the same; or what is wrong with one's files."""

    check: Check
    hosts: tuple[str, ...]
    of: int  # hosts in the fleet
    complaint: str


class _Case(NamedTuple):
    """What one need came to on some hosts."""

    row: Row
    status: str
    reason: str
    hosts: tuple[str, ...]


class _Grid(NamedTuple):
    """The rows to be shown; ``alike`` has for each column the hosts, by their places, that are the same in all rows."""

    hosts: tuple[str, ...]
    rows: list[Row]
    alike: list[list[int]]


_COUNTS = (
    Column("object", lambda row: row.check.object, tone="name"),
    Column("hosts", lambda row: row.hosts, "list"),
    Column("needs", lambda row: len(row.check.verdicts) or None, "number", rank=1),
    Column(MET, lambda row: row.check.count(MET) or None, "number"),
    Column(NOT_MET, lambda row: row.check.count(NOT_MET) or None, "number", "alarm"),
    Column(OPEN, lambda row: row.check.count(OPEN) or None, "number", "alarm"),
    Column("complaint", lambda row: row.complaint or None, tone="alarm"),
)


def streams(
    objects: Sequence[str],
    outcomes: Sequence[Outcome],
    rows: Sequence[Row],
    safe: Callable[[str], str],
    *,
    every: bool,
) -> list[Stream]:
    """Return what shows the hosts, and the needs that not all of them have, or with ``every`` all needs."""
    hosts = tuple(outcome.host for outcome in outcomes if not outcome.complaint)
    shown = [row for row in rows if every or any(one.status != MET for one in row.verdicts)]
    grid = _Grid(hosts, shown, _alike(shown, len(hosts)))
    counts = list(_counts(objects, outcomes))
    cases = [case for case in _cases(grid) if every or case.status != MET]
    checks = [(_check(one, path), one.complaint) for one in outcomes for path in objects]
    of_hosts = items.stream("hosts", counts, _COUNTS, json=dict, line=_counts_line, safe=safe)
    columns = _columns(grid, safe)
    of_needs = items.stream(
        "needs", shown, columns, json=lambda row: _json(row, hosts), line=str, safe=safe, empty=_ALL_MET
    )
    return [
        of_hosts._replace(
            items="checks", json=lambda depth, spell: items.pieces((_check_json(*one) for one in checks), depth, spell)
        ),
        of_needs._replace(plain=lambda: (f"{safe(_case_line(case, len(hosts)))}\n".encode() for case in cases)),
    ]


def _alike(rows: Sequence[Row], count: int) -> list[list[int]]:
    """Return the places of hosts, those together whose statuses are the same in all rows."""
    found: dict[tuple[str, ...], list[int]] = {}
    for at in range(count):
        found.setdefault(tuple(row.verdicts[at].status for row in rows), []).append(at)
    return list(found.values())


def _columns(grid: _Grid, safe: Callable[[str], str]) -> tuple[Column, ...]:
    several = len({row.object for row in grid.rows}) > 1
    return (
        *((Column("object", lambda row: row.object, tone="name"),) if several else ()),
        Column("kind", lambda row: row.need.kind),
        Column("need", lambda row: tuple(named(row.need).split(" ")), "flags", "name"),
        *(_of_hosts([safe(grid.hosts[at]) for at in alike], alike[0]) for alike in grid.alike),
        Column("needed by", lambda row: needers(row.need), "list", rank=3),
        Column("source", lambda row: places(row.need)[:MOST_USES], "list", "handle", rank=4),
        Column("reason", _reasons, rank=2),
    )


def _of_hosts(names: Sequence[str], at: int) -> Column:
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    return Column(names[0] + more, lambda row: _MARKS[row.verdicts[at].status], rank=1)


def _reasons(row: Row) -> str | None:
    return "; ".join(dict.fromkeys(one.reason for one in row.verdicts if one.reason and one.status != MET)) or None


def _counts(objects: Sequence[str], outcomes: Sequence[Outcome]) -> Iterator[_Counts]:
    for path in objects:
        found: dict[tuple[Any, ...], list[Check]] = {}
        for one in outcomes:
            check = _check(one, path)
            found.setdefault((one.complaint, *map(check.count, _STATUSES)), []).append(check)
        for (complaint, *_), checks in found.items():
            yield _Counts(checks[0], tuple(check.against for check in checks), len(outcomes), complaint)


def _check(outcome: Outcome, path: str) -> Check:
    return Check(path, outcome.host, outcome.verdicts.get(path, ()))


def _counts_line(row: _Counts) -> str:
    check = row.check
    counts = [f"{count} {status}" for status in (MET, NOT_MET, OPEN) if (count := check.count(status))]
    return f"{check.object} on {_some(row.hosts, row.of)}: {row.complaint or ', '.join(counts) or 'no needs'}"


def _check_json(check: Check, complaint: str) -> dict[str, Any]:
    out = check_json(check)
    return out | {"error": complaint} if complaint else out


def _cases(grid: _Grid) -> Iterator[_Case]:
    for row in grid.rows:
        found: dict[tuple[str, str], list[str]] = {}
        for host, one in zip(grid.hosts, row.verdicts, strict=True):
            found.setdefault((one.status, one.reason if one.status != MET else ""), []).append(host)
        for (status, reason), hosts in sorted(found.items(), key=lambda one: _STATUSES.index(one[0][0])):
            yield _Case(row, status, reason, tuple(hosts))


def _case_line(case: _Case, of: int) -> str:
    need = case.row.need
    reason = f": {case.reason}" if case.reason else ""
    where = f"{told_uses(need)} on {_some(case.hosts, of)}"
    return f"{case.status}: {case.row.object}: {need.kind} {named(need)}{where}{reason}"


def _some(hosts: Sequence[str], of: int) -> str:
    return f"all {of} hosts" if len(hosts) == of > 1 else ", ".join(hosts)


def _json(row: Row, hosts: Sequence[str]) -> dict[str, Any]:
    sides = list(zip(hosts, row.verdicts, strict=True))
    reasons = {host: one.reason for host, one in sides if one.reason}
    return need_json(row.object, row.need, status={host: one.status for host, one in sides}, reason=reasons)
