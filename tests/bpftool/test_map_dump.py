"""bpfctl map dump, lookup, peek and getnext beside bpftool's, on maps of every type with all sorts of values."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
from functools import partial

import pytest

from btf import types
from btf.write import Builder
from tests.bpftool import differences, peer
from tests.bpftool.newest import CURRENT, NEWEST
from tests.bpftool.test_btf_values import every_type
from tests.bpftool.typed import ENUM64
from tests.kernel import client

pytestmark = CURRENT
VOICES = pytest.mark.parametrize("voice", [["-j"], ["-p"], []], ids=["json", "indented", "plain"])
ZOO = None
NAMESAKES = client.own("same")
U32 = struct.Struct("=I").pack
PRINTABLE = bytes(0x20 + byte % 0x5F for byte in range(256)).translate(bytes.maketrans(b'"\\', b"'/"))

# What cannot be listed, with a word of the sentence that says so.
UNREADABLE = {
    "queue": "map peek",
    "stack": "map peek",
    "ringbuf": "stream of records",
    "user_ringbuf": "from user space",
    "bloom_filter": "whether a value may be",
    "arena": "memory",
    "sk_storage": "socket",
    "inode_storage": "file",
    "task_storage": "pidfd",
    "cgrp_storage": "cgroup",
}


def create(zoo, stack, kind, key, value, entries, **extra):  # noqa: PLR0917 - in the order of bpf_attr
    """Create a map of a type; skip where the kernel has not heard of it."""
    name = f"BPF_MAP_TYPE_{kind.upper()}"
    if zoo.facts.number(name) is None:
        pytest.skip(f"the kernel lacks {name}")
    fd = client.map_create(zoo.facts.number(name), key, value, entries, **{"name": "filled", **extra})
    stack.callback(os.close, fd)
    return fd


def same(fd, *voice, command="dump", words=()):
    """Both answer in the same bytes; return the answer."""
    line = [*voice, "map", command, "id", str(client.id_of("map", fd)), *words]
    mine = differences.without_hint(peer.inside(*line))

    assert mine == peer.run(NEWEST, *line), line
    return mine


@VOICES
def test_the_zoo(zoo, voice):
    """Every map that there is: empty ones, arrays with gaps, slots that may not be read, sections, struct_ops."""
    for made in zoo.created.values():
        if made.kind == "map" and made.name not in UNREADABLE:
            assert same(made.fd, *voice).rc == 0


@VOICES
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_listed(zoo, voice, name):
    """bpftool shows an empty array, or what looks like an empty map; the exit code is the same."""
    made = zoo.alive(f"map:{name}")
    line = [*voice, "map", "dump", "id", str(made.id)]
    theirs, mine = peer.run(NEWEST, *line), peer.inside(*line)
    said = json.loads(mine.stdout)["error"] if voice else mine.stderr.decode()

    assert mine.rc == theirs.rc != 0
    assert theirs.stdout in (b"[]\n", b"Found 0 elements\n")
    assert f"map {made.id} cannot be dumped: " in said
    assert UNREADABLE[name] in said


SIZES = [
    *((1, 1), (4, 8), (8, 16), (8, 17), (16, 8), (16, 9), (17, 1), (20, 4), (24, 24), (12, 12), (12, 13)),
    *((33, 300), (3, 4099)),
]


@VOICES
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_hash(zoo, stack, voice, size):
    """Lines are broken by the sizes of keys and values; every byte is spelled."""
    key, value = size
    fd = create(zoo, stack, "hash", key, value, 300)
    every = bytes(range(256)) * (value * 300 // 256 + 1)
    for number in range(256 if key == 1 else 300):
        client.map_update(fd, number.to_bytes(key, "little"), every[number * value : (number + 1) * value])

    assert same(fd, *voice).rc == 0


@VOICES
@pytest.mark.parametrize("kind", ["percpu_hash", "percpu_array", "lru_percpu_hash"])
@pytest.mark.parametrize("size", [1, 8, 13, 17, 24, 200])
def test_a_value_for_each_cpu(zoo, stack, voice, kind, size):
    """Values stand 8 bytes apart, or a multiple of that."""
    fd = create(zoo, stack, kind, 4, size, 5)
    room = (size + 7 & ~7) * client.CPUS
    for number in range(5):
        client.map_update(fd, U32(number), random.Random(number).randbytes(room))

    assert same(fd, *voice).rc == 0


@VOICES
@pytest.mark.parametrize("kind", ["array", "lru_hash", "hash", "lpm_trie"])
def test_many_entries(zoo, stack, voice, kind):
    """More than are formatted at once, or read at once key by key."""
    fd = create(zoo, stack, kind, 4 if kind == "array" else 8, 24, 6000, map_flags=kind == "lpm_trie")
    for number in range(6000):
        key = U32(number) if kind == "array" else struct.pack("=I4s", 32, number.to_bytes(4, "big"))
        client.map_update(fd, key, random.Random(number).randbytes(24))

    assert len(same(fd, *voice).stdout) > 6000 * 80


@VOICES
def test_prefixes(zoo, stack, voice):
    """Of both sorts of addresses, nested, and with bits behind the prefix that nobody looks at."""
    for size in (4, 16):
        fd = create(zoo, stack, "lpm_trie", 4 + size, 8, 100, map_flags=1)
        for number, length in enumerate((0, 1, 7, 8, 9, 8 * size - 1, 8 * size)):
            client.map_update(fd, U32(length) + b"\xaa" * size, struct.pack("=Q", number))
            client.map_update(fd, U32(length) + b"\x5f" * size, struct.pack("=Q", number))

        assert same(fd, *voice).rc == 0


@VOICES
@pytest.mark.parametrize("kind", ["array_of_maps", "hash_of_maps", "prog_array"])
def test_ids(zoo, stack, voice, kind):
    """Inner maps and programs have ids; empty slots are not told of."""
    inner = create(zoo, stack, "array", 4, 4, 1)
    more = {} if kind == "prog_array" else {"inner_map_fd": inner}
    fd = create(zoo, stack, kind, 4, 4, 9, **more)
    for key in (1, 4, 8):
        client.map_update(fd, U32(key), U32(zoo.fd("prog:socket_filter") if kind == "prog_array" else inner))

    answer = same(fd, *voice)
    assert answer.rc == 0
    assert answer.stdout.count(b"inner_map_id") == (0 if kind == "prog_array" else 3)


@VOICES
def test_devices_and_cpus(zoo, stack, voice):
    """Slots without anything in them have an error for a value."""
    lo = socket.if_nametoindex("lo")
    for kind, value, size in (("devmap", lo, 4), ("devmap", lo, 8), ("devmap_hash", lo, 4), ("cpumap", 64, 4)):
        fd = create(zoo, stack, kind, 4, size, 3 if kind != "cpumap" else client.CPUS)
        client.map_update(fd, U32(0), U32(value).ljust(size, b"\0"))

        assert same(fd, *voice).rc == 0


@VOICES
@pytest.mark.parametrize("size", [4, 8])
def test_sockets(zoo, stack, voice, size):
    """With values of 4 bytes the kernel takes sockets and tells nothing of them; with 8, their cookies."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    ends = [stack.enter_context(socket.create_connection(server.getsockname())) for _ in range(2)]
    for kind in ("sockmap", "sockhash"):
        fd = create(zoo, stack, kind, 4, size, 4)
        for key, end in enumerate(ends):
            client.map_update(fd, U32(key + 1), U32(end.fileno()).ljust(size, b"\0"))
        assert same(fd, *voice).rc == 0
    fd = create(zoo, stack, "reuseport_sockarray", 4, size, 2)
    answer = same(fd, *voice)
    assert answer.rc == 0
    assert (b"value_size != 8" in answer.stderr) == (size == 4 and not voice)


@VOICES
def test_slots_that_are_not_told_of(zoo, stack, voice):
    """Perf events and cgroups go in and never come out."""
    fd = create(zoo, stack, "cgroup_array", 4, 4, 2)
    client.map_update(fd, U32(1), U32(zoo.place.cgroup_fd))

    assert b"Unknown error 524" in same(fd, *voice).stdout


def typed(zoo, stack, kind, entries, *, key="int", **extra):
    """Create a map whose values have every type that there is; return its descriptor and the size of values.

    An older kernel, which lacks one of them, has them one by one in tests/bpftool/test_map_values.py.
    """
    if not zoo.facts.has(ENUM64):
        pytest.skip(f"the kernel lacks {ENUM64}")
    b = Builder()
    u32 = b.add_int("unsigned int", 4)
    u16, s16 = b.add_int("u16", 2), b.add_int("s16", 2, encoding=types.SIGNED)
    keys = {
        "struct": b.add_struct("key", 4, [("low", u16), ("high", s16, 16)]),
        "int": u32,
        "enum": b.add_enum("which", [("FIRST", 0), ("SECOND", 1)]),
    }
    key_type = keys[key]
    value_type, size = every_type(b)
    btf = client.btf_load(b.build())
    stack.callback(os.close, btf)
    more = {"btf_fd": btf, "btf_key_type_id": key_type, "btf_value_type_id": value_type}
    return create(zoo, stack, kind, 4, size, entries, **more, **extra), size


def harmless(value, size):
    """Make the one character in a value printable: bpftool spells no other as JSON has it."""
    b = Builder()
    value_type, _ = every_type(b)
    from btf.read import BTF

    members = BTF.from_bytes(b.build()).type(value_type).members
    at = next(member.bits_offset // 8 for member in members if member.name == "letter")
    pieces = [value[start : start + size] for start in range(0, len(value), size)]
    return b"".join(p[:at] + p[at : at + 1].translate(PRINTABLE) + p[at + 1 :] for p in pieces)


@VOICES
@pytest.mark.parametrize("key", ["struct", "int", "enum"])
def test_types(zoo, stack, voice, key):
    """Every type that values may have, with all sorts of bytes in them."""
    rng = random.Random(5)
    fd, size = typed(zoo, stack, "hash", 100, key=key)
    values = [rng.randbytes(size) for _ in range(60)]
    values += [bytes(size), b"\1" * size, b"\xff" * size, (b"Az\0" * size)[:size], (b"\x80\0" * size)[:size]]
    for number, value in enumerate(values):
        client.map_update(fd, U32(number if number < 50 else 1 << 31 | number), harmless(value, size))

    assert same(fd, *voice).rc == 0


@VOICES
def test_types_for_each_cpu(zoo, stack, voice):
    fd, size = typed(zoo, stack, "percpu_array", 3)
    room = size + 7 & ~7
    for number in range(3):
        values = [harmless(random.Random(cpu).randbytes(size), size).ljust(room, b"\0") for cpu in range(client.CPUS)]
        client.map_update(fd, U32(number), b"".join(values))

    assert same(fd, *voice).rc == 0


@VOICES
def test_long_arrays(zoo, stack, voice):
    """Arrays of numbers and of structs, longer than is laid out one by one."""
    b = Builder()
    u64, u32 = b.add_int("u64", 8), b.add_int("u32", 4)
    pair = b.add_struct("pair", 8, [("a", u32, 0), ("b", b.add_int("s32", 4, encoding=types.SIGNED), 32)])
    value = b.add_struct(
        "value",
        8 * 100 + 8 * 70 + 100,
        [
            ("numbers", b.add_array(u64, u32, 100), 0),
            ("pairs", b.add_array(pair, u32, 70), 6400),
            ("text", b.add_array(b.add_int("char", 1, encoding=types.SIGNED), u32, 100), 10880),
        ],
    )
    btf = client.btf_load(b.build())
    stack.callback(os.close, btf)
    more = {"btf_fd": btf, "btf_key_type_id": u32, "btf_value_type_id": value}
    fd = create(zoo, stack, "array", 4, 1460, 3, **more)
    client.map_update(fd, U32(0), random.Random(1).randbytes(1460))
    client.map_update(fd, U32(1), b"text".ljust(1460, b"\0"))

    assert same(fd, *voice).rc == 0


@VOICES
@pytest.mark.parametrize("with_types", [(), (1,), (0, 1)], ids=["bytes", "mixed", "types"])
def test_several_of_a_name(zoo, stack, voice, with_types):
    """Each is told by its head; text without types only if all have them."""
    fds = []
    for number in range(2):
        if number in with_types:
            fd, size = typed(zoo, stack, "array", 2, name=NAMESAKES)
        else:
            fd, size = create(zoo, stack, "array", 4, 40, 2, name=NAMESAKES), 40
        client.map_update(fd, U32(0), bytes(size))
        fds.append(fd)
    line = [*voice, "map", "dump", "name", NAMESAKES]
    mine = peer.inside(*line)

    assert mine == peer.run(NEWEST, *line)
    assert mine.rc == 0


def test_types_are_those_of_the_map(zoo, stack):
    """bpftool takes those of the map before for a map that has none, and reads beyond the end of its values."""
    fd, size = typed(zoo, stack, "array", 1, name=NAMESAKES)
    client.map_update(fd, U32(0), bytes(size))
    create(zoo, stack, "array", 4, 40, 1, name=NAMESAKES)
    line = ["-j", "map", "dump", "name", NAMESAKES]
    theirs, mine = (json.loads(ask(*line).stdout)[1]["elements"][0] for ask in (partial(peer.run, NEWEST), peer.inside))

    assert theirs.keys() - mine.keys() == {"formatted"}
    assert mine == {name: theirs[name] for name in mine}


@VOICES
def test_one_entry(zoo, stack, voice):
    """lookup, getnext and peek, found and not."""
    fd = create(zoo, stack, "hash", 4, 8, 4)
    client.map_update(fd, U32(7), bytes(range(8)))
    for command, words, code in (
        ("lookup", ["key", "7", "0", "0", "0"], 0),
        ("lookup", ["key", "hex", "07", "0", "0x0", "00"], 0),
        ("lookup", ["key", "8", "0", "0", "0"], 254),
        ("getnext", [], 0),
        ("getnext", ["key", "8", "0", "0", "0"], 0),
        ("getnext", ["key", "7", "0", "0", "0"], 254),
        ("peek", ["key", "7", "0", "0", "0"], 0),
    ):
        assert same(fd, *voice, command=command, words=words).rc == code
    for words in ("", "key", "key 0x1 2", "key 1 2 3 4 5", "value 1", "any", "key 1 2 3 zz", "key 1 2 3 4 key"):
        assert same(fd, *voice, command="lookup", words=words.split()).rc == 255
    fd, size = typed(zoo, stack, "percpu_array", 1)
    assert same(fd, *voice, command="lookup", words=["key", "0", "0", "0", "0"]).rc == 0
    for kind, size in (("queue", 4), ("stack", 40)):
        fd = create(zoo, stack, kind, 0, size, 4)
        assert same(fd, *voice, command="peek").rc == 254
        client.map_update(fd, None, bytes(range(size)))
        assert same(fd, *voice, command="peek").rc == 0
        assert same(fd, *voice, command="lookup", words=["key", "1", "2"]).rc == 255
    fd = create(zoo, stack, "lpm_trie", 20, 17, 4, map_flags=1)
    key = ["key", "hex", "80", *["00"] * 19]
    assert same(fd, *voice, command="lookup", words=key).rc == 254
    client.map_update(fd, U32(128) + bytes(16), bytes(17))
    assert same(fd, *voice, command="lookup", words=key).rc == 0
    assert same(fd, *voice, command="getnext", words=[]).rc == 0
    fd = create(zoo, stack, "perf_event_array", 4, 4, 1)
    assert same(fd, *voice, command="lookup", words=["key", "0", "0", "0", "0"]).rc == 244
    inner = create(zoo, stack, "hash_of_maps", 4, 4, 1, inner_map_fd=create(zoo, stack, "array", 4, 4, 1))
    client.map_update(inner, U32(1), U32(fd := create(zoo, stack, "array", 4, 4, 1)))
    assert same(inner, *voice, command="lookup", words=["key", "1", "0", "0", "0"]).rc == 0


@VOICES
def test_in_a_batch(zoo, stack, voice, tmp_path):
    """Inside other JSON, everything is indented as deep as it stands."""
    plain, (typed_, _) = create(zoo, stack, "array", 4, 4, 2), typed(zoo, stack, "array", 2)
    ids = [str(client.id_of("map", fd)) for fd in (plain, typed_)]
    lines = [f"map dump id {id_}\nmap lookup id {id_} key 0 0 0 0\nmap getnext id {id_}\n" for id_ in ids]
    (tmp_path / "batch").write_text("".join(lines))
    line = [*voice, "batch", "file", str(tmp_path / "batch")]
    mine, theirs = peer.inside(*line), peer.run(NEWEST, *line)

    assert mine == differences.without_stale_errno(theirs, 6)
    assert mine.rc == 0


@pytest.mark.parametrize("words", [["dump"], ["dump", "id"], ["lookup"], ["lookup", "id"], ["getnext"]], ids=" ".join)
def test_too_few_words(words):
    """bpftool tells how it is used, and null in JSON."""
    assert peer.run(NEWEST, "-j", "map", *words)[:2] == (255, b"null\n")
    assert peer.inside("-j", "map", *words)[:2] == (
        255,
        b'{"error":"\'%s\' needs at least 2 arguments, %d found"}\n' % (words[0].encode(), len(words) - 1),
    )
