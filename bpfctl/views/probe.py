"""Places that can be probed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.probe.source import ProbePoint


def json(point: ProbePoint) -> dict[str, Any]:
    """Return the members of a place."""
    return {"kind": point.kind, "target": point.target, "spec": str(point)}


def plain(point: ProbePoint) -> Iterator[str]:
    """Yield the spec."""
    yield str(point)


VIEW: View[ProbePoint] = View(
    "places to probe",
    json,
    plain,
    (Column("kind", lambda point: point.kind), Column("target", lambda point: point.target)),
    lambda _point: {},
)
