"""All that can be asked of the kernel, group by group."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.feature import (
    attach_types,
    attached,
    commands,
    instructions,
    kfuncs,
    limits,
    loading,
    map_types,
    more,
    prog_types,
)
from bpfctl.feature.answer import UNKNOWN, YES
from bpfctl.feature.helpers import ATTACHED, wanted
from bpfctl.feature.memory import Memory
from bpfctl.feature.ways import Asker
from bpfctl.uapi.enums import ProgType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bpfctl.feature.answer import Answer
    from bpfctl.feature.kernel import Prober
    from bpfctl.feature.kfuncs import Kfunc
    from bpfctl.feature.ways import Probe
    from bpfctl.uapi.helpers import Helper


class Feature(NamedTuple):
    """One feature and its answer; ``since`` is the release that brought it, empty where that is not known."""

    name: str
    since: str
    answer: Answer


class Group(NamedTuple):
    """Features of a kind."""

    name: str
    title: str
    features: list[Feature]


TABLES: tuple[tuple[str, str, tuple[Probe, ...]], ...] = (
    ("attach_types", "Attach types", attach_types.ATTACH_TYPES),
    ("link_types", "Link types", attach_types.LINK_TYPES),
    ("sleepable", "Programs that may sleep", (*attach_types.SLEEPING, *loading.SLEEPING)),
    ("attachments", "Attachments", more.ATTACHMENTS),
    ("commands", "Commands of bpf()", commands.COMMANDS),
    ("loading", "Loads of programs", loading.LOADING),
    ("program_flags", "Flags of programs", loading.PROGRAM_FLAGS),
    ("map_flags", "Flags of maps", more.MAP_FLAGS),
    ("map_batches", "Batches on maps", more.BATCHES),
    ("instructions", "Instructions", instructions.INSTRUCTIONS),
    ("btf_kinds", "Kinds of BTF", more.BTF_KINDS),
    ("perf_events", "Perf events", more.PERF_EVENTS),
)
#: These hang on what is mounted, on devices, and on who else measures: they are asked each time.
_FLEETING = frozenset({"attachments", "perf_events"})


def groups(prober: Prober, memory: Memory) -> Iterator[Group]:
    """Ask for everything but functions; each group is asked for when its turn comes."""
    types = prober.prog_types()
    asker = Asker(prober.rights, types, memory)
    types[ProgType.TRACING] = tracing(asker)
    yield Group(
        "program_types",
        "Program types",
        [Feature(kind.name.lower(), prog_types.PROBES[kind].since, answer) for kind, answer in types.items()],
    )
    yield Group(
        "map_types",
        "Map types",
        [
            Feature(kind.name.lower(), map_types.PROBES[kind].since, answer)
            for kind, answer in prober.map_types().items()
        ],
    )
    loaded = prober.limits()
    yield Group(
        "limits",
        "Limits of programs",
        [Feature(one.title, one.since, loaded[one.name]) for one in limits.PROBES]
        + [Feature(one.name, one.since, one.ask(asker)) for one in loading.LIMITS],
    )
    for name, title, probes in TABLES:
        kept = Memory() if name in _FLEETING else memory
        answers = [kept.answer(name, probe.name, partial(probe.ask, asker)) for probe in probes]
        yield Group(
            name, title, [Feature(probe.name, probe.since, one) for probe, one in zip(probes, answers, strict=True)]
        )


def tracing(asker: Asker) -> Answer:
    """Return whether there are programs that trace functions, or at least tracepoints, or iterate."""
    answer = asker.types[ProgType.TRACING]
    if answer.can != UNKNOWN:
        return answer
    # Kernel lockdown forbids to attach to functions, but neither to tracepoints nor to be an iterator.
    found = (attach_types.TRACEPOINT(asker), attach_types.ITERATOR(asker))
    return next((one for one in found if one.can == YES), answer)


def functions(prober: Prober, memory: Memory) -> list[Kfunc]:
    """Ask who may call which kfunc; what groups() asks for comes first."""
    return kfuncs.all_of(Asker(prober.rights, prober.types, memory))


def helpers(prober: Prober, memory: Memory, *, full: bool) -> Iterator[tuple[str, Mapping[Helper, Answer]]]:
    """Yield the helpers of each type of programs, and of those that attach to functions at each of some places.

    What groups() asks for comes first.
    """
    asked = wanted(full=full)

    def of(word: str, ask: Callable[[], Mapping[Helper, Answer]]) -> tuple[str, Mapping[Helper, Answer]]:
        names = [helper.name for helper in asked]
        answers = memory.answers(f"helpers of {word}", names, lambda: list(ask().values()))
        return word, dict(zip(asked, answers, strict=True))

    for kind in prober.types:
        if kind not in ATTACHED:
            yield of(kind.name.lower(), partial(prober.helpers_of, kind))
    asker = Asker(prober.rights, prober.types, memory)
    for place in attached.PLACES:
        yield of(place.word, partial(attached.ask, place, asker, prober.survey, full=full))
