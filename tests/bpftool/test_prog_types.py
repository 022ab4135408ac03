"""What programs tell out of their types, beside bpftool: full names, and metadata of every sort of value."""

from __future__ import annotations

import json
import re
import struct

import pytest

from btf import types
from btf.write import GLOBAL, Builder
from tests.bpftool import peer
from tests.bpftool.newest import BPFTOOLS
from tests.kernel import client

VOICES = pytest.mark.parametrize("voice", [["-j"], ["-p"], []], ids=["json", "indented", "plain"])
INSNS = bytes.fromhex("b700000000000000 9500000000000000")
SOCKET_FILTER, ARRAY = 1, 2
SIGNED_CHAR = struct.pack("=b", -5)


def same(tool, id_, voice):
    """Assert that both show a program alike, and return what was shown.

    An older bpftool lacks a key or two, and quotes no pointer in text. A single character beyond ASCII, which
    bpftool spells as an escape sequence, is itself with us: the same JSON string.
    """
    args = [*voice, "prog", "show", "id", str(id_)]
    theirs, mine = peer.run(tool, *args), peer.ours(*args)
    assert (theirs.rc, theirs.stderr) == (mine.rc, mine.stderr)
    old = peer.version(tool) < peer.CURRENT
    if voice and old:
        assert peer.agrees(json.loads(theirs.stdout), json.loads(mine.stdout))
    elif old:
        assert re.sub(rb'"(0x\w+|\(nil\))"', rb"\1", mine.stdout) == theirs.stdout
    else:
        assert mine.stdout == theirs.stdout.replace(rb"\u00ff", "\xff".encode())
    return mine.stdout


class Constants:
    """A section of constants in the making: types, variables, bytes."""

    def __init__(self):
        self.builder = Builder()
        self.u32 = self.builder.add_int("unsigned int", 4)
        self.data = bytearray()
        self.places = []

    def add(self, name, type_id, data):
        """Add a variable at the next multiple of eight."""
        self.data += bytes(-len(self.data) % 8)
        var = self.builder.add_var(name, self.builder.add_const(type_id), GLOBAL)
        self.places.append((var, len(self.data), len(data)))
        self.data += data

    def program(self, held, *, name="x.rodata", used=True):
        """Load a program that uses a map of these constants; return its id."""
        self.data += bytes(-len(self.data) % 8)
        section = self.builder.add_datasec(".rodata", len(self.data), self.places)
        btf = held(client.btf_load(self.builder.build()))
        types_ = {"btf_fd": btf, "btf_value_type_id": section}
        map_ = held(client.map_create(ARRAY, 4, len(self.data), 1, name=name, **types_))
        client.map_update(map_, bytes(4), bytes(self.data))
        prog = held(client.prog_load(SOCKET_FILTER, INSNS, name="constant"))
        if used:
            client.prog_bind_map(prog, map_)
        return client.id_of("prog", prog)


def everything():
    """Return constants of each sort, with values at the edges of their types."""
    c = Constants()
    b = c.builder
    for size in (1, 2, 4, 8, 16):
        unsigned, signed = b.add_int(f"u{size * 8}", size), b.add_int(f"s{size * 8}", size, encoding=types.SIGNED)
        c.add(f"bpf_metadata_u{size * 8}", unsigned, b"\xff" * size)
        c.add(f"bpf_metadata_s{size * 8}", signed, b"\xff" * size)
    char = b.add_int("char", 1, encoding=types.SIGNED)
    letter = b.add_int("letter", 1, encoding=types.CHAR)
    c.add("bpf_metadata_byte", char, SIGNED_CHAR)
    for number in (0x41, 0x00, 0x1F, 0x7F, 0xFF):
        c.add(f"bpf_metadata_letter_{number:x}", letter, bytes([number]))
    flag = b.add_int("_Bool", 1, encoding=types.BOOL)
    c.add("bpf_metadata_true", flag, b"\1")
    c.add("bpf_metadata_false", flag, b"\0")
    enum = b.add_enum("e", [("ZERO", 0), ("ONE", 1), ("AGAIN", 1), ("TOP", 1 << 31)])
    for number in (0, 1, 2, 1 << 31, (1 << 32) - 1):
        c.add(f"bpf_metadata_enum_{number}", enum, struct.pack("=I", number))
    minus = b.add_enum("m", [("MINUS", -1)], signed=True)
    c.add("bpf_metadata_minus", minus, b"\xff" * 4)
    c.add("bpf_metadata_pointer", b.add_ptr(0), struct.pack("=Q", 0xFFFF888000001234))
    c.add("bpf_metadata_null", b.add_ptr(0), bytes(8))
    text = b.add_array(b.add_const(char), c.u32, 16)
    for name, content in (
        ("text", b"me"),
        ("empty", b""),
        ("hard", b'quote" back\\slash'),
        ("bytes", b"\x01\x02"),
        ("high", b"\xc3\xa4"),
        ("endless", b"x" * 16),
    ):
        c.add(f"bpf_metadata_{name}", text, content[:16].ljust(16, b"\0"))
    octets = b.add_array(b.add_typedef("octet", char), c.u32, 4)
    c.add("bpf_metadata_octets", octets, b"abc\0")
    flexible = b.add_struct("flexible", 4, [("count", c.u32), ("items", b.add_array(c.u32, c.u32, 0), 32)])
    c.add("bpf_metadata_flexible", flexible, bytes(4))
    pair = b.add_struct("pair", 8, [("x", c.u32), ("y", c.u32, 32)])
    c.add("bpf_metadata_pairs", b.add_array(b.add_array(pair, c.u32, 2), c.u32, 2), struct.pack("=8I", *range(8)))
    inner = b.add_struct("", 4, [("a", char), ("b", char, 8)])
    either = b.add_union("", 4, [("number", c.u32), ("", inner)])
    c.add("bpf_metadata_either", b.add_struct("outer", 8, [("", either), ("z", c.u32, 32)]), bytes(range(8)))
    bits = b.add_struct("bits", 8, [("a", c.u32, 0, 3), ("b", minus, 3, 7), ("c", c.u32, 10, 22), ("d", c.u32, 32)])
    c.add("bpf_metadata_bits", bits, struct.pack("=II", 0xDEADBEEF, 7))
    c.add("bpf_metadata_odd", b.add_int("odd", 4, nr_bits=24), b"\x01\x02\x03\x04")
    c.add("bpf_metadata_alias", b.add_typedef("alias", b.add_volatile(pair)), struct.pack("=II", 1, 2))
    c.add("another", c.u32, bytes(4))
    return c


@VOICES
@pytest.mark.parametrize("tool", BPFTOOLS)
def test_metadata_of_every_sort(held, tool, voice):
    """Numbers, characters, texts, arrays, structs, unions and bitfields read as bpftool prints them."""
    c = everything()
    id_ = c.program(held)

    shown = same(tool, id_, voice)

    if voice:
        names = json.loads(shown)["metadata"]
        assert len(names) == len(c.places) - 1
        assert "another" not in names
    else:
        assert shown.count(b"\n\t\t") == len(c.places) - 1


def test_64_bit_enums(held):
    """Of kernels that have them, since Linux 6.0."""
    c = Constants()
    wide = c.builder.add_enum64("w", [("FAR", 1 << 40), ("ALL", (1 << 64) - 1)])
    for number in (1 << 40, (1 << 64) - 1, (1 << 64) - 2):
        c.add(f"bpf_metadata_enum_{number:x}", wide, struct.pack("=Q", number))
    try:
        id_ = c.program(held)
    except OSError as error:
        if "Invalid kind" not in getattr(error, "log", ""):
            raise
        pytest.skip("the kernel lacks BTF_KIND_ENUM64 (since 6.0)")

    for voice in (["-j"], []):
        assert b"FAR" in same(peer.bpftools()[0], id_, voice)


@pytest.mark.parametrize(
    ("name", "used", "told"), [("x.rodata", False, False), ("x.data", True, False), (".rodata.str", True, True)]
)
def test_where_metadata_is_looked_for(held, name, used, told):
    """Only in maps of the program whose name says that they hold constants."""
    c = Constants()
    c.add("bpf_metadata_version", c.u32, struct.pack("=I", 7))
    id_ = c.program(held, name=name, used=used)

    for voice in (["-j"], []):
        assert (b"metadata" in same(peer.bpftools()[0], id_, voice)) is told


@pytest.mark.parametrize("length", [14, 15, 16, 127])
def test_full_names(held, length):
    """A name that the kernel has cut is whole again in the list, and as a handle."""
    name = ("function_" * 15)[:length]
    b = Builder()
    proto = b.add_func_proto(b.add_int("int", 4, encoding=types.SIGNED), [("ctx", b.add_ptr(0))])
    func = b.add_func(name, proto)
    btf = held(client.btf_load(b.build()))
    info = {"prog_btf_fd": btf, "func_info_rec_size": 8, "func_info_cnt": 1, "func_info": struct.pack("=II", 0, func)}
    id_ = client.id_of("prog", held(client.prog_load(SOCKET_FILTER, INSNS, name=name[:15], **info)))

    shown = same(peer.bpftools()[0], id_, ["-j"])

    assert name.encode() in shown
    assert name.encode() in same(peer.bpftools()[-1], id_, [])
    assert peer.ours("-j", "prog", "show", "name", name).stdout == shown
