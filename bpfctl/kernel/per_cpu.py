"""The values of per-CPU maps: one for each CPU that this kernel could ever have."""

from __future__ import annotations

from typing import Any, TypeVar

from bpfctl.errors import DoesNotFit
from bpfctl.host import cpus
from btf.class_fields import class_fields, maker
from btf.value import Address, Char, Enumerator, Record, Section

T = TypeVar("T")


class PerCPU(tuple[T, ...]):
    """The values of one key, by the number of the CPU: ``value[3]``.

    It cannot be changed in place, as that would not change the map: assign to ``map[key]`` a list with a value for
    each CPU, or ``PerCPU.all(value)``.
    """

    __slots__ = ()

    @classmethod
    def all(cls, value: T) -> PerCPU[T]:
        """Return the same value for each CPU."""
        return cls([value] * cpus.possible())

    def replaced(self, cpu: int, value: T) -> PerCPU[T]:
        """Return these values with that of one CPU changed; IndexError when there is no such CPU."""
        values = list(self)
        values[cpu] = value
        return type(self)(values)

    def sum(self) -> T:
        """Return the sum over all CPUs: of numbers, and of records and lists part by part.

        What cannot be added, such as text, enumerators and addresses, is what all CPUs agree on that have any, and
        None where they differ. DoesNotFit when the values are bytes, of which nobody knows what they mean.
        """
        result: T = _sum(list(self))
        return result

    def __repr__(self) -> str:
        return f"PerCPU({list(self)!r})"


def _sum(values: list[Any]) -> Any:
    first = values[0]
    if any(type(value) is not type(first) for value in values):
        return _agreed(values)  # text on one CPU, and on another bytes that are none
    match first:
        case bytes():
            raise DoesNotFit("bytes cannot be added: say what they are, as in map.typed(value=PerCPU[int])")
        case Enumerator() | Char() | Address() | bool() | str() | None:
            return _agreed(values)
        case int() | float():
            return sum(values)
        case list():
            return [_sum(list(items)) for items in zip(*values, strict=True)]
        case dict():
            return {name: _sum([value[name] for value in values]) for name in first}
        case Record():
            parts = [_sum(list(items)) for items in zip(*map(_items, values), strict=True)]
            pairs = [(name, part) for (name, _), part in zip(first.fields, parts, strict=True)]
            return Section(first.name, pairs) if isinstance(first, Section) else Record(pairs)
        case tuple():
            parts = [_sum(list(items)) for items in zip(*values, strict=True)]
            return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    names = class_fields(type(first))
    if not names:
        return _agreed(values)
    return maker(type(first), names)(*[_sum([getattr(value, name) for value in values]) for name in names])


def _items(record: Record) -> list[Any]:
    return [item for _, item in record.fields]


def _agreed(values: list[Any]) -> Any:
    """Return the one value that is there besides zeros and empty ones."""
    told = [value for value in values if value]
    if not told:
        return values[0]
    return told[0] if all(value == told[0] for value in told) else None
