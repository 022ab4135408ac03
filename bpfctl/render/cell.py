"""What stands in the cell of a table: values as words for people, harmless on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfctl.render.text import safe

if TYPE_CHECKING:
    from bpfctl.views.view import Column

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(count: int) -> str:
    """Return a number of bytes to two or more significant digits, such as 64 B, 4 KiB, 1.5 MiB."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in _UNITS:
        value /= 1024
        if value < 1023.5 or unit == _UNITS[-1]:
            break
    return f"{value:.1f} {unit}".replace(".0 ", " ") if value < 9.95 else f"{value:.0f} {unit}"


def items(column: Column, row: Any) -> tuple[str, ...]:
    """Return the pieces of a cell, between which it may be wrapped; none for an empty cell."""
    value = column.get(row)
    if value is None or value == ():
        return ()
    if column.hint == "bytes":
        return (size(value),)
    if isinstance(value, tuple):
        return tuple(safe(str(item)) for item in value)
    return (safe(str(value)),)


def ascii_only(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """Spell what a terminal that shows no UTF-8 would garble."""
    return tuple(piece.encode("ascii", "backslashreplace").decode() for piece in pieces)
