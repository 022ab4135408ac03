"""Histograms of how long calls take, or of what is between two probes, in the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.asm.insn import R0, R10
from bpfctl.errors import UsageError
from bpfctl.probe.actions.timed import HEAD, MAX_CALLS, Timed
from bpfctl.probe.code import MORE
from bpfctl.probe.duration import UNITS
from bpfctl.probe.histograms import Histograms, scale
from bpfctl.probe.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bpfctl.asm.insn import Reg
    from bpfctl.probe.action import Part
    from bpfctl.probe.calls import Call
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field
    from bpfctl.probe.histograms import Histogram, Linear
    from bpfctl.probe.source import ProbePoint


class Latency(Timed):
    """Histograms of the times: of powers of 2 or ``linear``, in a ``unit``, or else in nanoseconds.

    ``max_entries`` sets of values of the fields ``by`` are told apart; calls with more than that are lost, and counted.
    """

    #: What the numbers are.
    of = "latency"

    def __init__(
        self,
        calls: Sequence[Call],
        by: Sequence[str] = (),
        *,
        linear: Linear | None = None,
        unit: str = "",
        max_entries: int = 1000,
        at_end: Iterable[str] = (),
        key: Sequence[tuple[str, str]] = (),
        nested: bool = False,
        max_calls: int = MAX_CALLS,
    ) -> None:
        super().__init__(calls, at_end=at_end, key=key, nested=nested, max_calls=max_calls)
        if linear is not None:
            linear.check()
            if linear.low < 0:
                raise UsageError("times are never negative")
        self._keys, self._linear, self._max_entries = Keys(by), linear, max_entries
        if unit and unit not in UNITS:
            raise UsageError(f"'{unit}' is no unit of time: there are {', '.join(UNITS)}")
        self.unit = unit

    @property
    def by(self) -> tuple[str, ...]:
        """The fields by which calls are told apart."""
        return self._keys.by

    def read(
        self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]], *, begins: bool
    ) -> Iterable[str]:
        """Return the fields by which calls are told apart."""
        del points, own
        return {*self.by} - self.at_end if begins else self.at_end.intersection(self.by)

    def prepare(self, parts: Sequence[Part], begins: Sequence[Part], ends: Sequence[Part]) -> int:
        """Make the histograms; a call keeps the key that it will have there."""
        self._keys.settle(parts, {name: ends if name in self.at_end else begins for name in self.by})
        hists = Histograms(
            self._keys,
            scale(self._linear, signed=False),
            self._max_entries,
            signed=False,
            unit=UNITS[self.unit or "ns"],
        )
        self._hists = self._held.enter_context(hists)
        return self._keys.size if self.by else 0

    def keep(self, code: Code, part: Part, base: Reg, at: int) -> None:
        """Write what the key has where a call begins."""
        self._keys.write(code, part, {*self.by} - self.at_end, base, at)

    def finish(self, code: Code, part: Part, forget: Callable[[], None]) -> None:
        """Add the time to the histogram of the call's values."""
        key = code.cleared(self._keys.size)
        if self.by:
            for at in range(0, self._keys.size, 8):
                code.ldx(8, R0, MORE, HEAD + at).stx(8, R10, key + at, R0)
            self._keys.write(code, part, self.at_end, R10, key)
        forget()
        self._hists.emit(code, key)

    def lost(self) -> int:
        """Return how many calls were not counted, because there was no room for their values."""
        return self._hists.lost()

    def rows(self) -> list[Histogram]:
        """Return the histograms, the one with most calls first."""
        return self._hists.rows()

    def spelled(self, row: Histogram) -> list[str]:
        """Return the values of a row as people read them."""
        return self._keys.spelled(row.values)
