"""bpfctl map beside bpftool map, on every map that this kernel allows."""

from __future__ import annotations

import json
import os
import struct

import pytest

from tests.bpftool import differences, peer
from tests.bpftool.newest import BPFTOOLS, CURRENT, NEWEST
from tests.kernel import client
from tests.kernel.inhabitants.maps import MAPS

NAMES = [recipe.full_name for recipe in MAPS]
ZOO = None
NAMESAKES = client.own("same")
VOICES = pytest.mark.parametrize("voice", [["-j"], ["-p"], []], ids=["json", "indented", "plain"])


@pytest.fixture
def made(zoo, request):
    """The map of a name, or a skip that says what the kernel lacks."""
    return zoo.alive(request.param)


@pytest.mark.parametrize("tool", BPFTOOLS)
@pytest.mark.parametrize("made", NAMES, indirect=True)
def test_a_map_is_told_in_the_same_bytes(zoo, made, tool):
    """In JSON, indented JSON and text, with and without pins; an older bpftool may know less."""
    id_ = made.id

    def told(tool, *args):
        return differences.without_stale_btf_id({id_: peer.listed(tool, *args)[id_]}, zoo)[id_]

    if peer.version(tool) >= peer.CURRENT:
        for args in (("-j", "map"), ("-p", "-f", "map", "list"), ("map", "show"), ("-f", "map", "show")):
            assert told(tool, *args) == peer.listed(None, *args)[id_], args
    else:
        theirs = json.loads(told(tool, "-j", "-f", "map"))
        mine = json.loads(peer.listed(None, "-j", "-f", "map")[id_])
        assert peer.agrees(theirs, mine)
        if theirs == mine:
            assert told(tool, "map") == peer.listed(None, "map")[id_]


@CURRENT
@VOICES
def test_one_map_alone(zoo, voice):
    """By id, by pin and by name the same bytes; a name may match several."""
    path, name = next((path, name) for path, name in zoo.pins.items() if name.startswith("map:"))
    for words in (
        ["id", str(zoo.created[name].id)],
        ["i", hex(zoo.created["map:prog_array_owned"].id)],
        ["pinned", str(path), "-f"],
        ["n", "zoo.rodata"],
    ):
        args = [*voice, "map", "show", *words]
        assert peer.ours(*args) == peer.run(peer.bpftools()[0], *args), args


@CURRENT
@VOICES
def test_several_of_a_name_and_several_pins(zoo, voice):
    """Pins come in the order in which bpftool's hash table gives them back."""
    fds = [client.map_create(2, 4, 4, 1, name=NAMESAKES) for _ in range(2)]
    paths = []
    try:
        for number in range(24):
            paths.append(zoo.place.bpffs / f"pin{number}")
            client.obj_pin(fds[number % 3 == 0], str(paths[-1]))
        args = [*voice, "-f", "map", "show", "name", NAMESAKES]
        mine = peer.ours(*args)

        assert mine == peer.run(peer.bpftools()[0], *args)
        assert mine.stdout.count(b"/pin") == 24
        assert mine.rc == 0
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
        for fd in fds:
            os.close(fd)


MISTAKES = [
    ["show", "id", "4000000000"],
    ["show", "id", "1x"],
    ["show", "id"],
    ["show", "foo", "3"],
    ["show", "id", "1", "2"],
    ["show", "name", "longer_than_a_name_can_be"],
    ["show", "pinned", "/nowhere"],
    ["show", "pinned", "/"],
    ["pin", "id"],
    ["pin", "id", "1"],
    ["pin", "id", "4000000000", "/x"],
    ["pin", "foo", "1", "/x"],
]


@CURRENT
@pytest.mark.parametrize("voice", [["-j"], []], ids=["json", "plain"])
@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_mistakes(words, voice):
    """The same words and the same exit code."""
    mine = differences.without_hint(peer.ours(*voice, "map", *words))

    assert mine == peer.run(peer.bpftools()[0], *voice, "map", *words)


@CURRENT
@pytest.mark.parametrize("words", [["show", "name", "no_such_map"], ["pin", "name", "no_such_map", "/x"]], ids=" ".join)
def test_a_name_that_matches_nothing(words):
    """bpftool says nothing, which as JSON is an empty line; the exit code is the same."""
    theirs, plain, mine = (
        peer.run(peer.bpftools()[0], "map", *words),
        peer.ours("map", *words),
        peer.ours("-j", "map", *words),
    )

    assert (theirs, plain.rc, mine.rc) == ((255, b"", b""), 255, 255)
    assert plain.stderr == b"Error: no map with name no_such_map\n"
    assert json.loads(mine.stdout) == {"error": "no map with name no_such_map"}


@CURRENT
@pytest.mark.parametrize("voice", [["-j"], []], ids=["json", "plain"])
def test_mistakes_about_pins(zoo, voice):
    """Where nothing can be pinned the answers are the same: what the kernel refuses ends with its errno."""
    id_ = str(zoo.created["map:array"].id)
    taken = next(path for path, name in zoo.pins.items() if name.startswith("prog:"))
    for words in (
        ["map", "pin", "id", id_, str(taken)],
        ["map", "pin", "id", id_, str(zoo.place.bpffs / "dots.are.refused")],
        ["map", "pin", "id", id_, str(zoo.place.bpffs / ("long" * 100))],
        ["map", "pin", "id", id_, str(zoo.place.root / "nowhere" / "x")],
        ["-n", "map", "pin", "id", id_, str(zoo.place.root / "x")],
        ["map", "show", "pinned", str(taken)],
        ["prog", "pin", "id", "1"],
    ):
        mine = peer.ours(*voice, *words)
        assert (b"have no dots" in mine.stderr) == ("dots" in words[-1])
        mine = differences.without_hint(mine)
        assert mine == peer.run(peer.bpftools()[0], *voice, *words), words


def test_a_links_pin_is_no_map(zoo):
    """The kernel opens no link read-only, as maps are opened here, and bpftool passes on just that."""
    path = next(path for path, name in zoo.pins.items() if name.startswith("link:"))

    assert peer.ours("map", "show", "pinned", str(path)) == (255, b"", b"Error: incorrect object type: link\n")


def test_several_maps_cannot_be_pinned_at_once(zoo):
    fds = [client.map_create(2, 4, 4, 1, name=NAMESAKES) for _ in range(2)]
    ids = sorted(client.id_of("map", fd) for fd in fds)
    try:
        words = ["map", "pin", "name", NAMESAKES, str(zoo.place.bpffs / "x")]
        theirs, mine = peer.run(NEWEST, *words), peer.ours(*words)
    finally:
        for fd in fds:
            os.close(fd)

    hint = f" (say which one: id {ids[0]}, id {ids[1]})".encode()
    assert mine == (255, b"", b"Error: several maps match this handle" + hint + b"\n")
    assert differences.without_hint(mine).stderr == theirs.stderr


@CURRENT
@VOICES
def test_what_both_say_of_a_pin(zoo, voice):
    """Nothing, in JSON null; of a program and of a link, too."""
    for name in ("map:array", "prog:socket_filter", next(name for name in zoo.pins.values() if name[:5] == "link:")):
        kind, id_, answers = name.partition(":")[0], zoo.created[name].id, []
        for tool in (lambda *words: peer.run(NEWEST, *words), peer.inside):
            path = zoo.place.bpffs / "new"
            answers.append(tool(*voice, kind, "pin", "id", str(id_), str(path)))
            fd = client.obj_get(path)
            path.unlink()
            assert client.id_of(kind, fd) == id_
            os.close(fd)

        assert answers[0] == answers[1] == (0, b"null\n" if voice else b"", b""), kind


def test_pin(zoo):
    """A pin is the map itself, whichever handle named it."""
    made = zoo.created["map:array_mmapable"]
    paths = [zoo.place.bpffs / f"pinned by us {number}" for number in (1, 2, 3)]
    try:
        assert peer.ours("map", "pin", "id", str(made.id), str(paths[0])) == (0, b"", b"")
        assert peer.ours("-j", "map", "pin", "pinned", str(paths[0]), str(paths[1])) == (0, b"null\n", b"")
        assert peer.ours("map", "pin", "name", made.name[:15], str(paths[2])) == (0, b"", b"")
        for path in paths:
            fd = client.obj_get(path)
            try:
                assert client.id_of("map", fd) == made.id
            finally:
                os.close(fd)
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def test_extra_keys(zoo):
    """Flags in words, types and what else a map has, only on request; by an independent look at struct bpf_map_info."""
    plain, extra = (
        {row["id"]: row for row in json.loads(peer.ours(*args, "-j", "map").stdout)} for args in ([], ["--extra"])
    )
    words = {1 << 0: "BPF_F_NO_PREALLOC", 1 << 2: "BPF_F_NUMA_NODE", 1 << 6: "BPF_F_ZERO_SEED"}
    words |= {1 << 7: "BPF_F_RDONLY_PROG", 1 << 10: "BPF_F_MMAPABLE", 1 << 12: "BPF_F_INNER_MAP", 1 << 13: "BPF_F_LINK"}
    for made in zoo.created.values():
        if made.kind != "map":
            continue
        raw = client.info(made.fd).ljust(88, b"\0")
        flags, kernel_type, _btf, key, value = struct.unpack_from("=20xI20xI16xIII", raw)
        map_extra = struct.unpack_from("=Q", raw, 80)[0]
        more = {name: extra[made.id][name] for name in extra[made.id].keys() - plain[made.id].keys()}

        assert plain[made.id] == {name: extra[made.id][name] for name in plain[made.id]}
        assert more == {
            name: told
            for name, told in {
                "flag_names": [word for bit, word in words.items() if flags & bit],
                "map_extra": map_extra,
                "btf_key_type_id": key,
                "btf_value_type_id": value,
                "btf_vmlinux_value_type_id": kernel_type,
            }.items()
            if told
        }, made.name


def test_owners(zoo):
    """Every map of ours is held by this very process."""
    rows = {row["id"]: row for row in json.loads(peer.bpfctl("-j", "map").stdout)}

    for id_ in zoo.ids("map"):
        assert os.getpid() in [owner["pid"] for owner in rows[id_]["pids"]]
