"""btf.elf and btf.ext on files put together section by section, and on files that lie."""

from __future__ import annotations

from struct import pack, pack_into

import pytest

from btf import elf, types
from btf.errors import BTFError
from btf.ext import CoreRelo, Ext, FuncInfo, LineInfo
from btf.read import BTF
from btf.write import Builder
from tests.build.bpf_object import PROGBITS, ext
from tests.build.bpf_object import elf as elf_file

ORDERS = [("little", "<"), ("big", ">")]
FUNCS = {"xdp": [(0, 1), (64, 2)], "tc": [(8, 3)]}
LINES = {"xdp": [(0, "a.c", "int x;", 7 << 10 | 3)]}
RELOS = {"tc": [(16, 1, "0:1", 0), (24, 1, "0", 8)], "xdp": [(0, 1, "0:1:2", 1)]}


def section(relos=RELOS, *, order="little", sizes=(8, 16, 16)):
    """A section .BTF.ext and the BTF with its strings."""
    builder = Builder(byteorder=order)
    builder.add_int("int", 4)
    data = ext(builder, relos, dict(ORDERS)[order], func_infos=FUNCS, line_infos=LINES, sizes=sizes)
    return data, builder.build()


def raw(name, data):
    return (name, PROGBITS, 0, data, 0, 0, 0)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["little", "big"])
def test_an_object(order, bits):
    """Types and what is said of instructions come from files of either class and byte order."""
    data, blob = section(order=order)
    image = elf.read(elf_file([raw("xdp", b""), raw(".BTF", blob), raw(".BTF.ext", data)], order, bits))

    assert [types.Int(1, "int", 4, 32)] == list(image.btf)
    assert order == image.btf.byteorder
    assert {"xdp": (FuncInfo(0, 1), FuncInfo(64, 2)), "tc": (FuncInfo(8, 3),)} == image.ext.func_infos
    assert {
        "tc": (CoreRelo(16, 1, "0:1", 0), CoreRelo(24, 1, "0", 8)),
        "xdp": (CoreRelo(0, 1, "0:1:2", 1),),
    } == image.ext.core_relos
    (line,) = image.ext.line_infos["xdp"]
    assert isinstance(line, LineInfo)
    assert ("a.c", "int x;") == (image.btf.string(line.file_name_off), image.btf.string(line.line_off))
    assert (7, 3) == (line.line, line.column)


def test_types_alone():
    """Without .BTF.ext there is none."""
    image = elf.read(elf_file([raw(".BTF", Builder().build())]))

    assert image.ext is None
    assert list(image.btf) == []


def test_a_distilled_base():
    """A module that carries a base is read over it, or moved to the kernel's if that is given."""
    distilled, kernel = Builder(), Builder()
    distilled.add_struct("sock", 8, [])
    kernel.add_int("int", 4)
    kernel.add_struct("sock", 8, [])
    base, other = BTF.from_bytes(distilled.build()), BTF.from_bytes(kernel.build())
    module = Builder(base=base)
    module.add_ptr(1)
    file = elf_file([raw(".BTF", module.build()), raw(".BTF.base", distilled.build())])

    assert "sock" == elf.read(file).btf.type(1).name
    assert range(2, 3) == elf.read(file).btf.ids
    assert [types.Pointer(3, "", 2)] == list(elf.read(file, other).btf)


def test_longer_records_are_cut():
    """A newer compiler may say more in each record."""
    data, blob = section(sizes=(12, 32, 24))
    plain, _ = section()

    assert Ext.from_bytes(plain, BTF.from_bytes(blob)) == Ext.from_bytes(data, BTF.from_bytes(blob))


def test_a_short_header_has_no_relocations():
    """Objects of clang 7 and 8 know none."""
    data = pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 0)

    assert Ext({}, {}, {}) == Ext.from_bytes(data, BTF.from_bytes(Builder().build()))


def relos(size=16, *sections):
    """A header with core_relo as its only part."""
    part = pack("<I", size) + b"".join(sections)
    return pack("<HBBIIIIIII", 0xEB9F, 1, 0, 32, 0, 0, 0, 0, 0, len(part)) + part


def changed(offset, form, *values):
    data = bytearray(relos(16, pack("<6I", 0, 1, 0, 1, 0, 0)))
    pack_into(f"<{form}", data, offset, *values)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "wrong magic number"),
        (b"\xeb\x9f" * 2, "header is cut off after 4 bytes"),
        (changed(2, "B", 2), "version 2 is unknown"),
        (changed(4, "I", 8), "header length 8 is out of range"),
        (changed(4, "I", 1 << 31), "is out of range"),
        (changed(24, "I", 4), "core_relo: ends at"),
        (changed(24, "II", 2, 16), "core_relo: 16 bytes at 34 cannot hold a record size"),
        (changed(28, "I", 0xFFFFFFFF), "core_relo: ends at"),
        (changed(28, "I", 3), "core_relo: 3 bytes at 32 cannot hold a record size"),
        (relos(12, bytes(20)), "record size 12, which must be a multiple of 4 and at least 16"),
        (relos(18, bytes(20)), "record size 18"),
        (relos(16, bytes(4)), "a section is cut off"),
        (relos(16, pack("<II", 0, 0)), "a section of 0 records"),
        (relos(16, pack("<II", 0, 0xFFFFFFFF)), "a section of 4294967295 records of 16 bytes in 0 bytes"),
        (relos(0xFFFFFFFC, pack("<II", 0, 1)), "a section of 1 records of 4294967292 bytes"),
        (relos(16, pack("<6I", 9, 1, 0, 1, 0, 0)), "string offset 9 is out of range"),
        (relos(16, pack("<6I", 0, 1, 0, 1, 9, 0)), "string offset 9 is out of range"),
        (relos(16, pack("<6I", 0, 1, 4, 1, 0, 0)), "no instruction of section  starts at 4"),
    ],
)
def test_lies_in_ext_are_errors(data, message):
    """Each field is checked before it is used."""
    with pytest.raises(BTFError, match=message):
        Ext.from_bytes(data, BTF.from_bytes(Builder().build()))


def test_a_section_that_comes_twice():
    """Records of sections with one name are one list."""
    one = pack("<6I", 0, 1, 8, 1, 0, 0)

    assert 2 == len(Ext.from_bytes(relos(16, one, one), BTF.from_bytes(Builder().build())).core_relos[""])


FILE = elf_file([raw(".BTF", Builder().build())])
TABLE = len(FILE) - 3 * 64  # the section headers end the file


def lie(offset, form, *values):
    data = bytearray(FILE)
    pack_into(f"<{form}", data, offset, *values)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an ELF file"),
        (b"\x7fELF", "unknown class or byte order"),
        (lie(4, "B", 3), "unknown class or byte order"),
        (lie(5, "B", 0), "unknown class or byte order"),
        (FILE[:40], "ELF header is cut off after 40 bytes"),
        (lie(40, "Q", 0), "the ELF file has no section .BTF"),
        (lie(40, "Q", 1 << 63), "section headers lie behind the end"),
        (lie(58, "H", 40), "section headers of 40 bytes instead of 64"),
        (lie(60, "H", 60000), "section headers lie behind the end"),
        (lie(60, "H", 0), "ELF section 2 is out of range|no section"),
        (lie(62, "H", 9), "ELF section 9 is out of range"),
        (lie(62, "H", 0xFFFF), "the ELF file has no section .BTF"),
        (lie(TABLE + 64 + 0, "I", 0xFFFFFFFF), "has no section .BTF"),
        (lie(TABLE + 64 + 4, "I", 8), "section .BTF has no contents"),
        (lie(TABLE + 64 + 8, "Q", 0x800), "section .BTF is compressed"),
        (lie(TABLE + 64 + 24, "Q", 1 << 40), "section .BTF ends at"),
        (lie(TABLE + 64 + 32, "Q", 1 << 63), "section .BTF ends at"),
        (lie(TABLE + 64 + 32, "Q", 4), "header is cut off after 4 bytes"),
    ],
)
def test_lies_in_elf_are_errors(data, message):
    """Each field is checked before it is used."""
    with pytest.raises(BTFError, match=message):
        elf.read(data)


def test_more_sections_than_16_bits_count():
    """Their number, and that of the names, then stand in the first section header."""
    data = bytearray(FILE)
    pack_into("<HH", data, 60, 0, 0xFFFF)
    pack_into("<Q", data, TABLE + 32, 3)
    pack_into("<I", data, TABLE + 40, 2)

    assert list(elf.read(bytes(data)).btf) == []


def test_names_of_sections_that_share_their_ends():
    """Some do; a thousand that are the same four thousand letters are those of an enemy."""
    data = bytearray(elf_file([("n" * 4000, PROGBITS, 0, b"", 0, 0, 0), *([("x", PROGBITS, 0, b"", 0, 0, 0)] * 1000)]))
    table = int.from_bytes(data[40:48], "little")
    for number in range(2, 4):
        pack_into("<I", data, table + 64 * number, number)
    assert [len(name) for name, _ in elf.headers(bytes(data))][:4] == [0, 4000, 3999, 3998]
    for number in range(2, 1000):
        pack_into("<I", data, table + 64 * number, number)

    with pytest.raises(BTFError, match="the names of ELF sections claim more than the file has"):
        elf.headers(bytes(data))
