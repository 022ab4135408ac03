"""Functions of ELF files by address: of both classes and byte orders, with and without sizes, and of an enemy."""

from __future__ import annotations

import subprocess
import sys
from array import array
from contextlib import suppress
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfctl.elf.image import Image
from bpfctl.errors import BpfctlError
from bpfctl.symbols import go, table
from bpfctl.symbols.table import Found, Table
from tests.build import large
from tests.build.bpf_object import PROGBITS, STRTAB, SYMTAB
from tests.build.bpf_object import elf as file_of
from tests.soon import soon

CODE = 6  # SHF_ALLOC, SHF_EXECINSTR
FUNC, NOTYPE, OBJECT, IFUNC = 2, 0, 1, 10
LOCAL, GLOBAL, WEAK = 0, 1, 2


def image(symbols, *, order="little", bits=64, text=0x1000):
    """A file of (name, address, size, type, bind, section) rows."""
    sign = "<" if order == "little" else ">"
    names, rows = bytearray(1), bytearray(24 if bits == 64 else 16)
    for name, address, size, kind, bind, section in symbols:
        info = bind << 4 | kind
        if bits == 64:
            rows += pack(f"{sign}IBBHQQ", len(names), info, 0, section, address, size)
        else:
            rows += pack(f"{sign}IIIBBH", len(names), address, size, info, 0, section)
        names += name + b"\0"
    sections = [
        (".text", PROGBITS, CODE, bytes(text), 0, 0, 0),
        (".symtab", SYMTAB, 0, rows, 3, 1, len(rows) and 24),
        (".strtab", STRTAB, 0, names, 0, 0, 0),
    ]
    return Image.of(file_of(sections, order, bits, machine=62), "made")


def names(symbols, *addresses, **options):
    known = Table(image(symbols, **options))
    return [found.name if (found := known.find(address)) else None for address in addresses]


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("order", ["little", "big"])
def test_every_kind_of_file(bits, order):
    symbols = [
        (b"second", 0x200, 0x10, FUNC, GLOBAL, 1),
        (b"first", 0x100, 0x10, FUNC, LOCAL, 1),
        (b"chosen", 0x300, 0x10, IFUNC, GLOBAL, 1),
        (b"variable", 0x400, 0x10, OBJECT, GLOBAL, 1),
        (b"elsewhere", 0x500, 0x10, FUNC, GLOBAL, 0),
        (b"number", 0x600, 0x10, FUNC, GLOBAL, 0xFFF1),
    ]
    wanted = [None, "first", "first", None, "second", "chosen", None, None, None]

    assert wanted == names(
        symbols, 0xFF, 0x100, 0x10F, 0x110, 0x208, 0x300, 0x400, 0x500, 0x600, bits=bits, order=order
    )


def test_many_sections():
    """A file may have so many that both bytes of their number count."""
    assert ["f", "g"] == names([(b"f", 16, 16, FUNC, GLOBAL, 0x0100), (b"g", 32, 16, FUNC, GLOBAL, 0x01FF)], 20, 40)


def test_best_name():
    """What others call it is better than what only the file itself does, and few underscores better than many."""
    symbols = [
        (b"__libc_malloc", 0x100, 0x10, FUNC, GLOBAL, 1),
        (b"malloc", 0x100, 0x10, FUNC, GLOBAL, 1),
        (b"aaa_weak", 0x100, 0x10, FUNC, WEAK, 1),
        (b"aaa_local", 0x100, 0x10, FUNC, LOCAL, 1),
        (b"only_local", 0x200, 0x10, FUNC, LOCAL, 1),
        (b"", 0x300, 0x10, FUNC, GLOBAL, 1),
        (b"cond_signal@@GLIBC_2.3.2", 0x400, 0x10, FUNC, GLOBAL, 1),
        (b"@plt", 0x500, 0x10, FUNC, GLOBAL, 1),
    ]

    assert ["malloc", "only_local", "", "cond_signal", "@plt"] == names(symbols, 0x104, 0x204, 0x304, 0x404, 0x504)


@pytest.mark.parametrize("order", [1, -1])
def test_two_of_one_beginning(order):
    """Behind the end of the shorter one it is the longer."""
    symbols = [(b"a_short", 0x100, 0x8, FUNC, GLOBAL, 1), (b"long", 0x100, 0x20, FUNC, GLOBAL, 1)]

    assert names(symbols[::order], 0x118, 0x11F) == ["long", "long"]


@pytest.mark.parametrize("order", [1, -1])
def test_one_that_tells_no_size(order):
    """It has that of another of the same address, which is the better name."""
    symbols = [(b"a_sizeless", 0x100, 0, FUNC, GLOBAL, 1), (b"sized", 0x100, 0x20, FUNC, LOCAL, 1)]

    assert names(symbols[::order], 0x100, 0x11F, 0x120) == ["sized", "sized", None]


def test_function_in_a_function():
    symbols = [(b"outer", 0x100, 0x100, FUNC, GLOBAL, 1), (b"inner", 0x140, 0x10, FUNC, GLOBAL, 1)]

    assert ["outer", "inner", "outer", None] == names(symbols, 0x13F, 0x140, 0x150, 0x200)


def test_functions_that_tell_no_size():
    """Those in assembler reach to the next, and the last to the end of its section."""
    symbols = [
        (b"label", 0x10, 0, NOTYPE, GLOBAL, 1),
        (b"inside", 0x18, 0, NOTYPE, LOCAL, 1),
        (b"second", 0x20, 0, FUNC, GLOBAL, 1),
    ]
    known = Table(image(symbols))

    assert [None, Found("label", 0x10), Found("label", 0x10), Found("second", 0x20), Found("second", 0x20), None] == [
        known.find(address) for address in (0xF, 0x10, 0x1F, 0x20, 0xFFF, 0x1000)
    ]


def test_sizes_without_end():
    assert ["all", "all"] == names([(b"all", 16, (1 << 64) - 1, FUNC, GLOBAL, 1)], 16, 1 << 31)


def test_several_arrays(monkeypatch):
    """A table of many functions is sorted piece by piece."""
    monkeypatch.setattr(table, "_PIECE", 4)
    symbols = [(b"f%d" % at, 16 * (at * 7 % 30 + 1), 16, FUNC, GLOBAL, 1) for at in range(30)]
    known = Table(image(symbols))

    assert len(known._runs) > 5
    assert [found.name for at in range(30) if (found := known.find(16 * (at * 7 % 30 + 1) + 3))] == [
        f"f{at}" for at in range(30)
    ]


def test_too_many(monkeypatch):
    monkeypatch.setattr(table, "_PIECE", 4)
    monkeypatch.setattr(table, "_MOST", 8)
    symbols = [(b"f%d" % at, 16 * at + 16, 16, FUNC, GLOBAL, 1) for at in range(30)]

    assert ["f0", None] == names(symbols, 16, 16 * 30)


def test_long_names():
    assert [1 << 14] == [len(name) for name in names([(b"n" * 100_000, 16, 16, FUNC, GLOBAL, 1)], 20)]


def test_many_of_one_address():
    """A table of nothing but the same is read as soon as any other."""
    with soon():
        assert names([(b"same", 0x100, 0, FUNC, GLOBAL, 1)] * 100_000, 0x100) == ["same"]


def test_hostile_names():
    assert ["\x1b[2J\n\udcff"] == names([(b"\x1b[2J\n\xff", 16, 16, FUNC, GLOBAL, 1)], 20)


def test_sections_take_room_too():
    """A file of nothing but those would be taken for a small one, of which many are kept."""
    rows = [("x" * 100, PROGBITS, 0, b"", 0, 0, 0)] * 1000

    assert 400_000 < Table(Image.of(file_of(rows, machine=62), "made")).size < 1_000_000
    assert Table(image([])).size < 10_000


def use(data):
    """Do all that is done with a file; nothing but our own error comes out of it."""
    with soon(), suppress(BpfctlError):
        known = Table(Image.of(data, "hostile"))
        for address in (0, 0x100, 0x1000, 1 << 63):
            known.find(address)
            known.address(address)
        assert known.size < 1 << 20


def sound():
    symbols = [(b"f%d" % at, 16 * at + 16, 16 * (at % 3), FUNC, at % 3, 1) for at in range(10)]
    read = image(symbols)._read
    return read(0, 1 << 20)


SOUND = sound()


@settings(max_examples=300)
@given(st.data())
def test_changed_bytes(draw):
    data = bytearray(SOUND)
    for _ in range(draw.draw(st.integers(1, 6))):
        at = draw.draw(
            st.integers(0, 63) | st.integers(len(data) - 64 * 5, len(data) - 1) | st.integers(0, len(data) - 1)
        )
        data[at] = draw.draw(st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    use(bytes(data))


@given(st.integers(0, len(SOUND)))
def test_cut_off(length):
    use(SOUND[:length])


MEASURE = """
import mmap, os, sys
from bpfctl.symbols import space
from bpfctl.symbols.user import Users
path = sys.argv[1]
with open(path, "rb") as file:
    kept = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
with open("/proc/self/maps", "rb") as file:
    mapped = [one for one in space.parse(file.read()) if one.is_file]
with Users() as users:
    found = [users.frames(os.getpid(), range(one.start, one.end, 4096)) for one in mapped]
print(sum(bool(frame.name) for frames in found for frame in frames if frame.module == path))
with open("/proc/self/status") as file:  # getrusage(2) has also what the parent of a process needed
    print(next(line.split()[1] for line in file if line.startswith("VmHWM")))
"""


def test_large_debug_file(tmp_path):
    """Half a gigabyte of debug file costs what its functions need, and no more."""
    path = large.write(tmp_path, 200_000, 500 << 20)
    done = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    named, peak = map(int, done.stdout.split())

    assert Path(f"{path}.debug").stat().st_size >= 500 << 20
    assert named == 200_000 * large.SIZE // 4096
    assert peak < 200 << 10  # KiB


def of_go(order="little"):
    """A program of Go with two functions, of which nothing but its own table tells."""
    sign = "<" if order == "little" else ">"
    head = pack(f"{sign}IHBB8Q", 0xFFFFFFF1, 0, 1, 8, 2, 0, 0x10, 72, 0, 0, 0, 96)
    names = b"go:\0main.work\0main.run\0".ljust(24, b"\0")
    table = head + names + pack(f"{sign}5I", 0, 24, 0x20, 32, 0x30).ljust(24, b"\0") + pack(f"{sign}4I", 0, 4, 0x20, 14)
    rows = [(".text", PROGBITS, CODE, bytes(256), 0, 0, 0), (".gopclntab", PROGBITS, 2, table, 0, 0, 0)]
    return file_of(rows, order, 64, machine=62)


@pytest.mark.parametrize("order", ["little", "big"])
def test_go(order):
    known = Table(Image.of(of_go(order), "made"))

    assert [None, Found("main.work", 0x10), Found("main.run", 0x30), None] == [
        known.find(address) for address in (0xF, 0x2F, 0x30, 0x40)
    ]


@settings(max_examples=300)
@given(st.data())
def test_changed_go(draw):
    data = bytearray(of_go())
    start = data.index(b"\xf1\xff\xff\xff")
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(start, start + 160) | st.integers(0, len(data) - 1))
        data[at] = draw.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    use(bytes(data))


@pytest.mark.parametrize("kind", [4, PROGBITS], ids=["relocations", "data"])
def test_go_that_says_where_its_code_is_in_thousands_of_places(kind, monkeypatch):
    """All of them together are no more than an honest program has in one."""
    monkeypatch.setattr(go, "_LARGEST", 1 << 16)
    data = bytearray(of_go())
    at = data.index(b"\xf1\xff\xff\xff")
    data[at + 24 : at + 32] = bytes(8)  # the address of the code
    rows = [(".gopclntab", PROGBITS, 2, bytes(data[at : at + 200]), 0, 0, 0)]
    rows += [(".data", kind, 0, bytes(1 << 12), 0, 0, 0)] * 100
    whole, read = file_of(rows, machine=62), []
    made = Image(lambda offset, size: read.append(size) or whole[offset : offset + size], "made")

    assert Table(made).find(0x10) is None
    assert sum(size for size in read if size >= 1 << 10) < 1 << 17


@given(st.lists(st.integers(0, 1 << 32) | st.sampled_from([0, 1, 0x1000, 0x7FEFFFFF, 0x7FF00000, (1 << 64) - 1])))
def test_order_of_addresses(addresses):
    """Low ones and high ones are sorted in two ways; of several that are the same the first stays the first."""
    for some in (addresses, [one for one in addresses if one < table._LOW]):
        if some:
            starts, order = table._in_order(array("Q", some))

            assert [*zip(starts, order, strict=True)] == sorted((one, at) for at, one in enumerate(some))
