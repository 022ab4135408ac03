"""All features with all three answers: what `feature probe --full-report` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.feature.answer import NO, UNKNOWN, YES
from bpfctl.feature.saved import FORMAT
from bpfctl.views.view import Column, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bpfctl.feature.answer import Answer
    from bpfctl.feature.report import Feature, Group
    from bpfctl.feature.surroundings import Fact
    from bpfctl.uapi.helpers import Helper

    ByPlace = Sequence[tuple[str, Mapping[Helper, Answer]]]

_AVAILABLE = {YES: True, NO: False, UNKNOWN: None}
_SAID = {YES: "available", NO: "not available", UNKNOWN: "cannot be told"}


def heading() -> Section:
    """Tell programs what they read."""
    return Section("format", lambda: FORMAT, lambda: iter(()), "", (), ())


def surroundings(facts: Sequence[Fact]) -> Section:
    """Show what decides what BPF can do and is no feature."""

    def plain() -> Iterator[str]:
        yield "Surroundings"
        yield from (f"\t{fact.name}: {'cannot be told' if fact.value is None else fact.value}" for fact in facts)

    columns = (
        Column("what", lambda fact: fact.name, tone="name"),
        Column("value", lambda fact: "cannot be told" if fact.value is None else fact.value),
    )
    return Section("surroundings", lambda: dict(facts), plain, "Surroundings", columns, facts)


def group(found: Group) -> Section:
    """Show features of a kind."""

    def json() -> list[dict[str, Any]]:
        return [_json(feature) for feature in found.features]

    def plain() -> Iterator[str]:
        yield found.title
        for feature in found.features:
            since = f"; Linux {feature.since}" if feature.since else ""
            yield f"\t{feature.name}: {_sentence(feature.answer)}{since}"

    columns = (
        Column("feature", lambda feature: feature.name, tone="name"),
        Column("answer", lambda feature: _SAID[feature.answer.can]),
        Column("since", lambda feature: feature.since or None, rank=1, tone="quiet"),
        Column("why", lambda feature: feature.answer.why or None),
    )
    return Section(found.name, json, plain, found.title, columns, found.features)


def helpers(found: ByPlace) -> Section:
    """Show the helpers of each type of programs."""

    def json() -> list[dict[str, Any]]:
        return [
            {
                "program_type": word,
                "available": _names(answers, YES),
                "not_available": _names(answers, NO),
                "cannot_be_told": _names(answers, UNKNOWN),
                "reasons": _reasons(answers),
            }
            for word, answers in found
        ]

    def plain() -> Iterator[str]:
        yield "Helpers"
        for word, answers in found:
            yield f"\t{word}: {' '.join(_names(answers, YES)) or 'none available'}"
            if unknown := _names(answers, UNKNOWN):
                which = "any" if len(unknown) == len(answers) else " ".join(unknown)
                yield f"\t{word}: cannot be told of {which} ({'; '.join(_reasons(answers))})"

    columns = (
        Column("programs", lambda row: row[0], tone="name"),
        Column("helpers", lambda row: len(_names(row[1], YES)), "number"),
        Column("cannot be told", lambda row: len(_names(row[1], UNKNOWN)) or None, "number"),
        Column("why", lambda row: "; ".join(_reasons(row[1])) or None),
        Column("available", lambda row: tuple(_names(row[1], YES)), "list"),
    )
    return Section("helpers", json, plain, "Helpers", columns, found)


def _json(feature: Feature) -> dict[str, Any]:
    found: dict[str, Any] = {"name": feature.name, "available": _AVAILABLE[feature.answer.can]}
    if feature.answer.why:
        found["reason"] = feature.answer.why
    if feature.since:
        found["since"] = feature.since
    return found


def _sentence(answer: Answer) -> str:
    return f"{_SAID[answer.can]} ({answer.why})" if answer.why else _SAID[answer.can]


def _names(answers: Mapping[Helper, Answer], can: str) -> list[str]:
    return [f"bpf_{helper.name}" for helper, answer in answers.items() if answer.can == can]


def _reasons(answers: Mapping[Helper, Answer]) -> list[str]:
    return [*dict.fromkeys(answer.why for answer in answers.values() if answer.can == UNKNOWN and answer.why)]
