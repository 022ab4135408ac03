"""bpfctl beside bpftool on the whole zoo: the same bytes, but for what docs/differences.md tells."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from tests.bpftool import differences, listing, peer
from tests.bpftool.newest import CURRENT, NEWEST, OLDER, VOICES
from tests.kernel import client
from tests.kernel.zoo import Zoo

pytestmark = CURRENT

ALL = pytest.mark.parametrize("kind", ["prog", "map", "link", "btf"])
STATISTICS = Path("/proc/sys/kernel/bpf_stats_enabled")
CUT_NAME, FULL_NAME = "count_every_pac", "count_every_packet_that_arrives"
TAG, NAME = slice(8, 16), {"prog": slice(64, 80), "map": slice(24, 40)}  # in bpf_prog_info and bpf_map_info
KERNEL_BTF = slice(28, 32)  # in bpf_btf_info


@pytest.fixture(scope="module")
def zoo():
    assert STATISTICS.read_text() == "0\n", "nothing can be compared while the kernel counts the runs of programs"
    with Zoo() as inhabited:
        yield inhabited


@pytest.fixture
def batch(tmp_path):
    """A function that writes a batch file, and returns the words that run it."""

    def write(commands):
        file = tmp_path / "batch"
        file.write_text("".join(shlex.join(command) + "\n" for command in commands))
        return ["batch", "file", str(file)]

    return write


def listed(zoo, kind, tool, options):
    """A list of a bpftool taken apart, without its defects; None is bpfctl."""
    if tool is None:
        return listing.objects(peer.inside(*options, kind, "list"), options)
    pieces = listing.objects(peer.run(tool, *options, kind, "list"), options)
    return differences.without_stale_btf_id(pieces, zoo) if kind == "map" else pieces


def wanted(zoo, kind):
    """The ids of all objects that stay where they are: the zoo's, and the kernel's own BTF."""
    ids = set(zoo.ids(kind))
    return ids | kernel_btf() if kind == "btf" else ids


def kernel_btf():
    found = set()
    for id_ in client.ids("btf"):
        try:
            fd = client.fd_by_id("btf", id_)
        except FileNotFoundError:  # of a process that has ended meanwhile
            continue
        if any(client.info(fd)[KERNEL_BTF]):
            found.add(id_)
        os.close(fd)
    return found


@pytest.mark.parametrize("pins", [[], ["-f"]], ids=["", "pins"])
@pytest.mark.parametrize("options", VOICES)
@ALL
def test_lists(zoo, kind, options, pins):
    """All objects of a kind, as the newest bpftool tells them."""
    options = [*options, *pins]

    listing.settle(lambda: [listed(zoo, kind, tool, options) for tool in (NEWEST, None)], wanted(zoo, kind))


@pytest.mark.parametrize("tool", OLDER, ids=lambda tool: ".".join(map(str, peer.version(tool))))
@ALL
def test_lists_of_an_older_bpftool(zoo, kind, tool):
    """It may know less; what it knows is the same, and of what it knows all, so is the text."""
    known = set()

    def documents():
        theirs, mine = (listed(zoo, kind, each, ["-j", "-f"]) for each in (tool, None))
        for id_ in theirs.keys() & mine.keys():
            old, new = json.loads(theirs[id_]), json.loads(mine[id_])
            if old == new or old == {name: new[name] for name in new if name != "orphaned"}:
                known.add(id_)
            if peer.agrees(old, new):
                theirs[id_] = mine[id_]
        return theirs, mine

    listing.settle(documents, wanted(zoo, kind))
    if known & wanted(zoo, kind):
        texts = lambda: [listed(zoo, kind, each, ["-f"]) for each in (tool, None)]  # noqa: E731
        listing.settle(texts, known & wanted(zoo, kind))


@pytest.mark.parametrize("options", VOICES)
@pytest.mark.parametrize("kind", ["prog", "map", "btf"])
def test_each_by_its_handles(zoo, batch, kind, options):
    """By id, and by pin."""
    handles = [["id", str(id_)] for id_ in wanted(zoo, kind)]
    handles += [["pinned", str(path)] for path, name in zoo.pins.items() if name.startswith(kind)]
    line = [*options, "-f", *batch([[kind, "show", *handle] for handle in handles])]

    def answers():
        theirs, mine = peer.run(NEWEST, *line), peer.inside(*line)
        assert mine.rc == 0
        return {"": differences.without_stale_errno(theirs, len(handles))}, {"": mine}

    listing.settle(answers, [""])


@pytest.mark.parametrize("options", VOICES)
def test_a_link_by_its_handles(zoo, options):
    """One alone: bpftool's batch ends with the first link that it shows, and each start of it costs."""
    path, name = next((path, name) for path, name in zoo.pins.items() if name.startswith("link:"))
    for handle in (["id", str(zoo.created[name].id)], ["pinned", str(path)]):
        words = [*options, "-f", "link", "show", *handle]
        mine = peer.inside(*words)

        assert differences.with_link_status(peer.run(NEWEST, *words)) == mine
        assert mine.rc == 0


@pytest.mark.parametrize("kind", ["prog", "map"])
def test_names_and_tags(zoo, batch, kind):
    """What every third object is called, and programs' tags: each look-up walks through all objects."""
    infos = [client.info(made.fd) for made in zoo.created.values() if made.kind == kind]
    names = {info[NAME[kind]].rstrip(b"\0").decode() for info in infos} - {"", CUT_NAME}
    commands = [[kind, "show", "name", name] for name in sorted(names)[::3]]
    if kind == "prog":
        commands.append(["prog", "show", "name", FULL_NAME])
        commands += [["prog", "show", "tag", tag] for tag in sorted({info[TAG].hex() for info in infos})[::3]]
    line = ["-j", *batch(commands)]

    def answers():
        theirs, mine = peer.run(NEWEST, *line), peer.inside(*line)
        theirs = differences.without_stale_errno(theirs, len(commands))
        assert theirs.rc == mine.rc == 0
        return listing.outputs(theirs), listing.outputs(mine)

    listing.settle(answers, map(tuple, commands))


MISTAKES = [
    ["prog", "show", "id", "4000000000"],
    ["prog", "show", "id", "1x"],
    ["prog", "show", "tag", "12345"],
    ["prog", "show", "foo", "3"],
    ["prog", "show", "id", "1", "2"],
    ["prog", "show", "name", "n" * 128],
    ["prog", "show", "pinned", "/nowhere"],
    ["map", "show", "id", "4000000000"],
    ["map", "show", "pinned", "/"],
    ["link", "show", "id", "4000000000"],
    ["btf", "show", "id", "4000000000"],
    ["btf", "list", "name", "vmlinux"],
]


@pytest.mark.parametrize("options", [["-j"], []], ids=["json", "plain"])
def test_mistakes(zoo, options):
    """Unknown ids, wrong words and wrong kinds of pins: the same words and exit codes."""
    pins = {name.partition(":")[0]: str(path) for path, name in zoo.pins.items()}
    wrong = [[kind, "show", "pinned", path] for kind in pins for of, path in pins.items() if of != kind]
    for words in [*MISTAKES, *wrong]:
        line = [*options, *words]
        theirs, mine = peer.run(NEWEST, *line), peer.inside(*line)
        if words[0] == "map" and words[-1] == pins["link"]:
            theirs = differences.with_kind_of_pin(theirs)
        assert theirs == mine, line


@pytest.mark.parametrize("options", VOICES)
def test_a_batch_that_fails(batch, options):
    """It ends where it fails, and with that exit code."""
    line = [*options, *batch([["btf", "list"], ["map", "show", "id", "4000000000"], ["version"]])]
    theirs, mine = peer.run(NEWEST, *line), peer.inside(*line)

    assert differences.with_line(theirs, f"line 2 of {line[-1]}") == mine
    assert mine.rc == 255


NOBODY = [["prog", "name", "nobody"], ["prog", "name", CUT_NAME], ["prog", "tag", "0" * 16], ["map", "name", "nobody"]]


@pytest.mark.parametrize("options", VOICES)
@pytest.mark.parametrize("handle", NOBODY, ids=" ".join)
def test_no_match(zoo, options, handle):  # noqa: ARG001 - it is there, or the test would say nothing
    """Nobody is called so; the part of a name that the kernel keeps is no name either."""
    kind, *words = handle
    sentence = f"no {'program' if kind == 'prog' else kind} with {' '.join(words)}"
    line = [*options, kind, "show", *words]

    assert differences.with_no_match(peer.run(NEWEST, *line), sentence, options) == peer.inside(*line)


@pytest.mark.parametrize("options", VOICES)
def test_run_statistics(zoo, options):
    """How often and how long a program ran, once it runs no more."""
    made = zoo.created["prog:xdp"]
    statistics = client.bpf("enable_stats", client.Layout("I type"))[0]
    try:
        client.bpf("prog_test_run", client.TEST_RUN, prog_fd=made.fd, data_size_in=14, data_in=bytes(14), repeat=3)
    finally:
        os.close(statistics)
    line = [*options, "prog", "show", "id", str(made.id)]
    theirs = peer.run(NEWEST, *line)

    assert b"run_cnt" in theirs.stdout
    assert peer.inside(*line) == theirs


@ALL
def test_owners_are_all_that_owners_add(zoo, kind):
    """With owners, only the members and lines that tell them and a perf event's cookie are more."""
    for options in (["-j"], []):
        told = [listing.objects(ask(*options, kind, "list"), options) for ask in (peer.inside, peer.beside)]
        for id_ in zoo.ids(kind):
            without, with_ = (each[id_] for each in told)
            assert f"({os.getpid()})" in with_ or f'"pid":{os.getpid()},' in with_
            assert differences.without_owners(with_) == without


def test_a_process_of_its_own_says_the_same(zoo):
    """What this process answers is what the command answers."""
    for kind, options in (("prog", ["-j", "-f"]), ("link", ["-f"])):
        words = [*options, kind, "list"]
        listing.settle(
            lambda: [listing.objects(ask(*words), options) for ask in (peer.ours, peer.inside)],  # noqa: B023
            zoo.ids(kind),
        )
