"""What differs between two reports: what a kernel has gained, lost, can be told of no longer, or has another value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.feature.answer import NO, UNKNOWN, Answer
from bpfctl.feature.saved import ANY, NOT_SET, SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bpfctl.feature.saved import Saved

GAINED, LOST, UNTOLD, CHANGED = "gained", "lost", "cannot_be_told", "changed"
FIRST, SECOND = "first", "second"

#: What one of a group is called.
KINDS = {
    "syscall": "system call",
    "program_types": "program type",
    "map_types": "map type",
    "limits": "limit",
    "attach_types": "attach type",
    "link_types": "link type",
    "sleepable": "sleepable program",
    "attachments": "attachment",
    "commands": "command",
    "loading": "load",
    "program_flags": "program flag",
    "map_flags": "map flag",
    "map_batches": "batch",
    "instructions": "instruction",
    "btf_kinds": "BTF kind",
    "perf_events": "perf event",
    "kfuncs": "kfunc",
}
KFUNC = KINDS["kfuncs"]
HELPER, SYSCTL, OPTION, SURROUNDINGS = "helper", "sysctl", "kernel option", "surroundings"
_MISSING = Answer(NO)
_HELPERS = "helpers of"
_LISTED_OPTIONS = ("CONFIG_BPF", "CONFIG_DEBUG_INFO_BTF")
_LISTED = "kfuncs"


class Difference(NamedTuple):
    """One thing of which two reports do not say the same; ``of`` is the type of programs that may call a function.

    The sides are answers; or text where it has a value, and then an answer is that it cannot be told.
    """

    kind: str
    name: str
    of: str
    first: Answer | str
    second: Answer | str

    @property
    def change(self) -> str:
        """What has become of it."""
        if any(isinstance(side, Answer) and side.can == UNKNOWN for side in self[3:]):
            return UNTOLD
        if isinstance(self.first, Answer):
            return GAINED if self.first.can == NO else LOST
        return CHANGED


class OneSided(NamedTuple):
    """Things of a kind that only one report speaks of: a shorter one, or one of an older bpfctl."""

    kind: str
    told_by: str
    names: tuple[str, ...]


class Comparison(NamedTuple):
    """All that differs between two reports, and what could not be compared."""

    differences: list[Difference]
    one_sided: list[OneSided]
    compared: int  # things of which both speak


def compare(first: Saved, second: Saved) -> Comparison:
    """Compare two reports, of whichever form."""
    found = _Comparer()
    by_type = bool(first.kfuncs and second.kfuncs)
    for group in _union(first.features, second.features):
        kind = KINDS.get(group, group.replace("_", " "))
        answers = first.features.get(group, {}), second.features.get(group, {})
        if group == _LISTED and by_type:
            continue
        if group == _LISTED:
            answers = _filled(*answers)
        found.pairs(kind, *answers)
    for programs in _union(first.helpers, second.helpers):
        names = _union(first.helpers.get(programs, {}), second.helpers.get(programs, {}))
        told = [_told(one, programs, names) for one in (first, second)]
        if not any(told):
            continue
        if not all(told):
            found.alone(_HELPERS, FIRST if told[0] else SECOND, programs)
            continue
        found.pairs(HELPER, told[0], told[1], programs)
        if by_type:
            names = _union(first.kfuncs, second.kfuncs)
            found.pairs(KFUNC, _callable(first, programs, names), _callable(second, programs, names), programs)
    for kind in (SYSCTL, OPTION, SURROUNDINGS):
        names = [name for name in _union(first.facts, second.facts) if _kind(name) == kind]
        found.pairs(kind, _facts(first, names), _facts(second, names))
    return Comparison(found.differences, list(found.one_sided()), found.compared)


class _Comparer:
    """Collects what differs."""

    def __init__(self) -> None:
        self.differences: list[Difference] = []
        self.compared = 0
        self._alone: dict[tuple[str, str], dict[str, None]] = {}

    def alone(self, kind: str, told_by: str, name: str) -> None:
        self._alone.setdefault((kind, told_by), {})[name] = None

    def one_sided(self) -> Iterator[OneSided]:
        for (kind, told_by), names in self._alone.items():
            yield OneSided(kind, told_by, tuple(names))

    def pairs(
        self, kind: str, first: Mapping[str, Answer | str], second: Mapping[str, Answer | str], of: str = ""
    ) -> None:
        for name in _union(first, second):
            if name not in first or name not in second:
                self.alone(kind, FIRST if name in first else SECOND, name)
                continue
            self.compared += 1
            sides = first[name], second[name]
            if _plain(sides[0]) != _plain(sides[1]):
                self.differences.append(Difference(kind, name, of, *sides))


def _plain(side: Answer | str) -> tuple[bool, str]:
    return (True, side.can) if isinstance(side, Answer) else (False, side)


def _union(first: Mapping[str, object], second: Mapping[str, object]) -> list[str]:
    """Return the keys of both, those of the first before the others."""
    return list(dict.fromkeys([*first, *second]))


def _told(report: Saved, programs: str, names: list[str]) -> dict[str, Answer]:
    answers = {name: report.helper(programs, name) for name in names}
    return {name: answer for name, answer in answers.items() if answer is not SILENT}


def _callable(report: Saved, programs: str, names: list[str]) -> dict[str, Answer]:
    """Return which kfuncs programs may call: those that the report does not list are not there."""
    return {name: report.kfunc(programs, name) if name in report.kfuncs else _MISSING for name in names}


def _filled(first: dict[str, Answer], second: dict[str, Answer]) -> tuple[dict[str, Answer], dict[str, Answer]]:
    """Fill in what only the other one has, where a report lists what there is, or tells that it does not know."""
    if not first or not second or ANY in first or ANY in second:
        return first, second
    names = _union(first, second)
    return {name: first.get(name, _MISSING) for name in names}, {name: second.get(name, _MISSING) for name in names}


def _facts(report: Saved, names: list[str]) -> dict[str, Answer | str]:
    """Return those facts that a report tells; of some options a full one lists those that are set."""
    listed = _LISTED_OPTIONS if report.full and report.fact("configuration") is not None else ()
    found: dict[str, Answer | str] = {name: NOT_SET for name in names if name.startswith(listed)}
    return found | {name: report.facts[name] for name in names if name in report.facts}


def _kind(name: str) -> str:
    if name.startswith("CONFIG_"):
        return OPTION
    return SYSCTL if "." in name and " " not in name else SURROUNDINGS
