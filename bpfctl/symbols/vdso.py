"""The functions that the kernel maps into every process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.elf.image import Image
from bpfctl.errors import BpfctlError
from bpfctl.symbols import space
from bpfctl.symbols.table import Table

if TYPE_CHECKING:
    from bpfctl.symbols.space import Mapping

NAME = "[vdso]"

_NARROW = 1 << 32  # what 32 bits reach
_LARGEST = 1 << 20  # bytes


class Vdso:
    """Its functions, for processes of 64 and those of 32 bits."""

    def __init__(self) -> None:
        self._tables: dict[bool, Table] = {}

    def table(self, mapping: Mapping, pid: int) -> Table | None:
        """Return the functions of what a process has mapped; None where it cannot be read."""
        is_narrow = mapping.start < _NARROW
        table = self._tables.get(is_narrow)
        if table is None:
            table = _read(pid, mapping) if is_narrow else _own() or _read(pid, mapping)
            if table is not None:
                self._tables[is_narrow] = table
        return table


def _own() -> Table | None:
    try:
        with open("/proc/self/maps", "rb") as file:
            found = next((one for one in space.parse(file.read()) if one.path == NAME), None)
    except OSError:  # no /proc
        return None
    return _read("self", found) if found is not None and found.start >= _NARROW else None


def _read(pid: int | str, mapping: Mapping) -> Table | None:
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(mapping.start)
            data = memory.read(min(mapping.end - mapping.start, _LARGEST))
        return Table(Image.of(data, NAME))
    except (OSError, OverflowError, ValueError, BpfctlError):  # it has ended, or may not be looked at
        return None
