"""What is timed: calls of functions, each from where it begins to where it returns, or what is between two probes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import NotFound, UsageError
from bpfctl.probe.common import FIELDS, OWN
from bpfctl.probe.keys import PROBE
from bpfctl.probe.source import Paired

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bpfctl.probe.session import Wanted
    from bpfctl.probe.source import ProbePoint
    from bpfctl.probe.sources import Sources


class Timing(NamedTuple):
    """What is to be timed, which fields are read where that ends, and where programs are attached."""

    calls: Sequence[Call]
    at_end: frozenset[str]
    wanted: Wanted
    nested: bool  # whether it is what is between probes, which has no frames


class Call(NamedTuple):
    """One kind of thing that is timed: any of the first points begins it, and any of the others ends it."""

    begin: tuple[ProbePoint, ...]
    end: tuple[ProbePoint, ...]


def timing(sources: Sources, wanted: Wanted, to: Sequence[str], names: Iterable[str]) -> Timing:
    """Return what is timed at points: calls of functions, or what is between them and others (``to``).

    ``names`` are the fields that are read. UsageError, NotFound.
    """
    found = between(wanted.points, sources.resolve(to)) if to else of_functions(sources, wanted.points)
    at_end = read_at_end(sources, found, [name for name in names if name != PROBE])
    return Timing(
        found, at_end, wanted._replace(points=points(found), any_of=frozenset(sources.several)), nested=bool(to)
    )


def pair(word: str) -> tuple[str, str]:
    """Return the two fields of a key: FIELD, which is at both ends, or FIELD=FIELD; UsageError for what is neither."""
    begin, equals, end = word.partition("=")
    if not begin or (equals and not end):
        raise UsageError(f"the key '{word}' should be FIELD, or FIELD=FIELD")
    return begin, end or begin


def of_functions(sources: Sources, points: Sequence[ProbePoint]) -> list[Call]:
    """Return the calls that points are about; UsageError where one is about none."""
    found: dict[Call, None] = {}
    for point in points:
        source = sources.of(point.kind)
        if not isinstance(source, Paired):
            raise UsageError(f"{point} is no call that returns: --from and --to tell two probes, and the time between")
        begin, end = source.call(point)
        found[Call((begin,), (end,))] = None
        if point in sources.several:
            sources.several.update((begin, end))
    return list(found)


def between(begin: Sequence[ProbePoint], end: Sequence[ProbePoint]) -> list[Call]:
    """Return what begins at any of some points and ends at any of others; UsageError where one is both."""
    both = next((point for point in begin if point in end), None)
    if both is not None:
        raise UsageError(f"{both} cannot be both the beginning and the end")
    return [Call(tuple(begin), tuple(end))]


def points(calls: Sequence[Call]) -> tuple[ProbePoint, ...]:
    """Return where calls end, and where they begin."""
    found = [point for call in calls for point in call.end] + [point for call in calls for point in call.begin]
    return tuple(dict.fromkeys(found))


def read_at_end(sources: Sources, calls: Sequence[Call], names: Iterable[str]) -> frozenset[str]:
    """Return which fields are read where calls end, such as what they return: they are not there where they begin.

    NotFound where a field is at neither.
    """
    found = set()
    first = calls[0]
    for name in names:
        if name not in FIELDS and not _has(sources, first.begin[0], name):
            if not _has(sources, first.end[0], name):
                _refuse(sources, first, name)
            found.add(name)
    return frozenset(found)


def _refuse(sources: Sources, call: Call, name: str) -> None:
    there = [field.name for point in (call.begin[0], call.end[0]) for field in sources.of(point.kind).fields(point)]
    names = ", ".join(dict.fromkeys([*there, *FIELDS]))
    raise NotFound(f"neither {call.begin[0]} nor {call.end[0]} has a field '{name}' (there are: {names})")


def _has(sources: Sources, point: ProbePoint, name: str) -> bool:
    """Return whether a field can be read at a point."""
    own = name.removeprefix(OWN)
    with ExitStack() as held:
        group = next(iter(sources.of(point.kind).groups([point], frozenset({own}), held)))
        try:
            group.field(own)
        except NotFound:
            return False
    return True
