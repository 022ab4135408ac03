"""
What a saved report says, in whichever of its two forms: ``feature probe -j``, or with ``--full-report``.

    report = read(Path("host.json").read_bytes())
    report.feature("program_types", "xdp").can == YES

Groups and names are those of a full report. What a report does not speak of is open.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from bpfctl.errors import SavedError
from bpfctl.feature import limits
from bpfctl.feature.answer import AVAILABLE, NO, UNKNOWN, Answer
from bpfctl.feature.helpers import ATTACHED, NOISY
from bpfctl.feature.system import SETTINGS

FORMAT = 1  # of a full report; grows when a reader of the one before would be misled
NOT_SET = "not set"
ANY = "any"  # what the kfuncs are called of a kernel that does not tell which it has
SILENT = Answer(UNKNOWN, "the report does not tell")

_NO = Answer(NO, "the report says no")
_OF_LOCKDOWN = Answer(UNKNOWN, "the report says no, as it does too where kernel lockdown forbids to ask")
_NO_KFUNC = Answer(NO, "the report says that such programs may not call it")
_NO_HELPER = Answer(NO, "the report does not have it for this type")
_OPEN = Answer(UNKNOWN, "it cannot be told")
_UNREAD = Answer(UNKNOWN, "it could not be read")
#: bpftool before 7.5 does not know what the verifier says since Linux 6.10 ("bpf: improve error message for unsupported
#: helper"), and lists all helpers for all types. No kernel lets a socket filter call this one.
_NOBODYS = "bpf_xdp_adjust_head"
_MISREAD = Answer(UNKNOWN, "the bpftool that wrote the report is too old for its kernel, and lists all helpers")
_ATTACHED = frozenset(kind.name.lower() for kind in ATTACHED)
_NOISY = frozenset(f"bpf_{helper.name}" for helper in NOISY)
_SYSCTLS = {name.rpartition(".")[2]: name for name in SETTINGS}
_TITLES = {probe.name: probe.title for probe in limits.PROBES}
_LISTS = {"available": AVAILABLE, "not_available": _NO, "cannot_be_told": _OPEN}


class Callers(NamedTuple):
    """The types of programs that may call a kfunc, and those of which nobody knows, and why."""

    programs: frozenset[str]
    unknown: frozenset[str]
    why: str


class Saved(NamedTuple):
    """One report: answers by group and name, facts by name, the helpers of each type of programs, and kfuncs.

    A fact is text; an Answer where it could not be told.
    """

    full: bool
    features: dict[str, dict[str, Answer]]
    facts: dict[str, str | Answer]
    helpers: dict[str, dict[str, Answer]]
    kfuncs: dict[str, Callers]

    def feature(self, group: str, name: str) -> Answer:
        """Return what is said of a feature."""
        return self.features.get(group, {}).get(name, SILENT)

    def fact(self, name: str) -> str | None:
        """Return a fact; None where it is not told."""
        found = self.facts.get(name)
        return found if isinstance(found, str) else None

    def options(self) -> dict[str, str]:
        """Return what the kernel was built with, as far as it is told, without what is not set."""
        return {
            name: value
            for name, value in self.facts.items()
            if name.startswith("CONFIG_") and isinstance(value, str) and value != NOT_SET
        }

    def helper(self, programs: str, name: str) -> Answer:
        """Return what is said of a helper, whose name begins with ``bpf_``, for a type of programs."""
        known = self.helpers.get(programs)
        if known is None:
            return SILENT
        # The shorter form has lists of what there is; nobody has asked there for helpers that need a target to attach
        # to, and for noisy ones only with "full".
        silent = self.full or name in _NOISY or (not known and programs in _ATTACHED)
        return known.get(name, SILENT if silent else _NO_HELPER)

    def kfunc(self, programs: str, name: str) -> Answer:
        """Return what is said of a kfunc for a type of programs."""
        callers = self.kfuncs.get(name)
        if callers is None or programs not in self.helpers:
            return SILENT
        if programs in callers.unknown:
            return Answer(UNKNOWN, callers.why)
        return AVAILABLE if programs in callers.programs else _NO_KFUNC


def read(data: bytes) -> Saved:
    """Read a report; SavedError when it is none, or damaged."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise SavedError("it is no JSON") from None
    return of(document)


def of(document: Any) -> Saved:
    """Read a report out of a document of JSON; SavedError when it is none, or damaged."""
    if not isinstance(document, dict):
        raise SavedError("it is no report of feature probe")
    if set(document) == {"error"}:
        raise SavedError(f"feature probe has failed there: {document['error']}")
    saved = _full(document) if "format" in document else _short(document)
    if not saved.features.get("program_types"):
        raise SavedError("it is no report of feature probe")
    return saved


def _short(document: dict[str, Any]) -> Saved:
    """Read bpftool's form."""
    features = {
        "syscall": _flags(document, "syscall_config", "have_", "_syscall", lambda word: f"{word}()"),
        "program_types": _flags(document, "program_types", "have_", "_prog_type"),
        "map_types": _flags(document, "map_types", "have_", "_map_type"),
        "limits": _flags(document, "misc", "have_", "", lambda word: _TITLES.get(word, word)),
    }
    types = features["program_types"]
    types |= {kind: _OF_LOCKDOWN for kind in _ATTACHED if kind in types and types[kind].can == NO}
    facts = {_SYSCTLS.get(name, name): _fact(name, value) for name, value in _part(document, "system_config").items()}
    lists = {word.removesuffix("_available_helpers"): found for word, found in _part(document, "helpers").items()}
    names = {word: _names(found, word) for word, found in lists.items()}
    listed = _MISREAD if _NOBODYS in names.get("socket_filter", ()) else AVAILABLE
    helpers = {word: dict.fromkeys(found, listed) for word, found in names.items()}
    return Saved(False, features, facts, helpers, {})


def _full(document: dict[str, Any]) -> Saved:
    if document["format"] != FORMAT:
        raise SavedError(f"its format is not {FORMAT}: another bpfctl has written it")
    groups = {name: rows for name, rows in document.items() if isinstance(rows, list) and name != "helpers"}
    features = {group: dict(_row(row, group) for row in rows) for group, rows in groups.items()}
    reasons = _part(document, "surroundings_reasons")
    facts = {name: _fact(name, value, reasons.get(name)) for name, value in _part(document, "surroundings").items()}
    rows = document.get("helpers", [])
    if not isinstance(rows, list):
        raise SavedError("helpers in it is no list")
    told = (row for row in groups.get("kfuncs", ()) if "program_types" in row and row["name"] != ANY)
    kfuncs = dict(_callers(row, features["kfuncs"]) for row in told)
    return Saved(True, features, facts, dict(map(_helpers, rows)), kfuncs)


def _part(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise SavedError(f"{name} in it is no object")
    return found


def _flags(document: dict[str, Any], part: str, before: str, behind: str, spell: Any = str) -> dict[str, Answer]:
    found = _part(document, part)
    for name, there in found.items():
        if not isinstance(there, bool):
            raise SavedError(f"{name} in it is neither true nor false")
    return {
        spell(name.removeprefix(before).removesuffix(behind)): AVAILABLE if there else _NO
        for name, there in found.items()
    }


def _fact(name: str, value: Any, reason: Any = None) -> str | Answer:
    if value is None and name.startswith("CONFIG_"):
        return NOT_SET
    if value is None:
        return Answer(UNKNOWN, reason) if isinstance(reason, str) else _UNREAD
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise SavedError(f"{name} in it is neither text nor a number")
    return _UNREAD if value == -1 else str(value)


def _row(row: Any, group: str) -> tuple[str, Answer]:
    if not isinstance(row, dict) or not isinstance(row.get("name"), str):
        raise SavedError(f"{group} in it has an item without a name")
    available, reason = row.get("available"), row.get("reason", "")
    if not (available is None or isinstance(available, bool)) or not isinstance(reason, str):
        raise SavedError(f"{row['name']} in it is neither true, false nor null")
    if available:
        return row["name"], AVAILABLE
    other = _OPEN if available is None else _NO
    return row["name"], Answer(other.can, reason or other.why)


def _callers(row: Any, answers: dict[str, Answer]) -> tuple[str, Callers]:
    name = row["name"]
    told, unknown = (frozenset(_names(row.get(part, []), name)) for part in ("program_types", "cannot_be_told"))
    return name, Callers(told, unknown, answers[name].why or _OPEN.why)


def _helpers(row: Any) -> tuple[str, dict[str, Answer]]:
    if not isinstance(row, dict) or not isinstance(row.get("program_type"), str):
        raise SavedError("helpers in it has an item without a program type")
    word = row["program_type"]
    reasons = "; ".join(_names(row.get("reasons", []), word))
    answers: dict[str, Answer] = {}
    for kind, answer in _LISTS.items():
        told = Answer(UNKNOWN, reasons) if answer is _OPEN and reasons else answer
        answers |= dict.fromkeys(_names(row.get(kind, []), word), told)
    return word, answers


def _names(found: Any, of_what: str) -> list[str]:
    if not isinstance(found, list) or not {*map(type, found)} <= {str}:
        raise SavedError(f"what it lists for {of_what} are no names")
    return found
