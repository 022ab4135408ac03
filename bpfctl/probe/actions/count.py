"""Counts hits in the kernel: of each point, or of each set of values of some fields."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.asm.insn import R0, R1, R2, R3, R4, R10
from bpfctl.errors import KernelError
from bpfctl.host import cpus
from bpfctl.kernel.map import Map
from bpfctl.probe.action import Action, Slot, common_type
from bpfctl.probe.code import OUT, POINT
from bpfctl.probe.field import Integer
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.probe.action import Part
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field
    from bpfctl.probe.source import ProbePoint

_NOEXIST = 1
_PROBE = "probe"


class Row(NamedTuple):
    """A count: the values by which was counted, and how many hits had them."""

    values: tuple[Any, ...]
    hits: int


class Count(Action):
    """Counts by some fields; ``probe`` among them is the point itself.

    ``max_entries`` sets of values are counted; hits with more than that are lost, and counted as such.
    """

    def __init__(self, by: Sequence[str] = (_PROBE,), *, max_entries: int = 10_000) -> None:
        self.by = tuple(by) or (_PROBE,)
        self._max_entries = max_entries
        self._held = ExitStack()
        self._slots: list[Slot] = []
        self._points: tuple[ProbePoint, ...] = ()

    def names(self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]]) -> frozenset[str]:
        """Return the fields by which is counted."""
        del points, own
        return frozenset(self.by) - {_PROBE}

    def open(self, parts: Sequence[Part]) -> None:
        """Make the maps: an array where the point alone counts, else a hash table."""
        self._points = tuple(point for part in parts for point in part.points)
        at = 4 if _PROBE in self.by else 0
        for name in self.by:
            if name != _PROBE:
                type_ = common_type(name, [part.field(name).type for part in parts])
                at = at if not isinstance(type_, Integer) else -(-at // 8) * 8
                self._slots.append(Slot(name, at, type_))
                at += type_.size
        self._size = at
        plain = not self._slots
        kind, count = (MapType.PERCPU_ARRAY, len(self._points)) if plain else (MapType.PERCPU_HASH, self._max_entries)
        self._counts = self._held.enter_context(Map.create(kind, self._size, 8, count, name="counts"))
        self._lost = self._held.enter_context(Map.create(MapType.PERCPU_ARRAY, 4, 8, 1, name="lost"))

    def emit(self, code: Code, part: Part) -> None:
        """Add one to the count of this point and these values."""
        key = code.cleared(self._size)
        if _PROBE in self.by:
            code.stx(4, R10, key, POINT)
        for slot in self._slots:
            field = part.field(slot.name)
            if field.load and isinstance(slot.type, Integer):  # numbers of all sizes share a slot of 64 bits
                field.load(code, R0)
                code.stx(8, R10, key + slot.at, R0)
            else:
                field.store(code, R10, key + slot.at)
        if self._slots:
            self._add_to_hash(code, key)
        else:
            _add(code, self._counts, key)

    def _add_to_hash(self, code: Code, key: int) -> None:
        found = code.fresh()
        _look_up(code, self._counts, key)
        code.jump("jne", R0, 0, found)
        zero = code.cleared(8)
        code.ld_map_fd(R1, self._counts.fileno()).mov(R2, R10).add(R2, key).mov(R3, R10).add(R3, zero)
        code.mov(R4, _NOEXIST).call(Helper.map_update_elem)
        _look_up(code, self._counts, key)  # by now it is there, made by us or by another CPU, or there is no room
        code.jump("jne", R0, 0, found)
        code.st(4, R10, zero, 0)
        _add(code, self._lost, zero)
        code.jmp(OUT).label(found).mov(R1, 1).atomic_add(8, R0, 0, R1)

    def lost(self) -> int:
        """Return how many hits were not counted, because there was no room for their values."""
        return sum(_of_all_cpus().unpack(self._lost.lookup(bytes(4))))

    def rows(self) -> list[Row]:
        """Return what was counted, most first."""
        unpack, hits = _of_all_cpus().unpack, dict[tuple[Any, ...], int]()
        try:
            for key, value in self._counts.raw.items():
                values = self._values(key)  # of a point that several programs serve there are several keys
                hits[values] = hits.get(values, 0) + sum(unpack(value))
        except KernelError as error:
            raise KernelError("can't read the counts", error.errno or 0) from None
        rows = (Row(values, number) for values, number in hits.items())
        return sorted((row for row in rows if row.hits or not self._slots), key=lambda row: -row.hits)

    def _values(self, key: bytes) -> tuple[Any, ...]:
        found = {slot.name: slot.type.decode(key[slot.at : slot.at + slot.type.size]) for slot in self._slots}
        if _PROBE in self.by:
            found[_PROBE] = str(self._points[int.from_bytes(key[:4], sys.byteorder)])
        return tuple(found[name] for name in self.by)

    def spelled(self, row: Row) -> list[str]:
        """Return the values of a row as people read them."""
        types = {slot.name: slot.type for slot in self._slots}
        return [
            str(value) if name == _PROBE else types[name].spell(value)
            for name, value in zip(self.by, row.values, strict=True)
        ]

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()


def _of_all_cpus() -> Struct:
    return Struct(f"={cpus.possible()}Q")


def _look_up(code: Code, map_: Map, key: int) -> None:
    code.ld_map_fd(R1, map_.fileno()).mov(R2, R10).add(R2, key).call(Helper.map_lookup_elem)


def _add(code: Code, map_: Map, key: int) -> None:
    """Add one to an entry of an array of counters of each CPU."""
    missing = code.fresh()
    _look_up(code, map_, key)
    code.jump("jeq", R0, 0, missing).mov(R1, 1).atomic_add(8, R0, 0, R1).label(missing)
