"""What the full report says of maps' flags and batches, and of kinds of BTF, proven by making and using them."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

import pytest

from tests.kernel import client
from tests.kernel.asked import works
from tests.kernel.zoo import INHABITANTS

HASH, ARRAY, PERF_EVENT_ARRAY, STACK_TRACE, LRU_HASH, SK_STORAGE, RINGBUF, ARENA = 1, 2, 4, 7, 9, 24, 27, 33


# Flags.


@pytest.mark.parametrize(
    ("name", "shape", "flags"),
    [
        ("no_prealloc", (HASH, 4, 4, 1), 1 << 0),
        ("no_common_lru", (LRU_HASH, 4, 4, 64), 1 << 1),
        ("numa_node", (HASH, 4, 4, 1), 1 << 2),
        ("stack_build_id", (STACK_TRACE, 4, 32, 1), 1 << 5),
        ("zero_seed", (HASH, 4, 4, 1), 1 << 6),
        ("wronly_prog", (ARRAY, 4, 4, 1), 1 << 8),
        ("mmapable", (ARRAY, 4, 4, 1), 1 << 10),
        ("inner_map", (ARRAY, 4, 4, 1), 1 << 12),
        ("preserve_elems", (PERF_EVENT_ARRAY, 4, 4, 1), 1 << 11),
        ("segv_on_fault", (ARENA, 0, 0, 1), 1 << 10 | 1 << 17),
        ("no_user_conv", (ARENA, 0, 0, 1), 1 << 10 | 1 << 18),
        ("rb_overwrite", (RINGBUF, 0, 0, 4096), 1 << 19),
    ],
)
def test_flags(told, name, shape, flags):
    assert told["map_flags", name] is works(lambda: client.map_create(*shape, map_flags=flags))


@pytest.mark.parametrize(("name", "flag", "may_write"), [("rdonly", 1 << 3, False), ("wronly", 1 << 4, True)])
def test_flags_of_rights(told, held, name, flag, may_write):
    """One may only be read by system calls, the other only be written."""
    made = held(client.map_create(ARRAY, 4, 4, 1, map_flags=flag))

    assert told["map_flags", name] is True
    assert works(client.map_update, made, bytes(4), bytes(4)) is may_write
    assert works(lambda: client.map_lookup(made, bytes(4), 4) and None) is not may_write


def test_flag_of_maps_that_programs_only_read(told, held):
    """A program that reads such a map loads, and one that writes is refused."""
    made = held(client.map_create(ARRAY, 4, 8, 1, map_flags=1 << 7))
    address = struct.pack("=BBhi BBhi", 0x18, 2 << 4 | 1, 0, made, 0, 0, 0, 0)  # r1 = the first value
    reads = address + bytes.fromhex("7910000000000000 9500000000000000")
    writes = address + bytes.fromhex("b700000000000000 7b01000000000000 9500000000000000")

    assert told["map_flags", "rdonly_prog"] is works(client.prog_load, 1, reads)
    assert not works(client.prog_load, 1, writes)


def test_flag_of_storages_that_are_cloned(told, held):
    """Such maps want types: an int, twice."""
    types = struct.pack("=4I", 1, 1 << 24, 4, 32)
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), 5)
    btf = {"btf_fd": held(client.btf_load(header + types + b"\0int\0")), "btf_key_type_id": 1, "btf_value_type_id": 1}

    assert told["map_flags", "clone"] is works(
        lambda: client.map_create(SK_STORAGE, 4, 4, 0, map_flags=1 << 0 | 1 << 9, **btf)
    )


def test_flag_of_maps_that_links_register(zoo, told):
    assert told["map_flags", "link"] is ("map:struct_ops_link" in zoo.created)


def test_flag_of_pins_below_a_folder(zoo, told, held):
    folder = held(os.open(zoo.place.bpffs, os.O_RDONLY))
    name = next(name for path, name in zoo.pins.items() if path.name == "xdp")

    def get():
        given = {"pathname": b"xdp\0", "file_flags": 1 << 14, "path_fd": folder}
        return client.bpf("obj_get", client.OBJ, **given)[0]

    assert name in zoo.created
    assert told["map_flags", "path_fd"] is works(get)


@pytest.mark.parametrize(("name", "at"), [("vtype_btf_obj_fd", 1 << 15), ("token_fd", 1 << 16)])
def test_flags_of_descriptors(zoo, told, name, at):
    """The kernel's own types have the flag; one that does not know it does not look for the descriptor."""
    there = zoo.facts.has(f"word:BPF_F_{name.upper()}")
    kind = 26 if name == "vtype_btf_obj_fd" else ARRAY
    no_fd = dict.fromkeys(("value_type_btf_obj_fd", "map_token_fd"), -1)
    with pytest.raises(OSError) as error:
        client.map_create(kind, 4, 4, 1, map_flags=at, btf_vmlinux_value_type_id=kind // 26, **no_fd)

    assert told["map_flags", name] is there
    assert (error.value.errno == errno.EBADF) is there


def test_every_flag_has_a_proof(told):
    proven = {mark.args[1][at][0] for mark in test_flags.pytestmark for at in range(len(mark.args[1]))}
    proven |= {"rdonly", "wronly", "rdonly_prog", "clone", "link", "path_fd", "vtype_btf_obj_fd", "token_fd"}

    assert {name for group, name in told if group == "map_flags"} == proven


# Batches.

BATCH = client.Layout("Q in_batch, p out_batch, p keys, p values, I count, I map_fd, Q elem_flags, Q flags")
CPUS = client.CPUS
LPM_KEY = struct.pack("=I", 32) + b"\1\2\3\4"
# Maps that have entries of the simplest kind: type, size of a key, of a value, flags; an entry's key and value.
PLAIN = {
    "hash": (HASH, 8, 8, 0, b"one key.", b"a value."),
    "array": (ARRAY, 4, 8, 0, bytes(4), b"a value."),
    "percpu_hash": (5, 8, 8, 0, b"one key.", b"a value." * CPUS),
    "percpu_array": (6, 4, 8, 0, bytes(4), b"a value." * CPUS),
    "lru_hash": (LRU_HASH, 8, 8, 0, b"one key.", b"a value."),
    "lru_percpu_hash": (10, 8, 8, 0, b"one key.", b"a value." * CPUS),
    "lpm_trie": (11, 8, 8, 1, LPM_KEY, b"a value."),
    "rhash": (35, 8, 8, 1, b"one key.", b"a value."),
}
HOLDERS = {"array_of_maps": 12, "hash_of_maps": 13}
COMMANDS = ["lookup", "lookup_and_delete", "update", "delete"]
SECOND = {"array": struct.pack("=I", 1), "percpu_array": struct.pack("=I", 1), "lpm_trie": LPM_KEY[:-1] + b"\5"}


def _one(fd, operation, key, value):
    """Take one entry out by a batch or put one in; the end of the map may be reached thereby."""
    room = [ctypes.create_string_buffer(4096) for _ in range(3)]
    given = {"keys": key, "values": value}
    if "lookup" in operation:
        given = {"out_batch": room[0], "keys": room[1], "values": room[2]}
    try:
        client.bpf(f"map_{operation}_batch", BATCH, count=1, map_fd=fd, **given)
    except FileNotFoundError:
        if "lookup" not in operation:
            raise
    return room[2].raw


@pytest.mark.parametrize("operation", COMMANDS)
@pytest.mark.parametrize("name", PLAIN)
def test_batches(told, held, name, operation):
    """An entry that is there comes out, goes, or is joined by another."""
    kind, key_size, value_size, flags, key, value = PLAIN[name]

    def act():
        made = held(client.map_create(kind, key_size, value_size, 4, map_flags=flags))
        client.map_update(made, key, value)
        written = SECOND.get(name, b"another.") if operation == "update" else key
        found = _one(made, operation, written, value)
        assert "lookup" not in operation or found.startswith(value[:8])
        if operation == "update":
            assert client.map_lookup(made, written, len(value)) == value
        elif operation != "lookup":
            assert not works(lambda: client.map_lookup(made, key, len(value)) and None)

    assert told["map_batches", f"{name} {operation}"] is works(act)


@pytest.mark.parametrize("operation", COMMANDS)
@pytest.mark.parametrize("name", HOLDERS)
def test_batches_of_maps_in_maps(told, held, name, operation):
    def act():
        inner = held(client.map_create(HASH, 4, 4, 1))
        made = held(client.map_create(HOLDERS[name], 4, 4, 4, inner_map_fd=inner))
        value = struct.pack("=i", inner)
        client.map_update(made, bytes(4), value)
        _one(made, operation, bytes(4), value)

    assert told["map_batches", f"{name} {operation}"] is works(act)


def _tried(fd, operation):
    _one(fd, operation, bytes(64), bytes(64))


OTHERS = sorted(
    {
        recipe.type.removeprefix("BPF_MAP_TYPE_").lower()
        for recipe in INHABITANTS
        if recipe.kind == "map" and recipe.type != "BPF_MAP_TYPE_STRUCT_OPS"
    }
    - {*PLAIN, *HOLDERS}
)


@pytest.mark.parametrize("name", OTHERS)
def test_maps_without_batches(zoo, told, name):
    """Maps of types that have other things than plain entries, or none that can be listed."""
    recipes = [recipe for recipe in INHABITANTS if recipe.type == f"BPF_MAP_TYPE_{name.upper()}"]
    made = [zoo.created[recipe.full_name].fd for recipe in recipes if recipe.full_name in zoo.created]
    done = {operation: any(works(_tried, fd, operation) for fd in made) for operation in COMMANDS}

    assert {operation: told["map_batches", f"{name} {operation}"] for operation in COMMANDS} == done


# Kinds of BTF. Each is type 2, behind an int of 4 bytes, and 3 and 4 where it needs another one before it: name, kind
# and count, size or type, and what follows (include/uapi/linux/btf.h).
A, B, DATA, TAG = 5, 7, 9, 15  # the strings a, b, .data, tag
STRINGS = b"\0int\0a\0b\0.data\0tag\0"
PROTO = [0, 13 << 24 | 1, 1, A, 1]
VAR = [A, 14 << 24, 1, 0]
KINDS = {
    "int": [],
    "ptr": [0, 2 << 24, 1],
    "array": [0, 3 << 24, 0, 1, 1, 2],
    "struct": [A, 4 << 24 | 1, 4, B, 1, 0],
    "union": [A, 5 << 24 | 1, 4, B, 1, 0],
    "enum": [A, 6 << 24 | 1, 4, B, 1],
    "fwd": [A, 7 << 24, 0],
    "typedef": [A, 8 << 24, 1],
    "volatile": [0, 9 << 24, 1],
    "const": [0, 10 << 24, 1],
    "restrict": [0, 2 << 24, 1, 0, 11 << 24, 2],
    "func": [*PROTO, B, 12 << 24, 2],
    "func with linkage": [*PROTO, B, 12 << 24 | 1, 2],
    "func_proto": PROTO,
    "var": VAR,
    "datasec": [*VAR, DATA, 15 << 24 | 1, 4, 2, 0, 4],
    "float": [A, 16 << 24, 4],
    "decl_tag": [*VAR, TAG, 17 << 24, 2, 0xFFFFFFFF],
    "type_tag": [TAG, 18 << 24, 1, 0, 2 << 24, 2],
    "enum64": [A, 19 << 24 | 1, 8, B, 0, 1],
}


def test_every_kind_has_a_proof(told):
    assert {name for group, name in told if group == "btf_kinds"} == {*KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_btf(told, name):
    types = struct.pack("=4I", 1, 1 << 24, 4, 32) + struct.pack(f"={len(KINDS[name])}I", *KINDS[name])
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(STRINGS))

    assert told["btf_kinds", name] is works(client.btf_load, header + types + STRINGS)
