"""Counts hits in the kernel: of each point, or of each set of values of some fields."""

from __future__ import annotations

from contextlib import ExitStack
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.asm.insn import R0, R1, R3, R10
from bpfctl.errors import KernelError
from bpfctl.host import cpus
from bpfctl.kernel.elements import Walk
from bpfctl.kernel.map import Map
from bpfctl.probe.action import Action
from bpfctl.probe.keys import PROBE, Keys, add_one, added, look_up_or_make
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.probe.action import Part
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field
    from bpfctl.probe.source import ProbePoint


class Row(NamedTuple):
    """A count: the values by which was counted, and how many hits had them."""

    values: tuple[Any, ...]
    hits: int


class Count(Action):
    """Counts by some fields; ``probe`` among them is the point itself.

    ``max_entries`` sets of values are counted; hits with more than that are lost, and counted as such.
    """

    def __init__(self, by: Sequence[str] = (PROBE,), *, max_entries: int = 10_000) -> None:
        self._keys = Keys(tuple(by) or (PROBE,))
        self._max_entries = max_entries
        self._held = ExitStack()

    @property
    def by(self) -> tuple[str, ...]:
        """The fields by which is counted."""
        return self._keys.by

    def names(self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]]) -> frozenset[str]:
        """Return the fields by which is counted."""
        del points, own
        return self._keys.names

    def open(self, parts: Sequence[Part]) -> None:
        """Make the maps: an array where the point alone counts, else a hash table."""
        self._keys.settle(parts)
        hashed = (MapType.PERCPU_HASH, self._max_entries)
        kind, count = hashed if self._keys.slots else (MapType.PERCPU_ARRAY, len(self._keys.points))
        self._counts = self._held.enter_context(Map.create(kind, self._keys.size, 8, count, name="counts"))
        self._lost = self._held.enter_context(Map.create(MapType.PERCPU_ARRAY, 4, 8, 1, name="lost"))

    def emit(self, code: Code, part: Part) -> None:
        """Add one to the count of this point and these values."""
        key = self._keys.store(code, part)
        if self._keys.slots:
            look_up_or_make(code, self._counts, key, _zero, self._lost)
            code.mov(R1, 1).atomic_add(8, R0, 0, R1)
        else:
            add_one(code, self._counts, key)

    def lost(self) -> int:
        """Return how many hits were not counted, because there was no room for their values."""
        return added(self._lost)

    def rows(self) -> list[Row]:
        """Return what was counted, most first."""
        unpack, hits = Struct(f"={cpus.possible()}Q").unpack, dict[tuple[Any, ...], int]()
        try:
            for key, value in Walk(self._counts, self._counts.facts).pairs():
                values = self._keys.values(key)  # of a point that several programs serve there are several keys
                hits[values] = hits.get(values, 0) + sum(unpack(value))
        except KernelError as error:
            raise KernelError("can't read the counts", error.errno or 0) from None
        rows = (Row(values, number) for values, number in hits.items())
        return sorted((row for row in rows if row.hits or not self._keys.slots), key=lambda row: -row.hits)

    def spelled(self, row: Row) -> list[str]:
        """Return the values of a row as people read them."""
        return self._keys.spelled(row.values)

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()


def _zero(code: Code) -> None:
    code.mov(R3, R10).add(R3, code.cleared(8))
