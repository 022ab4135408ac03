"""Whether objects fit kernels: a line for each pair, and the relocations that are not simply resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.views import items
from bpfctl.views.view import Column
from btf.check import ABSENT, FAILED, GUARDED, RESOLVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfctl.views.view import Stream
    from btf.check import Verdict

_STATUSES = (RESOLVED, ABSENT, GUARDED, FAILED)
_MOST_KERNELS = 3  # that a line names


class Check(NamedTuple):
    """What became of the relocations of one object on one kernel."""

    object: str
    against: str
    verdicts: Sequence[Verdict]

    def count(self, status: str) -> int:
        """Return how many relocations have come to this."""
        return sum(verdict.status == status for verdict in self.verdicts)


class Outcome(NamedTuple):
    """What became of one relocation on the kernels where it became the same."""

    object: str
    verdict: Verdict
    kernels: Sequence[str]

    @property
    def place(self) -> str:
        """The line of the source, or the instruction."""
        return self.verdict.source or f"{self.verdict.section}+{self.verdict.insn}"


_CHECKS = (
    Column("object", lambda row: row.object, tone="name"),
    Column("kernel", lambda row: row.against, tone="name"),
    Column("relocations", lambda row: len(row.verdicts), "number", rank=2),
    Column("resolved", lambda row: row.count(RESOLVED), "number", rank=1),
    Column("absent", lambda row: row.count(ABSENT) or None, "number"),
    Column("guarded", lambda row: row.count(GUARDED) or None, "number"),
    Column("failed", lambda row: row.count(FAILED) or None, "number", "alarm"),
)
_OUTCOMES = (
    Column("object", lambda row: row.object, tone="name", rank=1),
    Column("status", lambda row: row.verdict.status, tone="quiet"),
    Column("wanted", lambda row: row.verdict.result.wanted),
    Column("source", lambda row: row.place, tone="handle"),
    Column("kernels", lambda row: tuple(row.kernels), "list"),
    Column("reason", lambda row: row.verdict.reason or None),
)


def streams(checks: Sequence[Check], safe: Callable[[str], str], *, every: bool) -> list[Stream]:
    """Return what shows how many relocations came to what, and what failed, or with ``every`` all of them."""
    outcomes = list(_outcomes(checks, (FAILED,) if not every else _STATUSES))
    return [
        items.stream("checks", checks, _CHECKS, json=_check_json, line=_check_line, safe=safe),
        items.stream(
            "relocations", outcomes, _OUTCOMES, json=_outcome_json, line=_outcome_line, safe=safe, empty="none fails"
        ),
    ]


def _outcomes(checks: Sequence[Check], statuses: tuple[str, ...]) -> Iterator[Outcome]:
    """Yield each relocation with the kernels where it came to the same, in the order of the object."""
    found: dict[tuple[Any, ...], list[str]] = {}
    of: dict[tuple[Any, ...], Verdict] = {}
    for check in checks:
        for at, verdict in enumerate(check.verdicts):
            if verdict.status in statuses:
                # ids of types are in the reasons, and differ from kernel to kernel
                key = check.object, at, verdict.status, verdict.result.value
                of.setdefault(key, verdict)
                found.setdefault(key, []).append(check.against)
    order = {name: at for at, name in enumerate(dict.fromkeys(check.object for check in checks))}
    for key in sorted(found, key=lambda key: (order[key[0]], key[1])):
        yield Outcome(key[0], of[key], found[key])


def _check_json(check: Check) -> dict[str, Any]:
    counts = {status: check.count(status) for status in _STATUSES}
    return {"object": check.object, "against": check.against, "relocations": len(check.verdicts)} | counts


def _check_line(check: Check) -> str:
    counts = [f"{count} {status}" for status in _STATUSES if (count := check.count(status))]
    return f"{check.object} on {check.against}: {', '.join(counts) or 'no relocations'}"


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    verdict, result = outcome.verdict, outcome.verdict.result
    out: dict[str, Any] = {"object": outcome.object, "section": verdict.section, "insn": verdict.insn}
    if verdict.source:
        out["source"] = verdict.source
    out |= {"wanted": result.wanted, "status": verdict.status, "value": result.value}
    if verdict.reason:
        out["reason"] = verdict.reason
    return out | {"against": list(outcome.kernels)}


def _outcome_line(outcome: Outcome) -> str:
    verdict, kernels = outcome.verdict, outcome.kernels
    text = f"{verdict.status}: {outcome.place}: {verdict.result.wanted}"
    if verdict.result.value is not None and verdict.status == RESOLVED:
        text += f" = {verdict.result.value}"
    more = f" and {len(kernels) - _MOST_KERNELS} more" if len(kernels) > _MOST_KERNELS else ""
    reason = f": {verdict.reason}" if verdict.reason else ""
    return f"{text}{reason} ({', '.join(kernels[:_MOST_KERNELS])}{more})"
