"""Counts, as they grow."""

from __future__ import annotations

import time

from bpfctl.gauge.gauge import Gauge
from bpfctl.probe.actions.count import Count, Row
from bpfctl.views.hits import BOARD, Round


class Counts(Gauge[Count, Round]):
    """How many hits there were, by some fields."""

    board = BOARD
    items = "counts"

    def rows(self) -> list[Row]:
        """Return what was counted, most first."""
        return self._action.rows()

    def round(self, top: int | None = None) -> Round:
        """Return what was counted until now, of its rows the ``top`` largest."""
        rows = self.rows()
        return Round(
            time.time(),
            self.seconds,
            self._action.by,
            rows[:top],
            [(self._action.spelled(row), row.hits) for row in rows[:top]],
            len(rows),
            sum(row.hits for row in rows),
            self.lost(),
            self.missed(),
        )
