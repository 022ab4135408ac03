"""Programs of the user's own, which somebody else has loaded, at probes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import KernelError, NotSupported, UsageError
from bpfctl.kernel.names import prog_type
from bpfctl.probe.way import only, reason, ways

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from bpfctl._sys.fd import Closing
    from bpfctl.kernel.prog import Program
    from bpfctl.probe.source import Group, ProbePoint
    from bpfctl.probe.sources import Sources


class Attached(NamedTuple):
    """A program at a point: in which way, and what detaches it when it is closed."""

    point: ProbePoint
    way: str
    links: list[Closing]


def attach(
    sources: Sources,
    points: Sequence[ProbePoint],
    program: Program,
    held: ExitStack,
    *,
    way: str = "",
    cookie: int = 0,
) -> list[Attached]:
    """Attach a program to each point, by one way alone where that is said; ``held`` owns the links.

    A ``cookie`` is what bpf_get_attach_cookie() tells the program, 0 none. UsageError where a point takes programs of
    another type; KernelError where the kernel refuses; NotSupported where no way has cookies.
    """
    found = []
    for point in points:
        for group in sources.of(point.kind).groups([point], frozenset(), held):
            taken, links = _attached(point, only(group, way), program, cookie)
            for link in links:
                held.enter_context(link)
            found.append(Attached(point, taken, links))
    return found


def _attached(point: ProbePoint, group: Group, program: Program, cookie: int) -> tuple[str, list[Closing]]:
    refusals: list[KernelError | NotSupported] = []
    info = program.info()
    type_ = info.type
    # One that has a program choose its hits is for ours.
    there = [way for way in ways(group) if way.choose is None and not way.for_all]
    if not there:
        raise UsageError(f"{point} is attached in no process alone: the program has to look whose hit it is")
    for way in there:
        if way.type == type_:
            if way.btf_id and info.attach_btf_id not in (None, 0, way.btf_id):
                raise UsageError(
                    f"the program was loaded for another place than {point}, and can be attached only there"
                )
            try:
                return way.way, _attach(point, way, program, cookie)
            except (KernelError, NotSupported) as error:
                refusals.append(error)
    if refusals:
        raise reason(refusals)
    wanted = " or ".join(dict.fromkeys(prog_type(way.type) or str(way.type) for way in there))
    given = prog_type(type_) or str(int(type_))
    raise UsageError(f"{point} takes programs of type {wanted}, and this one is of type {given}")


def _attach(point: ProbePoint, way: Group, program: Program, cookie: int) -> list[Closing]:
    if not cookie:
        return way.attach(program)
    if way.attach_cookie is None:
        raise NotSupported(f"a program at {point}, attached as {way.way}, is told no cookie")
    return way.attach_cookie(program, cookie)
