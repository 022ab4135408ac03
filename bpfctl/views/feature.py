"""What a kernel can do, in bpftool's words (src/feature.c), as C macros, and as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.feature import limits
from bpfctl.feature.answer import NO, UNKNOWN, YES, Answer
from bpfctl.views.view import Column, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from enum import IntEnum

    from bpfctl.feature.system import System
    from bpfctl.uapi.enums import ProgType
    from bpfctl.uapi.helpers import Helper

    ByType = Mapping[ProgType, Mapping[Helper, Answer]]

_SETTINGS: dict[str, tuple[dict[int, str], str]] = {
    "unprivileged_bpf_disabled": (
        {
            0: "bpf() syscall for unprivileged users is enabled",
            1: "bpf() syscall restricted to privileged users (without recovery)",
            2: "bpf() syscall restricted to privileged users (admin can change)",
            -1: "Unable to retrieve required privileges for bpf() syscall",
        },
        "bpf() syscall restriction has unknown value {}",
    ),
    "bpf_jit_enable": (
        {
            0: "JIT compiler is disabled",
            1: "JIT compiler is enabled",
            2: "JIT compiler is enabled with debugging traces in kernel logs",
            -1: "Unable to retrieve JIT-compiler status",
        },
        "JIT-compiler status has unknown value {}",
    ),
    "bpf_jit_harden": (
        {
            0: "JIT compiler hardening is disabled",
            1: "JIT compiler hardening is enabled for unprivileged users",
            2: "JIT compiler hardening is enabled for all users",
            -1: "Unable to retrieve JIT hardening status",
        },
        "JIT hardening status has unknown value {}",
    ),
    "bpf_jit_kallsyms": (
        {
            0: "JIT compiler kallsyms exports are disabled",
            1: "JIT compiler kallsyms exports are enabled for root",
            -1: "Unable to retrieve JIT kallsyms export status",
        },
        "JIT kallsyms exports status has unknown value {}",
    ),
    "bpf_jit_limit": (
        {-1: "Unable to retrieve global memory limit for JIT compiler for unprivileged users"},
        "Global memory limit for JIT compiler for unprivileged users is {} bytes",
    ),
}
_SAID = {YES: "available", NO: "not available", UNKNOWN: "cannot be told"}


class Feature(NamedTuple):
    """One line for people."""

    name: str
    answer: Answer
    since: str = ""


_COLUMNS = (
    Column("feature", lambda row: row.name, tone="name"),
    Column("answer", lambda row: _SAID[row.answer.can]),
    Column("since", lambda row: row.since or None, rank=1, tone="quiet"),
    Column("why", lambda row: row.answer.why or None),
)


def word(kind: IntEnum) -> str:
    """Return bpftool's word for a type."""
    return kind.name.lower()


def system(found: System) -> Section:
    """Show the configuration of the system."""

    def json() -> dict[str, Any]:
        return {**(found.settings or {}), **(found.options or {})}

    def plain() -> Iterator[str]:
        yield "Scanning system configuration..."
        for name, number in (found.settings or {}).items():
            sentences, other = _SETTINGS[name]
            yield sentences.get(number) or other.format(number)
        for name, value in (found.options or {}).items():
            yield f"{name} is set to {value}" if value else f"{name} is not set"
        yield ""

    rows: list[tuple[str, int | str]] = [*(found.settings or {}).items()]
    rows += [(name, value or "") for name, value in (found.options or {}).items()]
    columns = (
        Column("setting", lambda row: row[0], tone="name"),
        Column("value", lambda row: "unreadable" if row[1] == -1 else str(row[1]) or "not set"),
    )
    return Section("system_config", json, plain, "System configuration", columns, rows)


def syscall(answer: Answer) -> Section:
    """Show whether there is bpf(2)."""
    return _section(
        "syscall_config",
        "Scanning system call availability...",
        "System call",
        [("have_bpf_syscall", "bpf() syscall", Feature("bpf()", answer, "3.18"))],
    )


def prog_types(found: Mapping[ProgType, Answer], since: Callable[[ProgType], str]) -> Section:
    """Show the types of programs."""
    return _types("prog", "program", found, since)


def map_types(found: Mapping[Any, Answer], since: Callable[[Any], str]) -> Section:
    """Show the types of maps."""
    return _types("map", "map", found, since)


def _types(short: str, long: str, found: Mapping[Any, Answer], since: Callable[[Any], str]) -> Section:
    return _section(
        f"{long}_types",
        f"Scanning eBPF {long} types...",
        f"{long.capitalize()} types",
        [
            (
                f"have_{word(kind)}_{short}_type",
                f"eBPF {long}_type {word(kind)}",
                Feature(word(kind), answer, since(kind)),
            )
            for kind, answer in found.items()
        ],
    )


def misc(found: Mapping[str, Answer]) -> Section:
    """Show what programs may look like."""
    return _section(
        "misc",
        "Scanning miscellaneous eBPF features...",
        "Programs may have",
        [
            (f"have_{probe.name}", probe.title, Feature(probe.title, found[probe.name], probe.since))
            for probe in limits.PROBES
        ],
    )


def _section(name: str, scanning: str, title: str, features: list[tuple[str, str, Feature]]) -> Section:
    """Show features of which bpftool tells one by one."""

    def json() -> dict[str, Any]:
        return {key: feature.answer.bpftool for key, _, feature in features}

    def plain() -> Iterator[str]:
        yield scanning
        for _, sentence, feature in features:
            yield f"{sentence} is {'' if feature.answer.bpftool else 'NOT '}available"
        yield ""

    return Section(name, json, plain, title, _COLUMNS, [feature for _, _, feature in features])


def helpers(found: ByType, types: Mapping[ProgType, Answer]) -> Section:
    """Show the helpers of each type of programs."""

    def json() -> dict[str, Any]:
        return {
            f"{word(kind)}_available_helpers": [f"bpf_{helper.name}" for helper in _said(answers)]
            for kind, answers in found.items()
        }

    def plain() -> Iterator[str]:
        yield "Scanning eBPF helper functions..."
        for kind, answers in found.items():
            yield f"eBPF helpers supported for program type {word(kind)}:"
            there = _said(answers)
            yield from (f"\t- bpf_{helper.name}" for helper in there)
            if not there and types[kind].bpftool:
                yield "\tCould not determine which helpers are available"
            elif not there:
                yield "\tProgram type not supported"
        yield ""

    columns = (
        Column("helper", lambda row: row[0], tone="name"),
        Column("may be called by programs of type", lambda row: row[1], "long"),
        Column("cannot be told for", lambda row: row[2], "list", "quiet", 1),
    )
    return Section("helpers", json, plain, "Helper functions", columns, list(_by_helper(found)))


def _said(answers: Mapping[Helper, Answer]) -> list[Helper]:
    return [helper for helper, answer in answers.items() if answer.bpftool]


def _by_helper(found: ByType) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Yield each helper, the types that have it, and those for which it cannot be told.

    Types that are not there, or of which nothing can be told, are left out: the table of types says why.
    """
    sure = [kind for kind, answers in found.items() if any(answer.can == YES for answer in answers.values())]
    for helper in next(iter(found.values()), {}):
        by_answer = {can: [kind for kind in sure if found[kind][helper].can == can] for can in (YES, NO, UNKNOWN)}
        yield f"bpf_{helper.name}", _condensed(by_answer[YES], by_answer[NO]), tuple(map(word, by_answer[UNKNOWN]))


def _condensed(there: list[ProgType], missing: list[ProgType]) -> tuple[str, ...]:
    """Return the shorter of two ways to tell which types have something."""
    if there and len(missing) < len(there):
        first, *more = map(word, missing) if missing else [""]
        return (f"all but {first}", *more) if missing else ("all",)
    return tuple(map(word, there)) or ("none",)
