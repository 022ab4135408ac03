"""bpfctl map beside bpftool map, on maps of every type that the kernel has, filled with hard bytes."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests.bpftool import peer
from tests.bpftool.alike import spelled
from tests.bpftool.changed import SIZES_OF
from tests.bpftool.filled import FILLERS
from tests.bpftool.newest import CURRENT, NEWEST
from tests.kernel import client

pytestmark = CURRENT
# What the kernel cannot list; tests/bpftool/test_map_dump.py has what we say of these.
UNLISTED = {"queue", "stack", "bloom_filter", "ringbuf", "user_ringbuf", "arena"} | {
    f"{owner}_storage" for owner in ("sk", "inode", "task", "cgrp")
}
# What needs types or descriptors to be created.
NOT_BY_WORDS = {"struct_ops"} | {name for name in UNLISTED if name.endswith("_storage")}


def test_no_type_is_left_out(zoo):
    """The last of the enumerators is a number of types; two have a second name by now."""
    known = {name.removeprefix("BPF_MAP_TYPE_").lower() for name in zoo.facts.btf.enumerators("bpf_map_type")}
    known = {name.removesuffix("_deprecated") for name in known}

    assert known - FILLERS.keys() <= {"unspec", "__max_bpf_map_type"}
    assert SIZES_OF.keys() == FILLERS.keys()


@pytest.mark.parametrize("kind", FILLERS)
def test_reading(nest, alike, kind):
    """dump, lookup, peek and getnext: of keys that are there, and of one that is not."""
    good, bad = [], []
    for filled in nest.made(kind, FILLERS):
        fd, one = filled.fd, f"id {client.id_of('map', filled.fd)}"
        room = int.from_bytes(client.info(fd)[12:16], sys.byteorder) + 8 * 64
        if kind not in UNLISTED:
            good.append(f"map dump {one}")
        for key in [None, *filled.keys[:1], *filled.keys[-1:], *([filled.absent] if filled.absent else [])]:
            words = f" key {spelled(key)}" if key else ""
            (good if answers(client.map_next_key, fd, key) else bad).append(f"map getnext {one}{words}")
            if key is None and (filled.absent or kind == "bloom_filter"):
                continue
            (good if answers(client.map_lookup, fd, key, room * client.CPUS) else bad).append(
                f"map {'lookup' if key else 'peek'} {one}{words}"
            )
    alike.reading(list(dict.fromkeys(good)), bad)


def answers(command, *args):
    """Return whether the kernel takes a command."""
    try:
        command(*args)
    except OSError:
        return False
    return True


def test_bloom_filters(nest):
    """bpftool asks for a value that it has not set, so whatever its memory held; ours takes a value to ask for."""
    for filled in nest.made("bloom_filter", FILLERS):
        line = ["map", "lookup", "id", str(client.id_of("map", filled.fd))]
        size = int.from_bytes(client.info(filled.fd)[12:16], sys.byteorder)
        zero, other = ([*line, "value", *spelled(raw).split()] for raw in (bytes(size), b"\x5a" * size))

        assert json.loads(peer.inside("-j", *zero).stdout) == {"key": [], "value": ["0x00"] * size}
        assert peer.inside(*other) == (254, b"key:\n\n\nNot found\n", b"")
        assert peer.run(NEWEST, *zero) == (255, b"", b"Error: unnecessary value\n")
        assert peer.inside(*line).stderr.startswith(b"Error: a bloom filter knows only whether")


def test_creating(nest, tmp_path):
    """create: maps of all types that words alone can describe, and the refusals of the others."""
    inner = f"inner_map id {client.id_of('map', nest.create('array', 4, 8, 1))}"
    answers, facts = [], []
    for who in ("ours", "them"):
        place = nest.zoo.place.bpffs / who
        place.mkdir()
        nest.held.callback(place.rmdir)
        lines = {}
        for kind, (key, value, entries, flags) in SIZES_OF.items():
            if nest.zoo.facts.number(f"BPF_MAP_TYPE_{kind.upper()}") is not None:
                sizes = f"{f'key {key} ' * bool(key)}{f'value {value} ' * bool(value)}entries {entries}"
                more = inner if kind.endswith("_of_maps") else ""
                lines[kind] = f"map create {place / kind} type {kind} {sizes} name {kind[:15]} flags {flags} {more}"
        good = [line for kind, line in lines.items() if kind not in NOT_BY_WORDS]
        (tmp_path / who).write_text("\n".join(good) + "\n")
        asked = [["-j", "batch", "file", str(tmp_path / who)]]
        asked += [["-j", *lines[kind].split()] for kind in NOT_BY_WORDS if kind in lines]
        told = [peer.inside(*words) if who == "ours" else peer.run(NEWEST, *words) for words in asked]
        answers.append([(rc, stdout.replace(b"/ours/", b"/them/"), stderr) for rc, stdout, stderr in told])
        facts.append([])
        for path in sorted(place.iterdir()):
            fd = client.obj_get(path)
            raw = client.info(fd)
            os.close(fd)
            path.unlink()
            facts[-1].append((path.name, raw[:4], raw[8:40]))

    assert answers[0] == answers[1]
    assert [rc for rc, _, _ in answers[0]] == [0, *[255] * (len(asked) - 1)]
    assert facts[0] == facts[1]
    assert len(facts[0]) == len(good)
