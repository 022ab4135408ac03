"""/proc/kallsyms: the names of addresses in the kernel (kernel/kallsyms.c)."""

from __future__ import annotations

from typing import NamedTuple

_FILE = "/proc/kallsyms"

# A function that may be called indirectly begins with the 4-byte ENDBR64 on x86 with indirect branch tracking, and
# what is attached to it sits behind that.
_ENDBR = 4


class Symbol(NamedTuple):
    """A name in the kernel; ``module`` is None for the kernel proper."""

    name: str
    module: str | None


class Symbols:
    """The symbols of the running kernel, read when first asked for."""

    def __init__(self, file: str = _FILE) -> None:
        self._file = file
        self._lines: dict[int, bytes] | None = None

    @property
    def readable(self) -> bool:
        """Whether the kernel tells us addresses; to some it says all zeros (kernel.kptr_restrict, CAP_SYSLOG)."""
        return bool(self._load())

    def _load(self) -> dict[int, bytes]:
        if self._lines is None:
            try:
                with open(self._file, "rb") as file:
                    lines = file.read().splitlines()
            except OSError:  # no /proc, or not ours to read
                lines = []
            lines.reverse()  # of several names for one address the first is meant
            self._lines = {int(line[: line.index(b" ")], 16): line for line in lines if b" " in line}
            self._lines.pop(0, None)
        return self._lines

    def find(self, address: int) -> Symbol | None:
        """Return the symbol at an address or just before its landing instruction; None when there is none."""
        lines = self._load()
        line = lines.get(address) or lines.get(address - _ENDBR)
        if line is None:
            return None
        _, _, name, *module = line.decode(errors="surrogateescape").split()
        return Symbol(name, module[0].strip("[]") if module else None)
