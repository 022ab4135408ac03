"""Several measurements at once: each as it is told when it is alone, under its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.views.hits import HITS
from bpfctl.views.view import Board, View

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.probe.actions.trace import Hit


class Part(NamedTuple):
    """What one of them has gathered."""

    name: str
    action: str
    board: Board[Any]
    round: Any


class Round(NamedTuple):
    """What all of them have gathered until now."""

    at: float  # seconds since 1970
    seconds: float  # since the start
    parts: Sequence[Part]


class Named(NamedTuple):
    """A hit of one of them."""

    name: str
    hit: Hit


def _json(told: Round) -> dict[str, Any]:
    measurements = [{"name": part.name, "action": part.action} | part.board.json(part.round) for part in told.parts]
    return {"time": round(told.at, 3), "seconds": round(told.seconds, 3), "measurements": measurements}


def _plain(told: Round) -> Iterator[str]:
    for at, part in enumerate(told.parts):
        if at:
            yield ""
        yield f"{part.name}:"
        yield from part.board.plain(part.round)


def _head(told: Round) -> str:
    return f"{len(told.parts)} measurements for {told.seconds:.1f} s"


def _parts(told: Round) -> Sequence[tuple[Board[Any], Any]]:
    return [(part.board._replace(head=_named(part)), part.round) for part in told.parts]


def _named(part: Part) -> Any:
    return lambda told: f"{part.name}: {part.board.head(told)}"


#: All that is gathered, again and again.
BOARD: Board[Round] = Board(
    _json, _plain, _head, lambda _: (), lambda told: told.parts, "nothing was hit yet", measures=True, parts=_parts
)


def _event_json(event: Round | Named) -> dict[str, Any]:
    return {"name": event.name} | HITS.json(event.hit) if isinstance(event, Named) else _json(event)


def _event_plain(event: Round | Named) -> Iterator[str]:
    if isinstance(event, Named):
        yield from (f"{event.name}: {line}" for line in HITS.plain(event.hit))
    else:
        yield from _plain(event)
        yield ""


#: The same among hits, as they come.
EVENTS: View[Round | Named] = View("hits", _event_json, _event_plain, (), lambda _event: {})
