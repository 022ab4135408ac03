"""Stacks, as they grow, with names; and what is made of them at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bpfctl.gauge.gauge import Gauge
from bpfctl.probe.actions.stacks import Stacks
from bpfctl.probe.named_stacks import NamedStack, Names, by_function
from bpfctl.views.stacks import BOARD, Round, folded, summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.probe.session import Probing


class Stacked(Gauge[Stacks, Round]):
    """The calls that led to hits; with ``pid`` those of that process alone have names."""

    board = BOARD
    items = "stacks"

    def __init__(self, action: Stacks, run: Probing, pid: int | None = None) -> None:
        super().__init__(action, run)
        self._began = time.time()
        self._names = Names(pid)

    def rows(self) -> list[NamedStack]:
        """Return what was counted, most first."""
        return self._names.named(self._action.rows(), self._action.depth)

    def missed(self) -> int:
        """Return how many hits the kernel has kept from the programs, or that came between others on their CPU."""
        return super().missed() + self._action.disturbed()

    def round(self, top: int | None = None, *, exact: bool = True) -> Round:
        """Return what was counted until now, of its rows the ``top`` largest.

        Without ``exact`` stacks that differ only in where in a function a call was are one.
        """
        action, seconds = self._action, self.seconds
        rows = self.rows() if exact else by_function(self.rows())
        return Round(
            time.time(),
            seconds,
            action.by,
            action.unit,
            rows[:top],
            [action.spelled(row.values) for row in rows[:top]],
            len(rows),
            sum(row.hits for row in rows),
            sum(row.total for row in rows),
            self.lost(),
            self.missed(),
            action.waiting() if action.off_cpu else None,
        )

    def folded(self, told: Round | None = None) -> list[str]:
        """Return lines for flamegraph.pl and others: a path from the root of the calls, and how much was met there."""
        whole = told or self.round()
        return list(folded(self._paths(whole), whole.unit))

    def svg(self, title: str, told: Round | None = None) -> str:
        """Return a flame graph that a browser searches and zooms."""
        from bpfctl.views.flame import svg  # noqa: PLC0415 - few are drawn

        whole = told or self.round()
        return "".join(svg(self._paths(whole), title, summary(whole), whole.unit or "hits"))

    def pprof(self, told: Round | None = None) -> bytes:
        """Return a profile for pprof."""
        from bpfctl.views.pprof import profile  # noqa: PLC0415 - few are made

        whole = told or self.round()
        return profile(
            whole.rows,
            whole.by,
            whole.unit,
            at=self._began,
            seconds=whole.seconds,
            build_id=self._names.build_id,
        )

    def _paths(self, told: Round) -> Iterator[tuple[Sequence[str], NamedStack]]:
        """Yield the stacks, and what stands before their roots: the name of the thread where nobody has asked."""
        usual = self._action.by_as_usual
        for values, row in zip(told.spelled, told.rows, strict=True):
            yield values[:1] if usual else values, row

    def close(self) -> None:
        """Detach, and give all back."""
        self._names.close()
        super().close()
