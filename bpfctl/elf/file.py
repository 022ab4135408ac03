"""
The tables of an ELF file that a BPF object needs: sections, symbols, relocations.

Format: the System V ABI's chapter 4, and the kernel's Documentation/bpf/llvm_reloc.rst. Sections are found by
`btf.elf`. Whatever is wrong with a file is an ObjectError.
"""

from __future__ import annotations

from functools import cached_property
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import ObjectError
from btf import elf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.asm.insn import ByteOrder
    from btf.elf import Header

PROGBITS, SYMTAB, NOBITS, REL = 1, 2, 8, 9
EXECUTED = 0x4  # SHF_EXECINSTR
UNDEFINED = 0  # SHN_UNDEF
LOCAL, GLOBAL, WEAK = 0, 1, 2
NOTYPE, OBJECT, FUNC, SECTION = 0, 1, 2, 3

_NULL = 0
_HIDDEN = (1, 2)  # STV_INTERNAL, STV_HIDDEN
_SYMBOL, _REL = "IBBHQQ", "QQ"
_LONGEST = 4096  # bytes of a name: more is no honest one


class Symbol(NamedTuple):
    """A symbol; ``section`` is the number of the one that it is in, ``value`` its place there.

    ``is_hidden`` is one that is for this object alone, although it is global.
    """

    name: str
    type: int
    bind: int
    section: int
    value: int
    size: int
    is_hidden: bool = False


class File:
    """An ELF file of BPF code."""

    def __init__(self, data: bytes) -> None:
        """Index the sections; ObjectError when the data is no ELF file of BPF code, or damaged."""
        if not elf.is_bpf(data):
            raise ObjectError("not a BPF object" if data.startswith(elf.MAGIC) else "not an ELF file")
        if data[4] != 2:
            raise ObjectError("a BPF object is an ELF file of 64 bits")
        self._data = data
        self.byteorder: ByteOrder = "little" if data[5] == 1 else "big"
        self._sign = "<" if self.byteorder == "little" else ">"
        self.headers: list[tuple[str, Header]] = elf.headers(data)
        if sum(head.size for _, head in self.headers if head.type not in (_NULL, NOBITS)) > len(data):
            raise ObjectError("the sections claim more than the file has")  # what is read of each would be without end

    def contents(self, index: int) -> bytes:
        """Return what is in a section."""
        return elf.contents(self._data, self.headers[index][1])

    def find(self, name: str) -> int | None:
        """Return the number of the first section of a name."""
        return next((at for at, (one, _) in enumerate(self.headers) if one == name), None)

    def name(self, index: int) -> str:
        """Return the name of a section; empty for one that is not there."""
        return self.headers[index][0] if index < len(self.headers) else ""

    @cached_property
    def symbols(self) -> list[Symbol]:
        """The symbols in their order."""
        tables = [at for at, (_, head) in enumerate(self.headers) if head.type == SYMTAB]
        if len(tables) != 1:
            raise ObjectError("there is no symbol table" if not tables else "there are several symbol tables")
        link = self.headers[tables[0]][1].link
        if not 0 < link < len(self.headers):
            raise ObjectError("the symbols have no names")
        strings, known = self.contents(link), dict[int, str]()
        found = []
        for offset, info, other, section, value, size in self._rows(tables[0], _SYMBOL, "symbols"):
            name = known.get(offset)
            if name is None:
                name = known[offset] = _string(strings, offset)
            found.append(Symbol(name, info & 15, info >> 4, section, value, size, other & 3 in _HIDDEN))
        return found

    @cached_property
    def places(self) -> dict[tuple[str, str], int]:
        """Where variables and maps are, by section and name: a compiler leaves that out of the types."""
        return {
            (self.name(one.section), one.name): one.value
            for one in self.symbols
            if one.type == OBJECT and one.section < len(self.headers)
        }

    def relocations(self, section: int) -> Iterator[tuple[int, Symbol]]:
        """Yield the places in a section that refer to a symbol, and the symbol."""
        for index, (_, head) in enumerate(self.headers):
            if head.type != REL or head.info != section:
                continue
            for offset, info in self._rows(index, _REL, "relocations"):
                if info >> 32 >= len(self.symbols):
                    raise ObjectError(f"a relocation of section {self.name(section)} is of no symbol")
                yield offset, self.symbols[info >> 32]

    def _rows(self, index: int, form: str, what: str) -> Iterator[tuple[int, ...]]:
        row, rows = Struct(self._sign + form), self.contents(index)
        if len(rows) % row.size:
            raise ObjectError(f"{len(rows)} bytes are not a number of {what}")
        return row.iter_unpack(rows)


def _string(strings: bytes, offset: int) -> str:
    end = strings.find(b"\0", offset, offset + _LONGEST)
    if end < 0:
        raise ObjectError("the name of a symbol is out of range")
    return strings[offset:end].decode("utf-8", "surrogateescape")
