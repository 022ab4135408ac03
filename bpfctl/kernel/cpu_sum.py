"""Values that each CPU has its own of, added up: entries as those of a map that has one value for each key.

The sum of a value looks like the value, but its integers have 64 bits: a struct has the sums of its members, an array
those of its items. What is no number (text, characters, enums, pointers, truth) has no sum and is left out. Without
types, a value is taken for integers of 8 bytes, of 4 where that does not come out even, or for a single shorter one.

Sums get types of their own, a split BTF over the map's, so that everything that knows typed entries knows sums too.
"""

from __future__ import annotations

import sys
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.errors import UsageError
from bpfctl.kernel.column import adds, is_text, numbers
from bpfctl.kernel.field import Grid
from bpfctl.kernel.map_types import Types
from bpfctl.uapi.enums import MapType
from btf import place as places
from btf import types
from btf.place import Place
from btf.read import BTF
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.kernel.column import Column
    from bpfctl.kernel.elements import Chunk
    from bpfctl.kernel.map import MapInfo

_MOST = 1 << 15  # numbers of a value: no value of a per-CPU map has more bytes
_WIDTHS = (8, 4, 2, 1)
_LIMITS = {"Q": (0, (1 << 64) - 1), "q": (-1 << 63, (1 << 63) - 1)}


class Summed:
    """Adds up the values of a map; call it with the map's chunks.

    UsageError when the map has no values by CPU, or none that can be added.
    """

    def __init__(self, info: MapInfo, of: Types | None) -> None:
        self._grid = Grid.of(info)
        if not self._grid.cpus:
            raise UsageError(f"map {info.id} has one value for each key, and nothing to add up (--sum)")
        widened = _Widened(assumed(info, of), self._grid.step, info.key_size)
        if not widened.numbers:
            raise UsageError(f"map {info.id}: {places.what(*widened.source)} has no numbers to add up (--sum)")
        self._numbers = widened.numbers
        self._pack = Struct("=" + "".join(number.code for number in widened.numbers)).pack
        #: What is known of the map, as if it had one value for each key.
        self.info = info._replace(type=MapType.HASH, value_size=widened.size)
        #: The types of the sums.
        self.types = widened.types
        #: How many sums did not fit into 64 bits, and are there without what is above.
        self.overflows = 0

    def __call__(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield the sums of each chunk."""
        for chunk in chunks:
            if chunk.errno:
                yield chunk
                continue
            columns = [self._sums(number, chunk.values) for number in self._numbers]
            yield chunk._replace(values=b"".join(map(self._pack, *columns)))

    def _sums(self, number: _Number, values: bytes) -> list[Any]:
        slots = [iter(number.column(values))] * self._grid.cpus
        sums = list(map(sum, zip(*slots, strict=True)))
        if number.code in _LIMITS:
            low, high = _LIMITS[number.code]
            if min(sums) < low or max(sums) > high:
                self.overflows += sum(not low <= each <= high for each in sums)
                sums = [(each - low & (1 << 64) - 1) + low for each in sums]
        return sums


def assumed(info: MapInfo, of: Types | None) -> Types:
    """Return the types of a map, or those of integers where it has none; UsageError where they do not come out even."""
    if of is not None:
        return of
    size = info.value_size
    width = next((width for width in _WIDTHS if size % width == 0 and (width > 2 or width == size)), 0)
    if not width or not size:
        raise UsageError(f"map {info.id} has no types, and values of {size} bytes are no integers to add up")
    builder = Builder(byteorder=sys.byteorder)
    value = builder.add_int(f"u{width * 8}", width)
    if size > width:
        value = builder.add_array(value, builder.add_int("u32", 4), size // width)
    return Types(BTF.from_bytes(builder.build()), 0, value)


class _Number(NamedTuple):
    """A number of a value: what reads it in every slot, and how its sum is packed."""

    column: Column
    code: str


class _Widened:
    """The type of a value with room for sums; ``numbers`` are in the order in which the type has them."""

    def __init__(self, of: Types, step: int, key_size: int) -> None:
        self._btf = of.btf
        self._step = step
        self._builder = Builder(byteorder=of.btf.byteorder, base=of.btf)
        self._ints: dict[str, int] = {}
        self.numbers: list[_Number] = []
        self.source = of.btf, of.value
        type_id = self._type(Place("", of.btf.resolve(of.value), 0))
        self.size = len(self.numbers) * 8
        if type_id:
            key = of.key or self._key(key_size)
            self.types = Types(BTF.from_bytes(self._builder.build(), of.btf), key, type_id)

    def _key(self, size: int) -> int:
        """Add the type of a key without types: an integer, or bytes; without one, no text of an entry would tell it."""
        number = self._builder.add_int(f"u{size * 8}", size) if size in _WIDTHS else self._builder.add_int("u8", 1)
        return number if size in _WIDTHS else self._builder.add_array(number, self._index(), size)

    def _type(self, place: Place) -> int:
        """Add the type of a part's sum and return its id, 0 for what has none."""
        of = self._btf.type(place.type_id)
        match of:
            case types.Int() | types.Float() if adds(self._btf, place):
                return self._number(place, signed=of.signed if isinstance(of, types.Int) else None)
            case types.Array():
                return self._array(of, place)
            case types.Struct() | types.Union() | types.Datasec():
                return self._record(place, of.name)
        return 0

    def _number(self, place: Place, *, signed: bool | None) -> int:
        column = numbers(self._btf, place, self._step)
        if column is None:
            return 0
        if len(self.numbers) == _MOST:
            raise UsageError(f"{places.what(*self.source)} has more than {_MOST} numbers to add up (--sum)")
        code, name = ("d", "double") if signed is None else ("q", "s64") if signed else ("Q", "u64")
        self.numbers.append(_Number(column, code))
        if code not in self._ints:
            add = self._builder
            encoding = types.SIGNED if signed else 0
            self._ints[code] = add.add_float(name, 8) if signed is None else add.add_int(name, 8, encoding=encoding)
        return self._ints[code]

    def _array(self, of: types.Array, place: Place) -> int:
        if is_text(self._btf, of):
            return 0
        found = [self._type(item) for item in places.members(self._btf, place)]
        if not found or not found[0]:
            return 0
        # All items have the same type; each has added one that looks like the first.
        return self._builder.add_array(found[0], self._index(), len(found))

    def _index(self) -> int:
        if "index" not in self._ints:
            self._ints["index"] = self._builder.add_int("u32", 4)
        return self._ints["index"]

    def _record(self, place: Place, name: str) -> int:
        members: list[tuple[str, int, int]] = []
        begin = len(self.numbers)
        for member in places.members(self._btf, place):
            offset = (len(self.numbers) - begin) * 64
            type_id = self._type(member)
            if type_id:
                members.append((member.path.rpartition(".")[2], type_id, offset))
        if not members:
            return 0
        return self._builder.add_struct(name, (len(self.numbers) - begin) * 8, members)
