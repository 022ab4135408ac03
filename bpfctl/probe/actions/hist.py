"""Histograms of a field, in the kernel: one, or one for each set of values of some other fields."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from bpfctl.asm.insn import R0
from bpfctl.errors import UsageError
from bpfctl.probe.action import Action, is_signed, number
from bpfctl.probe.code import OURS
from bpfctl.probe.histograms import Histogram, Histograms, Linear, scale
from bpfctl.probe.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.probe.action import Part
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field
    from bpfctl.probe.source import ProbePoint

__all__ = ["Hist", "Histogram", "Linear"]


class Hist(Action):
    """Puts a number into buckets: those of powers of 2, or ``linear`` ones.

    ``max_entries`` sets of values are told apart; hits with more than that are lost, and counted as such.
    """

    def __init__(
        self, of: str, by: Sequence[str] = (), *, linear: Linear | None = None, max_entries: int = 1000
    ) -> None:
        if linear is not None:
            linear.check()
        self.of = of
        self._keys = Keys(by)
        self._linear = linear
        self._max_entries = max_entries
        self._held = ExitStack()

    @property
    def by(self) -> tuple[str, ...]:
        """The fields by which hits are told apart."""
        return self._keys.by

    def names(self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]]) -> frozenset[str]:
        """Return the fields that are read."""
        del points, own
        return self._keys.names | {self.of}

    def open(self, parts: Sequence[Part]) -> None:
        """Make the maps: an array where nothing is told apart, else a hash table; UsageError for what is no number."""
        signed = is_signed(self.of, parts)
        if self._linear is not None and self._linear.low < 0 and not signed:
            raise UsageError(f"{self.of} is never negative, so that nothing can be below 0")
        self._keys.settle(parts)
        hists = Histograms(self._keys, scale(self._linear, signed=signed), self._max_entries, signed=signed)
        self._hists = self._held.enter_context(hists)

    def emit(self, code: Code, part: Part) -> None:
        """Add the number to the histogram of these values."""
        number(part, self.of)(code, R0)
        code.mov(OURS, R0)
        self._hists.emit(code, self._keys.store(code, part))

    def lost(self) -> int:
        """Return how many hits were not counted, because there was no room for their values."""
        return self._hists.lost()

    def rows(self) -> list[Histogram]:
        """Return the histograms, the one with most hits first."""
        return self._hists.rows()

    def spelled(self, row: Histogram) -> list[str]:
        """Return the values of a row as people read them."""
        return self._keys.spelled(row.values)

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()
