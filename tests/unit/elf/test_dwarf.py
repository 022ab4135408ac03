"""What functions take and return, out of the debugging information that compilers write, and out of damaged one."""

from __future__ import annotations

import random
import shutil
import subprocess
from types import SimpleNamespace

import pytest
from elftools.common.construct_utils import ULEB128
from elftools.construct import Array, ConstructError, ULInt8

from bpfctl.elf import dwarf_stream
from bpfctl.elf import prototype as prototypes
from bpfctl.elf.binary import Binary
from bpfctl.elf.dwarf import Dwarf
from bpfctl.elf.dwarf_entry import Entry
from bpfctl.elf.dwarf_stream import Patience, Stream
from bpfctl.elf.function import functions
from bpfctl.elf.image import Image
from bpfctl.elf.prototype import prototype
from bpfctl.errors import ObjectError
from bpfctl.probe.called import called_with, fields_of, returned
from btf import types
from btf.declare import declare
from tests.build.bpf_object import elf as file_of
from tests.build.called import built

SOURCE = r"""
#include <stdbool.h>
enum sign { MINUS = -1, PLUS = 1 };
enum wide { FAR = 0x1234567890 };
struct part { unsigned low : 3, high : 5; _Atomic int shared; char text[4]; long grid[2][3]; int last[]; };
struct list { struct list *next; struct part part; union { int whole; float real; }; struct hidden *hidden; };
typedef struct list list_t;
#define KEPT __attribute__((noinline))
KEPT long first(int a, const char *b, list_t *c, enum sign d, bool e, double f, unsigned char g, enum wide h)
{
    __asm__ volatile("" : : "r"(a), "r"(b), "r"(c), "r"(d), "r"(e), "x"(f), "r"(g), "r"(h));
    return 0;
}
KEPT const char *second(void (*call)(int, short), ...) { __asm__ volatile("" : : "r"(call)); return 0; }
KEPT void third(void) { __asm__ volatile(""); }
int main(void) { third(); return second(0) + first(0, 0, 0, 0, 0, 0, 0, 0) != 0; }
"""
WAYS = [
    (compiler, options)
    for compiler in ("gcc", "clang")
    for options in ("-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-gdwarf-5 -gz", "-g -ffunction-sections -O2")
]


def compiled(compiler, options):
    return built(f"dwarf-{compiler}{options.replace(' ', '')}", SOURCE, *options.split(), compiler=compiler)


def addresses(image):
    return {one.name: one.address for one in functions(image) if one.name in ("first", "second", "third")}


@pytest.mark.parametrize(("compiler", "options"), WAYS)
def test_prototypes(compiler, options):
    made = Binary(str(compiled(compiler, options)))
    at = addresses(made.image)
    first, second, third = (made.prototype(at[name]) for name in ("first", "second", "third"))

    assert [(name, declare(first.btf, type_id)) for name, type_id in first.params] == [
        ("a", "int"),
        ("b", "const char *"),
        ("c", "list_t *"),
        ("d", "enum sign"),
        ("e", "_Bool"),
        ("f", "double"),
        ("g", "unsigned char"),
        ("h", "enum wide"),
    ]
    assert first.is_plain
    assert declare(first.btf, first.returned).startswith("long")
    assert declare(second.btf, second.returned) == "const char *"
    told = declare(second.btf, second.params[0][1]).replace("short int", "short")
    assert (second.params[0][0], told) == ("call", "void (*)(int, short)")
    assert (third.params, third.returned) == ((), 0)
    assert made.prototype(at["first"] + 1) is None


@pytest.mark.parametrize(("compiler", "options"), WAYS)
def test_members(compiler, options):
    made = Binary(str(compiled(compiler, options)))
    btf = made.prototype(addresses(made.image)["first"], is_whole=True).btf
    part, of = btf.find("part", types.Struct), btf.find("list", types.Struct)

    assert [(each.name, each.bits_offset, each.bitfield_size) for each in part.members] == [
        ("low", 0, 3),
        ("high", 3, 5),
        ("shared", 32, 0),
        ("text", 64, 0),
        ("grid", 128, 0),
        ("last", 512, 0),
    ]
    assert [declare(btf, each.type_id) for each in part.members[2:4]] == ["int", "char[4]"]
    assert btf.size_of(part.members[4].type_id) == 48
    assert [each.name for each in of.members] == ["next", "part", "", "hidden"]
    assert btf.type(of.members[0].type_id).type_id == of.id
    assert isinstance(btf.type(btf.type(of.members[3].type_id).type_id), types.Fwd)
    assert dict(btf.find("sign", types.Enum).values) == {"MINUS": -1, "PLUS": 1}
    assert dict(btf.find("wide", types.Enum64).values) == {"FAR": 0x1234567890}


def test_members_are_left_out_where_nobody_asks():
    made = Binary(str(compiled("gcc", "-gdwarf-5")))
    btf = made.prototype(addresses(made.image)["first"]).btf

    assert btf.find("list", types.Struct).members == ()


def test_types_that_a_file_has_as_btf():
    made = Binary(str(compiled("gcc", "-gbtf")))
    at = addresses(made.image)
    first, second, third = (made.prototype(at[name]) for name in ("first", "second", "third"))

    assert [name for name, _ in first.params] == list("abcdefgh")
    assert declare(first.btf, first.params[2][1]) == "list_t *"
    assert declare(second.btf, second.returned) == "const char *"
    assert (third.params, third.returned) == ((), 0)


@pytest.mark.parametrize(("language", "is_known"), [(0x1D, True), (0x21, True), (0x16, False), (0x1C, False)])
def test_languages_with_ways_of_their_own_are_not_guessed(monkeypatch, language, is_known):
    """What C and C++ agree upon holds neither for Go nor for Rust."""
    asked = Entry.number
    monkeypatch.setattr(
        Entry, "number", lambda entry, name: language if name == "DW_AT_language" else asked(entry, name)
    )
    made = Binary(str(compiled("gcc", "-gdwarf-4")))
    found = made.prototype(addresses(made.image)["first"])

    assert bool(called_with(found)) is is_known
    assert bool(returned(found)) is is_known


SIGNED = r"""
namespace names { struct Inner { int deep; }; struct Outer { Inner inner; Outer *next; }; }
extern "C" __attribute__((noinline)) int first(names::Outer *outer) { return outer->inner.deep; }
int main() { names::Outer outer = {}; return first(&outer); }
"""


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("version", [4, 5])
def test_types_in_units_of_their_own(compiler, version):
    options = (f"-gdwarf-{version}", "-fdebug-types-section")
    path = built(f"signed-{compiler}-{version}", SIGNED, *options, compiler=compiler, language="c++")
    made = Binary(str(path))
    btf = made.prototype(addresses(made.image)["first"], is_whole=True).btf

    assert [each.name for each in btf.find("Outer", types.Struct).members] == ["inner", "next"]
    assert [each.name for each in btf.find("Inner", types.Struct).members] == ["deep"]


@pytest.mark.parametrize("options", ["-gdwarf-4", "-gdwarf-5"])
def test_types_that_several_files_share(tmp_path, options):
    """As distributions have them: what is the same in two programs is in a third file."""
    first, second, common = (tmp_path / name for name in ("first", "second", "common.debug"))
    shutil.copy(compiled("gcc", options), first)
    other = SOURCE + "KEPT int fourth(list_t *c, enum wide h) { return c->whole + h; }"
    shutil.copy(built(f"dwarf-other{options}", other, options), second)
    subprocess.run(["dwz", "-m", common, "-M", common, first, second], check=True)
    for path in (first, second):
        made = Binary(str(path))
        assert made.image.section(".gnu_debugaltlink")
        found = made.prototype(addresses(made.image)["first"], is_whole=True)
        assert [declare(found.btf, type_id) for _, type_id in found.params[1:4]] == [
            "const char *",
            "list_t *",
            "enum sign",
        ]
        assert [each.name for each in found.btf.find("list", types.Struct).members] == ["next", "part", "", "hidden"]

    shutil.copy(second, common)  # one of another build is none
    made = Binary(str(first))
    lacking = made.prototype(addresses(made.image)["first"])
    assert lacking is None or "list_t *" not in [declare(lacking.btf, type_id) for _, type_id in lacking.params]


def test_a_link_to_what_is_shared_is_as_long_as_names_are():
    data = bytearray(file_of([(".gnu_debugaltlink", 1, 0, b"", 0, 0, 0)], machine=62))
    at = int.from_bytes(data[40:48], "little") + 64 + 32
    data[at : at + 8] = (1 << 29).to_bytes(8, "little")

    with pytest.raises(ObjectError, match=r"x: \.gnu_debugaltlink claims 536870912 bytes"):
        Dwarf(Image.of(bytes(data), "x"))._shared()


def test_types_of_another_build_are_no_types(tmp_path):
    """A debug file that says it belongs here, but was made for another program."""
    path, symbols = tmp_path / "program", tmp_path / "program.debug"
    subprocess.run(["objcopy", "--only-keep-debug", compiled("gcc", "-gdwarf-4"), symbols], check=True)
    subprocess.run(
        ["objcopy", "--strip-debug", f"--add-gnu-debuglink={symbols}", compiled("gcc", "-gdwarf-5"), path], check=True
    )
    made = Binary(str(path))

    assert made.prototype(addresses(made.image)["first"]) is None


@pytest.mark.parametrize(("compiler", "options"), [WAYS[1], WAYS[3], WAYS[9]])
def test_damage(compiler, options):
    """Whatever is wrong with it: types, or none, or an error that names the file."""
    whole = compiled(compiler, options).read_bytes()
    image = Image.of(whole, "whole")
    at = addresses(image)
    parts = [part for part in image.sections if part.name.startswith(".debug") and part.name != ".debug_line"]
    answers = set()
    for seed in range(150):
        chance = random.Random(seed)
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 3, 10))):
            part = chance.choice(parts)
            where = part.offset + chance.randrange(part.size)
            data[where] = chance.choice((0, 0xFF, chance.randrange(256), data[where] ^ 1 << chance.randrange(8)))
        for address in at.values():
            answers.add(_outcome(bytes(data), address))

    assert answers == {"types", "nothing", "error"}


def test_damage_is_read_once(monkeypatch):
    """However many functions of such a file somebody asks for."""
    reads = []
    read = Stream.read
    monkeypatch.setattr(Stream, "read", lambda self, size: reads.append(size) or read(self, size))
    whole = bytearray(compiled("clang", "-gdwarf-4").read_bytes())
    image = Image.of(bytes(whole), "whole")
    info = image.section(".debug_info")
    begin, end = info.offset + info.size // 8, info.offset + info.size
    whole[begin:end] = b"\xff" * (end - begin)
    damaged = Dwarf(Image.of(bytes(whole), "damaged"))
    at = addresses(image)
    first = {name: bool(damaged.function(address)) for name, address in at.items()}
    reads.clear()

    assert {name: bool(damaged.function(address)) for name, address in at.items()} == first
    assert not all(first.values())
    assert len(reads) < 100


def test_each_question_has_its_own_patience():
    """After one that was given up, the next is answered."""
    image = Image.of(compiled("gcc", "-gdwarf-4").read_bytes(), "whole")
    made, address = Dwarf(image), addresses(image)["first"]
    assert made.function(address).name() == "first"
    made._patience.left = 0

    assert made.function(address).name() == "first"


@pytest.mark.parametrize(("location", "place"), [([0x23, 8], 8), ([0x23, 0x88, 1], 136), ([0x23, *[0x80] * 10, 1], 0)])
def test_places_of_members(location, place):
    """A number that has more bytes than honest ones would take the longer the longer it is."""
    entry = SimpleNamespace(own=lambda _: SimpleNamespace(value=location))

    assert prototypes._place(entry) == place


class Claims:
    """A file of nothing but one section, which is whatever somebody says."""

    def __init__(self, data):
        self.image = Image.of(compiled("gcc", "-gdwarf-4").read_bytes(), "claims")
        self.image.part = lambda _, at, size: data[at : at + size]
        self.section = self.image.section(".debug_info")._replace(size=len(data))


def test_a_number_without_an_end():
    """Each byte of it would take longer than the one before."""
    claims = Claims(b"\x80" * (1 << 20))
    stream = Stream(claims.image, claims.section, Patience())

    with pytest.raises(ObjectError, match="has no end"):
        ULEB128("").parse_stream(stream)
    assert stream.tell() < 1 << 13


def test_a_list_without_an_end(monkeypatch):
    """It is as long as the file says, until nobody wants to wait for it any more."""
    monkeypatch.setattr(dwarf_stream, "_MOST_READS", 1000)
    claims = Claims(bytes(1 << 16))
    patience = Patience()
    stream = Stream(claims.image, claims.section, patience)

    with pytest.raises((ObjectError, ConstructError), match="has no end"):
        Array(0xFFFFFFFF, ULInt8("")).parse_stream(stream)
    assert stream.tell() == 1001
    patience.renew()
    stream.seek(0)
    assert len(Array(999, ULInt8("")).parse_stream(stream)) == 999


@pytest.mark.parametrize("whole", [16, 1 << 20])
def test_a_section_is_read_piece_by_piece(monkeypatch, whole):
    monkeypatch.setattr(dwarf_stream, "_WHOLE", whole)
    monkeypatch.setattr(dwarf_stream, "_PIECE", 16)
    data = random.Random(1).randbytes(1000)
    claims = Claims(data)
    stream = Stream(claims.image, claims.section, Patience())
    chance = random.Random(2)
    for _ in range(500):
        at, size = chance.randrange(1100), chance.choice((1, 2, 8, 40, 2000))
        stream.seek(at)
        assert stream.read(size) == data[at : at + size]
        assert stream.tell() == max(at, min(at + size, len(data)))
    assert len(stream._piece) <= (1000 if whole > 16 else 2032)


def _outcome(data, address):
    try:
        found = Dwarf(Image.of(data, "damaged")).function(address)
        if found is None:
            return "nothing"
        for is_whole in (False, True):
            made = prototype(found, is_whole=is_whole)
            fields_of(called_with(made))
            fields_of(returned(made))
    except ObjectError:
        return "error"
    return "types"
