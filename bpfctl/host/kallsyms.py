"""/proc/kallsyms: the names of addresses in the kernel (kernel/kallsyms.c)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "/proc/kallsyms"

# A function that may be called indirectly begins with the 4-byte ENDBR64 on x86 with indirect branch tracking, and
# what is attached to it sits behind that.
_ENDBR = 4

_FUNCTION = re.compile(rb"\n[0-9a-f]+ [tTwW] ([^\s\[]+)(?:\t\[(\w+)\])?")

_SCANS = 32  # look-ups answered by a search of the text, 1 ms each; a dictionary of all symbols takes 50 ms


class Symbol(NamedTuple):
    """A name in the kernel; ``module`` is None for the kernel proper."""

    name: str
    module: str | None


class Symbols:
    """The symbols of the running kernel, read when first asked for."""

    def __init__(self, file: str = FILE) -> None:
        self._file = file
        self._text: bytes | None = None  # with a newline before and after each line
        self._width = 0  # of an address, in digits
        self._scans = 0
        self._lines: dict[bytes, bytes] | None = None

    @property
    def readable(self) -> bool:
        """Whether the kernel tells us addresses; to some it says all zeros (kernel.kptr_restrict, CAP_SYSLOG)."""
        text = self._load()
        zeros = text.count(b"\n" + b"0" * self._width + b" ")
        return zeros < text.count(b"\n") - 1

    def _load(self) -> bytes:
        if self._text is None:
            try:
                with open(self._file, "rb") as file:
                    text = b"\n" + file.read()
                self._text = text if text.endswith(b"\n") else text + b"\n"
            except OSError:  # no /proc, or not ours to read
                self._text = b""
            self._width = max(self._text.find(b" ") - 1, 0)
        return self._text

    def find(self, address: int) -> Symbol | None:
        """Return the symbol at an address or just before its landing instruction; None when there is none."""
        line = self._line(address) or self._line(address - _ENDBR)
        return _symbol(line) if line is not None else None

    def at(self, address: int) -> Symbol | None:
        """Return the symbol at exactly this address; None when there is none."""
        line = self._line(address)
        return _symbol(line) if line is not None else None

    def has(self, name: str) -> bool:
        """Return whether there is a symbol of this name, in the kernel proper or a module."""
        text, word = self._load(), b" " + _bytes(name)
        return word + b"\n" in text or word + b"\t" in text

    def functions(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each function, and its module, empty for the kernel proper; those of BPF are left out."""
        for found in _FUNCTION.finditer(self._load()):
            module = (found[2] or b"").decode(errors="replace")
            if module != "bpf":
                yield found[1].decode(errors="replace"), module

    def addresses(self, name: str, module: str = "") -> list[int]:
        """Return the addresses of all functions of a name, or of those in a module, 0 where they are kept from us."""
        end = rb"\t\[%s\]" % re.escape(_bytes(module)) if module else rb"(?=[\n\t]|$)"
        line = rb"\n([0-9a-f]+) [tTwW] %s%s" % (re.escape(_bytes(name)), end)
        return [int(found[1], 16) for found in re.finditer(line, self._load())]

    def address(self, name: str) -> int | None:
        """Return the address of a symbol of the kernel proper; None when there is none, or it is kept from us."""
        return next(self._places(b" %s\n" % _bytes(name)), None) or None

    def places(self, name: str) -> set[int]:
        """Return the addresses of all symbols of a name, also in modules; 0 where they are kept from us."""
        word = b" " + _bytes(name)
        return {*self._places(word + b"\n"), *self._places(word + b"\t")}

    def _places(self, end: bytes) -> Iterator[int]:
        """Yield the addresses of the lines that have this behind the type of the symbol."""
        text = self._load()
        at = text.find(end)
        while at >= 0:
            start = text.rfind(b"\n", 0, at) + 1
            yield int(text[start : start + self._width], 16)
            at = text.find(end, at + 1)

    def _line(self, address: int) -> bytes | None:
        """Return the first line with an address: found in the text, or in a dictionary by those who ask often."""
        text = self._load()
        if address <= 0 or not text:
            return None
        key = b"%0*x" % (self._width, address)
        if self._lines is None and self._scans == _SCANS:
            width = self._width
            self._lines = {line[:width]: line for line in reversed(text[1:-1].split(b"\n"))}
        if self._lines is not None:
            return self._lines.get(key)
        self._scans += 1
        start = text.find(b"\n" + key + b" ")
        if start < 0:
            return None
        return text[start + 1 : text.find(b"\n", start + 1)]


def _bytes(name: str) -> bytes:
    """Return a name as the file has it: names may come from who knows where."""
    return name.encode(errors="surrogateescape")


def _symbol(line: bytes) -> Symbol:
    _, _, name, *module = line.decode(errors="surrogateescape").split()
    return Symbol(name, module[0].strip("[]") if module else None)
