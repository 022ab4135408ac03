"""All features with all three answers: what `feature probe --full-report` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.feature.answer import NO, UNKNOWN, YES
from bpfctl.feature.saved import FORMAT
from bpfctl.views.view import Column, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bpfctl.feature.answer import Answer
    from bpfctl.feature.kfuncs import Kfunc
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
        yield from (f"\t{fact.name}: {_value(fact)}" for fact in facts)

    columns = (
        Column("what", lambda fact: fact.name, tone="name"),
        Column("value", _value),
    )
    return Section(
        "surroundings", lambda: {fact.name: fact.value for fact in facts}, plain, "Surroundings", columns, facts
    )


def reasons(facts: Sequence[Fact]) -> Section:
    """Tell programs why some of what surrounds BPF cannot be told."""
    untold = {fact.name: fact.why for fact in facts if fact.value is None and not fact.is_option}
    return Section("surroundings_reasons", lambda: untold, lambda: iter(()), "", (), ())


def _value(fact: Fact) -> str:
    if fact.value is not None:
        return fact.value
    return "not set" if fact.is_option else f"cannot be told ({fact.why})"


def group(found: Group) -> Section:
    """Show features of a kind."""

    def json() -> list[dict[str, Any]]:
        return [_json(feature) for feature in found.features]

    def plain() -> Iterator[str]:
        yield found.title
        for feature in found.features:
            since = f"; Linux {feature.since}" if feature.since else ""
            yield f"\t{feature.name}: {_sentence(feature.answer)}{since}"

    if found.name == "map_batches":
        return Section(found.name, json, plain, found.title, *_batches(found.features))
    columns = (
        Column("feature", lambda feature: feature.name, tone="name"),
        Column("answer", lambda feature: _SAID[feature.answer.can]),
        Column("since", lambda feature: feature.since or None, rank=1, tone="quiet"),
        Column("why", lambda feature: feature.answer.why or None),
    )
    return Section(found.name, json, plain, found.title, columns, found.features)


class _Batches(NamedTuple):
    """A row: types of maps with the same batches; what of them cannot be told stands there too."""

    maps: tuple[str, ...]
    batches: tuple[str, ...]


def _batches(features: Sequence[Feature]) -> tuple[tuple[Column, ...], list[_Batches]]:
    """Put types of maps together that have the same batches: a line for each batch of each type is too much to read."""
    by_map: dict[str, list[str]] = {}
    for feature in features:
        map_, _, batch = feature.name.partition(" ")
        told = {YES: batch, UNKNOWN: f"{batch} {_sentence(feature.answer)}"}.get(feature.answer.can)
        by_map.setdefault(map_, []).extend([told] if told else [])
    rows: dict[tuple[str, ...], list[str]] = {}
    for map_, batches in by_map.items():
        rows.setdefault(tuple(batches) or ("none",), []).append(map_)
    columns = (
        Column("maps of type", lambda row: row.maps, "list", "name"),
        Column("batches", lambda row: row.batches, "long"),
    )
    return columns, [_Batches(tuple(maps), batches) for batches, maps in rows.items()]


def kfuncs(found: Sequence[Kfunc]) -> Section:
    """Show the functions of the kernel that programs may call, and which programs may."""

    def json() -> list[dict[str, Any]]:
        rows = []
        for one in found:
            row: dict[str, Any] = {"name": one.name, "available": _AVAILABLE[one.answer.can]}
            row |= {"reason": one.answer.why} if one.answer.why else {}
            row |= {"module": one.module} if one.module else {}
            rows.append(row | {"program_types": [*one.programs], "cannot_be_told": [*one.unknown]})
        return rows

    def plain() -> Iterator[str]:
        yield "Kernel functions (kfuncs)"
        for one in found:
            module = f" [{one.module}]" if one.module else ""
            who = f": {' '.join(one.programs)}" if one.programs else ""
            yield f"\t{one.name}{module}: {_sentence(one.answer)}{who}"

    words = tuple(dict.fromkeys(word for one in found for word in one.programs))
    columns = (
        Column("programs of type", lambda row: row.programs, "list", "name"),
        Column("functions", lambda row: row.names, "long"),
    )
    return Section("kfuncs", json, plain, "Kernel functions (kfuncs)", columns, _by_programs(found, words))


class _Callers(NamedTuple):
    """A row: functions that the same programs may call."""

    programs: tuple[str, ...]
    names: tuple[str, ...]


def _by_programs(found: Sequence[Kfunc], words: Sequence[str]) -> list[_Callers]:
    """Put those together that the same programs may call; those of none come last, and then what cannot be told."""
    rows: dict[tuple[tuple[str, ...], str], list[str]] = {}
    silent: dict[str, list[str]] = {}
    for one in found:
        sentence = "" if one.programs else _sentence(one.answer)
        name = f"{one.name} [{one.module}]" if one.module else one.name
        rows.setdefault((one.programs, sentence), []).append(name)
    for word, why in found[0].unknown.items() if found else ():
        if all(word in one.unknown for one in found):
            silent.setdefault(why, []).append(word)
    return [
        *(
            _Callers((sentence,) if sentence else condensed(programs, words), tuple(names))
            for (programs, sentence), names in sorted(rows.items(), key=lambda row: -len(row[0][0]))
        ),
        *(_Callers(tuple(which), (f"cannot be told: {why}",)) for why, which in silent.items()),
    ]


def condensed(there: Sequence[str], words: Sequence[str]) -> tuple[str, ...]:
    """Return the shorter of two ways to tell which of some words there are."""
    missing = [word for word in words if word not in there]
    if not missing:
        return ("all",)
    return (f"all but {missing[0]}", *missing[1:]) if len(missing) < len(there) else tuple(there)


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
        Column("programs of type", lambda row: row.programs, "list", "name"),
        Column("number", lambda row: row.number, "number"),
        Column("helpers", lambda row: row.names, "long"),
    )
    return Section("helpers", json, plain, "Helpers", columns, _by_helpers(found))


class _Callees(NamedTuple):
    """A row: types of programs that have the same helpers; of more than one number, those that they all have."""

    programs: tuple[str, ...]
    number: int | None
    names: tuple[str, ...]


def _by_helpers(found: ByPlace) -> list[_Callees]:
    """Put types together that have the same helpers; what all have that have any is told once."""
    answered = [(word, tuple(_names(answers, YES))) for word, answers in found]
    every = [names for _, names in answered if names]
    shared = [name for name in every[0] if all(name in names for names in every)] if every else []
    rows: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for (word, answers), (_, names) in zip(found, answered, strict=True):
        unknown = _names(answers, UNKNOWN)
        which = "cannot be told" if len(unknown) == len(answers) else f"cannot be told of {' '.join(unknown)}"
        rows.setdefault((names, f"{which}: {'; '.join(_reasons(answers))}" if unknown else ""), []).append(word)
    return [
        *([_Callees(("all that have any",), len(shared), tuple(shared))] if shared else []),
        *(
            _Callees(tuple(words), len(names) or None, _told(names, shared, unknown))
            for (names, unknown), words in rows.items()
        ),
    ]


def _told(names: Sequence[str], shared: Sequence[str], unknown: str) -> tuple[str, ...]:
    own = tuple(name for name in names if name not in shared)
    return (*own, *([unknown] if unknown else [] if own else ["no others" if names else "none"]))


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
