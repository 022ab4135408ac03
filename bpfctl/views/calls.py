"""What became of calls that were timed: nothing is passed over in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.probe.started import Tally


def remarks_on_calls(tally: Tally) -> Iterator[str]:
    """Yield what there is to say of calls whose time is not known."""
    if tally.running:
        yield f"{tally.running} had not ended yet"
    if tally.never_ended:
        yield f"{tally.never_ended} never ended: left otherwise, begun anew, their thread gone, or their return missed"
    if tally.too_deep:
        yield f"{tally.too_deep} were not timed: too many had begun in one thread before the first of them ended"
    if tally.no_room:
        yield f"{tally.no_room} were not timed: too many had begun (--max-calls N makes more room)"
    if tally.began_before:
        yield f"{tally.began_before} ended whose beginning was not seen"
