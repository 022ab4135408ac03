"""Histograms, as they grow."""

from __future__ import annotations

import time

from bpfctl.gauge.gauge import Gauge
from bpfctl.probe.actions.hist import Hist, Histogram
from bpfctl.views.histogram import BOARD, Round


class Histograms(Gauge[Hist, Round]):
    """How often a number had which values, by some fields."""

    board = BOARD
    items = "histograms"

    def rows(self) -> list[Histogram]:
        """Return the histograms, the one with most hits first."""
        return self._action.rows()

    def lost(self) -> int:
        """Return how many hits were not counted, because there was no room for their values."""
        return self._action.lost()

    def round(self, top: int | None = None) -> Round:
        """Return what was gathered until now, of its rows the ``top`` largest."""
        rows = self.rows()
        return Round(
            time.time(),
            self.seconds,
            self._action.of,
            self._action.by,
            rows[:top],
            [self._action.spelled(row) for row in rows[:top]],
            len(rows),
            sum(row.hits for row in rows),
            self.lost(),
            self.missed(),
        )
