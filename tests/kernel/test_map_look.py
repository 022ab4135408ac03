"""Looking into maps whose contents are known: some entries, sums, changes, counts; by the command itself."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from btf import types
from btf.write import Builder
from tests.kernel import client

HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY, LPM_TRIE, QUEUE, RINGBUF = 1, 2, 5, 6, 11, 22, 27
CPUS = len(os.sched_getaffinity(0)) and int(Path("/sys/devices/system/cpu/possible").read_text().split("-")[-1]) + 1
CHECKOUT = Path(__file__).parents[2]
BPFCTL = [sys.executable, "-P", "-m", "bpfctl"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
U32, U64 = struct.Struct("=I").pack, struct.Struct("=Q").pack


@pytest.fixture(scope="module")
def held():
    with ExitStack() as stack:
        yield stack


def create(held, kind, key, value, entries, **extra):
    fd = client.map_create(kind, key, value, entries, name="looked", **extra)
    held.callback(os.close, fd)
    return fd


def bpfctl(*words):
    return subprocess.run([*BPFCTL, *words], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def dump(fd, *options, command="dump"):
    """Return the entries of a map as -j shows them."""
    done = bpfctl("-j", "map", command, "id", str(client.id_of("map", fd)), *options)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def keys(fd, *options):
    """Return the keys of the entries that are shown, as numbers, in their order."""
    return [number(entry["key"]) for entry in dump(fd, *options)]


def refused(fd, *options):
    done = bpfctl("map", "dump", "id", str(client.id_of("map", fd)), *options)
    assert done.returncode == 255
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    return done.stderr.removeprefix("Error: ").rstrip("\n")


def number(items):
    return int.from_bytes(bytes(int(item, 16) for item in items), sys.byteorder)


FLOW = struct.Struct("=I4sHHiQ16sIB3xd")


@pytest.fixture(scope="module")
def flows(held):
    """A hash map with a struct of all sorts, whose entry n has n in most places."""
    b = Builder()
    u8, u16, u32 = b.add_int("unsigned char", 1), b.add_int("u16", 2), b.add_int("u32", 4)
    s32, u64 = b.add_int("int", 4, encoding=types.SIGNED), b.add_int("u64", 8)
    char = b.add_int("char", 1, encoding=types.SIGNED)
    flag, double = b.add_int("_Bool", 1, encoding=types.BOOL), b.add_float("double", 8)
    state = b.add_enum("state", [("IDLE", 0), ("RUNNING", 1), ("RUN_SLOW", 2)])
    inner = b.add_struct("ports", 4, [("src", u16), ("dst", u16, 16)])
    value = b.add_struct(
        "flow",
        FLOW.size,
        [
            ("pid", u32),
            ("addr", b.add_array(u8, u32, 4), 32),
            ("ports", inner, 64),
            ("delta", s32, 96),
            ("packets", u64, 128),
            ("comm", b.add_array(char, u32, 16), 192),
            ("state", state, 320),
            ("locked", flag, 352),
            ("load", double, 384),
        ],
    )
    btf = client.btf_load(b.build())
    held.callback(os.close, btf)
    fd = create(held, HASH, 4, FLOW.size, 1000, btf_fd=btf, btf_key_type_id=u32, btf_value_type_id=value)
    for n in range(100):
        packed = FLOW.pack(n, bytes([10, 0, n // 10, n]), n, 80, -n, n * n, b"task/%d" % n, n % 3, n % 2, n / 4)
        client.map_update(fd, U32(n), packed)
    return fd


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (".pid == 7", {7}),
        ("pid != 7", set(range(100)) - {7}),
        ("pid < 3 || pid >= 98", {0, 1, 2, 98, 99}),
        ("key == 0x10", {16}),
        ("value.pid <= 1 && key > 0", {1}),
        (".delta == -5", {5}),
        (".delta > -3", {0, 1, 2}),
        (".packets == 9801", {99}),
        ("comm == task/42", {42}),
        ("comm == 'task/42'", {42}),
        ("comm =~ task/4?", set(range(40, 50))),
        ("comm =~ /k\\/9[0-3]$/", {90, 91, 92, 93}),
        ("state == RUNNING && pid < 10", {1, 4, 7}),
        ("state == 2 && pid < 10", {2, 5, 8}),
        ("state =~ RUN* && pid < 5", {1, 2, 4}),
        ("locked && pid < 6", {1, 3, 5}),
        ("!locked && pid < 6", {0, 2, 4}),
        ("locked == true && pid < 4", {1, 3}),
        ("!(pid > 2)", {0, 1, 2}),
        ("addr == 10.0.4.42", {42}),
        ("addr >= 10.0.9.98", {98, 99}),
        ("addr =~ 10.0.4.0/24", set(range(40, 50))),
        ("addr[3] == 7", {7}),
        ("ports.src == 12", {12}),
        (".ports.src > .ports.dst", set(range(81, 100))),
        ("load == 2.5", {10}),
        ("load > 24.5", {99}),
        ("packets == .pid", {0, 1}),
    ],
)
def test_conditions_on_fields(flows, condition, wanted):
    assert set(keys(flows, "--where", condition)) == wanted


def test_entries_look_as_without_options(flows):
    whole = dump(flows)
    some = dump(flows, "--where", "pid == 5 || pid == 6")

    assert len(some) == 2
    assert all(entry in whole for entry in some)
    plain = bpfctl("map", "dump", "id", str(client.id_of("map", flows)), "--where", "pid == 5").stdout
    assert json.loads(plain)[0]["value"]["comm"] == "task/5"
