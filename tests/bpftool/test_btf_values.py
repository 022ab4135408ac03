"""btf.value against ``bpftool map dump``: one map in the kernel, its bytes decoded by both."""

from __future__ import annotations

import json
import os
import random
import struct

from btf import types
from btf.read import BTF
from btf.value import Bits, Char, Decoder, Enumerator, Record
from btf.write import Builder
from tests.bpftool import peer
from tests.kernel import client

ARRAY = 2
HARMLESS = bytes.maketrans(b'"\\', b"'/")


def every_type(b):
    """Add a struct with all that a map value may hold; return its id and size."""
    ints = {
        (size, sign): b.add_int(f"i{size}{sign}", size, encoding=sign) for size in (1, 2, 4, 8, 16) for sign in (0, 1)
    }
    u32 = ints[4, 0]
    char = b.add_int("char", 1, encoding=types.SIGNED)
    letter = b.add_int("letter", 1, encoding=types.CHAR)
    flag = b.add_int("_Bool", 1, encoding=types.BOOL)
    enum = b.add_enum("e", [("ZERO", 0), ("ONE", 1), ("TOP", 1 << 31)])
    signed = b.add_enum("s", [("MINUS", -1), ("ONCE", 1), ("AGAIN", 1)], signed=True)
    enum64 = b.add_enum64("w", [("FAR", 1 << 40)])
    packed = b.add_enum("p", [("LOW", 1)], size=1)
    inner = b.add_struct("", 8, [("x", u32), ("y", ints[4, 1], 32)])
    union = b.add_union("", 8, [("", inner), ("bytes", b.add_array(ints[1, 0], u32, 8))])
    bits = b.add_struct("bits", 8, [("a", u32, 0, 3), ("b", ints[4, 1], 3, 7), ("c", ints[8, 0], 10, 54)])
    wrapped = b.add_typedef("number", b.add_const(b.add_volatile(ints[2, 1])))
    alias = b.add_typedef("octet", char)
    wanted = [*((f"int{size}{sign}", type_id, size) for (size, sign), type_id in ints.items())]
    wanted += [("char", char, 1), ("letter", letter, 1), ("flag", flag, 1), ("packed", packed, 1)]
    wanted += [("e", enum, 4), ("s", signed, 4), ("w", enum64, 8), ("p", b.add_ptr(inner), 8), ("", union, 8)]
    wanted += [("bits", bits, 8), ("wrapped", wrapped, 2), ("text", b.add_array(b.add_const(char), u32, 12), 12)]
    wanted += [
        ("octets", b.add_array(alias, u32, 4), 4),
        ("table", b.add_array(b.add_array(inner, u32, 2), u32, 2), 32),
    ]
    members, offset = [], 0
    for name, type_id, size in wanted:
        align = size if size in (1, 2, 4) else 4 if name in ("text", "octets") else 8
        offset = -(-offset // align) * align
        members.append((name, type_id, offset * 8))
        offset += size
    offset = -(-offset // 8) * 8
    return b.add_struct("value", offset, members), offset


def as_bpftool(value):
    """Return a value as bpftool prints it in JSON."""
    match value:
        case bool():
            return value
        case Char():
            return chr(value) if 0x20 <= value < 0x7F else f"\\u00{value:02x}".encode().decode("unicode_escape")
        case Bits():
            return f"{value.unsigned:#x}"
        case Enumerator():
            return value.name or value.signed
        case list():
            return [as_bpftool(element) for element in value]
        case Record():
            return {name: as_bpftool(member) for name, member in value.fields}
    return value


def test_values_of_a_map():
    """Every type that a map value may have, with random bytes in it, decodes to what bpftool shows."""
    b = Builder()
    key_type = b.add_int("unsigned int", 4)
    value_type, size = every_type(b)
    raw = b.build()
    btf = BTF.from_bytes(raw)
    decoder = Decoder(btf, value_type)
    rng = random.Random(1)
    values = [rng.randbytes(size) for _ in range(64)] + [
        bytes(size),
        b"\1" * size,
        b"A\0" * (size // 2),
        b"\xff" * size,
    ]
    # bpftool escapes neither a quote nor a backslash that is a single char
    letter = next(m.bits_offset // 8 for m in btf.type(value_type).members if m.name == "letter")
    values = [each[:letter] + each[letter : letter + 1].translate(HARMLESS) + each[letter + 1 :] for each in values]
    btf_fd = map_fd = -1
    try:
        btf_fd = client.btf_load(raw)
        map_fd = client.map_create(
            ARRAY,
            4,
            size,
            len(values),
            name="values",
            btf_fd=btf_fd,
            btf_key_type_id=key_type,
            btf_value_type_id=value_type,
        )
        for number, value in enumerate(values):
            client.map_update(map_fd, struct.pack("=I", number), value)
        shown = json.loads(
            peer.run(peer.bpftools()[0], "-j", "map", "dump", "id", str(client.id_of("map", map_fd))).stdout
        )
    finally:
        for fd in (map_fd, btf_fd):
            if fd >= 0:
                os.close(fd)

    assert len(shown) == len(values)
    for value, element in zip(values, shown, strict=True):
        assert as_bpftool(decoder(value)) == element["formatted"]["value"]
