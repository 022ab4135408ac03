"""Maps that are saved and brought back, on the real kernel: what comes back is what was there, or it is said."""

from __future__ import annotations

import base64
import json
import os
import random
import struct
import subprocess
import sys

import pytest

import bpfctl
from tests.bpftool import peer
from tests.kernel import client
from tests.kernel.inhabitants.programs import returning
from tests.kernel.saved_maps import (
    U32,
    batch,
    create,
    dump,
    facts,
    ordered,
    ours,
    restore,
    saved,
    typed,
    word,
)
from tests.kernel.typeblob import SIGNED, Blob

HASH, ARRAY, PROG_ARRAY, PERCPU_HASH, PERCPU_ARRAY, LRU_HASH, LRU_PERCPU_HASH, LPM_TRIE = 1, 2, 3, 5, 6, 9, 10, 11
ARRAY_OF_MAPS, HASH_OF_MAPS, DEVMAP, SOCKMAP, CPUMAP, QUEUE, STACK, DEVMAP_HASH = 12, 13, 14, 15, 16, 22, 23, 25
CGROUP_ARRAY, STACK_TRACE, RINGBUF = 8, 7, 27
NO_PREALLOC = 1
SOCKET_FILTER = 1


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
    room = (facts[2] + 7 & ~7) * client.CPUS if per_cpu else facts[2]
    for number, key in enumerate(dict.fromkeys(keys)):
        value = edges(facts[2])[number % 46]
        if per_cpu:
            value = b"".join(
                edges(facts[2])[(number + cpu) % 46].ljust(facts[2] + 7 & ~7, b"\0") for cpu in range(client.CPUS)
            )
        assert len(value) == room
        client.map_update(source, key, value)
    before = dump(source, voice)

    answer = restore(target, saved(tmp_path, before))

    assert (answer.rc, answer.stderr) == (0, b"")
    assert ordered(dump(target)) == ordered(before)
    assert len(ordered(before)) == len(set(keys))
    assert dump(source, voice) == before


@pytest.mark.parametrize("kind", [HASH, PERCPU_HASH])
@pytest.mark.parametrize("voice", [("-j",), ("-p",), ("--plain",), ("-j", "--extra")])
def test_values_with_types_come_back(stack, tmp_path, kind, voice):
    """Also from plain text, which has no bytes, but values alone."""
    source, target = typed(stack, kind, 2)
    for number in range(50):
        one = struct.pack("=iiq", -number, number << 20, -(1 << 62) + number)
        client.map_update(source, U32(number), one * (client.CPUS if kind == PERCPU_HASH else 1))
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
    source, target = (create(stack, CPUMAP, 4, 4, client.CPUS) for _ in range(2))
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

    assert answer.rc == 5
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


def test_without_extra_a_dump_has_bpftools_bytes(stack):
    (fd,) = typed(stack)
    client.map_update(fd, U32(5), bytes(16))

    plain = json.loads(dump(fd, "-j"))
    assert json.loads(dump(fd, "-j", "--extra"))[0]["elements"] == plain


def test_a_damaged_file_makes_no_map(stack, place, tmp_path):
    source = create(stack, HASH, 4, 4, 10)
    client.map_update(source, U32(5), U32(5))
    text = dump(source, "-j", "--extra")

    nameless = text.replace(b'"name":"saved"', b'"name":"\\ud800"')  # which JSON can spell, and no bytes are
    assert nameless != text
    for path, words, code in (("a", text[:-8], 255), ("a.b", text, 2), ("a", dump(source), 255), ("a", nameless, 255)):
        answer = ours("map", "restore", "pinned", str(place.bpffs / path), saved(tmp_path, words), "--create")
        assert answer.rc == code
        assert not (place.bpffs / "a").exists()
        assert len(answer.stderr.splitlines()) == 1
        assert b"a fault of its own" not in answer.stderr


def test_types_that_the_kernel_refuses_make_no_map(place, tmp_path):
    """Its own words say why."""
    told = {"type": "hash", "name": "m", "bytes_key": 4, "bytes_value": 4, "max_entries": 1, "btf_value_type_id": 1}
    types = base64.b64encode(struct.pack("=HBBI4I", 0xEB9F, 1, 0, 24, 0, 0, 0, 9)).decode()
    path = saved(tmp_path, json.dumps({**told, "btf": types, "elements": []}))

    answer = ours("map", "restore", "pinned", str(place.bpffs / "refused"), path, "--create")

    assert answer.rc == 255
    assert b"can't load BTF: Invalid argument" in answer.stderr
    assert b"the kernel's words: " in answer.stderr
    assert not (place.bpffs / "refused").exists()
