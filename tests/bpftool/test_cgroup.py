"""bpfctl cgroup beside bpftool cgroup, on cgroups of the tests' own in which nobody is."""

from __future__ import annotations

import json
import os
import re

import pytest

from tests.bpftool import peer
from tests.bpftool.newest import CURRENT, NEWEST, OLDER, VOICES
from tests.kernel import client

OVERRIDE, MULTI = 1, 2
#: What is attached where: the folder, the program, the attach type, and the flags; without flags it is a link.
ATTACHED = [
    ("", "prog:cgroup_skb", "BPF_CGROUP_INET_INGRESS", MULTI),
    ("", "prog:sock_release", "BPF_CGROUP_INET_SOCK_RELEASE", 0),
    ("", "prog:cgroup_device", "BPF_CGROUP_DEVICE", OVERRIDE),
    ("", "prog:getsockopt", "BPF_CGROUP_GETSOCKOPT", None),
    ("", "prog:lsm_cgroup", "BPF_LSM_CGROUP", None),
    ("one", "prog:cgroup_skb", "BPF_CGROUP_INET_INGRESS", None),
    ("one", "prog:cgroup_sysctl", "BPF_CGROUP_SYSCTL", MULTI),
    ("one/two", "prog:connect4", "BPF_CGROUP_INET4_CONNECT", OVERRIDE),
    ("one/two", "prog:connect_unix", "BPF_CGROUP_UNIX_CONNECT", MULTI),
    ("one/two", "prog:cgroup_skb", "BPF_CGROUP_INET_INGRESS", MULTI),
    ("three", "prog:sock_ops", "BPF_CGROUP_SOCK_OPS", 0),
]
#: Came with the flags of each program.
FLAGS = "enum:BPF_LSM_CGROUP"
FOLDERS = ["one", "one/two", "three", "empty"]
ZOO = sorted({name for _, name, _, _ in ATTACHED} | {"prog:skb_egress", "prog:socket_filter"})


@pytest.fixture(scope="module")
def top(zoo):
    """A cgroup with others below, and programs at them; as many as this kernel takes."""
    top, links = zoo.place.cgroup, []
    for folder in FOLDERS:
        (top / folder).mkdir()
    for folder, name, attach_type, flags in ATTACHED:
        if name in zoo.refused:
            assert zoo.refused[name].missing, str(zoo.refused[name])
            continue
        target, number = os.open(top / folder, os.O_RDONLY), zoo.number(attach_type)
        if flags is None:
            links.append(client.link_create(zoo.fd(name), target, number))
        else:
            client.prog_attach(target, zoo.fd(name), number, flags)
        os.close(target)
    yield top
    for link in links:
        os.close(link)
    for folder in reversed(FOLDERS):
        (top / folder).rmdir()


def told(answer):
    """The answer without advice, which is the row of differences.md."""
    return answer._replace(stderr=re.sub(rb"(?m)\AHint: .*\n| \(.*\)$", b"", answer.stderr))


def commands(zoo, top):
    """What to ask: each cgroup, those below, what is effective. What is attached bpftool tells since Linux 6.0."""
    folders = [str(top), *(str(top / folder) for folder in FOLDERS[:3])]
    if not zoo.facts.has(FLAGS):
        folders_below = [str(top / folder) for folder in FOLDERS[:3]]
        yield from (["cgroup", "tree", folder, "effective"] for folder in folders_below)
        yield from (["cgroup", "show", folder, "effective"] for folder in folders)
        return
    yield from (["cgroup", word, folder] for folder in folders for word in ("show", "list"))
    yield from (["cgroup", "show", folder, "effective"] for folder in [*folders, str(top / "empty")])
    yield from ([["cgroup", "tree", str(top)], ["c", "t", f"{top}//", "eff"], ["cgroup", "tree"]])


@CURRENT
@pytest.mark.parametrize("voice", VOICES)
def test_lists(zoo, top, voice):
    """The same bytes for each cgroup and for trees of them."""
    for words in commands(zoo, top):
        theirs, mine = peer.run(NEWEST, *voice, *words), peer.inside(*voice, *words)

        assert theirs == mine, words
        assert theirs.rc == 0, words


@pytest.mark.parametrize("tool", [pytest.param(tool, id=".".join(map(str, peer.version(tool)))) for tool in OLDER])
def test_an_older_bpftool(zoo, top, tool):
    """It has another order, and knows fewer types."""
    for words in commands(zoo, top):
        theirs, mine = (json.loads(ask("-j", *words).stdout or b"[]") for ask in (_run(tool), peer.inside))
        if words[1].startswith("t"):
            assert [each["cgroup"] for each in theirs] == [each["cgroup"] for each in mine]
            theirs, mine = ([one for each in answer for one in each["programs"]] for answer in (theirs, mine))

        assert theirs, words
        assert all(any(peer.agrees(each, own) for own in mine) for each in theirs), words


def _run(tool):
    return lambda *words: peer.run(tool, *words)


@CURRENT
def test_functions_of_the_kernel(zoo, top):
    """A program of type lsm_cgroup is told with what it is called at."""
    id_ = zoo.alive("prog:lsm_cgroup").id
    words = ["cgroup", "show", str(top)]
    theirs, mine = peer.run(NEWEST, *words), peer.inside(*words)
    row = next(each for each in json.loads(peer.inside("-j", *words).stdout) if each["id"] == id_)

    assert theirs == mine
    assert row["attach_btf_name"] == "bpf_lsm_socket_bind"


@CURRENT
def test_before_linux_6_0(zoo, top):
    """Such a kernel tells no flags of each program: bpftool then tells no program, and bpfctl all of them."""
    theirs, mine = peer.run(NEWEST, "-j", "cgroup", "show", str(top)), peer.inside("-j", "cgroup", "show", str(top))
    found = {each["attach_type"]: each["attach_flags"] for each in json.loads(mine.stdout)}

    assert found["cgroup_inet_ingress"] == "multi"
    assert found["cgroup_device"] == "override"
    if not zoo.facts.has(FLAGS):
        assert (theirs.rc, json.loads(theirs.stdout)) == (255, [])


@pytest.mark.parametrize("voice", VOICES)
def test_nothing_attached(top, voice):
    """bpftool's JSON is no document then; ours is an empty array."""
    words = [*voice, "cgroup", "show", str(top / "empty")]
    mine = peer.inside(*words)

    assert (mine.rc, mine.stderr) == (0, b"")
    assert mine.stdout.split() == ([b"[]"] if voice else [])
    assert peer.run(NEWEST, *words) == (0, b"\n" if voice else b"", b"")


MISTAKES = [
    "show",
    "show TOP x",
    "show TOP effective eff",
    "show TOP effective x",
    "show /nowhere",
    "show /tmp",
    "show /etc/passwd",
    "tree /nowhere",
    "tree /tmp",
    "tree /etc/passwd",
    "tree TOP x",
    "tree TOP e e",
    "attach",
    "attach TOP ingress id",
    "attach /nowhere ingress id PROG",
    "attach TOP nowhere id PROG",
    "attach TOP ingress foo PROG",
    "attach TOP ingress id 4294967295",
    "attach TOP ingress id PROG x",
    "attach TOP ingress id PROG multi x",
    "attach /tmp ingress id PROG",
    "attach TOP egress id FILTER",
    "attach TOP/empty egress id PROG multi override",
    "attach TOP ingress id PROG override",
    "detach",
    "detach TOP ingress id",
    "detach /nowhere ingress id PROG",
    "detach TOP nowhere id PROG",
    "detach TOP/one ingress id PROG",
    "detach TOP ingress id 4294967295",
]


@CURRENT
@pytest.mark.parametrize("voice", [[], ["-j"]], ids=["plain", "json"])
def test_mistakes(zoo, top, voice):
    """The same words and exit codes, and nothing is changed."""
    ids = {"PROG": zoo.created["prog:cgroup_skb"].id, "FILTER": zoo.created["prog:socket_filter"].id}
    before = peer.inside("-j", "cgroup", "tree", str(top))
    for mistake in MISTAKES:
        words = ["cgroup", *(str(ids.get(word, word.replace("TOP", str(top)))) for word in mistake.split())]
        theirs, mine = told(peer.run(NEWEST, *voice, *words)), told(peer.inside(*voice, *words))

        assert theirs == mine, mistake
        assert theirs.rc in ((0,) if mistake == "tree /etc/passwd" else (255,)), mistake
    assert peer.inside("-j", "cgroup", "tree", str(top)) == before


@pytest.mark.parametrize("voice", VOICES)
def test_attach_and_detach(zoo, top, voice):
    """The same commands on twin cgroups have the same answers, and leave the same."""
    skb, other = (str(zoo.created[f"prog:{name}"].id) for name in ("cgroup_skb", "skb_egress"))
    twins = [top / "empty" / name for name in ("theirs", "ours")]
    for twin in twins:
        twin.mkdir()
    attached = []
    try:
        for line in (
            f"attach TWIN cgroup_inet_ingress id {skb} multi",
            f"attach TWIN ingress id {skb} m",
            f"attach TWIN in id {skb} multi",
            f"attach TWIN egress id {other}",
            f"attach TWIN e id {skb}",
            f"attach TWIN cgroup_inet_egress id {other} override",
            f"detach TWIN ingress id {other}",
            f"detach TWIN i id {skb}",
            f"detach TWIN ingress id {skb}",
            f"detach TWIN cgroup_inet_egress id {other}",
            f"attach TWIN egr id {other} over",
        ):
            answers = [
                told(tool(*voice, "cgroup", *line.replace("TWIN", str(twin)).split()))
                for tool, twin in zip((_run(NEWEST), peer.inside), twins, strict=True)
            ]
            assert answers[0] == answers[1], line
            attached.append([_attached(twin) for twin in twins])
            assert attached[-1][0] == attached[-1][1], line
    finally:
        for twin in twins:
            twin.rmdir()

    assert [int(skb)] in attached[0][0].values()
    assert attached[-1][0] == {0: [], 1: [int(other)]}


def _attached(folder):
    target = os.open(folder, os.O_RDONLY)
    try:
        return {number: client.prog_query(target, number) for number in (0, 1)}
    finally:
        os.close(target)


def test_hostile_names(top):
    """A folder may be called anything; neither a terminal nor JSON is harmed, where bpftool writes it raw."""
    name = 'x\x1b[31m"\u202e\udcff'
    folder = top / "empty" / name
    folder.mkdir()
    try:
        assert (
            json.loads(peer.inside("-j", "cgroup", "show", os.fsencode(folder).decode(errors="surrogateescape")).stdout)
            == []
        )
        for voice in ([], ["-j"]):
            mine = peer.inside(*voice, "cgroup", "show", str(folder / "not there"))
            assert b"\x1b" not in mine.stdout + mine.stderr
    finally:
        folder.rmdir()


@CURRENT
def test_words_that_are_answered_otherwise(zoo, top):
    """Words too many are no mistake to bpftool; and it repeats a command as it was typed."""
    id_ = str(zoo.created["prog:skb_egress"].id)
    words = ["cgroup", "detach", str(top / "empty"), "egress", "id", id_, "more"]
    assert peer.inside(*words) == (255, b"", b"Error: what is 'more'?\n")
    assert told(peer.run(NEWEST, *words)).stderr == b"Error: failed to detach program\n"
    for word in ("list", "sh", None):
        words = ["cgroup", *([word] if word else [])]
        (theirs, mine) = (ask(*words) for ask in (_run(NEWEST), peer.inside))
        assert theirs == (255, b"", b"Error: '%s' needs at least 1 arguments, 0 found\n" % (word or "cgroup").encode())
        assert (mine.rc, mine.stdout) == (255, b"")
        assert mine.stderr.startswith(b"Error: 'show' needs at least 1 arguments, 0 found (")


@CURRENT
def test_the_kernels_answer(zoo, top):
    """bpftool keeps it to itself; ours tells it behind the same sentence, in JSON on stderr."""
    words = ["cgroup", "attach", str(top), "egress", "id", str(zoo.created["prog:socket_filter"].id)]
    theirs, plain, compact = peer.run(NEWEST, *words), peer.inside(*words), peer.inside("-j", *words)

    assert theirs == (255, b"", b"Error: failed to attach program\n")
    assert plain.stderr.startswith(b"Error: failed to attach program (Invalid argument: ")
    assert (compact.rc, json.loads(compact.stdout)) == (255, {"error": "failed to attach program"})
    assert compact.stderr.startswith(b"Hint: Invalid argument: ")


def test_what_keeps_them(top):
    """With --extra, links and who holds them; the program's holders where there is no link."""
    rows = json.loads(peer.beside("-j", "--extra", "cgroup", "show", str(top)).stdout)
    links = {row["attach_type"]: row.get("link_ids") for row in rows}

    assert links["cgroup_inet_ingress"] is None
    (link,) = links["cgroup_getsockopt"]
    assert link in client.ids("link")
    assert all(os.getpid() in [owner["pid"] for owner in row["pids"]] for row in rows)
