"""Histograms of how long calls take, as they grow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bpfctl.gauge.gauge import Gauge
from bpfctl.probe.actions.latency import Latency
from bpfctl.probe.duration import spell
from bpfctl.views.histogram import BOARD, Round

if TYPE_CHECKING:
    from bpfctl.probe.histograms import Histogram
    from bpfctl.probe.started import Tally


class Latencies(Gauge[Latency, Round]):
    """How long calls took, by some fields."""

    board = BOARD
    items = "histograms"

    def rows(self) -> list[Histogram]:
        """Return the histograms, the one with most calls first."""
        return self._action.rows()

    def tally(self) -> Tally:
        """Return what became of all calls that began."""
        return self._action.tally()

    def lost(self) -> int:
        """Return how many calls were not counted, because there was no room for their values."""
        return self._action.lost()

    def round(self, top: int | None = None) -> Round:
        """Return what was gathered until now, of its rows the ``top`` largest."""
        rows, unit = self.rows(), self._action.unit
        return Round(
            time.time(),
            self.seconds,
            "latency",
            self._action.by,
            rows[:top],
            [self._action.spelled(row) for row in rows[:top]],
            len(rows),
            sum(row.hits for row in rows),
            self.lost(),
            self.missed(),
            noun="calls",
            unit=unit or "ns",
            spell=None if unit else spell,
            tally=self.tally(),
        )
