"""Sets of values of some fields as keys of a map, and the one entry that a hit belongs to."""

from __future__ import annotations

import sys
from struct import Struct
from typing import TYPE_CHECKING, Any

from bpfctl.asm.insn import R0, R1, R2, R4, R10
from bpfctl.host import cpus
from bpfctl.probe.action import Slot, common_type
from bpfctl.probe.code import OUT, POINT
from bpfctl.probe.field import Integer
from bpfctl.uapi.helpers import Helper

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from bpfctl.asm.insn import Reg
    from bpfctl.kernel.map import Map
    from bpfctl.probe.action import Part
    from bpfctl.probe.code import Code
    from bpfctl.probe.source import ProbePoint

_NOEXIST = 1
#: The point itself, as one of the fields.
PROBE = "probe"


class Keys:
    """What hits are told apart by: fields, and ``probe`` among them is the point itself."""

    def __init__(self, by: Sequence[str]) -> None:
        self.by = tuple(by)
        self.slots: list[Slot] = []
        self.points: tuple[ProbePoint, ...] = ()
        self.size = 4  # bytes of a key

    @property
    def names(self) -> frozenset[str]:
        """The fields that are read."""
        return frozenset(self.by) - {PROBE}

    def settle(self, parts: Sequence[Part], having: Mapping[str, Sequence[Part]] | None = None) -> None:
        """Decide what lies where in a key; UsageError where fields cannot be told by one type.

        ``having`` tells the parts that have a field, where these are not all.
        """
        self.points = tuple(point for part in parts for point in part.points)
        at = 4 if PROBE in self.by else 0
        for name in self.by:
            if name != PROBE:
                type_ = common_type(name, [part.field(name).type for part in (having or {}).get(name, parts)])
                at += -at % (8 if isinstance(type_, Integer) else 4)
                self.slots.append(Slot(name, at, type_))
                at += type_.size
        self.size = max(at, 4)

    def store(self, code: Code, part: Part, at: int | None = None) -> int:
        """Write the key of this hit to the stack, into cleared room where that is given; return where it is."""
        key = code.cleared(self.size) if at is None else at
        self.write(code, part, self.by, R10, key)
        return key

    def write(self, code: Code, part: Part, names: Container[str], base: Reg, at: int) -> None:
        """Write those of these names to a key that begins at ``base + at``, and is cleared."""
        if PROBE in self.by and PROBE in names:
            code.stx(4, base, at, POINT)
        for slot in self.slots:
            if slot.name in names:
                write(code, part, slot, base, at)

    def values(self, key: bytes) -> tuple[Any, ...]:
        """Return the values of a key, in the order of the fields."""
        if not self.slots:  # thousands of points may be counted
            return tuple(str(self.points[int.from_bytes(key[:4], sys.byteorder)]) for _ in self.by)
        found = {slot.name: slot.type.decode(key[slot.at : slot.at + slot.type.size]) for slot in self.slots}
        if PROBE in self.by:
            found[PROBE] = str(self.points[int.from_bytes(key[:4], sys.byteorder)])
        return tuple(found[name] for name in self.by)

    def spelled(self, values: Sequence[Any]) -> list[str]:
        """Return values as people read them."""
        types = {slot.name: slot.type for slot in self.slots}
        return [
            str(value) if name == PROBE else types[name].spell(value)
            for name, value in zip(self.by, values, strict=True)
        ]


def write(code: Code, part: Part, slot: Slot, base: Reg, at: int) -> None:
    """Write a field to its slot of what begins at ``base + at``, and is cleared."""
    field = part.field(slot.name)
    if field.load and isinstance(slot.type, Integer):  # numbers of all sizes share a slot
        field.load(code, R0)
        code.stx(slot.type.size, base, at + slot.at, R0)
    else:
        field.store(code, base, at + slot.at)


def look_up(code: Code, map_: Map, key: int) -> None:
    """Put the address of the value into r0, 0 where there is none; the key lies on the stack."""
    code.ld_map_fd(R1, map_.fileno()).mov(R2, R10).add(R2, key).call(Helper.map_lookup_elem)


def look_up_or_make(
    code: Code, map_: Map, key: int, empty: Callable[[Code], object], lost: Map, *, otherwise: str = OUT
) -> None:
    """Put the address of the value into r0; ``empty`` puts that of a value for a new entry into r3.

    Where there is no room for another entry, one is added to ``lost``, and the program goes on at ``otherwise``.
    """
    found = code.fresh()
    look_up(code, map_, key)
    code.jump("jne", R0, 0, found)
    empty(code)
    code.ld_map_fd(R1, map_.fileno()).mov(R2, R10).add(R2, key).mov(R4, _NOEXIST).call(Helper.map_update_elem)
    look_up(code, map_, key)  # by now it is there, made by us or by another CPU, or there is no room
    code.jump("jne", R0, 0, found)
    add_one(code, lost, code.cleared(8))
    code.jmp(otherwise).label(found)


def added(map_: Map, number: int = 0) -> int:
    """Return what all CPUs have added to an entry of an array of counters."""
    return sum(Struct(f"={cpus.possible()}Q").unpack(map_.lookup(number.to_bytes(4, sys.byteorder))))


def add_one(code: Code, map_: Map, key: int) -> None:
    """Add one to an entry of an array of counters of each CPU."""
    missing = code.fresh()
    look_up(code, map_, key)
    code.jump("jeq", R0, 0, missing).mov(R1, 1).atomic_add(8, R0, 0, R1).label(missing)
