"""What is timed: calls of functions, each from where it begins to where it returns, or what is between two probes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import NotFound, UsageError
from bpfctl.probe.common import FIELDS
from bpfctl.probe.source import Paired

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bpfctl.probe.session import Sources
    from bpfctl.probe.source import ProbePoint

_OWN = "args."


class Call(NamedTuple):
    """One kind of thing that is timed: any of the first points begins it, and any of the others ends it."""

    begin: tuple[ProbePoint, ...]
    end: tuple[ProbePoint, ...]


def of_functions(sources: Sources, points: Sequence[ProbePoint]) -> list[Call]:
    """Return the calls that points are about; UsageError where one is about none, NotFound where one cannot return."""
    found: dict[Call, None] = {}
    for point in points:
        source = sources.of(point.kind)
        if not isinstance(source, Paired):
            raise UsageError(f"{point} is no call that returns: --from and --to tell two probes, and the time between")
        begin, end = source.call(point)
        pair = [one for part in (begin, end) for one in sources.of(part.kind).resolve(part.target)]
        if len(pair) != 2:
            raise UsageError(f"{point} stands for several functions")
        found[Call(tuple(pair[:1]), tuple(pair[1:]))] = None
        if point in sources.several:
            sources.several.update(pair)
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
    own = name.removeprefix(_OWN)
    with ExitStack() as held:
        group = next(iter(sources.of(point.kind).groups([point], frozenset({own}), held)))
        try:
            group.field(own)
        except NotFound:
            return False
    return True
