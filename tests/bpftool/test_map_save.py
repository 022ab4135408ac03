"""What bpftool has dumped comes back: compact, indented, and the text that it writes of maps with types."""

from __future__ import annotations

import json
import os
import struct

import pytest

from tests.bpftool import peer
from tests.bpftool.filled import FILLERS
from tests.bpftool.test_map_types import UNLISTED
from tests.kernel import client
from tests.kernel.typeblob import CHAR, SIGNED, Blob

HASH, ARRAY, PERCPU_HASH = 1, 2, 5


def two(stack, *facts, **extra):
    fds = [client.map_create(*facts, name="twin", **extra) for _ in range(2)]
    for fd in fds:
        stack.callback(os.close, fd)
    return fds


def dumped(fd, *options):
    answer = peer.run(peer.bpftools()[0], *options, "map", "dump", "id", str(client.id_of("map", fd)))
    assert answer.rc == 0, answer
    return answer.stdout


def restore(fd, tmp_path, text):
    path = tmp_path / "saved"
    path.write_bytes(text)
    answer = peer.inside("map", "restore", "id", str(client.id_of("map", fd)), str(path))
    assert (answer.rc, answer.stderr) == (0, b""), answer


def entries(fd):
    return sorted(json.loads(dumped(fd, "-j")), key=lambda entry: entry["key"])


@pytest.mark.parametrize("voice", ["-j", "-p"])
@pytest.mark.parametrize("kind", [HASH, ARRAY, PERCPU_HASH])
def test_bytes(stack, tmp_path, voice, kind):
    source, target = two(stack, kind, 4, 8, 300)
    for number in range(300):
        one = struct.pack("=Q", number * 0x0123456789ABCD & (1 << 64) - 1)
        client.map_update(source, struct.pack("=I", number), one * (client.CPUS if kind == PERCPU_HASH else 1))

    restore(target, tmp_path, dumped(source, voice))

    assert entries(target) == entries(source)
    assert len(entries(target)) == 300


@pytest.mark.parametrize("voice", [(), ("-j",), ("-p",)])
def test_values_with_types(stack, tmp_path, voice):
    """bpftool's own text is no JSON where there are pointers, which it does not quote: there are none then."""
    blob = Blob()
    integer, char = blob.int_("int", 4, SIGNED), blob.int_("char", 1, CHAR)
    text = blob.array(char, integer, 12)
    pointer = blob.ptr(integer) if voice else blob.int_("long", 8)
    value = blob.struct_(
        "value", 32, [("name", text, 0), ("number", integer, 12), ("first", pointer, 16), ("last", pointer, 24)]
    )
    types = client.btf_load(blob.raw())
    stack.callback(os.close, types)
    source, target = two(stack, HASH, 4, 32, 10, btf_fd=types, btf_key_type_id=integer, btf_value_type_id=value)
    for number, name in enumerate((b"", b"eth0", b'a"b', b"{[,:]}")):
        raw = struct.pack("=12siQQ", name, -number, 0xFFFF888000000000 * (number % 2), 0)
        client.map_update(source, struct.pack("=i", -number), raw)

    restore(target, tmp_path, dumped(source, *voice))

    assert entries(target) == entries(source)
    assert len(entries(target)) == 4


# What takes no entries from user space that a dump could tell of; the sentence says why.
TAKES_NONE = {
    "sockmap", "sockhash", "reuseport_sockarray", "xskmap", "perf_event_array", "cgroup_array", "stack_trace",
    "struct_ops", "insn_array",
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(FILLERS.keys() - UNLISTED))
def test_maps_of_every_type(nest, tmp_path, kind):
    """What is in a map is taken out and brought back; all that is said of others is that they take nothing."""
    for filled in nest.made(kind, FILLERS):
        before = dumped_by_us(filled.fd)
        path = tmp_path / "saved"
        path.write_bytes(before)
        extra = peer.inside("-j", "--extra", "map", "dump", "id", str(client.id_of("map", filled.fd)))
        assert json.loads(extra.stdout)[0]["elements"] == json.loads(before)
        if kind not in TAKES_NONE:
            emptied(filled)

        answer = peer.inside("map", "restore", "id", str(client.id_of("map", filled.fd)), str(path))

        if kind in TAKES_NONE:
            assert (answer.rc, b"cannot be brought back" in answer.stderr) == (5, True), answer
        else:
            assert (answer.rc, answer.stderr) == (0, b""), answer
        assert sorted(json.loads(dumped_by_us(filled.fd)), key=str) == sorted(json.loads(before), key=str)


def dumped_by_us(fd):
    answer = peer.inside("-j", "map", "dump", "id", str(client.id_of("map", fd)))
    assert answer.rc == 0, answer
    return answer.stdout


def emptied(filled):
    """Take all entries out, or set those to zero that cannot be taken out."""
    size = struct.unpack_from("=I", client.info(filled.fd), 12)[0]
    for key in filled.keys:
        try:
            client.bpf("map_delete_elem", client.MAP_ELEM, map_fd=filled.fd, key=key)
        except OSError:
            client.map_update(filled.fd, key, bytes((size + 7 & ~7) * client.CPUS))
