"""Object files of an enemy: each is read or refused, with one sort of error, and soon."""

from __future__ import annotations

from struct import pack, pack_into

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfctl.elf.read import read
from bpfctl.errors import ObjectError
from bpfctl.feature import check
from bpfctl.feature.answer import AVAILABLE, MISSING
from bpfctl.feature.need import needs
from btf import elf
from btf.check import Target
from btf.write import Builder
from tests.build.bpf_object import PROGBITS, STRTAB, SYMTAB
from tests.build.bpf_object import elf as file_of
from tests.build.compiled import compiled
from tests.soon import soon

NAMES = ("struct_ops", "map_of_maps", "kfunc_weak", "guarded_by_version", "callback", "core_guarded", "maps")
EXIT = pack("<BBhi", 0x95, 0, 0, 0)


class Anything:
    """A kernel that has all or nothing, and a few types."""

    def __init__(self, answer):
        self.answer = answer

    def types(self):
        return Target(elf.read(compiled("core")).btf)

    def ask(self, _need, _spec):
        return self.answer

    def setting(self, _extern, _btf):
        return b"\1"


def use(data):
    """Do all that is done with an object; whether it was read."""
    try:
        with soon():
            needs(read(data))
            for answer in (AVAILABLE, MISSING):
                check.check(data, Anything(answer))
    except ObjectError as error:
        return not str(error)
    return True


@pytest.mark.parametrize("name", NAMES)
def test_whole(name):
    assert use(compiled(name))


@settings(max_examples=300)
@given(st.sampled_from(NAMES), st.data())
def test_changed_bytes(name, draw):
    data = bytearray(compiled(name))
    for _ in range(draw.draw(st.integers(1, 6))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at] = draw.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    use(bytes(data))


@settings(max_examples=200)
@given(st.sampled_from(NAMES), st.data())
def test_changed_sections(name, draw):
    """The fields of section headers are where a file lies best."""
    data = bytearray(compiled(name))
    table, count = int.from_bytes(data[40:48], "little"), int.from_bytes(data[60:62], "little")
    for _ in range(draw.draw(st.integers(1, 3))):
        at = table + 64 * draw.draw(st.integers(0, count - 1)) + 4 * draw.draw(st.integers(0, 15))
        value = draw.draw(st.integers(0, count) | st.sampled_from([8, 0x7FFFFFFF, 0xFFFFFFFF, len(data)]))
        pack_into("<I", data, at, value)
    use(bytes(data))


@settings(max_examples=200)
@given(st.sampled_from(NAMES), st.data())
def test_changed_tables(name, draw):
    """Symbols, relocations, types and code, by whole words."""
    data = bytearray(compiled(name))
    heads = [head for part, head in elf.headers(bytes(data)) if head.size >= 8 and head.type != 8 and part != ".strtab"]
    for _ in range(draw.draw(st.integers(1, 4))):
        head = draw.draw(st.sampled_from(heads))
        at = head.offset + 4 * draw.draw(st.integers(0, head.size // 4 - 1))
        pack_into("<I", data, at, draw.draw(st.integers(0, 64) | st.integers(0, 0xFFFFFFFF)))
    use(bytes(data))


@given(st.sampled_from(NAMES), st.integers(0, 1 << 20))
def test_cut_off(name, at):
    data = compiled(name)
    assert not use(data[: at % len(data)])


@given(st.binary(max_size=300))
def test_noise(data):
    assert not use(data)
    assert not use(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x01\x00\xf7\x00" + data)


def test_many_functions_in_one_place():
    """Ten thousand names for the same code are ten thousand programs, which nothing compares with each other."""
    names = b"\0" + b"".join(b"f%d\0" % number for number in range(10_000))
    offsets, at = [], 1
    for number in range(10_000):
        offsets.append(at)
        at += len(b"f%d\0" % number)
    symbols = bytes(24) + b"".join(pack("<IBBHQQ", offset, 0x12, 0, 1, 0, 8) for offset in offsets)
    assert use(_file(EXIT, symbols, names))


def test_functions_inside_of_others():
    """Code that belongs to several functions would be gone through for each."""
    symbols = bytes(24) + b"".join(pack("<IBBHQQ", 1, 0x12, 0, 1, 8 * at, 8 * (8 - at)) for at in range(4))
    with pytest.raises(ObjectError, match="begins inside another one"):
        read(_file(EXIT * 8, symbols, b"\0f\0"))


def test_calls_in_circles():
    """A program that calls itself needs what it needs once."""
    code = pack("<BBhi", 0x85, 0x10, 0, -1) + EXIT
    spec = read(_file(code, bytes(24) + pack("<IBBHQQ", 1, 0x12, 0, 1, 0, 16), b"\0f\0"))
    (size,) = [need for need in needs(spec) if need.kind == "program size"]

    assert size.number == 2


def test_names_without_end():
    """Names that nothing ends are looked for no further than any name goes."""
    symbols = bytes(24) + pack("<IBBHQQ", 1, 0x12, 0, 1, 0, 8) * 20_000
    with pytest.raises(ObjectError, match="the name of a symbol is out of range"):
        read(_file(EXIT, symbols, b"\0" + b"x" * 100_000))


@pytest.mark.parametrize("which", [0, 3], ids=["code", "relocations"])
def test_sections_that_lie_over_each_other(which):
    """Thousands of them, each of the same bytes, would all be read."""
    rows = [
        ("socket", PROGBITS, 6, EXIT * 1000, 0, 0, 0),
        (".symtab", SYMTAB, 0, bytes(24) + pack("<IBBHQQ", 1, 0x12, 0, 1, 0, 8), 3, 1, 24),
        (".strtab", STRTAB, 0, b"\0f\0", 0, 0, 0),
        (".relsocket", 9, 0, pack("<QQ", 0, 1 << 32 | 1) * 1000, 2, 1, 16),
    ]
    assert read(file_of(rows)).functions
    kind, flags, _, link, info, size = rows[which][1:]
    others = [(f"x{number}", kind, flags, b"", link, info, size) for number in range(20)]
    data = bytearray(file_of([*rows, *others]))
    table = int.from_bytes(data[40:48], "little")
    place = data[table + 64 * (which + 1) + 24 : table + 64 * (which + 1) + 40]
    for number in range(5, 25):
        data[table + 64 * number + 24 : table + 64 * number + 40] = place
    with pytest.raises(ObjectError, match="the sections claim more than the file has"):
        read(bytes(data))


def _declaring(section, structs):
    """Return an object whose types say that 4096 bytes, of which each word has a relocation, are so many structs."""
    types = Builder()
    number = types.add_int("int", 4, encoding=1)
    kind = types.add_ptr(types.add_array(number, number, 1))
    struct = types.add_struct("one", 4096, [("type", kind, 0, 0)])
    types.add_datasec(section, 4096, [(types.add_var(f"v{at}", struct, 1), 0, 4096) for at in range(structs)])
    relocations = b"".join(pack("<QQ", at, 1 << 32 | 1) for at in range(0, 4096, 8))
    return file_of(
        [
            (section, PROGBITS, 3, bytes(4096), 0, 0, 0),
            (".symtab", SYMTAB, 0, bytes(24) + pack("<IBBHQQ", 1, 0x12, 0, 1, 0, 8), 3, 1, 24),
            (".strtab", STRTAB, 0, b"\0f\0", 0, 0, 0),
            (f".rel{section}", 9, 0, relocations, 2, 1, 16),
            (".BTF", PROGBITS, 0, types.build(), 0, 0, 0),
        ]
    )


@pytest.mark.parametrize(("section", "what"), [(".maps", "maps"), (".struct_ops", "structs")])
def test_variables_that_lie_over_each_other(section, what):
    """Each of thousands would have all that is in the section."""
    assert len(read(_declaring(section, 1)).maps) == 1

    with pytest.raises(ObjectError, match=f"the {what} of section {section} lie over each other"):
        read(_declaring(section, 2))


def _file(code, symbols, names):
    return file_of(
        [
            ("socket", PROGBITS, 6, code, 0, 0, 0),
            (".symtab", SYMTAB, 0, symbols, 3, 1, 24),
            (".strtab", STRTAB, 0, names, 0, 0, 0),
        ]
    )
