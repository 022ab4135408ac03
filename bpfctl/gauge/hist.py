"""Histograms, as they grow: of a field, and of how long calls take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from bpfctl.gauge.gauge import Gauge
from bpfctl.views.histogram import BOARD, Round

if TYPE_CHECKING:
    from bpfctl.probe.actions.hist import Hist
    from bpfctl.probe.actions.latency import Latency
    from bpfctl.probe.histograms import Histogram
    from bpfctl.probe.started import Tally

H = TypeVar("H", "Hist", "Latency")


class _OfNumbers(Gauge[H, Round]):
    """How often a number had which values, by some fields."""

    board = BOARD
    items = "histograms"

    def rows(self) -> list[Histogram]:
        """Return the histograms, the one with most hits first."""
        return self._action.rows()

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


class Histograms(_OfNumbers["Hist"]):
    """How often a field had which values, by some others."""


class Latencies(_OfNumbers["Latency"]):
    """How long calls took, by some fields."""

    def tally(self) -> Tally:
        """Return what became of all calls that began."""
        return self._action.tally()

    def round(self, top: int | None = None) -> Round:
        """Return what was gathered until now, of its rows the ``top`` largest."""
        from bpfctl.probe.duration import spell  # noqa: PLC0415 - fields have no times

        unit = self._action.unit
        return (
            super()
            .round(top)
            ._replace(noun="calls", unit=unit or "ns", spell=None if unit else spell, tally=self.tally())
        )
