"""Hits, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.gauge.gauge import Running
from bpfctl.probe.actions.trace import Trace
from bpfctl.views.hits import HITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.probe.actions.trace import Hit, Hits
    from bpfctl.probe.session import Probing


class Traced(Running[Trace]):
    """What was read at each hit."""

    def __init__(self, action: Trace, run: Probing) -> None:
        super().__init__(action, run)
        self._reader = action.reader()

    def read(self, limit: int = 4096) -> Hits:
        """Return the hits that have come, at most so many, without waiting for more."""
        return self._action.hits(self._reader.read(limit))

    def hits(self, *, seconds: float | None = None, limit: int | None = None) -> Iterator[Hit]:
        """Yield hits as they come, until the time is over, or for ever."""
        for records in self._reader.batches(limit=limit, seconds=seconds):
            yield from self._action.hits(records)

    def records(self, *, seconds: float | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield hits as ``hits()`` does, each a dictionary as ``-j`` has it."""
        return map(HITS.json, self.hits(seconds=seconds, limit=limit))

    def close(self) -> None:
        """Detach, and give all back."""
        self._reader.close()
        super().close()
