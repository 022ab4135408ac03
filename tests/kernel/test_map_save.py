"""Maps that are saved and brought back, on the real kernel: what comes back is what was there, or it is said."""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

import bpfctl
from tests.bpftool import peer
from tests.kernel import client
from tests.kernel.inhabitants.programs import returning
from tests.kernel.place import Place
from tests.kernel.typeblob import SIGNED, Blob

HASH, ARRAY, PROG_ARRAY, PERCPU_HASH, PERCPU_ARRAY, LRU_HASH, LRU_PERCPU_HASH, LPM_TRIE = 1, 2, 3, 5, 6, 9, 10, 11
ARRAY_OF_MAPS, HASH_OF_MAPS, DEVMAP, SOCKMAP, CPUMAP, QUEUE, STACK, DEVMAP_HASH = 12, 13, 14, 15, 16, 22, 23, 25
CGROUP_ARRAY, STACK_TRACE, RINGBUF = 8, 7, 27
NO_PREALLOC = 1
SOCKET_FILTER = 1
BATCH = client.Layout("p in_batch, p out_batch, p keys, p values, I count, I map_fd, Q elem_flags, Q flags")
U32 = struct.Struct("=I").pack


@pytest.fixture(scope="module")
def place():
    with Place() as there:
        yield there


def create(stack, kind, key, value, entries, **extra):
    fd = client.map_create(kind, key, value, entries, **{"name": "saved", **extra})
    stack.callback(os.close, fd)
    return fd


def word(fd):
    return str(client.id_of("map", fd))


def dump(fd, *options):
    answer = peer.inside(*(options or ("-j",)), "map", "dump", "id", word(fd))
    assert answer.rc == 0, answer
    return answer.stdout


def ours(*words):
    return peer.inside(*words)


def saved(tmp_path, text):
    path = tmp_path / "saved.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def restore(fd, path, *words):
    return ours("map", "restore", "id", word(fd), path, *words)


def ordered(text):
    return sorted(json.loads(text), key=lambda entry: entry["key"])


def batch(fd, keys, values, count):
    client.bpf("map_update_batch", BATCH, keys=keys, values=values, count=count, map_fd=fd)


def possible():
    return int(Path("/sys/devices/system/cpu/possible").read_text().strip().split("-")[-1]) + 1


def edges(size):
    """Bytes that a reader might mistake for something: none set, all set, blanks, quotes, digits."""
    rng = random.Random(size)
    return [
        bytes(size), b"\xff" * size, b"\x20" * size, b'"' * size, b"0" * size, bytes(n & 0xFF for n in range(size)),
        *(rng.randbytes(size) for _ in range(40)),
    ]  # fmt: skip


def prefixes():
    return [U32(length) + bytes([10, length, 255, 0]) for length in (0, 1, 8, 17, 24, 31, 32)]


SHAPES = {
    "hash": ((HASH, 8, 16, 100), edges(8)),
    "hash of bytes": ((HASH, 1, 1, 100), edges(1)),
    "hash of long values": ((HASH, 4, 5000, 60), edges(4)),
    "hash of long keys": ((HASH, 300, 3, 60), edges(300)),
    "lru": ((LRU_HASH, 8, 16, 4096), edges(8)),
    "percpu hash": ((PERCPU_HASH, 8, 12, 100), edges(8)),
    "lru percpu hash": ((LRU_PERCPU_HASH, 8, 8, 4096), edges(8)),
    "array": ((ARRAY, 4, 24, 46), [U32(n) for n in range(46)]),
    "array of one": ((ARRAY, 4, 100, 1), [U32(0)]),
    "percpu array": ((PERCPU_ARRAY, 4, 20, 46), [U32(n) for n in range(46)]),
    "trie": ((LPM_TRIE, 8, 8, 100), prefixes()),
}


@pytest.mark.parametrize("voice", ["-j", "-p"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_dumped_comes_back(stack, tmp_path, shape, voice):
    """Every kind of map with bytes of its own, with edge values, by our dump in both forms of JSON."""
    facts, keys = SHAPES[shape]
    extra = {"map_flags": NO_PREALLOC} if facts[0] == LPM_TRIE else {}
    source, target = create(stack, *facts, **extra), create(stack, *facts, **extra)
    per_cpu = facts[0] in (PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH)
    room = (facts[2] + 7 & ~7) * possible() if per_cpu else facts[2]
    for number, key in enumerate(dict.fromkeys(keys)):
        value = edges(facts[2])[number % 46]
        if per_cpu:
            value = b"".join(
                edges(facts[2])[(number + cpu) % 46].ljust(facts[2] + 7 & ~7, b"\0") for cpu in range(possible())
            )
        assert len(value) == room
        client.map_update(source, key, value)
    before = dump(source, voice)

    answer = restore(target, saved(tmp_path, before))

    assert (answer.rc, answer.stderr) == (0, b"")
    assert ordered(dump(target)) == ordered(before)
    assert len(ordered(before)) == len(set(keys))
    assert dump(source, voice) == before


def typed(stack, kind=HASH, count=1):
    """Maps whose values are two int and a long."""
    blob = Blob()
    integer = blob.int_("int", 4, SIGNED)
    index = blob.int_("long", 8, SIGNED)
    pair = blob.struct_("pair", 16, [("a", integer, 0), ("b", integer, 4), ("c", index, 8)])
    types = client.btf_load(blob.raw())
    stack.callback(os.close, types)
    return [
        create(stack, kind, 4, 16, 100, btf_fd=types, btf_key_type_id=integer, btf_value_type_id=pair)
        for _ in range(count)
    ]


@pytest.mark.parametrize("kind", [HASH, PERCPU_HASH])
@pytest.mark.parametrize("voice", [("-j",), ("-p",), ("--plain",), ("-j", "--extra")])
def test_values_with_types_come_back(stack, tmp_path, kind, voice):
    """Also from plain text, which has no bytes, but values alone."""
    source, target = typed(stack, kind, 2)
    for number in range(50):
        one = struct.pack("=iiq", -number, number << 20, -(1 << 62) + number)
        client.map_update(source, U32(number), one * (possible() if kind == PERCPU_HASH else 1))
    before = dump(source)

    answer = restore(target, saved(tmp_path, dump(source, *voice)))

    assert (answer.rc, answer.stderr) == (0, b"")
    assert ordered(dump(target)) == ordered(before)


@pytest.mark.parametrize("voice", ["-j", "--plain"])
def test_pointers_come_back(stack, tmp_path, voice):
    blob = Blob()
    pointer = blob.ptr(blob.int_("int", 4, SIGNED))
    types = client.btf_load(blob.raw())
    stack.callback(os.close, types)
    source, target = (
        create(stack, HASH, 8, 8, 4, btf_fd=types, btf_key_type_id=pointer, btf_value_type_id=pointer) for _ in range(2)
    )
    client.map_update(source, bytes(8), b"\xff" * 8)
    client.map_update(source, b"\x80" * 8, bytes(8))

    assert restore(target, saved(tmp_path, dump(source, voice))) == (0, b"2 entries were written\n", b"")
    assert ordered(dump(target)) == ordered(dump(source))


@pytest.mark.parametrize("kind", [ARRAY_OF_MAPS, HASH_OF_MAPS])
def test_maps_of_maps_come_back(stack, tmp_path, kind):
    inner = [create(stack, ARRAY, 4, 4, 2) for _ in range(90)]
    source, target = (create(stack, kind, 4, 4, 100, inner_map_fd=inner[0]) for _ in range(2))
    for number, fd in enumerate(inner):
        client.map_update(source, U32(number), U32(fd))
    before = dump(source)

    assert restore(target, saved(tmp_path, before)).rc == 0
    assert ordered(dump(target)) == ordered(before)


def test_program_arrays_come_back(stack, tmp_path):
    program = client.prog_load(SOCKET_FILTER, returning(0))
    stack.callback(os.close, program)
    source, target = (create(stack, PROG_ARRAY, 4, 4, 10) for _ in range(2))
    client.map_update(source, U32(3), U32(program))
    before = dump(source)

    assert restore(target, saved(tmp_path, before)).rc == 0
    assert dump(target) == before != b"[]\n"


@pytest.mark.parametrize("kind", [DEVMAP, DEVMAP_HASH])
@pytest.mark.parametrize("size", [4, 8])
def test_device_maps_come_back(stack, place, tmp_path, kind, size):  # noqa: ARG001 - it has a device of its own
    source, target = (create(stack, kind, 4, size, 4) for _ in range(2))
    client.map_update(source, U32(2), U32(1).ljust(size, b"\0"))
    before = dump(source)

    answer = restore(target, saved(tmp_path, before))

    assert answer.rc == 0, answer
    assert dump(target) == before
    assert client.map_lookup(target, U32(2), size) == U32(1).ljust(size, b"\0")


def test_cpu_maps_come_back(stack, tmp_path):
    source, target = (create(stack, CPUMAP, 4, 4, possible()) for _ in range(2))
    client.map_update(source, U32(0), U32(64))
    before = dump(source)

    assert restore(target, saved(tmp_path, before)).rc == 0
    assert dump(target) == before


def test_queues_take_values_without_keys(stack, tmp_path):
    for kind, order in ((QUEUE, 1), (STACK, -1)):
        fd = create(stack, kind, 0, 4, 8)
        entries = [{"key": [], "value": [f"{byte:#04x}"] * 4} for byte in (1, 2, 3)]

        assert restore(fd, saved(tmp_path, json.dumps(entries))).rc == 0
        taken = [json.loads(ours("-j", "map", "pop", "id", word(fd)).stdout)["value"][0] for _ in entries]
        assert taken == [entry["value"][0] for entry in entries[::order]]


@pytest.mark.parametrize(
    ("kind", "facts", "says"),
    [
        (SOCKMAP, (4, 8, 4), "sockets"),
        (CGROUP_ARRAY, (4, 4, 4), "cgroups"),
        (STACK_TRACE, (4, 80, 4), "only programs"),
        (RINGBUF, (0, 0, 4096), "ring buffer"),
    ],
)
def test_maps_that_take_no_entries_say_so(stack, tmp_path, kind, facts, says):
    answer = restore(create(stack, kind, *facts), saved(tmp_path, '[{"key":["0x00"],"value":["0x00"]}]'))

    assert answer.rc == 255
    assert says in answer.stderr.decode()


def test_slots_that_could_not_be_read_are_counted(stack, tmp_path):
    fd = create(stack, HASH, 1, 1, 4)
    text = '[{"key":["0x01"],"value":{"error":"Operation not supported"}},{"key":["0x02"],"value":["0x03"]}]'

    answer = restore(fd, saved(tmp_path, text))

    assert answer.stdout.decode().splitlines() == [
        "1 entry was written",
        "1 entry was left out, since the kernel did not tell their value",
    ]
    assert dump(fd) == b'[{"key":["0x02"],"value":["0x03"]}]\n'


def test_a_million_entries_come_back(stack, tmp_path):
    """Identity, the bar of memory, and that it is many times as fast as entries one by one (see benchmarks/)."""
    count = 1_000_000
    source, target = (create(stack, HASH, 8, 16, count) for _ in range(2))
    keys = struct.pack(f"={count}Q", *range(count))
    values = random.Random(7).randbytes(16 * count)
    batch(source, keys, values, count)
    path = tmp_path / "saved.json"
    environment = {**peer.ENVIRONMENT}
    with path.open("wb") as file:
        command = [sys.executable, "-m", "bpfctl", "-j", "map", "dump", "id", word(source)]
        subprocess.run(command, stdout=file, env=environment, check=True)
    program = (
        "import sys; from bpfctl.__main__ import main; code = main()\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]); sys.exit(code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, "map", "restore", "id", word(target), path],
        capture_output=True, env=environment, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[0] == b"1000000 entries were written"
    assert int(done.stdout.splitlines()[1]) < 64 << 10, "KiB"
    for number in range(0, count, 997):
        assert client.map_lookup(target, U32(number) + bytes(4), 16) == values[16 * number : 16 * number + 16]


def test_python_brings_a_map_back(stack, tmp_path):
    fd = create(stack, HASH, 2, 1, 2)
    path = tmp_path / "saved"
    with bpfctl.Map.by_id(client.id_of("map", fd), write=True) as target:
        path.write_text('[{"key":["0x01","0x02"],"value":["0x03"]}]')
        assert bpfctl.restore(target, str(path)) == (1, 0)
        path.write_text('[{"key":["0x02","0x02"],"value":["0x03"]}]')
        assert bpfctl.restore(target, str(path), replace=True) == (1, 1)
        path.write_text('[{"key":["0x03","0x02"],"value":["0x03"]},{"key":["0x04","0x02"],"value":["0x03"]}]')
        with pytest.raises(bpfctl.Partial, match="the map is partial") as caught:
            bpfctl.restore(target, str(path))
        assert caught.value.done == 1
        for text in ("[", '[{"key":["0x01"],"value":["0x03"]}]'):
            path.write_text(text)
            with pytest.raises(bpfctl.SavedError, match="entry 1 of "):
                bpfctl.restore(target, str(path))
        with pytest.raises(bpfctl.SavedError, match="can't open file"):
            bpfctl.restore(target, str(tmp_path / "none"))


# a new map


def test_a_map_is_made_anew(stack, place, tmp_path):
    """With --extra, a dump tells all that a new map needs: sizes, flags, name and types."""
    (source,) = typed(stack)
    client.map_update(source, U32(5), struct.pack("=iiq", 1, 2, 3))
    path = saved(tmp_path, dump(source, "-j", "--extra"))

    answer = ours("map", "restore", "pinned", str(place.bpffs / "anew"), path, "--create")

    assert (answer.rc, answer.stderr) == (0, b"")
    fd = client.obj_get(place.bpffs / "anew")
    stack.callback(os.close, fd)
    assert dump(fd) == dump(source)
    assert json.loads(dump(source))[0]["formatted"] == {"key": 5, "value": {"a": 1, "b": 2, "c": 3}}
    assert facts(fd) == facts(source)


def facts(fd):
    return struct.unpack_from("=I4x4I16s", client.info(fd))


def test_without_extra_a_dump_has_bpftools_bytes(stack):
    (fd,) = typed(stack)
    client.map_update(fd, U32(5), bytes(16))

    plain = json.loads(dump(fd, "-j"))
    assert json.loads(dump(fd, "-j", "--extra"))[0]["elements"] == plain


def test_a_damaged_file_makes_no_map(stack, place, tmp_path):
    source = create(stack, HASH, 4, 4, 10)
    client.map_update(source, U32(5), U32(5))
    text = dump(source, "-j", "--extra")

    for path, words in (("a", text[:-8]), ("a.b", text), ("a", dump(source))):
        answer = ours("map", "restore", "pinned", str(place.bpffs / path), saved(tmp_path, words), "--create")
        assert answer.rc == 255
        assert not (place.bpffs / "a").exists()
        assert len(answer.stderr.splitlines()) == 1


def test_copies(stack, place):
    source = create(stack, LRU_HASH, 4, 12, 64)
    for number in range(20):
        client.map_update(source, U32(number), bytes([number]) * 12)
    target = create(stack, HASH, 4, 12, 64)
    client.map_update(target, U32(99), bytes(12))

    assert ours("map", "copy", "id", word(source), "id", word(target)).stdout == b"20 entries were written\n"
    assert len(ordered(dump(target))) == 21
    answer = ours("-j", "map", "copy", "id", word(source), "id", word(target), "--replace")
    assert json.loads(answer.stdout) == {"entries": 20, "deleted": 1, "skipped": 0}
    assert ordered(dump(target)) == ordered(dump(source))
    words = ["create", str(place.bpffs / "larger"), "entries", "5000", "name", "larger"]
    assert ours("map", "copy", "id", word(source), *words).rc == 0
    fd = client.obj_get(place.bpffs / "larger")
    stack.callback(os.close, fd)
    assert ordered(dump(fd)) == ordered(dump(source))
    assert facts(fd) == (LRU_HASH, 4, 12, 5000, 0, b"larger".ljust(16, b"\0"))


def test_copies_of_maps_of_maps(stack, place):
    inner = create(stack, ARRAY, 4, 4, 2)
    source = create(stack, HASH_OF_MAPS, 4, 4, 10, inner_map_fd=inner)
    client.map_update(source, U32(7), U32(inner))

    assert ours("map", "copy", "id", word(source), "create", str(place.bpffs / "outer")).rc == 0
    fd = client.obj_get(place.bpffs / "outer")
    stack.callback(os.close, fd)
    assert dump(fd) == dump(source)


def test_copies_into_what_does_not_fit(stack, place):
    source = create(stack, HASH, 4, 8, 8)
    for facts_, says in (
        ((HASH, 8, 8, 8), "keys of 4 bytes"),
        ((HASH, 4, 4, 8), "values of 8 bytes"),
        ((PERCPU_HASH, 4, 8, 8), "for each CPU"),
    ):
        answer = ours("map", "copy", "id", word(source), "id", word(create(stack, *facts_)))
        assert answer.rc == 255
        assert says in answer.stderr.decode()
    client.map_update(source, U32(1), bytes(8))
    client.map_update(source, U32(2), bytes(8))
    answer = ours("map", "copy", "id", word(source), "create", str(place.bpffs / "small"), "entries", "1")
    assert answer.rc == 249
    assert answer.stderr.decode().endswith(
        "Argument list too long (the map has room for 1 entries); 1 entry was written before, "
        "so the new map was not pinned and is gone\n"
    )
    assert not (place.bpffs / "small").exists()


# flags and --replace


def test_flags(stack, tmp_path):
    fd = create(stack, HASH, 1, 1, 8)
    client.map_update(fd, b"\2", b"\2")
    path = saved(tmp_path, json.dumps([{"key": [f"0x0{n}"], "value": ["0x09"]} for n in (1, 2, 3)]))

    answer = restore(fd, path, "noexist")
    assert answer.rc == 239
    assert answer.stderr == (
        b"Error: can't update key 02: File exists; 1 entry was written before, so the map is partial\n"
    )
    assert restore(fd, path, "exist").rc == 254
    assert restore(fd, path, "any").rc == 0
    assert [entry["value"] for entry in ordered(dump(fd))] == [["0x09"]] * 3


def test_replace(stack, tmp_path):
    fd = create(stack, HASH, 4, 1, 100)
    for number in range(100):
        client.map_update(fd, U32(number), b"\1")
    path = saved(
        tmp_path, json.dumps([{"key": [f"{n:#04x}", "0x00", "0x00", "0x00"], "value": ["0x02"]} for n in (7, 8)])
    )

    assert restore(fd, path, "--dry-run", "--replace").stdout.startswith(b"2 entries were found to be right")
    assert len(ordered(dump(fd))) == 100
    assert restore(fd, path, "--replace").stdout == b"2 entries were written\n98 entries were deleted\n"
    assert ordered(dump(fd)) == json.loads(Path(path).read_text())
    array = create(stack, ARRAY, 4, 1, 3)
    answer = restore(array, saved(tmp_path, '[{"key":["0x01","0x00","0x00","0x00"],"value":["0x02"]}]'), "--replace")
    assert (answer.rc, b"2 keys of the map stayed" in answer.stderr) == (255, True)


# what is wrong with files

ENTRY = '{"key":["0x01","0x02"],"value":["0x03"]}'
HOSTILE = {
    "": "is empty",
    " \n": "is empty",
    "7": "is no dump",
    "null": "is no dump",
    "\x00\xff": "is no dump",
    "[7]": "entry 1 of FILE: it is no object",
    "[null]": "entry 1 of FILE: it is no object",
    "[{}]": "it has neither a key nor a value",
    '[{"key":["0x01","0x02"]}]': "it has no value",
    '[{"value":["0x01"]}]': "it has no key",
    '{"error":"no such map"}': "the dump was not finished: no such map",
    f'[{ENTRY},{{"error":"interrupted"}}]': "entry 2 of FILE: the dump was not finished: interrupted",
    '[{"key":["0x01"],"value":["0x03"]}]': "entry 1 of FILE: key: 1 bytes, where the map has 2",
    '[{"key":["0x01","0x02","0x03"],"value":["0x03"]}]': "key: 3 bytes, where the map has 2",
    '[{"key":["0x01","0x1g"],"value":["0x03"]}]': "key: '0x1g' is no byte such as '0x1f'",
    '[{"key":["0x01","0x100"],"value":["0x03"]}]': "key: '0x100' is no byte",
    '[{"key":["0x01"," 0x1"],"value":["0x03"]}]': "key: ' 0x1' is no byte",
    '[{"key":["0x01",1],"value":["0x03"]}]': "key: a int is no byte",
    '[{"key":["0x01",["0x01"]],"value":["0x03"]}]': "key: a list is no byte",
    '[{"key":{"0x01":1},"value":["0x03"]}]': "key: the map has no types",
    '[{"key":"0x0102","value":["0x03"]}]': "key: the map has no types",
    '[{"key":["0x01","0x02"],"value":["0x03"],"value":["0x04"]}]': "a member is given twice",
    '[{"key":["0x01","0x02"],"values":[{"cpu":0,"value":["0x04"]}]}]': "it has a value for each CPU",
    '[{"key":["0x01","0x02"],"value":["0x03"],"extra":1}]': "no entry of a map has a member 'extra'",
    f"[{ENTRY}": "the file ends in the midst of it",
    f"[{ENTRY},": "the file ends in the midst of it",
    f"[{ENTRY},{ENTRY[:-5]}": "entry 2 of FILE: the file ends in the midst of it",
    f"[{ENTRY},]": "entry 2 of FILE: it is no JSON",
    f"[{ENTRY} {ENTRY}]": "entry 1 of FILE: it is no JSON: '{' follows it",
    f"[{ENTRY}]]": "goes on after its end",
    f"[{ENTRY}] [{ENTRY}]": "goes on after its end",
    "[" * 100_000: "is no JSON",
    '[{"key":' + "[" * 100_000: "is no JSON",
    "[" + "9" * 10_000 + "]": "is no JSON",
    '[{"id":7,"type":"hash"}]': "has no entries of it",
    '[{"id":7,"elements":[]},{"id":8,"elements":[]}]': "several maps",
    '[{"id":7,"elements":{}}]': "is damaged",
    '[{"id":7,"elements":[]': "is damaged: it ends",
}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_files_change_nothing(stack, tmp_path, text):
    fd = create(stack, HASH, 2, 1, 8)
    path = saved(tmp_path, text.encode("latin-1"))

    answer = restore(fd, path)

    assert (answer.rc, answer.stdout) == (255, b"")
    assert HOSTILE[text].replace("FILE", path) in answer.stderr.decode()
    assert answer.stderr.count(b"\n") == 1
    assert dump(fd) == b"[]\n"


@pytest.mark.parametrize("at", [0, 40_000, 99_999])
@pytest.mark.parametrize("damage", ["value", "name", "blank", "gone"])
def test_damage_far_inside_is_found(stack, tmp_path, at, damage):
    """Entries that are read many at once are checked as those that are read one by one."""
    fd = create(stack, HASH, 4, 4, 100_000)
    entries = [f'{{"key":{spelled(U32(n))},"value":{spelled(U32(~n & 0xFFFFFFFF))}}}' for n in range(100_000)]
    whole = entries[at]
    entries[at] = {
        "value": whole[:-5] + 'g"]}',
        "name": whole.replace("key", "kay"),
        "blank": whole.replace('"value":["0x', '"value":["  0x', 1),
        "gone": whole[:-8] + "]}",
    }[damage]

    answer = restore(fd, saved(tmp_path, f"[{','.join(entries)}]"))

    assert answer.rc == 255
    assert f"entry {at + 1} of " in answer.stderr.decode()
    there = len(json.loads(dump(fd)))
    assert there <= at
    if there:
        assert f"{there} entries were written before, so the map is partial" in answer.stderr.decode()


def spelled(data):
    return "[" + ",".join(f'"{byte:#04x}"' for byte in data) + "]"


@pytest.mark.parametrize("between", ["", " ", "\n    "])
def test_files_of_any_spelling(stack, tmp_path, between):
    """Entries alike and entries that are not, in any mixture: bytes in capitals, members the other way round."""
    fd = create(stack, HASH, 4, 4, 3000)
    rng = random.Random(between)
    texts, expected = [], {}
    for number in range(3000):
        key, value = U32(number), rng.randbytes(4)
        members = [f'"key":{between}{spelled(key)}', f'"value":{between}{spelled(value)}']
        if rng.random() < 0.01:
            members.reverse()
        text = "{" + f"{between},{between}".join(members) + "}"
        texts.append(
            text.upper().replace("KEY", "key").replace("VALUE", "value").replace("0X", "0x")
            if rng.random() < 0.01
            else text
        )
        expected[key] = value

    assert restore(fd, saved(tmp_path, f"{between}[{between}{f',{between}'.join(texts)}{between}]{between}")).rc == 0
    assert {
        bytes(int(b, 16) for b in e["key"]): bytes(int(b, 16) for b in e["value"]) for e in json.loads(dump(fd))
    } == expected


def test_one_of_several_maps(stack, tmp_path):
    maps = [create(stack, HASH, 4, 4, 4) for _ in range(3)]
    for number, fd in enumerate(maps):
        client.map_update(fd, U32(number), U32(number))
    elements = ",".join(
        f'{{"id":{word(fd)},"name":"m{n}","elements":{dump(fd).decode()}}}' for n, fd in enumerate(maps)
    )
    path = saved(tmp_path, f"[{elements}]")
    for choice, source in (("m1", maps[1]), (word(maps[2]), maps[2])):
        target = create(stack, HASH, 4, 4, 4)
        assert restore(target, path, "--from", choice).rc == 0
        assert dump(target) == dump(source)
    assert b"no entries of a map 'other'" in restore(maps[0], path, "--from", "other").stderr


def test_another_number_of_cpus(stack, tmp_path):
    fd = create(stack, PERCPU_HASH, 1, 1, 4)
    here = possible()
    values = [{"cpu": cpu, "value": [f"{cpu & 0xFF:#04x}"]} for cpu in range(here + 2)]
    path = saved(tmp_path, json.dumps([{"key": ["0x01"], "values": values}]))

    answer = restore(fd, path)
    assert (answer.rc, f"values of {here + 2} CPUs, and this machine has {here}" in answer.stderr.decode()) == (
        255,
        True,
    )
    answer = restore(fd, path, "--cpus", "fit")
    assert (answer.rc, b"2 values of CPUs that this machine does not have were left out" in answer.stderr) == (0, True)
    assert json.loads(dump(fd)) == [{"key": ["0x01"], "values": values[:here]}]
    assert restore(fd, path, "--cpus", "any").rc == 255


# what ends half way


@cache
def endless():
    """The begin of many entries, enough that some of them are written before the end is missed."""
    value = spelled(bytes(16))
    return "".join(f'{{"key":{spelled(struct.pack("=Q", n))},"value":{value}}},' for n in range(80_000)).encode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_half_way(stack, place, number):
    """The count that is told is the number of entries that are there; with --create, nothing is."""
    target = create(stack, HASH, 8, 16, 1 << 20)
    for words in (["id", word(target)], ["pinned", str(place.bpffs / "half"), "--create"]):
        command = [sys.executable, "-m", "bpfctl", "map", "restore", *words[:2], "-", *words[2:]]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=peer.ENVIRONMENT
        )
        head = '{"type":"hash","name":"half","flags":0,"bytes_key":8,"bytes_value":16,"max_entries":1048576,"elements":'
        child.stdin.write((head + "[").encode())
        child.stdin.write(endless())
        child.stdin.flush()
        time.sleep(0.2)
        child.send_signal(number)
        _, stderr = child.communicate()
        assert child.returncode in (-number, 128 + number), stderr
        if number != signal.SIGKILL and words[0] == "id":
            there = len(json.loads(dump(target)))
            assert 0 < there
            assert f"{there} entries were written before, so the map is partial" in stderr.decode()
        assert not (place.bpffs / "half").exists()
