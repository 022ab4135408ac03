"""BPF object files written by hand: one program per section, types, and CO-RE relocations on its instructions."""

from __future__ import annotations

from struct import pack
from typing import NamedTuple

from btf.relo_kind import TYPE_ID_LOCAL

HEADER = "HBBIIIIIII"
#: r0 = imm, as a 64-bit move; exit.
MOVE, EXIT = 0xB7, 0x95
PROGBITS, SYMTAB, STRTAB = 1, 2, 3


class Relo(NamedTuple):
    """A relocation; ``value`` is what the instruction holds before it is relocated."""

    type_id: int
    access: str
    kind: int
    value: int = 0


def ext(builder, relos, sign="<", *, func_infos=None, line_infos=None, sizes=(8, 16, 16)):
    """A section .BTF.ext; the arguments are lists of tuples by section name, strings are added to the builder."""
    parts = [
        _part(builder, func_infos or {}, sign, sizes[0]),
        _part(builder, line_infos or {}, sign, sizes[1]),
        _part(builder, relos, sign, sizes[2]),
    ]
    places, at = [], 0
    for part in parts:
        places += at, len(part)
        at += len(part)
    return pack(f"{sign}{HEADER}", 0xEB9F, 1, 0, 32, *places) + b"".join(parts)


def _part(builder, sections, sign, size):
    if not sections:
        return b""
    data = pack(f"{sign}I", size)
    for name, records in sections.items():
        data += pack(f"{sign}II", builder.string(name), len(records))
        for record in records:
            words = [builder.string(word) if isinstance(word, str) else word for word in record]
            data += pack(f"{sign}{len(words)}I", *words).ljust(size, b"\0")
    return data


def elf(sections, order="little", bits=64, machine=247):
    """An ELF file of (name, type, flags, contents, link, info, entsize) rows; the names are added as the last one."""
    sign = "<" if order == "little" else ">"
    rows = [("", 0, 0, b"", 0, 0, 0), *sections]
    names = b"".join(name.encode() + b"\0" for name, *_ in rows) + b".shstrtab\0"
    rows.append((".shstrtab", STRTAB, 0, names, 0, 0, 0))
    head_size, row_form = (64, "IIQQQQIIQQ") if bits == 64 else (52, "10I")
    body, table = b"", b""
    name_off = 0
    for name, kind, flags, contents, link, info, entsize in rows:
        body += bytes(-len(body) % 8)
        table += pack(
            f"{sign}{row_form}",
            name_off,
            kind,
            flags,
            0,
            head_size + len(body),
            len(contents),
            link,
            info,
            8 if kind else 0,
            entsize,
        )
        name_off += len(name) + 1
        body += contents
    body += bytes(-len(body) % 8)
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "little" else 2, 1]) + bytes(9)
    form = "HHIQQQIHHHHHH" if bits == 64 else "HHIIIIIHHHHHH"
    row_size = len(table) // len(rows)
    head = pack(
        f"{sign}{form}",
        1,
        machine,
        1,
        0,
        0,
        head_size + len(body),
        0,
        head_size,
        0,
        0,
        row_size,
        len(rows),
        len(rows) - 1,
    )
    return ident + head + body + table


def bpf_object(builder, relos, section="socket"):
    """An object that bpftool reads: a program whose instruction N is the one of relocation N."""
    code = b"".join(pack("<BBhi", MOVE, 0, 0, _imm(relo)) for relo in relos) + pack("<BBhi", EXIT, 0, 0, 0)
    records = [(8 * number, relo.type_id, relo.access, relo.kind) for number, relo in enumerate(relos)]
    extension = ext(builder, {section: records})
    strings = b"\0program\0"
    symbols = bytes(24) + pack("<IBBHQQ", 1, 0x12, 0, 1, 0, len(code))
    return elf(
        [
            (section, PROGBITS, 6, code, 0, 0, 0),
            (".symtab", SYMTAB, 0, symbols, 3, 1, 24),
            (".strtab", STRTAB, 0, strings, 0, 0, 0),
            (".BTF", PROGBITS, 0, builder.build(), 0, 0, 0),
            (".BTF.ext", PROGBITS, 0, extension, 0, 0, 0),
        ]
    )


def _imm(relo):
    value = relo.type_id if relo.kind == TYPE_ID_LOCAL else relo.value
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value
