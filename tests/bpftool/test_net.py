"""bpfctl net beside bpftool net, in a network namespace of the tests' own with a loopback device and a pair of veth."""

from __future__ import annotations

import json
import os
import re
import socket

import pytest

from tests.bpftool import peer
from tests.bpftool.newest import CURRENT, NEWEST, OLDER, VOICES
from tests.kernel import client, traffic
from tests.kernel.place import add_device

LO = 1
SKB_MODE, DRV_MODE = 2, 4
BEFORE = 1 << 3
ZOO = (
    "prog:xdp",
    "prog:sched_cls",
    "prog:sched_act",
    "prog:replaceable",
    "prog:socket_filter",
    "prog:flow_dissector",
    "link:xdp_lo",
    "link:tcx_ingress",
    "link:netkit",
    "link:netfilter",
    "link:netfilter_ip6",
)


def told(answer):
    """The answer without advice and without libbpf's lines, which are rows of differences.md."""
    return answer._replace(stderr=re.sub(rb"(?m)^(Hint|libbpf|Warning): .*\n| \(.*\)$", b"", answer.stderr))


@pytest.fixture(scope="module")
def devices(zoo):
    """Programs at devices, as many as this kernel takes; their names."""
    veth = zoo.device("veth")
    other = next(index for index, name in socket.if_nameindex() if name not in ("lo", "zoo-veth") and "veth" in name)
    _may(lambda: traffic.add_qdisc(LO, "clsact"))
    cls, act = zoo.fd("prog:sched_cls"), zoo.fd("prog:sched_act")
    _may(
        lambda: traffic.add_filter(LO, traffic.CLSACT_INGRESS, 2, zoo.fd("prog:replaceable"), name="file.o:[a section]")
    )
    _may(lambda: traffic.add_filter(LO, traffic.CLSACT_INGRESS, 1, None))
    _may(lambda: traffic.add_filter(LO, traffic.CLSACT_EGRESS, 1, cls, name="a name"))
    _may(lambda: traffic.add_filter(LO, traffic.CLSACT_EGRESS, 3, cls, name="acts", acts=(act, act)))
    _may(lambda: traffic.add_qdisc(veth, "htb"))
    _may(lambda: traffic.add_class(veth, 1))
    _may(lambda: traffic.add_filter(veth, 0x10001, 1, cls, name="at a class"))
    _may(lambda: traffic.add_filter(veth, 0x10000, 1, cls, name="at the root"))
    _may(lambda: traffic.set_xdp(veth, zoo.fd("prog:xdp"), SKB_MODE))
    _may(lambda: traffic.set_xdp(other, zoo.fd("prog:xdp"), DRV_MODE))
    if "link:tcx_ingress" in zoo.created:
        for flags in (0, BEFORE):
            name = "prog:replaceable" if flags else "prog:sched_cls"
            client.prog_attach(LO, zoo.fd(name), zoo.number("BPF_TCX_EGRESS"), flags)
    return ["lo", "zoo-veth", socket.if_indextoname(other)]


def _may(make):
    """Make something that a kernel may be built without."""
    try:
        make()
    except OSError as error:
        print(error)


@CURRENT
@pytest.mark.parametrize("voice", VOICES)
def test_lists(devices, voice):
    """The same bytes of all devices, and of each."""
    for words in ([], ["show"], *(["list", "dev", name] for name in devices), ["s", "d", "lo"]):
        theirs, mine = peer.run(NEWEST, *voice, "net", *words), peer.inside(*voice, "net", *words)

        assert theirs == mine, words
        assert theirs.rc == 0, words
    everything = peer.inside("net").stdout
    for what in (b"lo(1) generic id", b"driver id", b"clsact/ingress file.o", b"htb at a class id"):
        assert what in everything, everything


@pytest.mark.parametrize("tool", [pytest.param(tool, id=".".join(map(str, peer.version(tool)))) for tool in OLDER])
def test_an_older_bpftool(devices, tool):
    """It knows neither tcx, nor netkit, nor netfilter."""
    for words in ([], ["list", "dev", devices[1]]):
        (theirs,), (mine,) = (json.loads(ask("-j", "net", *words).stdout) for ask in (_run(tool), peer.inside))
        mine["tc"] = [each for each in mine["tc"] if "link_id" not in each]

        assert peer.agrees(theirs, mine), json.dumps([theirs, mine])
        assert theirs["xdp"], words


def _run(tool):
    return lambda *words: peer.run(tool, *words)


@CURRENT
def test_each_filter_once(devices):
    """With a qdisc of the same handle elsewhere, and an ingress qdisc, bpftool tells filters several times."""
    other = socket.if_nametoindex(devices[2])
    traffic.add_qdisc(other, "htb")
    traffic.add_qdisc(other, "ingress")
    traffic.add_filter(other, 0xFFFF0000, 1, None)
    try:
        theirs, mine = (json.loads(ask("-j", "net").stdout)[0]["tc"] for ask in (_run(NEWEST), peer.inside))
    finally:
        traffic.delete_qdiscs(other)

    assert {json.dumps(each) for each in mine} <= {json.dumps(each) for each in theirs}
    there = [each["kind"] for each in mine if each["ifindex"] == other]
    assert there == ["ingress"]
    assert [each["kind"] for each in theirs if each["ifindex"] == other] == [
        "ingress",
        "root",
        "clsact/ingress",
        "clsact/egress",
    ]
    at = [each.get("name") for each in mine if each["devname"] == "zoo-veth" and each["kind"] == "htb"]
    assert at == ["at a class", "at the root"]
    # Newer kernels tell bpftool the queueing disciplines of the device that it asks for, and no others.
    assert len([each for each in theirs if each["devname"] == "zoo-veth" and each["kind"] == "htb"]) in (2, 3)


@CURRENT
def test_a_flow_dissector(zoo, devices):
    """In JSON bpftool writes a member into an array; as text both say the same."""
    id_ = zoo.created["prog:flow_dissector"].id
    client.prog_attach(0, zoo.fd("prog:flow_dissector"), zoo.number("BPF_FLOW_DISSECTOR"))
    try:
        theirs, mine = peer.run(NEWEST, "net"), peer.inside("net")
        (found,) = json.loads(peer.inside("-j", "net", "show", "dev", devices[0]).stdout)
        broken = peer.run(NEWEST, "-j", "net").stdout
    finally:
        client.prog_detach(0, zoo.fd("prog:flow_dissector"), zoo.number("BPF_FLOW_DISSECTOR"))

    assert theirs == mine
    assert b"flow_dissector:\nid %d\n" % id_ in mine.stdout
    assert found["flow_dissector"] == [{"id": id_}]
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(broken)


MISTAKES = [
    "show dev",
    "show foo lo",
    "show dev nowhere",
    "attach",
    "attach xdp id PROG dev",
    "attach nowhere id PROG dev lo",
    "attach xdp foo PROG dev lo",
    "attach xdp id 4294967295 dev lo",
    "attach xdp id PROG foo lo",
    "attach xdp id PROG dev nowhere",
    "attach xdp id PROG dev lo foo",
    "attach xdp id PROG dev lo prepend",
    "attach tcx_ingress id CLS dev lo overwrite",
    "attach tcx_ingress id PROG dev lo",
    "attach xdp id CLS dev VETH",
    "attach xdpoffload id PROG dev VETH",
    "attach xdp id PROG dev lo",
    "attach xdpgeneric id PROG dev lo over",
    "attach xdpdrv id PROG dev VETH",
    "attach tcx_egress id CLS dev lo",
    "detach",
    "detach xdp dev",
    "detach nowhere dev lo",
    "detach xdp foo lo",
    "detach xdp dev nowhere",
    "detach xdp dev lo",
    "detach tcx_egress dev VETH",
    "detach tcx_ingress dev lo",
]


@CURRENT
@pytest.mark.parametrize("voice", [[], ["-j"]], ids=["plain", "json"])
def test_mistakes(zoo, devices, voice):
    """The same words and exit codes, and nothing is changed."""
    ids = {"PROG": zoo.created["prog:xdp"].id, "CLS": zoo.created["prog:sched_cls"].id, "VETH": devices[1]}
    before = peer.inside("-j", "net").stdout
    for mistake in MISTAKES:
        words = ["net", *(str(ids.get(word, word)) for word in mistake.split())]
        theirs, mine = told(peer.run(NEWEST, *voice, *words)), told(peer.inside(*voice, *words))

        if mistake == "show dev":  # the usage, which differences.md tells of others too
            assert (theirs.rc, mine.rc) == (255, 255)
            assert b"what is 'dev'?" in mine.stdout + mine.stderr
        else:
            assert theirs == mine, mistake
            assert theirs.rc, mistake
    assert peer.inside("-j", "net").stdout == before


@CURRENT
@pytest.mark.parametrize("voice", VOICES)
def test_attach_and_detach(zoo, voice):
    """The same commands on the two ends of a pair have the same answers, and leave the same."""
    twins = _pair()
    xdp, cls, other = (str(zoo.created[f"prog:{name}"].id) for name in ("xdp", "sched_cls", "replaceable"))
    seen = []
    for line in (
        f"attach xdp id {xdp} dev TWIN",
        f"attach xdp id {xdp} dev TWIN",
        f"attach x id {xdp} d TWIN overwrite",
        "detach xdp dev TWIN",
        "detach xdp dev TWIN",
        f"attach xdpg id {xdp} dev TWIN",
        "detach xdpgeneric dev TWIN",
        f"attach xdpdrv id {xdp} dev TWIN",
        f"attach xdpgeneric id {xdp} dev TWIN",
        "detach xdpdrv dev TWIN",
        *(
            [
                f"attach tcx_ingress id {cls} dev TWIN",
                f"attach t id {other} dev TWIN pre",
                f"attach tcx_egress id {other} dev TWIN",
                "detach tcx_ingress dev TWIN",
                "detach tcx_e dev TWIN",
                "detach tcx_ingress dev TWIN",
                "detach tcx_ingress dev TWIN",
            ]
        ),
    ):
        answers = []
        for tool, twin in zip((_run(NEWEST), peer.inside), twins, strict=True):
            answers.append(told(tool(*voice, "net", *line.replace("TWIN", twin).split())))
        assert answers[0] == answers[1], line
        (left,) = json.loads(peer.run(NEWEST, "-j", "net").stdout)
        there = [_at(left, twin) for twin in twins]
        assert there[0] == there[1], line
        seen.append([answers[0].rc, len(there[0])])

    assert [rc for rc, _ in seen[:5]] == [0, 240, 0, 0, 0]
    assert [count for _, count in seen[:10]] == [1, 1, 1, 0, 0, 1, 0, 1, 1, 0]
    if "link:tcx_ingress" in zoo.created:
        assert [count for _, count in seen[10:]] == [1, 2, 3, 2, 1, 0, 0]


def _pair():
    """The two ends of a pair of veth that has nothing on it."""
    known = {name for _, name in socket.if_nameindex()}
    name = f"twin{len(known)}"
    add_device("veth", name)
    return [name, next(other for _, other in socket.if_nameindex() if other not in known and other != name)]


def _at(left, device):
    return [
        {name: value for name, value in each.items() if name not in ("devname", "ifindex")}
        for each in left["xdp"] + left["tc"]
        if each["devname"] == device
    ]


@CURRENT
def test_words_that_are_answered_otherwise(zoo, devices):
    """Words too many are the usage, or no mistake, to bpftool."""
    id_ = str(zoo.created["prog:xdp"].id)
    for words in (["show", "dev", "lo", "more"], ["show", "dev"]):
        theirs, mine = peer.run(NEWEST, "net", *words), peer.inside("net", *words)
        assert (theirs.rc, mine.rc) == (255, 255)
        assert b"Usage: " in theirs.stderr
        assert mine.stderr == b"Error: what is 'dev'?\n"
    words = ["net", "attach", "xdp", "id", id_, "dev", devices[0], "overwrite", "more"]
    assert peer.inside(*words) == (234, b"", b"Error: what is 'more'?\n")
    words = ["net", "detach", "xdp", "dev", "lo", "more"]
    assert peer.inside(*words) == (234, b"", b"Error: what is 'more'?\n")


@CURRENT
def test_the_kernels_words(zoo, devices):
    """What the kernel says about a refusal stands behind the errno, in JSON on stderr; bpftool has a line of libbpf."""
    words = ["net", "attach", "xdpgeneric", "id", str(zoo.created["prog:xdp"].id), "dev", devices[1]]
    theirs, plain, compact = peer.run(NEWEST, *words), peer.inside(*words), peer.inside("-j", *words)
    sentence = b"XDP program already attached"

    assert theirs.stderr.startswith(b"libbpf: Kernel error message: " + sentence)
    assert plain.stderr == b"Error: interface xdpgeneric attach failed: Device or resource busy (%s)\n" % sentence
    assert compact.stderr == b"Hint: %s\n" % sentence
    assert plain.rc == compact.rc == theirs.rc == 240


@CURRENT
def test_detach_in_another_mode(devices):
    """The kernel has no objection, and leaves the program where it is."""
    words = ["net", "detach", "xdpdrv", "dev", devices[1]]
    theirs, mine, compact = peer.run(NEWEST, *words), peer.inside(*words), peer.inside("-j", *words)
    (left,) = (each for each in json.loads(peer.inside("-j", "net").stdout)[0]["xdp"] if each["devname"] == devices[1])

    assert theirs == (0, b"", b"")
    warning = b"Warning: the device still has XDP program %d, which is no xdpdrv: net detach xdpgeneric\n" % left["id"]
    assert mine == (0, b"", warning)
    assert compact == (0, b"null\n", warning)


def test_what_keeps_them(zoo, devices):
    """With --extra, links and who holds them, and the handles that filters are at."""
    (found,) = json.loads(peer.beside("-j", "--extra", "net").stdout)
    by_device = {each["devname"]: each for each in found["xdp"]}

    assert by_device["lo"]["link_ids"] == [zoo.created["link:xdp_lo"].id]
    assert os.getpid() in [owner["pid"] for owner in by_device["lo"]["pids"]]
    assert "link_ids" not in by_device["zoo-veth"]
    assert {"htb 1:1", "htb 1:"} == {
        f"{each['kind']} {each['parent']}" for each in found["tc"] if each["kind"] == "htb"
    }
    del devices


def test_hostile_names(zoo, devices):
    """A filter may be called anything; neither a terminal nor JSON is harmed."""
    index = socket.if_nametoindex(devices[2])
    traffic.add_qdisc(index, "clsact")
    traffic.add_filter(index, traffic.CLSACT_INGRESS, 1, zoo.fd("prog:sched_cls"), name='x\x1b[31m"\n\u202e')
    try:
        plain, compact = peer.inside("net").stdout, peer.inside("-j", "net").stdout
    finally:
        traffic.delete_qdiscs(index)

    assert b'clsact/ingress x\\x1b[31m"\\x0a' in plain
    assert b"\x1b" not in plain + compact
    assert 'x\x1b[31m"\n\u202e' in [each.get("name") for each in json.loads(compact)[0]["tc"]]
