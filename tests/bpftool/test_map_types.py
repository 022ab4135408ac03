"""bpfctl map beside bpftool map, on maps of every type that the kernel has, filled with hard bytes."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from itertools import cycle

import pytest

from tests.bpftool import peer
from tests.bpftool.alike import VOICES, Alike, spelled
from tests.bpftool.changed import CHANGERS
from tests.bpftool.filled import FILLERS, Nest, possible_cpus
from tests.kernel import client
from tests.kernel.inhabitants import Missing
from tests.kernel.zoo import Zoo

NEWEST = peer.bpftools()[0]
pytestmark = pytest.mark.skipif(
    peer.version(NEWEST) < peer.CURRENT, reason="needs bpftool 7.8 to compare with (BPFCTL_BPFTOOL=FILE)"
)
# What the kernel cannot list; tests/bpftool/test_map_dump.py has what we say of these.
UNLISTED = {"queue", "stack", "bloom_filter", "ringbuf", "user_ringbuf", "arena"} | {
    f"{owner}_storage" for owner in ("sk", "inode", "task", "cgrp")
}

# What the maps hold, and those that are the zoo's own.
WANTED = (
    *(f"prog:{name}" for name in ("socket_filter", "xdp_devmap", "xdp_cpumap")),
    *(f"map:{kind}" for kind in ("sk_storage", "inode_storage", "task_storage", "cgrp_storage", "arena")),
    *(f"map:{kind}" for kind in ("struct_ops", "struct_ops_link")),
)


@pytest.fixture(scope="module")
def zoo():
    with Zoo(only=WANTED) as place:
        yield place


@pytest.fixture
def nest(zoo):
    with ExitStack() as held:
        yield Nest(zoo, held)


@pytest.fixture
def alike(tmp_path):
    comparing = Alike(tmp_path, NEWEST)
    yield comparing
    print(comparing.compared, "answers compared")  # seen with pytest -rP


def test_no_type_is_left_out(zoo):
    """The last of the enumerators is a number of types; two have a second name by now."""
    known = {name.removeprefix("BPF_MAP_TYPE_").lower() for name in zoo.facts.btf.enumerators("bpf_map_type")}
    known = {name.removesuffix("_deprecated") for name in known}

    assert known - FILLERS.keys() <= {"unspec", "__max_bpf_map_type"}


def made(nest, kind, makers=FILLERS):
    """Return the maps of a type, or how to make them; skip what the kernel lacks."""
    try:
        nest.zoo.number(f"BPF_MAP_TYPE_{kind.upper()}")
        return list(makers[kind](nest, kind))
    except Missing as error:
        pytest.skip(f"the kernel lacks {error}")


@pytest.mark.parametrize("kind", FILLERS)
def test_reading(nest, alike, kind):
    """dump, lookup, peek and getnext: of keys that are there, and of one that is not."""
    good, bad = [], []
    for filled in made(nest, kind):
        fd, one = filled.fd, f"id {client.id_of('map', filled.fd)}"
        room = int.from_bytes(client.info(fd)[12:16], sys.byteorder) + 8 * 64
        if kind not in UNLISTED:
            good.append(f"map dump {one}")
        for key in [None, *filled.keys[:1], *filled.keys[-1:], *([filled.absent] if filled.absent else [])]:
            words = f" key {spelled(key)}" if key else ""
            (good if answers(client.map_next_key, fd, key) else bad).append(f"map getnext {one}{words}")
            if key is None and (filled.absent or kind == "bloom_filter"):
                continue
            (good if answers(client.map_lookup, fd, key, room * possible_cpus()) else bad).append(
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
    for filled in made(nest, "bloom_filter"):
        line = ["map", "lookup", "id", str(client.id_of("map", filled.fd))]
        size = int.from_bytes(client.info(filled.fd)[12:16], sys.byteorder)
        zero, other = ([*line, "value", *spelled(raw).split()] for raw in (bytes(size), b"\x5a" * size))

        assert json.loads(peer.inside("-j", *zero).stdout) == {"key": [], "value": ["0x00"] * size}
        assert peer.inside(*other) == (254, b"key:\n\n\nNot found\n", b"")
        assert peer.run(NEWEST, *zero) == (255, b"", b"Error: unnecessary value\n")
        assert peer.inside(*line).stderr.startswith(b"Error: a bloom filter knows only whether")


def test_no_type_is_left_unchanged():
    assert CHANGERS.keys() == FILLERS.keys()


@pytest.mark.parametrize("kind", CHANGERS)
def test_writing(nest, alike, kind):
    """update, delete, push, pop and freeze, on one map by bpftool and on its twin by ours.

    The voices take turns, for the sake of guests; tests/bpftool/test_map_write.py has all of them.
    """
    turns = cycle(VOICES[len(kind) % 3 :] + VOICES[: len(kind) % 3])
    for changes in made(nest, kind, CHANGERS):
        voice = next(turns)
        refused = alike.writing(changes.make, changes.lines, stdin=changes.stdin, voices=[voice])

        assert 0 < len(refused)
