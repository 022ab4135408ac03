"""bpfctl link beside bpftool link, on every link that this kernel allows."""

from __future__ import annotations

import json
import os

import pytest

from tests.bpftool import differences, peer
from tests.bpftool.newest import BPFTOOLS, CURRENT
from tests.kernel import client
from tests.kernel.inhabitants.links import LINKS

NAMES = [recipe.full_name for recipe in LINKS]
ZOO = None


@pytest.fixture
def link_id(zoo, request):
    """The link of a name, or a skip that says what the kernel lacks."""
    return zoo.alive(request.param).id


@pytest.mark.parametrize("tool", BPFTOOLS)
@pytest.mark.parametrize("link_id", NAMES, indirect=True)
def test_a_link_is_told_in_the_same_bytes(link_id, tool):
    """In JSON, indented JSON and text, with and without pins; an older bpftool may know less."""
    if peer.version(tool) >= peer.CURRENT:
        for args in (("-j", "link"), ("-p", "-f", "link", "list"), ("link", "show"), ("-f", "link", "show")):
            assert peer.listed(tool, *args)[link_id] == peer.listed(None, *args)[link_id], args
    else:
        theirs, mine = (json.loads(peer.listed(each, "-j", "-f", "link")[link_id]) for each in (tool, None))
        assert peer.agrees(theirs, mine)
        if theirs == mine:
            assert peer.listed(tool, "link")[link_id] == peer.listed(None, "link")[link_id]


@CURRENT
@pytest.mark.parametrize("args", [["-j"], ["-p"], []], ids=["json", "indented", "plain"])
def test_one_link_alone(zoo, args):
    """By id and by pin the same bytes; bpftool ends with 255 although it found the link, we do not."""
    (path,) = [path for path, name in zoo.pins.items() if name.startswith("link:")]
    link_id = zoo.created[zoo.pins[path]].id
    for handle in (["id", str(link_id)], ["pinned", str(path)], ["i", hex(link_id)]):
        theirs = peer.run(peer.bpftools()[0], *args, "link", "show", *handle)
        mine = peer.inside(*args, "link", "show", *handle)

        assert theirs.stdout == mine.stdout
        assert (theirs.rc, mine.rc, mine.stderr) == (255, 0, b"")


MISTAKES = [
    ["show", "id", "4000000000"],
    ["show", "id", "1x"],
    ["show", "id"],
    ["show", "foo", "3"],
    ["show", "id", "1", "2"],
    ["show", "pinned", "/nowhere"],
    ["show", "pinned", "/"],
    ["pin", "id", "4000000000", "/x"],
    ["pin", "id", "1"],
    ["pin", "foo", "1", "/x"],
    ["detach", "id", "4000000000"],
    ["detach", "foo", "1"],
]


@CURRENT
@pytest.mark.parametrize("args", [["-j"], []], ids=["json", "plain"])
@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_mistakes(words, args):
    """The same words and the same exit code."""
    mine = differences.without_hint(peer.inside(*args, "link", *words))

    assert peer.run(peer.bpftools()[0], *args, "link", *words) == mine


@CURRENT
def test_a_number_without_id():
    """What was meant is told behind bpftool's words."""
    theirs, mine = peer.run(peer.bpftools()[0], "link", "show", "7"), peer.inside("link", "show", "7")

    assert (mine.rc, mine.stdout) == (theirs.rc, theirs.stdout)
    assert mine.stderr == theirs.stderr.removesuffix(b"\n") + b" (did you mean 'id 7'?)\n"


@CURRENT
@pytest.mark.parametrize("words", [["detach"], ["detach", "id"], ["detach", "id", "1", "2"]], ids=" ".join)
def test_detach_without_a_handle(words):
    """bpftool ends this one message with a newline of its own, which makes its JSON invalid."""
    for args in ([], ["-j"]):
        theirs = peer.run(peer.bpftools()[0], *args, "link", *words)
        mine = differences.without_hint(peer.inside(*args, "link", *words))

        assert theirs.rc == mine.rc == 1
        assert theirs.stdout.replace(b"missing\n", b"missing") == mine.stdout
        assert theirs.stderr.replace(b"missing\n\n", b"missing\n") == mine.stderr


@pytest.fixture
def own_link(zoo):
    """A function that attaches a program to a cgroup of its own, and returns the link's fd and id."""
    fd = zoo.fd("prog:cgroup_skb")
    child = zoo.place.cgroup / "child"
    child.mkdir()
    folder = os.open(child, os.O_RDONLY | os.O_DIRECTORY)
    links = []

    def make():
        links.append(client.link_create(fd, folder, zoo.number("BPF_CGROUP_INET_INGRESS")))
        return links[-1], client.id_of("link", links[-1])

    yield make
    for each in [*links, folder]:
        os.close(each)
    child.rmdir()


@CURRENT
@pytest.mark.parametrize("args", [["-j"], ["-p"], []], ids=["json", "indented", "plain"])
def test_what_both_say_of_a_detached_link(own_link, args):
    """Nothing, in JSON null; and what is left of the link is told alike."""
    tools, answers, left = (lambda *words: peer.run(peer.bpftools()[0], *words), peer.inside), [], []
    for tool in tools:
        fd, id_ = own_link()
        answers.append(tool(*args, "link", "detach", "id", str(id_)))
        assert client.info(fd)[16:24] == bytes(8)
        left.append([asked(*args, "link", "show", "id", str(id_)) for asked in tools])

    assert answers[0] == answers[1] == (0, b"null\n" if args else b"", b"")
    for theirs, mine in left:
        assert differences.with_link_status(theirs) == mine


def test_detach(own_link):
    """A detached link stays, and its cgroup is gone from what the kernel tells of it."""
    fd, id_ = own_link()
    assert client.info(fd)[16:24] != bytes(8)

    assert peer.inside("link", "detach", "id", str(id_)) == (0, b"", b"")
    assert client.info(fd)[16:24] == bytes(8)
    assert b'"cgroup_id":0,' in peer.inside("-j", "link", "show", "id", str(id_)).stdout

    fd, id_ = own_link()
    assert peer.inside("-j", "link", "detach", "id", str(id_)) == (0, b"null\n", b"")
    assert client.info(fd)[16:24] == bytes(8)


@CURRENT
def test_detach_what_cannot_be_detached(zoo):
    """Tracepoints' links go away only with their last holder."""
    words = ["link", "detach", "id", str(zoo.created["link:raw_tracepoint"].id)]
    for args in ([], ["-j"]):
        theirs, mine = peer.run(peer.bpftools()[0], *args, *words), peer.inside(*args, *words)

        assert theirs == mine
        assert mine.rc == 1
        assert b"failed link detach: Operation not supported" in mine.stdout + mine.stderr


def test_pin(zoo, own_link):
    """A pin is the link itself, and the list tells where it is."""
    _, id_ = own_link()
    paths = [zoo.place.bpffs / f"pinned by us {number}" for number in (1, 2)]
    try:
        assert peer.inside("link", "pin", "id", str(id_), str(paths[0])) == (0, b"", b"")
        assert peer.inside("-j", "link", "pin", "pinned", str(paths[0]), str(paths[1])) == (0, b"null\n", b"")
        for path in paths:
            fd = client.obj_get(path)
            try:
                assert client.id_of("link", fd) == id_
            finally:
                os.close(fd)
        mine = json.loads(peer.inside("-j", "-f", "link", "show", "id", str(id_)).stdout)
        assert sorted(mine["pinned"]) == [str(path) for path in paths]
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


@CURRENT
@pytest.mark.parametrize("args", [["-j"], []], ids=["json", "plain"])
def test_mistakes_about_pins(zoo, args):
    """Where nothing can be pinned the answers are the same; a map's pin is no link."""
    link = str(zoo.created["link:raw_tracepoint"].id)
    a_map = next(path for path, name in zoo.pins.items() if name.startswith("map:"))
    for words in (
        ["pin", "id", link, str(a_map)],
        ["pin", "id", link, str(zoo.place.root / "nowhere" / "x")],
        ["-n", "link", "pin", "id", link, str(zoo.place.root / "x")],
        ["show", "pinned", str(a_map)],
    ):
        line = words if words[0] == "-n" else ["link", *words]
        assert peer.run(peer.bpftools()[0], *args, *line) == peer.inside(*args, *line), words


def test_owners_and_cookie(zoo):
    """Owners are named, and before them the cookie of a perf event's link where the kernel tells it."""
    ids = zoo.ids("link")
    rows = {row["id"]: row for row in json.loads(peer.bpfctl("-j", "link").stdout)}

    for id_ in ids:
        assert os.getpid() in [owner["pid"] for owner in rows[id_]["pids"]]
        assert ("bpf_cookie" in rows[id_]) <= (rows[id_]["type"] == "perf_event")
        # Before Linux 6.9 only a BPF iterator can tell it, which a lockdown forbids.
        if rows[id_]["type"] == "perf_event" and ("cookie" in rows[id_] or zoo.facts.has("lockdown:none")):
            assert list(rows[id_])[-2:] == ["bpf_cookie", "pids"]
            assert rows[id_]["bpf_cookie"] == (0x1234 if ids[id_].endswith("_cookie") else 0), ids[id_]
    assert "perf_faults_cookie" in ids.values() or zoo.refused["link:perf_faults_cookie"].missing


def test_extra_keys(zoo):
    """More is told only on request: categories of tracepoints, units' names, functions behind BTF ids."""
    plain, extra = (
        {row["id"]: row for row in json.loads(peer.inside(*args, "-j", "link").stdout)} for args in ([], ["--extra"])
    )
    for made in zoo.created.values():
        if made.kind != "link":
            continue
        more = {name: extra[made.id][name] for name in extra[made.id].keys() - plain[made.id].keys()}
        assert plain[made.id] == {name: extra[made.id][name] for name in plain[made.id]}
        row = plain[made.id]
        if row["type"] == "raw_tracepoint" or "tracepoint" in row:
            assert more == {"category": "sched"}, made.name
        elif row["type"] == "tracing" and not row["target_btf_id"]:
            assert more == {}, f"{made.name}: Linux tells no target before 5.13"
        elif made.name in ("tracing_ext", "tracing_prog"):
            function = "replaceable" if made.name == "tracing_ext" else "count_every_packet_that_arrives"
            of = zoo.created["prog:replaceable"].id
            assert more == {"target_func": function, "target_prog_id": of, "target_prog_name": "replaceable"}
        elif row.get("target_btf_id"):
            assert more.keys() == {"target_func"}, made.name
            assert zoo.type_id(f"func:{more['target_func']}") == row["target_btf_id"]
        elif isinstance(row.get("event_type"), int):
            assert more["event_unit"] == "cpu_clock", made.name
