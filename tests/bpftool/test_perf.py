"""bpfctl perf beside bpftool perf, on the perf events and raw tracepoints of this process; and those of links alone."""

from __future__ import annotations

import json
import os
from contextlib import suppress

import pytest

from bpfctl.kernel import attachment
from tests.bpftool import peer
from tests.bpftool.newest import BPFTOOLS, CURRENT, NEWEST, VOICES
from tests.kernel import client
from tests.kernel.inhabitants.links import LINKS, entry_point
from tests.kernel.inhabitants.programs import returning

_KINDS = ("raw_", "tp_btf", "perf_", "kprobe_", "kretprobe_", "uprobe_", "uretprobe_")
ZOO = [recipe.full_name for recipe in LINKS if recipe.name.startswith(_KINDS)]


@pytest.fixture(scope="module", autouse=True)
def attached(zoo):
    """An event to which a program is attached without a link, as old loaders do it."""
    event = client.perf_event_open(2, zoo.place.tracepoint_id("sched", "sched_process_fork"))
    client.perf_event_set_bpf(event, zoo.fd("prog:tracepoint"))
    yield event
    os.close(event)


def ours_alone(answer, voice):
    """What it tells of this process, in which the tests hold all that they made."""
    if not voice:
        return [line for line in answer.stdout.splitlines() if line.startswith(b"pid %d " % os.getpid())]
    return [each for each in json.loads(answer.stdout) if each["pid"] == os.getpid()]


@pytest.mark.parametrize("tool", BPFTOOLS)
@pytest.mark.parametrize("voice", VOICES)
def test_lists(zoo, tool, voice):
    """The same of each descriptor, in the same order."""
    for words in (["perf"], ["perf", "show"], ["per", "l"]):
        theirs, mine = peer.run(tool, *voice, *words), peer.inside(*voice, *words)

        assert (theirs.rc, theirs.stderr) == (mine.rc, mine.stderr) == (0, b"")
        told = ours_alone(theirs, voice)
        assert told == ours_alone(mine, voice)
        assert [list(each) for each in told] == [list(each) for each in ours_alone(mine, voice)], (
            "members in this order"
        )
    kinds = {each["fd_type"] for each in ours_alone(peer.inside("-j", "perf"), ["-j"])}
    assert {"raw_tracepoint", "tracepoint"} <= kinds
    assert {"uprobe", "uretprobe"} <= kinds or "link:perf_uprobe" in zoo.refused


@CURRENT
@pytest.mark.parametrize("voice", VOICES)
def test_bytes(voice):
    """Where nobody else has any, all bytes are the same."""
    for _ in range(5):  # others may come and go
        answers = [peer.inside(*voice, "perf"), peer.run(NEWEST, *voice, "perf"), peer.inside(*voice, "perf")]
        if answers[0] == answers[2]:
            break
    assert answers[1] == answers[2]


@pytest.fixture
def hidden(zoo):
    """A link to a tracepoint that nothing but a pin holds; its path and id, and that of its program."""
    if "link:perf_tracepoint" in zoo.refused:
        pytest.skip(str(zoo.refused["link:perf_tracepoint"]))
    event = client.perf_event_open(2, zoo.place.tracepoint_id("sched", "sched_process_wait"))
    prog = client.prog_load(5, returning(0), name="hidden")
    link = client.link_create(prog, event, zoo.number("BPF_PERF_EVENT"), "perf_event")
    path = zoo.place.bpffs / "hidden"
    client.obj_pin(link, path)
    id_ = client.id_of("link", link)
    prog_id = client.id_of("prog", prog)
    for fd in (event, link, prog):
        os.close(fd)
    yield path, id_, prog_id
    with suppress(FileNotFoundError):
        path.unlink()


def test_links_that_bpftool_misses(zoo, hidden):
    """With --extra, and in tables, those that nobody has open too; without, what bpftool tells."""
    path, id_, prog_id = hidden
    told = {each.get("link_id"): each for each in json.loads(peer.inside("-j", "--extra", "perf").stdout)}
    table = peer.inside("perf", "--fields", "link,prog,type,target,pinned").stdout.decode()

    tells = zoo.facts.has("word:BPF_PERF_EVENT_TRACEPOINT")  # where a perf event's link is: since Linux 6.6
    place = {"fd_type": "tracepoint", "tracepoint": "sched_process_wait", "target": "sched:sched_process_wait"}
    link = {"prog_id": prog_id, "link_id": id_, "link_type": "perf_event", "pinned": [str(path)]}
    assert told[id_] == link | (place if tells else {})
    row = next(line for line in table.splitlines() if line.startswith(f"{id_}\t"))
    shown = ["tracepoint", "sched:sched_process_wait"] if tells else ["perf_event", "-"]
    assert row.split("\t")[2:] == [*shown, str(path)]
    for voice in (["-j"], []):
        assert b"sched_process_wait" not in peer.inside(*voice, "perf").stdout
        assert b"sched_process_wait" not in peer.run(NEWEST, *voice, "perf").stdout


def test_before_linux_6_6(zoo, hidden, monkeypatch):
    """Where links to perf events are is not told then: they are, unless a descriptor leads to their program."""
    monkeypatch.setattr(attachment, "_PERF_SHAPES", {})
    path, id_, prog_id = hidden
    told = json.loads(peer.inside("-j", "--extra", "perf").stdout)
    (link,) = (each for each in told if each.get("link_id") == id_)

    assert link == {"prog_id": prog_id, "link_id": id_, "link_type": "perf_event", "pinned": [str(path)]}
    alone = [each for each in told if each["prog_id"] == zoo.created["prog:tracepoint"].id]
    assert alone
    assert all("fd" in each for each in alone)


def test_a_link_that_a_descriptor_tells_of_is_told_once(zoo):
    """Events stay open beside their links here; links to many places, and events that are no probes, have none."""
    links = {made.id: made.name for made in zoo.created.values() if made.kind == "link"}
    told = json.loads(peer.beside("-j", "--extra", "perf").stdout)
    alone = {links[each["link_id"]] for each in told if each.get("link_id") in links}

    assert {name for name in alone if "multi" not in name and "session" not in name} <= {
        "perf_faults",
        "perf_faults_cookie",
        "perf_clock",
        "perf_hardware",
    }
    assert "perf_faults" in alone or "link:perf_faults" in zoo.refused
    mine = [each for each in told if each.get("pid") == os.getpid()]
    assert all(each["pids"] == [{"pid": os.getpid(), "comm": each["pids"][0]["comm"]}] for each in mine)
    places = {(each["filename"], each["offset"]) for each in mine if "filename" in each}
    assert not places or places == {entry_point(zoo)}


@CURRENT
def test_words_that_are_answered_otherwise():
    """bpftool ignores whatever stands behind the command."""
    assert peer.run(NEWEST, "perf", "show", "more").rc == 0
    assert peer.inside("perf", "show", "more") == (255, b"", b"Error: what is 'more'?\n")
