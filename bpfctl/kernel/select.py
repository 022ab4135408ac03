"""Which objects of a kind are meant: all of them, or those that a handle names."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Select(NamedTuple):
    """One handle: ``id`` with an int, ``pinned`` with a path, ``tag`` with 8 bytes, ``name`` with a name."""

    by: Literal["id", "pinned", "tag", "name"]
    value: int | str | bytes

    def __str__(self) -> str:
        value = self.value
        return f"{self.by} {value.hex() if isinstance(value, bytes) else value}"
