"""Looking into maps whose contents are known: some entries, sums, changes, counts; by the command itself."""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack

import pytest

from btf import types
from btf.write import Builder
from tests.kernel import client
from tests.kernel.command import BPFCTL, ENVIRONMENT, ON_TERMINAL
from tests.kernel.facts import needs
from tests.terminal import Terminal

HASH, ARRAY, PERF_EVENT_ARRAY, PERCPU_HASH, PERCPU_ARRAY, LPM_TRIE, QUEUE, USER_RINGBUF = 1, 2, 4, 5, 6, 11, 22, 31
CPUS = client.CPUS
U32, U64 = struct.Struct("=I").pack, struct.Struct("=Q").pack


@pytest.fixture(scope="module")
def shared():
    with ExitStack() as stack:
        yield stack


def create(stack, kind, key, value, entries, **extra):
    fd = client.map_create(kind, key, value, entries, name="looked", **extra)
    stack.callback(os.close, fd)
    return fd


def bpfctl(*words):
    return subprocess.run([*BPFCTL, *words], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def dump(fd, *options, command="dump"):
    """Return the entries of a map as -j shows them."""
    done = bpfctl("-j", "map", command, "id", str(client.id_of("map", fd)), *options)
    assert done.returncode == 0, done.stderr
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
def flows(shared):
    """A hash map with a struct of all sorts, whose entry n has n in most places."""
    needs("func:bpf_for_each_map_elem", "floats in BTF (Linux 5.13)")
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
    shared.callback(os.close, btf)
    fd = create(shared, HASH, 4, FLOW.size, 1000, btf_fd=btf, btf_key_type_id=u32, btf_value_type_id=value)
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


def test_refused_in_the_words_of_the_type(flows):
    assert refused(flows, "--where", "ports.src == 70000") == (
        "value: ports.src: 70000 is out of the range of u16 (0 to 65535)"
    )
    assert refused(flows, "--where", "state == RUNING") == (
        "value: state: enum state has no member 'RUNING', did you mean 'RUNNING'?"
    )
    assert refused(flows, "--where", "ports.scr == 1") == (
        "value: ports: struct ports has no member 'scr', did you mean 'src'?"
    )
    assert "such as ports.src, ports.dst" in refused(flows, "--top", "ports", "3")
    assert refused(flows, "--where", "pid = 7") == "--where: at '= 7': use == to compare"


def test_several_options_together(flows):
    """The largest of those that a condition leaves, and of these the first."""
    assert keys(flows, "--where", "pid < 50", "--where", "pid != 48", "--top", ".packets", "4") == [49, 47, 46, 45]
    assert keys(flows, "--where", "pid < 50", "--top", "load", "4", "--limit", "2") == [49, 48]
    assert keys(flows, "--top", "key", "2") == [99, 98]
    assert len(keys(flows, "--limit", "7")) == 7
    assert len(keys(flows, "--limit", "1000")) == 100


def test_beginnings_of_keys(stack):
    fd = create(stack, HASH, 8, 4, 100)
    for key in (b"eth0\0\0\0\0", b"eth1\0\0\0\0", b"lo\0\0\0\0\0\0", bytes([10, 1, 2, 3, 0, 0, 0, 80])):
        client.map_update(fd, key, b"....")

    def found(prefix):
        return {bytes(int(byte, 16) for byte in entry["key"]) for entry in dump(fd, "--key-prefix", prefix)}

    assert {key[:4] for key in found("str eth")} == {b"eth0", b"eth1"}
    assert {key[:2] for key in found("6c 6f")} == {b"lo"}
    assert {key[:2] for key in found("0x6c 0x6F 0")} == {b"lo"}
    assert {key[:2] for key in found("6c6f")} == {b"lo"}
    assert {key[:4] for key in found("10.0.0.0/8")} == {bytes([10, 1, 2, 3])}
    assert {key[:4] for key in found("10.1.2.3")} == {bytes([10, 1, 2, 3])}
    assert found("10.2.0.0/15") == set()
    assert refused(fd, "--key-prefix", "str 123456789") == "--key-prefix: 9 bytes are more than the 8 of a key"
    assert "neither hexadecimal bytes" in refused(fd, "--key-prefix", "xyz")
    assert "no prefix length of 0 to 32" in refused(fd, "--key-prefix", "10.0.0.0/33")
    assert "keys have 8 bytes for one" in refused(fd, "--key-prefix", "fe80::1")


def test_networks_in_a_trie(stack):
    fd = create(stack, LPM_TRIE, 8, 4, 100, map_flags=1)
    networks = [(8, "10.0.0.0"), (16, "10.1.0.0"), (24, "10.1.1.0"), (32, "10.1.1.1"), (16, "11.1.0.0")]
    for length, address in networks:
        client.map_update(fd, U32(length) + socket.inet_aton(address), b"....")

    def found(prefix):
        raw = [bytes(int(byte, 16) for byte in entry["key"]) for entry in dump(fd, "--key-prefix", prefix)]
        return {(key[0], socket.inet_ntoa(key[4:])) for key in raw}

    assert found("10.0.0.0/8") == set(networks[:4])
    assert found("10.1.0.0/16") == set(networks[1:4])
    assert found("10.1.1.1") == {networks[3]}
    assert found("0.0.0.0/0") == set(networks)
    assert found("10 00") == {(16, "10.1.0.0"), (16, "11.1.0.0")}


@pytest.fixture(scope="module")
def counters(shared):
    """A per-CPU hash map without types: key n has n on the first CPU, 1000 on the last, and -1 as a second number."""
    if CPUS < 2:
        pytest.skip("there are no two CPUs whose values could be added up")
    fd = create(shared, PERCPU_HASH, 4, 16, 100)
    for n in range(20):
        first = [n] + [0] * (CPUS - 2) + [1000]
        client.map_update(fd, U32(n), b"".join(struct.pack("=Qq", number, -1) for number in first))
    return fd


def test_sums_over_cpus(counters):
    entries = {number(entry["key"]): entry for entry in dump(counters, "--sum")}

    assert {key: entry["formatted"]["value"][0] for key, entry in entries.items()} == {n: n + 1000 for n in range(20)}
    assert number(entries[3]["value"][:8]) == 1003
    assert {entry["formatted"]["key"] for entry in dump(counters, "--sum", "--where", "value[0] > 1017")} == {18, 19}
    plain = bpfctl("map", "dump", "id", str(client.id_of("map", counters)), "--sum", "--top", "value[0]", "1")
    assert json.loads(plain.stdout) == [{"key": 19, "value": [1019, (CPUS * (1 << 64) - CPUS) % (1 << 64)]}]
    assert f"map {client.id_of('map', counters)}: 20 sums did not fit into 64 bits" in plain.stderr


def test_any_cpu_decides(counters):
    assert set(keys(counters, "--where", "value[0] == 19")) == {19}
    assert set(keys(counters, "--where", "value[0] == 19 && cpu == 1")) == set()
    assert keys(counters, "--top", "value[0]", "2") == [19, 18]
    assert len(dump(counters, "--where", "key == 5")[0]["values"]) == CPUS


def test_sums_by_types(stack):
    needs("func:bpf_for_each_map_elem", "floats in BTF (Linux 5.13)")
    b = Builder()
    u32, s16 = b.add_int("u32", 4), b.add_int("s16", 2, encoding=types.SIGNED)
    char, double = b.add_int("char", 1, encoding=types.SIGNED), b.add_float("double", 8)
    color = b.add_enum("color", [("RED", 1)])
    inner = b.add_struct("pair", 4, [("a", s16), ("b", s16, 16)])
    value = b.add_struct(
        "stats",
        48,
        [
            ("hits", u32),
            ("pairs", b.add_array(inner, u32, 2), 32),
            ("name", b.add_array(char, u32, 8), 96),
            ("color", color, 160),
            ("load", double, 192),
            ("low", u32, 256, 3),
            ("high", u32, 259, 29),
        ],
    )
    btf = client.btf_load(b.build())
    stack.callback(os.close, btf)
    fd = create(stack, PERCPU_ARRAY, 4, 48, 1, btf_fd=btf, btf_key_type_id=u32, btf_value_type_id=value)
    slot = struct.pack("=I4h8sIdII8x", 0xFFFFFFFF, -1, 2, -3, 4, b"name", 1, 0.5, 7 | 1 << 3, 0)
    client.map_update(fd, U32(0), slot * CPUS)

    assert dump(fd, "--sum")[0]["formatted"] == {
        "key": 0,
        "value": {
            "hits": 0xFFFFFFFF * CPUS,
            "pairs": [{"a": -CPUS, "b": 2 * CPUS}, {"a": -3 * CPUS, "b": 4 * CPUS}],
            "load": 0.5 * CPUS,
            "low": 7 * CPUS,
            "high": CPUS,
        },
    }
    assert len(dump(fd, "--sum", "--where", f"pairs[1].a == {-3 * CPUS}")) == 1
    assert len(dump(fd, "--where", "pairs[1].a == -3 && low == 7 && name == name")) == 1


def test_a_map_cannot_be_made_again_from_sums(counters):
    """With --extra a dump says how to make the map again; sums have another size."""
    assert "elements" in dump(counters, "--extra", "--where", "key == 5")[0]
    assert "elements" not in dump(counters, "--extra", "--sum")[0]


def test_sums_need_cpus(flows, stack):
    assert "has one value for each key" in refused(flows, "--sum")
    odd = create(stack, PERCPU_ARRAY, 4, 13, 1)
    assert "values of 13 bytes are no integers to add up" in refused(odd, "--sum")


def test_stat_counts(stack, flows, counters):
    array = create(stack, ARRAY, 4, 8, 10)
    client.map_update(array, U32(3), U64(1))
    queue = create(stack, QUEUE, 0, 8, 10)

    def stat(fd):
        return dump(fd, command="stat")

    told = stat(flows)
    assert (told["entries"], told["max_entries"], told["percent"]) == (100, 1000, 10.0)
    assert told["bytes_per_entry"] == round(told["bytes_memlock"] / 100, 1)
    assert stat(counters)["entries"] == 20
    assert (stat(array)["entries"], stat(array)["nonzero"]) == (10, 1)
    assert "entries" not in stat(queue)
    assert "how many values a queue has" in stat(queue)["uncounted"]
    text = bpfctl("map", "stat", "id", str(client.id_of("map", flows))).stdout
    assert "\tentries 100  full 10.00%  memory per entry " in text


def test_stat_of_a_ring_buffer_takes_nothing_out(stack):
    needs("enum:BPF_MAP_TYPE_USER_RINGBUF", "ring buffers that user space writes to (Linux 6.1)")
    fd = create(stack, USER_RINGBUF, 0, 0, 4096)
    with mmap.mmap(fd, mmap.PAGESIZE, offset=mmap.PAGESIZE) as producer:
        producer[:8] = U64(256)  # as a user space producer does after writing so many bytes
    told = dump(fd, command="stat")

    assert (told["bytes_used"], told["percent"]) == (256, 6.25)
    assert dump(fd, command="stat") == told


@pytest.fixture
def running():
    """Start commands that never end by themselves, and stop those that a failing test has left."""
    with ExitStack() as stack:

        def start(*words):
            process = subprocess.Popen(
                [*BPFCTL, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield start


def test_watch_tells_what_changes(stack, running):
    fd = create(stack, HASH, 4, 8, 100)
    for n in range(10):
        client.map_update(fd, U32(n), U64(100))
    process = running(
        "-j", "map", "watch", "id", str(client.id_of("map", fd)), "--interval", "0.3", "--where", "key < 50"
    )
    first = json.loads(process.stdout.readline())
    assert (first["entries"], first["added"], first["changed"], first["deleted"]) == (10, [], [], [])

    client.map_update(fd, U32(3), U64(160))
    client.map_update(fd, U32(4), U64(70))
    client.map_update(fd, U32(40), U64(1))
    client.map_update(fd, U32(60), U64(1))  # which is not watched
    client.bpf("map_delete_elem", client.MAP_ELEM, map_fd=fd, key=U32(9))
    rounds = []
    while sum(len(each[kind]) for each in rounds for kind in ("added", "changed", "deleted")) < 4:
        rounds.append(json.loads(process.stdout.readline()))

    changed = {number(entry["key"]): entry for each in rounds for entry in each["changed"]}
    assert {key: entry["change"] for key, entry in changed.items()} == {3: {"value": 60}, 4: {"value": -30}}
    assert all(
        abs(entry["rate"]["value"] * each["seconds"] - entry["change"]["value"]) < 0.1
        for each in rounds
        for entry in each["changed"]
    )
    assert [number(entry["key"]) for each in rounds for entry in each["added"]] == [40]
    assert [number(entry["key"]) for each in rounds for entry in each["deleted"]] == [9]
    assert rounds[-1]["entries"] == 10
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert all(json.loads(line) for line in out.splitlines())


def test_values_that_are_not_told_cannot_be_watched(stack):
    fd = create(stack, PERF_EVENT_ARRAY, 4, 4, 4)

    answer = bpfctl("map", "watch", "id", str(client.id_of("map", fd)))

    assert (answer.returncode, answer.stdout) == (5, "")
    assert "the kernel does not tell the values of a perf_event_array map" in answer.stderr


def test_watch_as_text_adds_cpus_and_ranks(stack, running):
    fd = create(stack, PERCPU_HASH, 4, 8, 100)
    for n in range(5):
        client.map_update(fd, U32(n), U64(0) * CPUS)
    process = running(
        "--plain", "map", "watch", "id", str(client.id_of("map", fd)), "--interval", "0.3", "--limit", "2"
    )
    assert "5 entries  0 added  0 changed  0 deleted" in process.stdout.readline()
    for n in range(5):
        client.map_update(fd, U32(n), U64(n + 1) * CPUS)
    lines = []
    while not lines or "changed  key" not in "".join(lines) or lines[-1] != "\n":
        lines.append(process.stdout.readline())
    told = [line for line in lines if line.startswith("changed")]
    assert told[0].startswith(f"changed  key 4  value {5 * CPUS} +{5 * CPUS} (")
    assert told[1].startswith(f"changed  key 3  value {4 * CPUS} +{4 * CPUS} (")
    assert "and 3 more\n" in lines
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0


def test_watch_tells_as_many_as_are_wanted(stack, running):
    """Also more than there are unless somebody says so."""
    fd = create(stack, ARRAY, 4, 4, 1500)
    process = running("-j", "map", "watch", "id", str(client.id_of("map", fd)), "--interval", "0.3", "--limit", "1200")
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)  # so that it finds all changes in one round, or in two
    for n in range(1200):
        client.map_update(fd, U32(n), U32(1))
    process.send_signal(signal.SIGCONT)
    rounds = []
    while sum(len(each["changed"]) + each.get("left_out", 0) for each in rounds) < 1200:
        rounds.append(json.loads(process.stdout.readline()))

    assert [each.get("left_out") for each in rounds] == [None] * len(rounds)


def test_stat_watch_tells_growth(stack, running):
    fd = create(stack, HASH, 4, 8, 100)
    process = running("-j", "map", "stat", "id", str(client.id_of("map", fd)), "--watch", "0.3")
    assert json.loads(process.stdout.readline())["entries"] == 0
    for n in range(10):
        client.map_update(fd, U32(n), U64(0))
    grown = []
    while not grown or not grown[-1]["entries_per_second"]:
        grown.append(json.loads(process.stdout.readline()))
    assert grown[-1]["entries"] == 10
    assert 0 < grown[-1]["entries_per_second"] <= 10 / 0.2
    process.send_signal(signal.SIGINT)
    assert process.wait() == 0


def test_a_batch_has_an_end(flows):
    id_ = client.id_of("map", flows)
    for line in (f"map watch id {id_}", "map stat --watch"):
        done = subprocess.run(
            [*BPFCTL, "batch", "file", "-"], env=ENVIRONMENT, input=line, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "has no end, so it is no command for a batch" in done.stderr


def test_watch_on_a_terminal(stack):
    fd = create(stack, HASH, 4, 8, 100)
    client.map_update(fd, U32(1), U64(1))
    words = ["map", "watch", "id", str(client.id_of("map", fd)), "--interval", "0.3"]
    with Terminal([*BPFCTL, *words], size=(100, 20), env=ON_TERMINAL) as terminal:
        terminal.wait_for(b"nothing has changed")
        client.map_update(fd, U32(1), U64(31))
        client.map_update(fd, U32(2), U64(2))
        terminal.wait_for(b"02 00 00 00")
        # Ctrl-C throws away what the terminal has not shown yet.
        terminal.wait_for(b"nothing has changed", times=terminal.seen.count(b"nothing has changed") + 1)
        terminal.press_ctrl_c()
        assert terminal.finish() == 0
    lines = [line.split() for line in terminal.lines()]
    assert ["key", "state", "value", "+value", "value/s"] in lines
    assert ["02", "00", "00", "00", "new", "2"] in lines
    changed = next(line for line in lines if line[:1] == ["01"])
    assert changed[4:6] == ["31", "+30"]
    assert 0 < float(changed[6]) < 110  # 30 in 0.3 seconds, or more when the machine is busy
