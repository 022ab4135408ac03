"""What an action is to the rest of the program."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from bpfctl._sys.fd import Closing
from bpfctl.errors import UsageError
from bpfctl.probe.field import Field, Integer, Text, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Load
    from bpfctl.probe.source import ProbePoint
    from bpfctl.probe.where import Tree


class Part(NamedTuple):
    """What one program reads: its points, counted from ``first`` among all, and the fields by name."""

    points: Sequence[ProbePoint]
    first: int
    field: Callable[[str], Field]
    frame: Load | None = None  # as of a `Group`
    caller: Load | None = None  # likewise


class Action(Closing):
    """Something that is done at each hit. It is made of what the user wants, and closed when that is over."""

    def sides(self, points: Sequence[ProbePoint]) -> Sequence[Sequence[ProbePoint]]:
        """Return points that no program may serve together apart, in the order in which they are attached."""
        return [points]

    def end(self, point: ProbePoint) -> ProbePoint | None:
        """Return where what begins at a point ends, where one program may be at both; None where that is not so."""
        del point
        return None

    def condition(self, points: Sequence[ProbePoint], where: Tree | None) -> Tree | None:
        """Return which hits of points of one side count, of what was said for all."""
        del points
        return where

    @abstractmethod
    def names(self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]]) -> frozenset[str]:
        """Return the fields that are read at these points of one source; ``own`` tells a point's own."""

    @abstractmethod
    def open(self, parts: Sequence[Part]) -> None:
        """Make the maps; UsageError where the fields cannot be used."""

    def always(self, code: Code, part: Part) -> None:
        """Append what is done at every hit of this part, also at those that a condition leaves out."""

    @abstractmethod
    def emit(self, code: Code, part: Part) -> None:
        """Append what is done at a hit of this part, which may jump to OUT."""

    @abstractmethod
    def lost(self) -> int:
        """Return how many hits, or calls, there was no room for."""


class Slot(NamedTuple):
    """Where a field lies in a key or a record, and what its bytes are there."""

    name: str
    at: int
    type: Type


def number(part: Part, name: str) -> Load:
    """Return what loads a field that is a number; UsageError for one that is none."""
    load = part.field(name).load
    if load is None:
        raise UsageError(f"{name} is no number")
    return load


def is_signed(name: str, parts: Sequence[Part]) -> bool:
    """Return whether a number may be negative at one of the parts; UsageError where it is none."""
    for part in parts:
        number(part, name)
    type_ = common_type(name, [part.field(name).type for part in parts])
    return isinstance(type_, Integer) and type_.signed


def common_type(name: str, types: Sequence[Type]) -> Type:
    """Return what holds a field that has these types at different points; UsageError where nothing does."""
    if len({type(each) for each in types}) > 1:
        raise UsageError(f"'{name}' is a number at one of the points, and a string at another")
    first = types[0]
    if isinstance(first, Integer):
        numbers = [each for each in types if isinstance(each, Integer)]
        signed, hexadecimal = (any(each.signed for each in numbers), all(each.hexadecimal for each in numbers))
        names = first.names if all(each.names == first.names for each in numbers) else ()
        return Integer(8, signed, hexadecimal, names)
    if isinstance(first, Text):
        texts = [each for each in types if isinstance(each, Text)]
        return Text(max(each.size for each in texts), any(each.may_be_cut for each in texts))
    if len({*types}) > 1:
        raise UsageError(f"'{name}' is of another size at each of the points")
    return first
