"""The numbers of a value, one by one: what grows in a map, and by how much."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import UsageError
from bpfctl.kernel.column import adds, is_text, numbers
from bpfctl.kernel.cpu_sum import assumed
from bpfctl.kernel.field import VALUE, Fields
from btf import place as places
from btf import types
from btf.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.kernel.change import Change
    from bpfctl.kernel.column import Column
    from bpfctl.kernel.map import MapInfo
    from bpfctl.kernel.map_types import Types
    from btf.read import BTF

_MOST = 64  # numbers of a value that are looked at


class Number(NamedTuple):
    """A number of a value: its path, and what reads it."""

    name: str
    column: Column

    def read(self, value: bytes) -> int | float:
        """Return the number that a value has."""
        found: int | float = next(iter(self.column(value)))
        return found


class Meter:
    """Reads the numbers of values; UsageError for a field that there is not, or that is no number.

    ``field`` is the one that entries are ranked by, or else the first. Without types, values are taken for integers
    as where they are added up.
    """

    def __init__(self, info: MapInfo, of: Types | None, field: str | None = None) -> None:
        #: The numbers, at most the first 64.
        self.numbers = tuple(_numbers(info, of))
        self._by = self.numbers[0] if self.numbers else None
        if field is not None:
            found = Fields(info, of).find(field)
            if found.stream != VALUE:
                raise UsageError(f"--top: {field} is a part of keys, which do not change")
            self._by = Number(field, found.number())

    def rank(self, change: Change) -> tuple[bool, float]:
        """Return how far in front a change stands: by how much the number has changed, before what is new or gone."""
        if change.before is None or change.after is None:
            return False, 0
        if self._by is None:
            return True, 0
        moved = abs(self._by.read(change.after) - self._by.read(change.before))
        return True, moved if moved == moved else 0  # noqa: PLR0124 - a float that is no number is not large

    def read(self, value: bytes) -> tuple[int | float, ...]:
        """Return the numbers of a value."""
        return tuple(number.read(value) for number in self.numbers)


def _numbers(info: MapInfo, of: Types | None) -> Iterator[Number]:
    try:
        known = assumed(info, of)
    except UsageError:
        return  # nothing in it looks like a number
    whole = Place("", known.btf.resolve(known.value), 0)
    for place in islice(_leaves(known.btf, whole), _MOST):
        column = numbers(known.btf, place, info.value_size)
        if column is not None:
            yield Number(place.path if of and place.path else f"value{place.path}", column)


def _leaves(btf: BTF, place: Place) -> Iterator[Place]:
    of = btf.type(place.type_id)
    if adds(btf, place):
        yield place
    elif isinstance(of, types.Struct | types.Union | types.Datasec) or (
        isinstance(of, types.Array) and not is_text(btf, of)
    ):
        for part in places.members(btf, place):
            yield from _leaves(btf, part)
