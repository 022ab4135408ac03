"""What BPF objects need, and whether a kernel has it: a line for each object, and one for each need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.feature.check import MET, NOT_MET, OPEN
from bpfctl.views import items
from bpfctl.views.view import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.feature.check import Verdict
    from bpfctl.feature.need import Need, Use
    from bpfctl.views.view import Stream

MOST_USES = 3  # that a line names


class Check(NamedTuple):
    """What is known of the needs of one object on one kernel."""

    object: str
    against: str
    verdicts: Sequence[Verdict]

    def count(self, status: str) -> int:
        """Return how many needs came to this."""
        return sum(verdict.status == status for verdict in self.verdicts)


class _Row(NamedTuple):
    """A need in a table."""

    object: str
    verdict: Verdict


_CHECKS = (
    Column("object", lambda row: row.object, tone="name"),
    Column("kernel", lambda row: row.against),
    Column("needs", lambda row: len(row.verdicts), "number", rank=1),
    Column(MET, lambda row: row.count(MET), "number"),
    Column(NOT_MET, lambda row: row.count(NOT_MET) or None, "number", "alarm"),
    Column(OPEN, lambda row: row.count(OPEN) or None, "number", "alarm"),
)
_NEEDS = (
    Column("object", lambda row: row.object, tone="name", rank=1),
    Column("status", lambda row: row.verdict.status, tone="quiet"),
    Column("kind", lambda row: row.verdict.need.kind),
    Column("need", lambda row: named(row.verdict.need), tone="name"),
    Column("needed by", lambda row: needers(row.verdict.need), "list", rank=2),
    Column("source", lambda row: places(row.verdict.need)[:MOST_USES], "list", "handle", rank=3),
    Column("reason", lambda row: row.verdict.reason or None, tone="alarm"),  # only what is not met has one
)


def streams(checks: Sequence[Check], safe: Callable[[str], str], *, unmet: bool) -> list[Stream]:
    """Return what shows the objects, and their needs; with ``unmet`` only those that are not met or cannot be told."""
    rows = [
        _Row(check.object, verdict)
        for check in checks
        for verdict in check.verdicts
        if not unmet or verdict.status != MET
    ]
    return [
        items.stream("checks", checks, _CHECKS, json=check_json, line=_check_line, safe=safe),
        items.stream("needs", rows, _NEEDS, json=_row_json, line=_need_line, safe=safe, empty="none that is not met"),
    ]


def named(need: Need) -> str:
    """Return the name of a need, with that for which it is needed."""
    return f"{need.name} ({need.of})" if need.of else need.name


def place(use: Use) -> str:
    """Return where something is needed: the line of source, or the instruction; empty for a map."""
    return use.source or (f"{use.section}+{use.slot}" if use.slot >= 0 else "")


def needers(need: Need) -> tuple[str, ...]:
    """Return the programs, or maps, that need it."""
    return tuple(dict.fromkeys(use.by for use in need.uses if use.by))


def places(need: Need) -> tuple[str, ...]:
    """Return where it is needed."""
    return tuple(where for where in dict.fromkeys(map(place, need.uses)) if where)


def check_json(check: Check) -> dict[str, Any]:
    """Return the counts of an object on a kernel."""
    counts = {status.replace(" ", "_"): check.count(status) for status in (MET, NOT_MET, OPEN)}
    return {"object": check.object, "against": check.against, "needs": len(check.verdicts)} | counts


def _check_line(check: Check) -> str:
    counts = [f"{count} {status}" for status in (MET, NOT_MET, OPEN) if (count := check.count(status))]
    return f"{check.object} on {check.against}: {', '.join(counts) or 'no needs'}"


def _row_json(row: _Row) -> dict[str, Any]:
    return need_json(row.object, row.verdict.need, row.verdict.status, row.verdict.reason)


def need_json(path: str, need: Need, status: object, reason: object) -> dict[str, Any]:
    """Return a need of an object, with what it came to, and why."""
    out: dict[str, Any] = {"object": path, "kind": need.kind, "name": need.name}
    if need.of:
        out["for"] = need.of
    out["status"] = status
    if reason:
        out["reason"] = reason
    return out | {"needed_by": [_use_json(use) for use in need.uses]}


def _use_json(use: Use) -> dict[str, Any]:
    out: dict[str, Any] = {"by": use.by} if use.by else {}
    if use.slot >= 0:
        out |= {"section": use.section, "insn": use.slot}
    if use.source:
        out["source"] = use.source
    return out


def _need_line(row: _Row) -> str:
    need = row.verdict.need
    reason = f": {row.verdict.reason}" if row.verdict.reason else ""
    return f"{row.verdict.status}: {row.object}: {need.kind} {named(need)}{told_uses(need)}{reason}"


def told_uses(need: Need) -> str:
    """Return who needs it and where, behind what is needed in a line."""
    by, at = needers(need), places(need)
    return (f" by {_some(by)}" if by else "") + (f" at {_some(at)}" if at else "")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_USES} more" if len(names) > MOST_USES else ""
    return ", ".join(names[:MOST_USES]) + more
