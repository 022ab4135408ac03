"""Ways to attach at points: a group is the best one, and each leads to the next where the kernel refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.errors import BpfctlError, KernelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.probe.source import Group


def ways(group: Group) -> Iterator[Group]:
    """Yield a group, and what can be tried after it."""
    next_: Group | None = group
    while next_ is not None:
        yield next_
        next_ = next_.otherwise() if next_.otherwise is not None else None


def only(group: Group, way: str) -> Group:
    """Return the one way whose name begins so, and nothing after it; UsageError names the ways that there are."""
    if not way:
        return group
    there = list(ways(group))
    for one in there:
        if one.way.startswith(way):
            return one._replace(otherwise=None)
    many = f"{len(group.points)} points with {group.points[0]}" if len(group.points) > 1 else str(group.points[0])
    raise UsageError(f"{many} cannot be attached as '{way}', but as: {', '.join(one.way for one in there)}")


def reason(refusals: Sequence[BpfctlError]) -> BpfctlError:
    """Return which refusal says why there is no way at all: what the last way met that this kernel has."""
    return next((error for error in reversed(refusals) if isinstance(error, KernelError)), refusals[-1])
