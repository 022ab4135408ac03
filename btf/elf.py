"""BTF in ELF files: BPF objects, kernel modules, ``vmlinux``.

Only the table of sections is read (the System V ABI's chapter 4), so that this library needs no
other; 32 and 64 bits, both byte orders.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from btf.errors import BTFError
from btf.ext import Ext
from btf.read import BTF

if TYPE_CHECKING:
    from collections.abc import Collection

MAGIC = b"\x7fELF"

_IDENT = 16
_CLASSES = {1: ("HHIIIIIHHHHHH", "IIIIIIIIII"), 2: ("HHIQQQIHHHHHH", "IIQQQQIIQQ")}
_SIGNS = {1: "<", 2: ">"}
_EM_BPF = 247
_NOBITS = 8
_COMPRESSED = 0x800
_XINDEX = 0xFFFF
_SHARED = 4  # how often honest names share their ends, as .text and .rel.text do, and more


class Image(NamedTuple):
    """What an ELF file has of BTF; ``ext`` is None without a section ``.BTF.ext``."""

    btf: BTF
    ext: Ext | None = None


class Header(NamedTuple):
    """The header of a section (the System V ABI's ``Elf64_Shdr``)."""

    name: int
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    addralign: int
    entsize: int


def read(data: bytes, base: BTF | None = None) -> Image:
    """Read the sections ``.BTF`` and ``.BTF.ext`` of an ELF file.

    ``base`` is for a module, whose BTF is split off that of vmlinux. A module that carries a distilled
    base (``.BTF.base``, Linux 6.11) is relocated from that one to ``base`` as `btf.distill` does, or read
    over it if no ``base`` is given; with neither, its types refer to what is not there. Raises BTFError
    if there is no BTF, or any of it is damaged.
    """
    found = sections(data, (".BTF", ".BTF.base", ".BTF.ext"))
    if ".BTF" not in found:
        raise BTFError("the ELF file has no section .BTF")
    if ".BTF.base" not in found:
        btf = BTF.from_bytes(found[".BTF"], base)
    else:
        btf = BTF.from_bytes(found[".BTF"], BTF.from_bytes(found[".BTF.base"]))
        if base is not None:
            from btf.distill import relocate  # noqa: PLC0415 - few files need it

            btf = BTF.from_bytes(relocate(btf, base).data, base)
    ext = found.get(".BTF.ext")
    return Image(btf, Ext.from_bytes(ext, btf) if ext is not None else None)


def sections(data: bytes, names: Collection[str]) -> dict[str, bytes]:
    """Return the contents of the sections that have one of these names, each name's first.

    Raises BTFError when the data is no ELF file or lies about where its sections are.
    """
    sign, section = _format(data)
    table, count, names_index = _table(data, sign, section)

    def header(index: int) -> Header:
        if index >= count:
            raise BTFError(f"ELF section {index} is out of range")
        return Header(*section.unpack_from(data, table + index * section.size))

    found: dict[str, bytes] = {}
    if not count:
        return found
    strings = _contents(data, header(names_index), "of names")
    wanted = {name: name.encode() + b"\0" for name in names}
    for index in range(1, count):
        head = header(index)
        name = next((name for name, text in wanted.items() if strings.startswith(text, head.name)), None)
        if name is not None and name not in found:
            found[name] = _contents(data, head, name)
    return found


def headers(data: bytes) -> list[tuple[str, Header]]:
    """Return the name and the header of each section in their order, the first of which is none.

    Raises BTFError as `sections` does.
    """
    sign, section = _format(data)
    table, count, names = _table(data, sign, section)
    found = [Header(*section.unpack_from(data, table + index * section.size)) for index in range(count)]
    if not found:
        return []
    if names >= count:
        raise BTFError(f"ELF section {names} is out of range")
    strings = _contents(data, found[names], "of names")
    ends = [strings.find(b"\0", head.name) for head in found]
    if min(ends) < 0:
        raise BTFError("the name of an ELF section is out of range")
    if sum(ends) - sum(head.name for head in found) > _SHARED * len(data):
        raise BTFError("the names of ELF sections claim more than the file has")
    return [
        (strings[head.name : end].decode("utf-8", "surrogateescape"), head)
        for head, end in zip(found, ends, strict=True)
    ]


def contents(data: bytes, head: Header) -> bytes:
    """Return what is in a section; raises BTFError if it is not in the file, or compressed."""
    return _contents(data, head, f"at {head.offset}")


def is_bpf(data: bytes) -> bool:
    """Tell whether this is an ELF file of BPF programs."""
    if data[:4] != MAGIC or len(data) < _IDENT + 4:
        return False
    return int.from_bytes(data[18:20], "little" if data[5] == 1 else "big") == _EM_BPF


def _format(data: bytes) -> tuple[str, Struct]:
    """Return the sign of the byte order and the form of a section header."""
    if data[:4] != MAGIC:
        raise BTFError("not an ELF file: wrong magic number")
    if len(data) < _IDENT or data[4] not in _CLASSES or data[5] not in _SIGNS:
        raise BTFError("ELF file of an unknown class or byte order")
    sign = _SIGNS[data[5]]
    return sign, Struct(sign + _CLASSES[data[4]][1])


def _table(data: bytes, sign: str, section: Struct) -> tuple[int, int, int]:
    """Return the offset of the section headers, their number, and which is that of the names."""
    header = Struct(sign + _CLASSES[data[4]][0])
    if len(data) < _IDENT + header.size:
        raise BTFError(f"ELF header is cut off after {len(data)} bytes")
    *_, table, _flags, _ehsize, _phentsize, _phnum, size, count, names = header.unpack_from(data, _IDENT)
    if not table:
        return 0, 0, 0
    if size != section.size:
        raise BTFError(f"ELF section headers of {size} bytes instead of {section.size}")
    if table + section.size > len(data):
        raise BTFError("ELF section headers lie behind the end of the file")
    first = Header(*section.unpack_from(data, table))
    # numbers too large for their 16 bits stand in the first section header
    count = count or first.size
    names = first.link if names == _XINDEX else names
    if table + count * section.size > len(data):
        raise BTFError("ELF section headers lie behind the end of the file")
    return table, count, names


def _contents(data: bytes, head: Header, what: str) -> bytes:
    if head.type == _NOBITS:
        raise BTFError(f"ELF section {what} has no contents")
    if head.flags & _COMPRESSED:
        raise BTFError(f"ELF section {what} is compressed")
    if head.offset + head.size > len(data):
        raise BTFError(f"ELF section {what} ends at {head.offset + head.size}, the file at {len(data)}")
    return data[head.offset : head.offset + head.size]
