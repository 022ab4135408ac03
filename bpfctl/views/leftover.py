"""Events of tracefs that a killed bpfctl has left, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.views.view import Column, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.attach.tracefs import Leftover


class Fate(NamedTuple):
    """An event with what became of it: ``removed``, ``in use`` or ``left``, where it was only to be told."""

    event: Leftover
    what: str


def _json(fate: Fate) -> dict[str, Any]:
    event = fate.event
    return {"event": event.name, "file": event.file, "at": event.at, "pid": event.pid, "state": fate.what}


def _plain(fate: Fate) -> Iterator[str]:
    yield f"{fate.what}: {fate.event.name} at {fate.event.at} by process {fate.event.pid}"


VIEW: View[Fate] = View(
    "events that were left behind",
    _json,
    _plain,
    (
        Column("event", lambda fate: fate.event.name, tone="handle"),
        Column("at", lambda fate: fate.event.at, tone="name"),
        Column("process", lambda fate: fate.event.pid, "number"),
        Column("state", lambda fate: fate.what),
    ),
    lambda _fate: {},
    empty="nothing was left behind",
)
