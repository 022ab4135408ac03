"""Maps that are copied and restored, on the real kernel, out of files that somebody else may have written."""

from __future__ import annotations

import json
import os
import random
import signal
import struct
import subprocess
import time
from functools import cache
from pathlib import Path

import pytest

from tests.kernel import client
from tests.kernel.command import BPFCTL, ENVIRONMENT
from tests.kernel.saved_maps import (
    U32,
    create,
    dump,
    facts,
    ordered,
    ours,
    restore,
    saved,
    word,
)

HASH, ARRAY, PERCPU_HASH, LRU_HASH = 1, 2, 5, 9
HASH_OF_MAPS = 13


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


def test_a_name_that_is_cut_is_told(stack, place):
    source, path = create(stack, HASH, 4, 4, 1), place.bpffs / "cut"
    answer = ours("map", "copy", "id", word(source), "create", str(path), "name", "sixteen_letters_")
    fd = client.obj_get(path)
    stack.callback(os.close, fd)

    assert answer.stderr == b"Warning: map name is longer than 15 characters, it will be truncated.\n"
    assert facts(fd)[-1] == b"sixteen_letters\0"


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
        assert answer.rc == 2
        assert says in answer.stderr.decode()
    client.map_update(source, U32(1), bytes(8))
    client.map_update(source, U32(2), bytes(8))
    answer = ours("map", "copy", "id", word(source), "create", str(place.bpffs / "small"), "entries", "1")
    assert answer.rc == 255
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
    assert answer.rc == 255
    assert answer.stderr == (
        b"Error: can't update key 02: File exists; 1 entry was written before, so the map is partial\n"
    )
    assert restore(fd, path, "exist").rc == 255
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
    here = client.CPUS
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
    assert restore(fd, path, "--cpus", "any").rc == 2


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
        command = [*BPFCTL, "map", "restore", *words[:2], "-", *words[2:]]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
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
