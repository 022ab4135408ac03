"""Executables and libraries: what is read of honest files, and that no file gets more than a typed error."""

from __future__ import annotations

import lzma
import os
import shutil
import struct
import subprocess
import sys
import zlib
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfctl.elf import cxx, debug, function, image
from bpfctl.elf.binary import Binary
from bpfctl.elf.image import EM_AARCH64, Image
from bpfctl.errors import BpfctlError, NotFound, ObjectError
from bpfctl.host import binary
from tests.build.bpf_object import elf as file_of
from tests.build.called import built

SOURCE = r"""
__attribute__((visibility("default"))) int one(void) { return 1; }
static __attribute__((noinline, used)) int hidden(int a) { __asm__ volatile(""); return a; }
int old_two(void) { return hidden(2); }
int new_two(void) { return hidden(3); }
__asm__(".symver old_two, two@OLD_1");
__asm__(".symver new_two, two@@NEW_2");
static int (*choose(void))(void) { return one; }
int chosen(void) __attribute__((ifunc("choose")));
int variable = 5;
"""
VERSIONS = "OLD_1 { global: one; two; chosen; variable; local: *; }; NEW_2 { global: two; } OLD_1;"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    script = tmp_path_factory.mktemp("versions") / "versions"
    script.write_text(VERSIONS)
    return built("libmade.so", SOURCE, "-shared", "-fPIC", f"-Wl,--version-script={script}", "-Wl,--build-id=sha1")


def by_name(functions):
    return {(one.name, one.version): one for one in functions}


def test_functions_with_their_versions(library):
    functions = by_name(Binary(str(library)).functions)

    assert {("one", "OLD_1"), ("two", "OLD_1"), ("two", "NEW_2"), ("chosen", "OLD_1"), ("hidden", "")} <= set(functions)
    assert ("one", "") not in functions  # .symtab has it without version
    assert not functions["two", "OLD_1"].is_default
    assert functions["two", "NEW_2"].is_default
    assert functions["chosen", "OLD_1"].is_indirect
    assert not functions["one", "OLD_1"].is_indirect
    told = subprocess.run(["nm", library], capture_output=True, text=True, check=True).stdout
    places = {line.split()[2]: int(line.split()[0], 16) for line in told.splitlines() if len(line.split()) == 3}
    assert functions["hidden", ""].address == places["hidden"]
    assert Binary(str(library)).variables["variable"] == places["variable"]


def test_where_code_lies_in_the_file(library):
    made = Binary(str(library))
    one = by_name(made.functions)["one", "OLD_1"]
    objdump = ["objdump", "-d", "-F", "--disassemble=one", library]
    told = subprocess.run(objdump, capture_output=True, text=True, check=True).stdout

    assert f"<one@@OLD_1> (File Offset: {made.code_at(one.address):#x})" in told.replace("<one>", "<one@@OLD_1>")
    with pytest.raises(NotFound, match="has no code at 0x10"):
        made.code_at(0x10)
    assert made.image.file_offset(0x10) == 0x10  # that is the file's header


def test_constants_beside_code_are_no_code():
    """Where a linker puts the header, constants and code into one segment: a breakpoint there would spoil them."""
    source = SOURCE.replace('__asm__(".symver', "//")
    path = built("libtogether.so", source, "-shared", "-fPIC", "-Wl,-z,noseparate-code")
    made = Binary(str(path))
    (address,) = {one.address for one in made.functions if one.name == "one"}

    assert [segment.is_code for segment in made.image.segments if segment.offset == 0] == [True]
    assert made.code_at(address) == made.image.file_offset(address)
    with pytest.raises(NotFound, match="has no code at 0x10"):
        made.code_at(0x10)


def test_instructions_of_arm64_begin_at_multiples_of_4(library, monkeypatch):
    made = Binary(str(library))
    (address,) = {one.address for one in made.functions if one.name == "one"}
    monkeypatch.setattr(made.image, "machine", EM_AARCH64)

    assert made.beginnings(address, 9) == [0, 4, 8]


def test_where_instructions_begin(library, monkeypatch):
    made = Binary(str(library))
    one = by_name(made.functions)["one", "OLD_1"]
    told = subprocess.run(["objdump", "-d", "--disassemble=one", library], capture_output=True, text=True, check=True)
    lines = [int(line.split(":")[0], 16) for line in told.stdout.splitlines() if line.startswith("  ")]

    beginnings = made.beginnings(one.address, one.size)
    assert beginnings == [line - one.address for line in lines if line - one.address < one.size]
    assert len(beginnings) > 1

    monkeypatch.setitem(sys.modules, "capstone", None)
    assert made.beginnings(one.address, one.size) == []


def test_build_id(library):
    told = subprocess.run(["readelf", "-n", library], capture_output=True, text=True, check=True).stdout

    assert f"Build ID: {Image.open(str(library)).build_id}" in told


@pytest.fixture
def stripped(library, tmp_path):
    """Return a library without symbols, and the file that has them."""
    path, symbols = tmp_path / "libmade.so", tmp_path / "libmade.so.debug"
    shutil.copy(library, path)
    subprocess.run(["objcopy", "--only-keep-debug", library, symbols], check=True)
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={symbols}", path], check=True)
    return path, symbols


def test_a_debug_file_beside_it(stripped):
    path, symbols = stripped
    assert ("hidden", "") in by_name(Binary(str(path)).functions)

    symbols.unlink()
    assert ("hidden", "") not in by_name(Binary(str(path)).functions)


def test_a_debug_file_by_the_build_id(stripped, tmp_path, monkeypatch):
    path, symbols = stripped
    build = Image.open(str(path)).build_id
    folder = tmp_path / "debug" / ".build-id" / build[:2]
    folder.mkdir(parents=True)
    symbols.rename(folder / f"{build[2:]}.debug")
    monkeypatch.setattr(binary, "DEBUG", str(tmp_path / "debug"))

    assert ("hidden", "") in by_name(Binary(str(path)).functions)


def test_a_debug_file_of_another_build_is_passed_over(stripped):
    path, symbols = stripped
    data = bytearray(symbols.read_bytes())
    build = bytes.fromhex(Image.open(str(path)).build_id)
    at = data.index(build)
    data[at] ^= 1
    symbols.write_bytes(data)
    assert ("hidden", "") not in by_name(Binary(str(path)).functions)


def test_without_build_id_the_checksum_decides(tmp_path, library):
    path, symbols = tmp_path / "libmade.so", tmp_path / "libmade.so.debug"
    shutil.copy(library, path)
    for command in (
        ["--remove-section=.note.gnu.build-id", path],
        ["--only-keep-debug", path, symbols],
        ["--strip-all", f"--add-gnu-debuglink={symbols}", path],
    ):
        subprocess.run(["objcopy", *command], check=True)
    assert debug._link(Image.open(str(path))) == ("libmade.so.debug", zlib.crc32(symbols.read_bytes()))
    assert ("hidden", "") in by_name(Binary(str(path)).functions)

    with symbols.open("ab") as file:
        file.write(b"\0")
    assert ("hidden", "") not in by_name(Binary(str(path)).functions)


def test_symbols_packed_inside(stripped, tmp_path):
    path, symbols = stripped
    packed = tmp_path / "packed"
    packed.write_bytes(lzma.compress(symbols.read_bytes()))
    symbols.unlink()
    subprocess.run(["objcopy", f"--add-section=.gnu_debugdata={packed}", path], check=True)
    assert ("hidden", "") in by_name(Binary(str(path)).functions)

    packed.write_bytes(lzma.compress(symbols.name.encode())[:-20])
    subprocess.run(["objcopy", f"--update-section=.gnu_debugdata={packed}", path], check=True)
    assert ("hidden", "") not in by_name(Binary(str(path)).functions)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no ELF file"),
        (b"#!/bin/sh\n", "a script, no ELF file"),
        (b"\x7fELF" + bytes(12), "an ELF file of no known kind"),
        (b"\x7fELF\2\1\1" + bytes(9), "its header is cut off"),
    ],
)
def test_what_is_no_binary(data, why):
    with pytest.raises(ObjectError, match=f"x: {why}"):
        Image.of(data, "x")


def test_a_file_for_another_machine(tmp_path, library):
    data = bytearray(library.read_bytes())
    data[18:20] = struct.pack("<H", 21 if data[18] != 21 else EM_AARCH64)
    path = tmp_path / "foreign"
    path.write_bytes(data)

    with pytest.raises(ObjectError, match="is a file for another kind of machine"):
        Binary(str(path))


def test_a_file_that_changes_while_it_is_read(tmp_path, library):
    path = tmp_path / "library"
    shutil.copy(library, path)
    image = Image.open(str(path))
    os.truncate(path, 4096)

    with pytest.raises(ObjectError, match="changed while it was read"):
        _ = image.sections


def test_functions_that_begin_so(library):
    """None is left out: neither a version, nor one of C++, whose names begin otherwise to the linker."""
    for path in (str(library), binary.find("stdc++")):
        one = Binary(path)
        every = {each: (each.name, cxx.plain(each.name)) for each in one.functions}
        for begin in ("two", "chosen", "hi", "std::", "nothing", "\udcff"):
            found = set(function.merged(one.functions_beginning(begin)))

            assert found < every.keys()
            assert {each for each, names in every.items() if any(name.startswith(begin) for name in names)} <= found


def test_where_there_is_no_file(tmp_path):
    with pytest.raises(NotFound, match="there is no file"):
        Image.open(str(tmp_path / "nothing"))


def test_what_is_no_file(tmp_path):
    """A pipe is not waited for, and a device not opened."""
    os.mkfifo(tmp_path / "pipe")
    held = os.open(tmp_path / "pipe", os.O_RDWR)  # opening it would wait for one who writes
    try:
        for path in (tmp_path / "pipe", tmp_path, "/dev/null"):
            with pytest.raises(ObjectError, match="a folder, pipe or device, no ELF file"):
                Image.open(str(path))
    finally:
        os.close(held)


@cache
def honest():
    return built("small.so", SOURCE.replace('__asm__(".symver', "//"), "-shared", "-fPIC", "-s").read_bytes()


def look(data):
    """Read all that can be read of a file."""
    image = Image.of(data, "x")
    _ = image.segments, image.build_id
    function.merged(function.functions(image))
    function.variables(image)
    for section in image.sections:
        list(image.notes(section))
    for _ in debug.images(image, "/nonexistent/x"):
        pass
    image.file_offset(0x1000, code=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=9)), max_size=8), st.integers(0, 300))
def test_damaged_files(changes, places):
    """Any change of a real file gives an answer or a typed error: in the header, in tables, in what they refer to."""
    data = bytearray(honest())
    table = struct.unpack_from("<Q", data, 40)[0]
    for at, new in changes:
        start = at % len(data) if places % 3 == 0 else table + at % (len(data) - table) if places % 3 == 1 else at % 64
        data[start : start + len(new)] = new
    try:
        look(bytes(data))
    except BpfctlError as error:
        assert str(error).startswith("x")  # noqa: PT017 - there need not be an error


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_anything(data):
    for start in (b"", b"\x7fELF\2\1\1" + bytes(9), b"\x7fELF\1\2\1" + bytes(9)):
        try:
            look(start + data)
        except BpfctlError as error:
            assert str(error)  # noqa: PT017 - there need not be an error


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 16))
def test_files_that_are_cut_off(length):
    data = honest()
    try:
        look(data[: length % len(data)])
    except BpfctlError as error:
        assert str(error)  # noqa: PT017 - there need not be an error


def test_claims_of_an_enemy(tmp_path):
    """What a small file claims to hold of a large hole is not read."""
    path = tmp_path / "hole"
    path.write_bytes(file_of([(".note.gnu.build-id", 7, 0, b"", 0, 0, 0), (".gnu_debuglink", 1, 0, b"", 0, 0, 0)]))
    data = bytearray(path.read_bytes())
    table = int.from_bytes(data[40:48], "little")
    for index in (1, 2, 3):  # the last are the names of sections
        data[table + 64 * index + 32 : table + 64 * index + 40] = (1 << 29).to_bytes(8, "little")
    for count, refused in ((2, False), (3, True)):
        changed = bytearray(path.read_bytes())
        changed[table + 64 : table + 64 * (count + 1)] = data[table + 64 : table + 64 * (count + 1)]
        file = tmp_path / str(count)
        file.write_bytes(changed)
        os.truncate(file, 1 << 30)
        image = Image.open(str(file))
        if refused:
            with pytest.raises(ObjectError, match="names of sections claims"):
                assert image.sections
        else:
            assert image.build_id == ""
            with pytest.raises(ObjectError, match="debuglink claims"):
                list(debug.images(image, str(file)))


def test_names_of_sections_that_share_their_ends(monkeypatch):
    """A thousand times the same four thousand letters."""
    monkeypatch.setattr(image, "_LARGEST_NAMES", 1 << 14)
    data = bytearray(file_of([("n" * 4000, 1, 0, b"", 0, 0, 0)] + 10 * [("x", 1, 0, b"", 0, 0, 0)]))
    assert len(Image.of(bytes(data), "x").sections) == 13
    table = int.from_bytes(data[40:48], "little")
    for number in range(1, 12):
        struct.pack_into("<I", data, table + 64 * number, number)

    with pytest.raises(ObjectError, match="x: the names of sections claim more than 16384 bytes"):
        _ = Image.of(bytes(data), "x").sections


def _with_symbols(count, tables=1):
    """Return a file of functions of one long name, in several tables that are the same bytes."""
    rows = b"".join(struct.pack("<IBBHQQ", 1 + at % 10, 0x12, 0, 1, 0x1000 + at, 1) for at in range(count))
    sections = [
        (".strtab", 3, 0, b"\0" + b"f" * 10_000 + b"\0", 0, 0, 0),
        (".symtab", 2, 0, bytes(24) + rows, 1, 1, 24),
    ]
    data = bytearray(file_of([*sections, *(tables - 1) * [(".symtab", 2, 0, b"", 1, 1, 24)]], machine=62))
    table = int.from_bytes(data[40:48], "little")
    place = data[table + 64 * 2 + 24 : table + 64 * 2 + 40]
    for number in range(2, 2 + tables):
        data[table + 64 * number + 24 : table + 64 * number + 40] = place
    return Image.of(bytes(data), "x")


def test_one_table_of_symbols_is_enough():
    """A file that has thousands of them, all of the same bytes, has not so many functions."""
    assert len(function.functions(_with_symbols(100, tables=50))) == 100


def test_names_of_functions_that_share_their_ends(monkeypatch):
    monkeypatch.setattr(function, "_MOST_LETTERS", 1 << 20)
    assert len(function.functions(_with_symbols(100))) == 100

    with pytest.raises(ObjectError, match=r"x: the names in \.symtab claim more than 1048576 bytes"):
        function.functions(_with_symbols(110))
