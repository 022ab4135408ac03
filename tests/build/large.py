"""A program and its debug file of half a gigabyte, most of which is a hole."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGBITS, _SYMTAB, _STRTAB, _NOTE, _NOBITS = 1, 2, 3, 7, 8
_CODE = 0x6  # SHF_ALLOC, SHF_EXECINSTR
_PAGE = 4096
_HEAD = 64
SIZE = 64  # bytes of a function
_ID = bytes(range(20))


def name(index: int) -> str:
    """Return the name of a function as a linker has it: of C, C++ and Rust."""
    return (
        f"handle_request_{index:07}",
        f"_ZN7service7Handler{len(str(index)) + 7}process{index}ERKSsi",
        f"_ZN7service6worker{len(str(index)) + 4}step{index}17h{index:016x}E",
    )[index % 3]


def write(folder: Path, functions: int, size: int) -> Path:
    """Write a program without symbols that has so many functions, and its debug file of so many bytes."""
    text = -(-functions * SIZE // _PAGE) * _PAGE
    note = pack("<III4s20s", 4, 20, 3, b"GNU", _ID)
    link = b"large.debug\0" + bytes(4)
    path = folder / "large"
    _write(path, text, [(".note.gnu.build-id", _NOTE, 0, note), (".gnu_debuglink", _PROGBITS, 0, link)], is_bare=True)
    strings, rows = bytearray(b"\0"), bytearray(24)
    for index in range(functions):
        place = index * 7919 % functions  # tables of symbols are in no order
        rows += pack("<IBBHQQ", len(strings), 2 | (index % 2) << 4, 0, 1, _PAGE + place * SIZE, SIZE)
        strings += name(place).encode() + b"\0"
    sections = [(".note.gnu.build-id", _NOTE, 0, note), (".symtab", _SYMTAB, 4, rows), (".strtab", _STRTAB, 0, strings)]
    _write(folder / "large.debug", text, sections, hole=size - len(rows) - len(strings))
    return path


def _write(path: Path, text: int, sections: list, *, is_bare: bool = False, hole: int = 0) -> None:
    rows = [(".text", 0, 0, b""), *sections, (".debug_info", _PROGBITS, 0, b""), (".shstrtab", _STRTAB, 0, b"")]
    names = b"\0" + b"".join(title.encode() + b"\0" for title, *_ in rows)
    rows[-1] = (".shstrtab", _STRTAB, 0, names)
    table = bytearray(64) + pack(
        "<IIQQQQIIQQ", 1, _PROGBITS if is_bare else _NOBITS, _CODE, _PAGE, _PAGE, text, 0, 0, 16, 0
    )
    with path.open("wb") as file:
        file.seek(_PAGE + text if is_bare else _PAGE)
        for title, kind, link, data in rows[1:]:
            at, length = file.tell(), len(data)
            if title == ".debug_info":
                length = hole
                file.seek(hole, 1)
            table += pack(
                "<IIQQQQIIQQ",
                names.index(b"\0" + title.encode()) + 1,
                kind,
                0,
                0,
                at,
                length,
                link,
                0,
                4,
                24 if link else 0,
            )
            file.write(data)
        at = file.tell()
        file.write(table)
        file.seek(0)
        ident = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
        head = pack(
            "<HHIQQQIHHHHHH", 3, 62, 1, 0, _HEAD, at, 0, _HEAD, 56, 1, 64, len(table) // 64, len(table) // 64 - 1
        )
        file.write(ident + head + pack("<IIQQQQQQ", 1, 5, _PAGE, _PAGE, _PAGE, text, text, _PAGE))
