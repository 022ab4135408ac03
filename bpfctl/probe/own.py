"""Programs of the user's own, which somebody else has loaded, at probes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import KernelError, NotSupported, UsageError
from bpfctl.kernel.names import prog_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    from bpfctl._sys.fd import Closing
    from bpfctl.kernel.prog import Program
    from bpfctl.probe.session import Sources
    from bpfctl.probe.source import Group, ProbePoint


class Attached(NamedTuple):
    """A program at a point: in which way, and what detaches it when it is closed."""

    point: ProbePoint
    way: str
    links: list[Closing]


def attach(sources: Sources, points: Sequence[ProbePoint], program: Program, held: ExitStack) -> list[Attached]:
    """Attach a program to each point; ``held`` owns the links.

    UsageError where a point takes programs of another type; KernelError where the kernel refuses.
    """
    found = []
    for point in points:
        for group in sources.of(point.kind).groups([point], frozenset(), held):
            way, links = _attached(point, group, program)
            for link in links:
                held.enter_context(link)
            found.append(Attached(point, way, links))
    return found


def _attached(point: ProbePoint, group: Group, program: Program) -> tuple[str, list[Closing]]:
    refusal: KernelError | NotSupported | None = None
    type_ = program.info().type
    ways = list(_ways(group))
    for way in ways:
        if way.type == type_:
            try:
                return way.way, way.attach(program)
            except (KernelError, NotSupported) as error:
                refusal = refusal or error
    if refusal is not None:
        raise refusal
    wanted = " or ".join(dict.fromkeys(prog_type(way.type) or str(way.type) for way in ways))
    given = prog_type(type_) or str(int(type_))
    raise UsageError(f"{point} takes programs of type {wanted}, and this one is of type {given}")


def _ways(group: Group) -> Iterator[Group]:
    """Yield the ways to attach at one point; one that has a program choose its hits is for ours alone."""
    next_: Group | None = group
    while next_ is not None:
        if next_.choose is None:
            yield next_
        next_ = next_.otherwise() if next_.otherwise is not None else None
