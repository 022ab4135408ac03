"""bpfctl struct_ops beside bpftool's: the same structs, listed, shown, put to use and taken out of use."""

from __future__ import annotations

import json
import os
import re

import pytest

from bpfctl.kernel.map import Map
from tests.bpftool import peer
from tests.bpftool.newest import CURRENT, NEWEST, VOICES
from tests.kernel import client
from tests.kernel.facts import Facts
from tests.kernel.place import Place
from tests.kernel.structs import own

pytestmark = CURRENT


@pytest.fixture(scope="module")
def place():
    with Place() as place:
        yield place


@pytest.fixture(scope="module")
def structs(place):
    """Structs of an object without links, and of one with a link, put to use by ours; gone in the end."""
    if not Facts(place.lockdown).has("word:BPF_F_LINK"):
        pytest.skip("structs of functions have no links before Linux 6.4")
    links = place.bpffs / "links"
    for name in ("load_ops", "struct_ops_link"):
        (place.root / f"{name}.o").write_bytes(own(name))
    answers = [
        peer.inside("struct_ops", "register", f"{place.root}/load_ops.o"),
        peer.inside("struct_ops", "register", f"{place.root}/struct_ops_link.o", str(links)),
    ]
    yield answers, links
    for name in ("first", "another"):
        peer.inside("struct_ops", "unregister", "name", name)
    (links / "ours").unlink()


def test_register(structs):
    answers, links = structs

    assert [(one.rc, one.stdout) for one in answers] == [(0, b"")] * 2
    assert re.fullmatch(
        rb"Registered tcp_congestion_ops first id \d+\nRegistered tcp_congestion_ops another id \d+\n",
        answers[0].stderr,
    )
    assert re.fullmatch(rb"Registered tcp_congestion_ops ours map id \d+ link id \d+\n", answers[1].stderr)
    assert [one.name for one in links.iterdir()] == ["ours"]


WORDS = ["show", "list", "sh name first", "dump", "d n ours", "dump name no", "show name no", "show id 4294967295"]


def theirs_and_ours(*words):
    return peer.run(NEWEST, *words), peer.inside(*words)


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.usefixtures("structs")
def test_show_and_dump(voice):
    array = client.map_create(2, 4, 4, 1, name="array")
    ids = {row["name"]: row["id"] for row in json.loads(peer.run(NEWEST, "-j", "struct_ops", "show").stdout)}
    handles = [f"{command} id {ids[name]}" for command in ("show", "dump") for name in ("first", "ours")]
    wrong = [f"show id {client.id_of('map', array)}", "show id 0", "show id x"]
    os.close(array)
    for words in (*WORDS, *handles, *wrong):
        theirs, mine = theirs_and_ours(*voice, "struct_ops", *words.split())

        assert theirs == mine, words


def without_ids(answer):
    """Nothing but the numbers of maps and links is left to chance."""
    return answer._replace(stderr=re.sub(rb"(?<= id )\d+", b"N", answer.stderr))


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.usefixtures("structs")
def test_register_and_unregister(place, voice):
    """What is put to use, with a link and without, and taken out of use again, is said in the same words."""
    (path := place.root / "third.o").write_bytes(own("struct_ops").replace(b"ours_", b"3rd__"))
    (linked := place.root / "sixth.o").write_bytes(own("struct_ops_link").replace(b"ours_", b"6th__"))
    links, said = place.bpffs / "both_links", []
    for tool in (lambda *w: peer.run(NEWEST, *w), peer.inside):
        done = [tool(*voice, "struct_ops", "register", str(path))]
        id_ = json.loads(peer.run(NEWEST, "-j", "struct_ops", "show").stdout)[-1]["id"]
        done.append(tool(*voice, "struct_ops", "unregister", "id", str(id_)))
        done.append(tool(*voice, "struct_ops", "register", str(linked), str(links)))
        (links / "ours").unlink()
        links.rmdir()
        said.append([without_ids(one) for one in done])

    assert said[0] == said[1]
    assert [one.rc for one in said[1]] == [0, 0, 0]
    assert voice or said[1][1].stderr == b"Unregistered tcp_congestion_ops ours id N\n"


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.usefixtures("structs")
def test_unregister_what_cannot_be(voice):
    """One that is not there, or that a link holds."""
    for words in (["name", "no"], ["name", "ours"], ["id", "4294967295"], []):
        theirs, mine = theirs_and_ours(*voice, "struct_ops", "unregister", *words)
        assert theirs.rc == mine.rc == 255, words
        assert not voice or "error" in json.loads(mine.stdout)
        assert "ours" not in words or b"its link holds it" in mine.stderr


@pytest.mark.usefixtures("structs")
def test_each_refusal_is_told(place):
    """A name may be that of several, and links may hold all of them."""
    links = place.bpffs / "more_links"
    (path := place.root / "fourth.o").write_bytes(own("struct_ops_link").replace(b"ours_", b"4th__"))
    assert peer.inside("struct_ops", "register", str(path), str(links)).rc == 0
    answers = [peer.inside(*voice, "struct_ops", "unregister", "name", "ours") for voice in ([], ["-j"])]
    (links / "ours").unlink()

    for answer in answers:
        told = re.findall(rb"can't unload tcp_congestion_ops ours id (\d+)", answer.stdout + answer.stderr)
        assert (answer.rc, len(set(told))) == (255, 2)


@pytest.mark.usefixtures("structs")
def test_what_is_out_of_use_but_held(place):
    """The kernel says that it is in progress for as long as somebody holds the map."""
    (path := place.root / "held.o").write_bytes(own("struct_ops").replace(b"ours_", b"5th__"))
    assert peer.inside("struct_ops", "register", str(path)).rc == 0
    id_ = json.loads(peer.inside("-j", "struct_ops", "show").stdout)[-1]["id"]
    with Map.by_id(id_):
        first, again = (peer.inside("struct_ops", "unregister", "id", str(id_)) for _ in range(2))

    assert (first.rc, again.rc) == (0, 255)
    assert b": Operation now in progress (it is out of use already, " in again.stderr


@pytest.mark.usefixtures("structs")
def test_what_cannot_be_registered(compiled, place):
    """All structs of an object are put to use, or none."""
    for name in ("socket", "struct_ops_missing", "struct_ops_reused", "struct_ops_member"):
        theirs = peer.run(NEWEST, "struct_ops", "register", str(compiled[name]))
        mine = peer.inside("struct_ops", "register", str(compiled[name]))
        assert theirs.rc == mine.rc == 255, name
        assert mine.stderr.count(b"\n") == 1
    (path := place.root / "fresh.o").write_bytes(own("load_ops").replace(b"firs_", b"2nd__"))
    before = json.loads(peer.run(NEWEST, "-j", "struct_ops", "show").stdout)
    again = peer.inside("struct_ops", "register", str(path), str(place.bpffs / "never"))
    after = json.loads(peer.run(NEWEST, "-j", "struct_ops", "show").stdout)

    assert "another" in {one["name"] for one in before}
    assert (again.rc, after) == (255, before)
    assert again.stderr == b"Error: can't register struct_ops another: File exists\n"
    assert not (place.bpffs / "never").exists()
