"""What is done with the time of calls, from where they begin to where they return, or between two probes."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bpfctl.probe.action import Action
from bpfctl.probe.keys import PROBE, Keys
from bpfctl.probe.started import Started
from bpfctl.probe.where import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bpfctl.asm.insn import Reg
    from bpfctl.probe.action import Part
    from bpfctl.probe.calls import Call
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field
    from bpfctl.probe.source import ProbePoint
    from bpfctl.probe.started import Tally
    from bpfctl.probe.where import Tree

#: Calls that may be on their way at the same time.
MAX_CALLS = 10_240
#: Bytes of what is known of a call before what is kept of it: the time.
HEAD = 8
#: What a thread has when a call returns as it had when that began.
_LASTING = frozenset({"pid", "tid", "uid", "gid", "cgroup"})


class Timed(Action):
    """Finds for each call that ends when it began; what is done with its time is for others to say.

    ``at_end`` are the fields that are read where calls end, all others are read where they begin. ``key`` are pairs of
    fields that tell what belongs together, one where it begins and one where it ends; without it, it is the thread.
    ``nested`` says that calls have no frames, since they are what is between two probes. ``max_calls`` have room.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        *,
        at_end: Iterable[str] = (),
        key: Sequence[tuple[str, str]] = (),
        nested: bool = False,
        max_calls: int = MAX_CALLS,
    ) -> None:
        self.calls = tuple(calls)
        self.at_end = frozenset(at_end)
        self._key, self._nested, self._max_calls = tuple(key), nested, max_calls
        self._ends = {point: number for number, call in enumerate(calls) for point in call.end}
        self._begins = {point: number for number, call in enumerate(calls) for point in call.begin}
        self._sees_all = True
        self._held = ExitStack()

    def sides(self, points: Sequence[ProbePoint]) -> Sequence[Sequence[ProbePoint]]:
        """Return the ends first: whatever begins when all is attached can be seen to end."""
        ends = [point for point in points if point in self._ends]
        return [ends, [point for point in points if point in self._begins]]

    def end(self, point: ProbePoint) -> ProbePoint | None:
        """Return where calls of a function return; what is between probes has no return."""
        number = self._begins.get(point)
        return None if number is None or self._nested or self._key else self.calls[number].end[0]

    def condition(self, points: Sequence[ProbePoint], where: Tree | None) -> Tree | None:
        """Return the condition where calls begin; where they end it is not asked, but for what a thread keeps."""
        if points[0] in self._begins or where is None:
            return where
        lasts = not self._key and _LASTING.issuperset(names(where))
        self._sees_all = self._sees_all and lasts
        return where if lasts else None

    def names(self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]]) -> frozenset[str]:
        """Return the fields that are read at these points."""
        begins = points[0] in self._begins
        keys = {begin if begins else end for begin, end in self._key}
        return frozenset(keys | {*self.read(points, own, begins=begins)} - {PROBE})

    @abstractmethod
    def read(
        self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]], *, begins: bool
    ) -> Iterable[str]:
        """Return the fields that are read of calls at points of one source, where they begin or where they end."""

    def open(self, parts: Sequence[Part]) -> None:
        """Make the tables; UsageError where fields are of no use."""
        ends = [part for part in parts if part.points[0] in self._ends]
        begins = [part for part in parts if part.points[0] in self._begins]
        key = None
        if self._key:
            key = Keys([name for name, _ in self._key])
            key.settle([*begins, *map(self._renamed, ends)])
        keep = self.prepare(parts, begins, ends)
        self._started = self._held.enter_context(
            Started(
                parts,
                self._ends | self._begins,
                key=key,
                frames=not self._nested and all(part.frame is not None for part in parts),
                keep=keep,
                max_calls=self._max_calls,
            )
        )

    @abstractmethod
    def prepare(self, parts: Sequence[Part], begins: Sequence[Part], ends: Sequence[Part]) -> int:
        """Make what else is needed, and return how many bytes are kept of a call that has begun."""

    def _renamed(self, part: Part) -> Part:
        """Return a part where calls end, whose key has the names that it has where they begin."""
        at_end = dict(self._key)
        return part._replace(field=lambda name: part.field(at_end.get(name, name)))

    def emit(self, code: Code, part: Part) -> None:
        """Keep a call that begins, or take the time of one that ends."""
        if part.points[0] in self._begins:
            self._started.begin(code, part, lambda code, base, at: self.keep(code, part, base, at))
        else:
            key = self._started.end(code, self._renamed(part))
            self.finish(code, part, lambda: self._started.forget(code, key))

    @abstractmethod
    def keep(self, code: Code, part: Part, base: Reg, at: int) -> None:
        """Append what writes the fields that are read where a call begins to ``base + at``."""

    @abstractmethod
    def finish(self, code: Code, part: Part, forget: Callable[[], None]) -> None:
        """Append what is done with a call: r8 is its time, r9 where it was kept until ``forget`` appends its end."""

    def tally(self) -> Tally:
        """Return what became of the calls."""
        found = self._started.tally()
        return found if self._sees_all else found._replace(began_before=None)

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()
