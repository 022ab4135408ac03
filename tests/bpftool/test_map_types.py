"""bpfctl map beside bpftool map, on maps of every type that the kernel has, filled with hard bytes."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

import pytest

from tests.bpftool import peer
from tests.bpftool.alike import Alike, spelled
from tests.bpftool.changed import CHANGERS
from tests.bpftool.filled import FILLERS, Nest
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
    """dump, lookup, peek and getnext: of each key that is there, and of one that is not."""
    lines = []
    for filled in made(nest, kind):
        one = f"id {client.id_of('map', filled.fd)}"
        if kind not in UNLISTED:
            lines.append(f"map dump {one}")
        keys = [f"key {spelled(key)}" for key in filled.keys]
        lines += [f"map getnext {one}", *(f"map getnext {one} {key}" for key in keys)]
        lines += [f"map lookup {one} {key}" for key in keys]
        if filled.absent:
            lines.append(f"map lookup {one} key {spelled(filled.absent)}")
            lines.append(f"map getnext {one} key {spelled(filled.absent)}")
        elif kind != "bloom_filter":
            lines += [f"map peek {one}", f"map lookup {one}"]
    refused = alike.reading(lines)

    assert len(refused) < len(lines) or kind in UNLISTED


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
    """update, delete, push, pop and freeze, on one map by bpftool and on its twin by ours."""
    for changes in made(nest, kind, CHANGERS):
        refused = alike.writing(changes.make, changes.lines, stdin=changes.stdin)

        assert 0 < len(refused)
