"""bpfctl map update, delete, create, freeze, push and pop beside bpftool's: the same commands on twin maps."""

from __future__ import annotations

import json
import os
import struct
import sys
from contextlib import contextmanager

import pytest

from tests.bpftool import differences, peer
from tests.bpftool.changed import CHANGERS
from tests.bpftool.filled import FILLERS
from tests.bpftool.newest import CURRENT
from tests.kernel import client
from tests.kernel.inhabitants.programs import returning
from tests.kernel.place import Place
from tests.kernel.typeblob import CHAR, SIGNED, Blob

HASH, ARRAY, PROG_ARRAY, PERCPU_ARRAY, LPM_TRIE, HASH_OF_MAPS, QUEUE, STACK = 1, 2, 3, 6, 11, 13, 22, 23
SOCKET_FILTER = 1
PERCPU_HASH = 5


@contextmanager
def maps(count, *facts, **extra):
    """Some maps alike."""
    fds = [client.map_create(*facts, name="twin", **extra) for _ in range(count)]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def word(fd):
    return str(client.id_of("map", fd))


def contents(fd, keys, size):
    found = {}
    for key in keys:
        try:
            found[key] = client.map_lookup(fd, key, size)
        except OSError as error:
            found[key] = error.errno
    return found


def on_twins(facts, commands, keys=(), size=0, **extra):
    """Run commands with bpftool on a map and with ours on its twin; they must answer and leave the same."""
    with maps(2, *facts, **extra) as (theirs, mine):
        for voice in [], ["-j"], ["-p"]:
            for command in commands:
                verb, *rest = command.split()
                args = [*voice, "map", verb, "id"]
                expected = peer.run(peer.bpftools()[0], *args, word(theirs), *rest)
                answer = differences.without_hint(peer.inside(*args, word(mine), *rest))
                assert answer == expected, (voice, command)
                assert contents(mine, keys, size) == contents(theirs, keys, size), (voice, command)


@CURRENT
def test_a_hash_map():
    keys = [bytes([n, 0, 0, 0]) for n in range(5)]
    commands = [
        "update key 1 0 0 0 value 1 2 3 4 0x5 06 7 255",
        "update key hex 2 0 0 00 value hex 1 2 0xa b c d e ff",
        "update value 0 0 0 0 0 0 0 0 key 3 0 0 0",
        "u k 1 0 0 0 v h 8 7 6 5 4 3 2 1 any",
        "update noexist key 1 0 0 0 value 0 0 0 0 0 0 0 0",
        "update key 1 0 0 0 noe value 0 0 0 0 0 0 0 0",
        "update key 4 0 0 0 value 0 0 0 0 0 0 0 0 exist",
        "update key 3 0 0 0 e value 9 0 0 0 0 0 0 0",
        "update key 4 0 0 0 value 9 0 0 0 0 0 0 0",
        "delete key 4 0 0 0",
        "delete key 4 0 0 0",
        "del k hex 3 0 0 0",
    ]
    on_twins((HASH, 4, 8, 3), commands, keys, 8)


@CURRENT
def test_mistakes():
    commands = [
        "update key 1 0 0",
        "update key",
        "update key 1 0 0 0",
        "update value 1 0 0 0 0 0 0 0",
        "update",
        "update key 1 0 0 zz value 1 0 0 0 0 0 0 0",
        "update key 1 0 0 0 9 value 1 0 0 0 0 0 0 0",
        "update key 1 0 0 0 key 1 0 0 0 value 1 0 0 0 0 0 0 0",
        "update key 1 0 0 0 value 1 0 0 0 0 0 0 0 value 1 0 0 0 0 0 0 0",
        "update key 1 0 0 0 value 1 0 0 0 0 0 0 0 any exist",
        "update key 1 0 0 0 value hex 1 0 0 0 0 0 0 0x",
        "update foo",
        "delete",
        "delete key 1 0",
        "delete value 1 2 3",
        "delete key 1 0 0 0 any",
        "delete key 1 0 0 0 key 1 0 0 0",
        "freeze 5",
    ]
    on_twins((HASH, 4, 8, 3), commands)


@CURRENT
def test_freeze():
    key = bytes(4)
    commands = ["update key 0 0 0 0 value 1 0 0 0", "freeze", "update key 0 0 0 0 value 2 0 0 0", "delete key 0 0 0 0"]
    on_twins((ARRAY, 4, 4, 1), commands, [key], 4)


@CURRENT
@pytest.mark.parametrize("kind", [QUEUE, STACK])
@pytest.mark.parametrize("size", [4, 16, 40])
def test_queues_and_stacks(kind, size):
    value = " ".join(str(n) for n in range(1, size + 1))
    commands = [f"push value {value}", f"enqueue value hex {'f ' * size}", f"update value {value}", "pop", "dequeue"]
    commands += ["pop", "pop", "dequeue", "push key value 1", "push key 1 value 1", "delete key", f"push value {value}"]
    on_twins((kind, 0, size, 8), commands)


@CURRENT
@pytest.mark.parametrize("kind", [PERCPU_HASH, PERCPU_ARRAY])
def test_values_of_cpus(kind):
    keys = [bytes(4), b"\1\0\0\0"]
    on_twins((kind, 4, 12, 2), ["update key 1 0 0 0 value 1 2 3 4 5 6 7 8 9 10 11 12"], keys, 16 * client.CPUS)


@CURRENT
@pytest.mark.parametrize("voice", [[], ["-j"]], ids=["plain", "json"])
def test_maps_in_maps_and_programs(voice):
    with maps(1, ARRAY, 4, 4, 1) as (inner,), maps(2, HASH_OF_MAPS, 4, 4, 2, inner_map_fd=inner) as outers:
        asked = []
        for run, outer in zip((peer.run, peer.inside), outers, strict=True):
            tool = [peer.bpftools()[0]] if run is peer.run else []
            begin = [*tool, *voice, "map", "update", "id", word(outer), "key", "1", "0", "0", "0", "value"]
            words = [
                ["id", word(inner)],
                ["id", word(inner), "exist"],
                ["id"],
                ["id", "4000000000"],
                ["5", "0", "0", "0"],
            ]
            asked.append([run(*begin, *rest) for rest in words])
            assert client.map_lookup(outer, b"\1\0\0\0", 4) == struct.pack("=I", client.id_of("map", inner))
        assert asked[0] == asked[1]
    program = client.prog_load(SOCKET_FILTER, returning(0), name="tail")
    try:
        with maps(2, PROG_ARRAY, 4, 4, 2) as arrays:
            id_ = str(client.id_of("prog", program))
            for run, array in zip((peer.run, peer.inside), arrays, strict=True):
                tool = [peer.bpftools()[0]] if run is peer.run else []
                words = ["map", "update", "id", word(array), "key", "1", "0", "0", "0", "value", "id", id_]
                told = run(*tool, *voice, *words)
                assert told[:2] == (0, b"null\n" if voice else b"")
                assert bool(voice) != told.stderr.startswith(b"Warning: ")
                assert client.map_lookup(array, b"\1\0\0\0", 4) == struct.pack("=I", int(id_))
    finally:
        os.close(program)


CREATED = [
    "type hash key 4 value 8 entries 16 name made flags 1",
    "name made entries 0x10 value 010 key 4 type hash",
    "name made entries 16 value 8 key 4 type lpm_trie",
    "type lpm_trie key 8 value 8 entries 4 name made f 1",
    "type has key 4 value 8 entries 16 name made",
    "type hash type hash key 4 value 8 entries 16 name made",
    "type hash key 4 key 8 value 8 entries 16 name made",
    "type hash key 4 value 8x entries 16 name made",
    "type hash key 4 value 8 entries 16",
    "type hash key 4 value 8 entries 16 foo 3",
    "type hash key 4 value 8 entries 16 name",
    "type hash key 4 value 8",
    "type ringbuf entries 4096 name made flags 0",
    "type array key 4 value 4 entries 1 name a_name_of_more_than_15",
    "type array key 4 value 4 entries 1 name made offload_dev no_such_dev",
    "type array key 4 value 4 entries 1 name made inner_map id 4000000000",
    "type array key 4 value 4 entries 1 name made inner_map",
]


@CURRENT
def test_create():
    with Place() as place:
        for number, line in enumerate(CREATED):
            for voice in [], ["-j"]:
                paths = [str(place.bpffs / f"{who}{number}{len(voice)}") for who in ("a", "b")]
                args = [*voice, "map", "create"]
                theirs = peer.run(peer.bpftools()[0], *args, paths[0], *line.split())
                mine = peer.inside(*args, paths[1], *line.split())
                assert differences.without_hint(mine) == theirs, (voice, line)
                assert os.path.exists(paths[0]) == os.path.exists(paths[1]), line
                if os.path.exists(paths[0]):
                    facts = []
                    for path in paths:
                        fd = client.obj_get(path)
                        facts.append(client.info(fd)[:4] + client.info(fd)[8:40])
                        os.close(fd)
                        os.unlink(path)
                    assert facts[0] == facts[1], line


def ours(fd, verb, *words, options=()):
    return peer.inside(*options, "map", verb, "id", word(fd), *words)


def test_bytes_over_255_are_refused():
    """bpftool takes what is left of them."""
    with maps(1, ARRAY, 4, 2, 1) as (fd,):
        assert ours(fd, "update", "key", "0", "0", "0", "0", "value", "0x100", "0") == (
            255, b"", b"Error: error parsing byte: 0x100 is more than 255\n",
        )  # fmt: skip


def test_pop_on_other_maps():
    with maps(1, ARRAY, 4, 2, 1) as (fd,), maps(1, QUEUE, 0, 4, 1) as (queue,):
        assert ours(fd, "pop") == (
            255, b"", b"Error: values are popped out of queues and stacks, not out of maps with keys\n",
        )  # fmt: skip
        assert ours(queue, "pop", "x") == (255, b"", b"Error: what is 'x'?\n")


def test_too_few_words():
    """bpftool shows its usage."""
    for verb in "update", "delete", "pop":
        sentence = f"'{verb}' needs at least 2 arguments, 1 found"
        answer = differences.without_hint(peer.inside("map", verb, "id"))
        assert answer == (255, b"", f"Error: {sentence}\n".encode())
        assert json.loads(peer.inside("-j", "map", verb, "id").stdout) == {"error": sentence}


def test_integers_and_addresses():
    with maps(1, HASH, 4, 8, 3) as (fd,):
        assert ours(fd, "update", "key", "-5", "value", "0x100") == (0, b"", b"")
        assert ours(fd, "update", "key", "10.0.0.1", "value", "str", "text") == (0, b"", b"")
        minus = (-5).to_bytes(4, sys.byteorder, signed=True)
        assert client.map_lookup(fd, minus, 8) == (256).to_bytes(8, sys.byteorder)
        assert client.map_lookup(fd, b"\x0a\0\0\1", 8) == b"text\0\0\0\0"
        assert ours(fd, "delete", "key", "-5", options=["-j"]) == (0, b"null\n", b"")
        assert ours(fd, "update", "key", "-5", "value", "1", "--dry-run") == (
            0, b"key hex fb ff ff ff\nvalue hex 01 00 00 00 00 00 00 00\n", b"",
        )  # fmt: skip
        assert contents(fd, [minus], 8) == {minus: 2}


def test_networks():
    with maps(1, LPM_TRIE, 8, 4, 3, map_flags=1) as (fd,):
        assert ours(fd, "update", "key", "10.1.0.0/16", "value", "7") == (0, b"", b"")
        assert client.map_lookup(fd, struct.pack("=I4B", 32, 10, 1, 2, 3), 4) == struct.pack("=I", 7)


def test_one_cpu():
    with maps(1, PERCPU_HASH, 4, 4, 2) as (fd,):
        assert ours(fd, "update", "key", "1", "value", "5").rc == 0
        assert ours(fd, "update", "key", "1", "value", "cpu", "0", "9").rc == 0
        slots = struct.unpack(f"={client.CPUS * 2}I", client.map_lookup(fd, struct.pack("=I", 1), 8 * client.CPUS))[::2]
        assert slots == (9, *[5] * (client.CPUS - 1))
        assert ours(fd, "update", "key", "2", "value", json.dumps([3] * client.CPUS)).rc == 0
        assert contents(fd, [struct.pack("=I", 2)], 8 * client.CPUS) == {
            struct.pack("=I", 2): struct.pack("=II", 3, 0) * client.CPUS
        }
        assert ours(fd, "update", "key", "2", "value", "cpu", str(client.CPUS), "1").rc == 255


def test_types():
    """By the names of BTF; a part keeps the rest."""
    blob = Blob()
    u32, s32 = blob.int_("unsigned int", 4), blob.int_("int", 4, SIGNED)
    text = blob.array(blob.int_("char", 1, CHAR), u32, 8)
    value = blob.struct_("value", 16, [("pid", u32, 0), ("nice", s32, 4), ("comm", text, 8)])
    btf = client.btf_load(blob.raw())
    extra = {"btf_fd": btf, "btf_key_type_id": u32, "btf_value_type_id": value}
    key = struct.pack("=I", 1)
    try:
        with maps(1, HASH, 4, 16, 2, **extra) as (fd,):
            part = ours(fd, "update", "key", "1", "value", ".pid=8")
            assert (part.rc, part.stderr[:22]) == (255, b"Error: there is no val")
            assert ours(fd, "update", "key", "1", "value", '{"pid": 7, "comm": "sh"}') == (0, b"", b"")
            assert client.map_lookup(fd, key, 16) == struct.pack("=Ii8s", 7, 0, b"sh")
            assert ours(fd, "update", "key", "1", "value", ".nice=-3", ".comm=42") == (0, b"", b"")
            assert client.map_lookup(fd, key, 16) == struct.pack("=Ii8s", 7, -3, b"42")
            assert ours(fd, "update", "key", "1", "value", '{"pdi": 7}', options=["-j"]) == (
                255, b'{"error":"value: struct value has no member \'pdi\', did you mean \'pid\'?"}\n', b"",
            )  # fmt: skip
            assert ours(fd, "update", "key", "-1", "value", "{}").stderr.startswith(
                b"Error: key: -1 is out of the range"
            )
    finally:
        os.close(btf)


def test_no_type_is_left_out():
    assert CHANGERS.keys() == FILLERS.keys()


@CURRENT
@pytest.mark.parametrize("kind", CHANGERS)
def test_every_type(nest, alike, kind):
    """update, delete, push, pop and freeze, on one map by bpftool and on its twin by ours."""
    for changes in nest.made(kind, CHANGERS):
        refused = alike.writing(changes.make, changes.lines, stdin=changes.stdin)

        assert refused
