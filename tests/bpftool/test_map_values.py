"""Keys and values with types, by bpfctl map and bpftool map: each sort of type that BTF has, with hard bytes in it."""

from __future__ import annotations

import json
import os
import random
import re
import struct

import pytest

from tests.bpftool import peer
from tests.bpftool.alike import spelled
from tests.bpftool.filled import U32, edges
from tests.bpftool.newest import CURRENT, NEWEST
from tests.bpftool.typed import CASES, FLOAT, Basics
from tests.kernel import client
from tests.kernel.facts import Facts

pytestmark = CURRENT
HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY, LPM_TRIE, HASH_OF_MAPS, QUEUE = 1, 2, 5, 6, 11, 13, 22


@pytest.fixture(scope="module")
def facts():
    return Facts("")


def keep(stack, fd):
    stack.callback(os.close, fd)
    return fd


def create(stack, of, kind, key, value, entries, types, **extra):  # noqa: PLR0917 - in the order of bpf_attr
    """Create a map with types, of keys and of values."""
    btf = keep(stack, client.btf_load(of.builder.build()))
    more = {"btf_fd": btf, "btf_key_type_id": types[0], "btf_value_type_id": types[1], **extra}
    return keep(stack, client.map_create(kind, key, value, entries, **more))


def hard(size):
    """Return bytes on which values of a type may go wrong: edges, text with and without an end, and chance."""
    text = bytes(b'az "\\/\x7f\x1f%s'[at % 10] for at in range(size))
    harmless = (b"text\0" * size)[:size]
    chance = [random.Random(seed * 1000 + size).randbytes(size) for seed in range(6)]
    return [*edges(size), harmless, b"x" * size, text, *chance]


def known(facts):
    return [case for case in CASES if not case.need or facts.has(case.need)]


def one(fd):
    return f"id {client.id_of('map', fd)}"


def valid(alike):
    """Every answer of ours is JSON in which no name comes twice."""
    for document in alike.documents:
        json.loads(document, object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs):
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def _no_constant(word):
    raise AssertionError(f"{word} is not JSON")


def test_values(alike, facts, stack):
    """All at once: a map of each type."""
    lines = []
    for case in known(facts):
        of = Basics()
        values = hard(case.size)
        fd = create(stack, of, ARRAY, 4, case.size, len(values), (of.u32, case.add(of)), name=f"v_{case.name}"[:15])
        for number, value in enumerate(values):
            client.map_update(fd, U32(number), value)
        lines += [f"map dump {one(fd)}", f"map lookup {one(fd)} key {spelled(U32(len(values) - 1))}"]

    alike.reading(lines)
    valid(alike)


def test_keys(alike, facts, stack):
    """The same types as keys of hash maps."""
    lines = []
    for case in known(facts):
        of = Basics()
        keys = list(dict.fromkeys(hard(case.size)))
        fd = create(stack, of, HASH, case.size, 1, len(keys), (case.add(of), of.bool), name=f"k_{case.name}"[:15])
        for key in keys:
            client.map_update(fd, key, b"\1")
        lines += [f"map dump {one(fd)}", f"map lookup {one(fd)} key {spelled(keys[-1])}", f"map getnext {one(fd)}"]

    alike.reading(lines)
    valid(alike)


def test_values_of_cpus(alike, facts, stack):
    """One value for each CPU, with room behind it up to a multiple of 8."""
    lines = []
    for case in known(facts)[::3]:
        of = Basics()
        kind = PERCPU_ARRAY if len(lines) % 4 else PERCPU_HASH
        values, room = hard(case.size), case.size + 7 & ~7
        fd = create(stack, of, kind, 4, case.size, 2, (of.u32, case.add(of)), name="cpus")
        for number in range(2):
            slots = (values[(number * 5 + cpu) % len(values)].ljust(room, b"\0") for cpu in range(client.CPUS))
            client.map_update(fd, U32(number), b"".join(slots))
        lines += [f"map dump {one(fd)}", f"map lookup {one(fd)} key 1 0 0 0"]

    alike.reading(lines)
    valid(alike)


def test_prefixes_and_what_has_no_keys(alike, stack):
    """A trie's key is a struct, with an array at its end that has no length of its own; a queue's is nothing."""
    of = Basics()
    b = of.builder
    flexible = b.add_struct("prefix", 8, [("length", of.u32), ("address", of.array(of.u8, 4), 32)])
    trie = create(stack, of, LPM_TRIE, 8, 8, 4, (flexible, of.s64), map_flags=1, name="trie")
    for length in (0, 9, 32):
        client.map_update(trie, U32(length) + b"\x0a\0\0\xff", edges(8)[length % 5])
    of = Basics()
    empty = of.builder.add_struct("nothing", 0, [])
    lines = [f"map dump {one(trie)}", f"map lookup {one(trie)} key {spelled(U32(32) + bytes([10, 0, 0, 255]))}"]
    queue = create(stack, of, QUEUE, 0, 8, 4, (empty, of.s64), name="queue")
    client.map_update(queue, None, edges(8)[2])
    lines.append(f"map peek {one(queue)}")

    alike.reading(lines)
    valid(alike)


def section(of, name, variables):
    """Add a section of variables with holes between them; return its id and size."""
    b, placed, offset = of.builder, [], 0
    for number, (variable, type_id, size) in enumerate(variables):
        placed.append((b.add_var(variable, type_id, number % 2), offset, size))
        offset += size + 7 & ~7
    return b.add_datasec(name, offset, placed), offset


@pytest.mark.parametrize("name", [".data", ".bss", ".rodata", ".data.custom"])
def test_sections(alike, stack, name):
    """Variables of programs: numbers, text, structs, arrays, pointers, in a section with gaps."""
    of = Basics()
    b = of.builder
    pair = b.add_struct("pair", 8, [("a", of.u32, 0, 3), ("b", of.s32, 3, 29), ("c", of.u32, 32)])
    variables = [
        ("counter", of.u64, 8),
        ("limit", b.add_const(b.add_volatile(of.s16)), 2),
        ("text", of.array(of.char, 11), 11),
        ("pair", pair, 8),
        ("table", of.array(pair, 3), 24),
        ("pointer", b.add_ptr(0), 8),
        ("flag", of.bool, 1),
        ("kind", of.enum, 4),
    ]
    lines = []
    for value in range(4):
        type_id, size = section(of, name, variables)
        fd = create(stack, of, ARRAY, 4, size, 1, (0, type_id), name=f"obj{name}")
        client.map_update(fd, bytes(4), hard(size)[value * 2])
        lines += [f"map dump {one(fd)}", f"map lookup {one(fd)} key 0 0 0 0"]
        of = Basics()
        b = of.builder
        variables = [("counter", of.u64, 8), ("text", of.array(of.char, 11), 11), ("many", of.array(of.s32, 70), 280)]

    alike.reading(lines)
    valid(alike)


def both(fd, *voice):
    """Return what bpftool and ours tell of a map."""
    line = [*voice, "map", "dump", *one(fd).split()]
    theirs, mine = peer.run(NEWEST, *line), peer.inside(*line)
    assert mine.rc == 0
    return theirs.stdout.decode(errors="surrogateescape"), mine.stdout.decode()


def test_single_characters(stack):
    """The same strings, of which bpftool escapes two not at all and others in more words."""
    of = Basics()
    fd = create(stack, of, ARRAY, 4, 1, 256, (of.u32, of.letter), name="letters")
    for byte in range(256):
        client.map_update(fd, U32(byte), bytes([byte]))
    for voice in ("-j", "-p"):
        theirs, mine = (_escaped(told) for told in both(fd, voice))
        told = json.loads(mine)
        assert [each["formatted"]["value"] for each in told] == [chr(byte) for byte in range(256)]
        assert told == json.loads(theirs)
    theirs, mine = both(fd)
    assert mine == _escaped(theirs)


def _escaped(text):
    """Escape a quote and a backslash that are all of a string."""
    return re.sub(r'(": ?")(["\\])(?="\s*\})', r"\1\\\2", text)


def test_floating_point(facts, stack):
    """bpftool has no word for them, which is no JSON either, and stops there."""
    if not facts.has(FLOAT):
        pytest.skip(f"the kernel lacks {FLOAT}")
    of = Basics()
    b = of.builder
    kinds = [(f"f{8 * size}", b.add_float(f"f{8 * size}", size), size) for size in (2, 4, 8)]
    value = b.add_struct("floats", 16, [("f32", kinds[1][1]), ("f64", kinds[2][1], 64)])
    fd = create(stack, of, ARRAY, 4, 16, 6, (of.u32, value), name="floats")
    numbers = [0.0, -0.0, 1.5, float("inf"), float("nan"), 5e-324]
    for key, number in enumerate(numbers):
        client.map_update(fd, U32(key), struct.pack("=f4xd", number, number))
    theirs, mine = both(fd, "-j")
    shown = [each["formatted"]["value"] for each in json.loads(mine, parse_constant=_no_constant)]

    assert "(unsupported-kind)" in theirs
    assert [each["f64"] for each in shown] == [0.0, -0.0, 1.5, "inf", "nan", 5e-324]
    assert [each["f32"] for each in shown][:4] == [0.0, -0.0, 1.5, "inf"]


def test_enumerators_above_the_sign_of_a_small_enum(stack):
    """Without a sign, bpftool finds no name for them."""
    of = Basics()
    small = of.builder.add_enum("small", [("LOW", 1), ("TOP", 0x80), ("ALL", 0xFF)], size=1)
    fd = create(stack, of, ARRAY, 4, 1, 3, (of.u32, small), name="small")
    for key, value in enumerate((1, 0x80, 0xFF)):
        client.map_update(fd, U32(key), bytes([value]))
    theirs, mine = ([each["formatted"]["value"] for each in json.loads(told)] for told in both(fd, "-j"))

    assert theirs == ["LOW", -128, -1]
    assert mine == ["LOW", "TOP", "ALL"]


def test_several_without_a_name(stack):
    """The same members, all under one empty key; in plain text, where nothing need be JSON, the same bytes."""
    of = Basics()
    b = of.builder
    first = b.add_struct("", 4, [("a", of.u16), ("b", of.u16, 16)])
    second = b.add_union("", 4, [("c", of.u32), ("d", of.array(of.u8, 4))])
    value = b.add_struct("nameless", 12, [("", first), ("", second, 32), ("e", of.s32, 64)])
    fd = create(stack, of, ARRAY, 4, 12, 2, (of.u32, value), name="nameless")
    client.map_update(fd, U32(1), bytes(range(12)))
    theirs, mine = both(fd, "-j")

    assert json.loads(mine, object_pairs_hook=_unique) == json.loads(theirs, object_pairs_hook=_gathered)
    assert len(set(both(fd))) == 1


def _gathered(pairs):
    """Put what is under the empty key together."""
    found = {}
    for name, value in pairs:
        found[name] = {**found[name], **value} if name in found and not name else value
    return found
