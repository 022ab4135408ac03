"""
Symbols of the kernel proper, which keep their addresses until the next boot.

The kernel takes 50 ms to write /proc/kallsyms, of which a small program refers to a handful. So those that were looked
up are kept for root, in a file that only root can read. Where the kernel keeps addresses to itself now, so do we: the
first lines of /proc/kallsyms tell. Symbols of modules and of BPF programs come and go, and are looked up each time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.host.boot_cache import BootCache, boot_id
from bpfctl.host.kallsyms import FILE, Symbol, Symbols

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENOUGH = 4096  # bytes of the file, of which some per-CPU symbols have the address zero anyway
_MOST = 10_000  # symbols


class _Found(NamedTuple):
    """What was looked up; names are not unique."""

    names: dict[int, str]
    addresses: dict[str, int]


class LastingSymbols(Symbols):
    """Symbols of the running kernel; the file is read for those alone that nobody has looked up since it was booted."""

    def __init__(self, cache: BootCache | None = None, file: str = FILE) -> None:
        super().__init__(file)
        self._cache = cache
        self._key: Mapping[str, object] = {"boot": boot_id(), "kernel": [os.uname().release, os.uname().version]}
        self._new = False

    @classmethod
    def of_this_boot(cls) -> LastingSymbols:
        """Return those that root has looked up; nothing is kept for others."""
        return cls(BootCache("symbols") if os.geteuid() == 0 else None)

    @cached_property
    def _found(self) -> _Found:
        if self._cache is None or not self._shown():
            return _Found({}, {})
        return _decoded(self._cache.read(self._key))

    def _shown(self) -> bool:
        """Return whether the kernel shows addresses to us, who may have other rights than who has looked them up."""
        try:
            with open(self._file, "rb", buffering=0) as file:
                lines = file.read(_ENOUGH).split(b"\n")[:-1]
        except OSError:
            return False
        return any(line.partition(b" ")[0].strip(b"0") for line in lines)

    def at(self, address: int) -> Symbol | None:
        """Return the symbol at exactly this address; None when there is none."""
        name = self._found.names.get(address)
        if name is not None:
            return Symbol(name, None)
        symbol = super().at(address)
        if symbol is not None and symbol.module is None:
            self._found.names[address] = symbol.name
            self._new = True
        return symbol

    def address(self, name: str) -> int | None:
        """Return the address of a symbol of the kernel proper; None when there is none, or it is kept from us."""
        address = self._found.addresses.get(name)
        if address is None:
            address = super().address(name)
            if address is not None:
                self._found.addresses[name] = address
                self._new = True
        return address

    def save(self) -> None:
        """Keep what has been looked up."""
        if self._cache is not None and self._new and len(self._found.names) < _MOST and self._key["boot"]:
            self._cache.write(self._key, [list(self._found.names.items()), self._found.addresses])


def _decoded(content: Any) -> _Found:
    """Return what was written; nothing if it is anything else."""
    with suppress(AttributeError, TypeError, ValueError):
        pairs, addresses = content
        names = dict(pairs)
        numbers = [*names, *addresses.values()]
        if all(isinstance(one, int) for one in numbers) and all(isinstance(one, str) for one in names.values()):
            return _Found(names, dict(addresses))
    return _Found({}, {})
