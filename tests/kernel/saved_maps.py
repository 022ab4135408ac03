"""Maps that are dumped, saved and brought back: made without bpfctl, asked by its commands in this process."""

from __future__ import annotations

import json
import os
import struct

from tests.bpftool import peer
from tests.kernel import client
from tests.kernel.typeblob import SIGNED, Blob

HASH = 1
BATCH = client.Layout("p in_batch, p out_batch, p keys, p values, I count, I map_fd, Q elem_flags, Q flags")
U32 = struct.Struct("=I").pack


def create(stack, kind, key, value, entries, **extra):
    fd = client.map_create(kind, key, value, entries, **{"name": "saved", **extra})
    stack.callback(os.close, fd)
    return fd


def word(fd):
    return str(client.id_of("map", fd))


def facts(fd):
    """Return what a map is: its type, sizes, entries, flags and name."""
    return struct.unpack_from("=I4x4I16s", client.info(fd))


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
