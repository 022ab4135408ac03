"""bpfctl prog attach and detach beside bpftool's: the same commands on twin sockmaps, and on network namespaces."""

from __future__ import annotations

import errno
import json
import os
import re

import pytest

from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0
from tests.bpftool import differences, peer
from tests.bpftool.newest import CURRENT, NEWEST, VOICES
from tests.kernel import client
from tests.kernel.inhabitants.programs import returning
from tests.kernel.place import Place

pytestmark = CURRENT
SK_SKB, SK_MSG, FLOW_DISSECTOR, SOCKET_FILTER = 14, 16, 22, 1
ARRAY, SOCKMAP, SOCKHASH = 2, 15, 18
PARSER, VERDICT, MSG_VERDICT, FLOW, SKB_VERDICT = 4, 5, 7, 17, 38
TYPES = [PARSER, VERDICT, MSG_VERDICT, SKB_VERDICT]


@pytest.fixture(scope="module")
def programs():
    """Open programs, by name."""
    made = {
        "parser": client.prog_load(SK_SKB, returning(0), name="parser", expected_attach_type=PARSER),
        "verdict": client.prog_load(SK_SKB, returning(1), name="verdict", expected_attach_type=VERDICT),
        "msg": client.prog_load(SK_MSG, returning(1), name="msg"),
        "other_msg": client.prog_load(SK_MSG, returning(1), name="other_msg"),
        "flow": client.prog_load(FLOW_DISSECTOR, Program().mov(R0, 129).exit_().assemble(), name="flow"),
        "filter": client.prog_load(SOCKET_FILTER, returning(1), name="filter"),
    }
    yield made
    for fd in made.values():
        os.close(fd)


def told(answer):
    """The answer without the kernel's, which is the row of differences.md."""
    return answer._replace(
        stderr=re.sub(rb"(?m)(failed prog \w+ (?:to|from) map) \(.+\)$|\AHint: .*\n", rb"\1", answer.stderr)
    )


def attached(target, types):
    """What the kernel tells: ids, or why it does not; of sockmaps it tells since Linux 5.18, else EINVAL."""
    found = {}
    for attach_type in types:
        try:
            found[attach_type] = client.prog_query(target, attach_type)
        except OSError as error:
            found[attach_type] = errno.errorcode[error.errno]
    return found


def on_twins(programs, kind, voice, commands):
    """Run commands with bpftool on a map and with ours on its twin; they must answer and leave the same."""
    twins = [client.map_create(kind, 4, 4, 2, name="twin") for _ in range(2)]
    try:
        for command in commands:
            verb, name, *rest = command.split()
            words = [*voice, "prog", verb, "id", str(client.id_of("prog", programs[name]))]
            answers = []
            for tool, twin in zip((lambda *w: peer.run(NEWEST, *w), peer.inside), twins, strict=True):
                id_ = str(client.id_of("map", twin))
                answers.append(told(tool(*words, *(id_ if word == "MAP" else word for word in rest))))
            theirs, mine = answers
            assert theirs == mine, command
            assert attached(twins[0], TYPES) == attached(twins[1], TYPES), command
        return attached(twins[1], TYPES)
    finally:
        for twin in twins:
            os.close(twin)


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("kind", [SOCKMAP, SOCKHASH], ids=["sockmap", "sockhash"])
def test_sockmaps(programs, voice, kind):
    """All attach types, in full and cut short; what is there is replaced; what is not there is not detached."""
    left = on_twins(
        programs,
        kind,
        voice,
        [
            "attach msg sk_msg_verdict id MAP",
            "attach msg sk_msg_verdict id MAP",
            "attach other_msg msg_verdict id MAP",
            "detach msg sk_msg_verdict id MAP",
            "detach other_msg m i MAP",
            "detach other_msg sk_msg_verdict id MAP",
            "attach parser sk_skb_stream_parser id MAP",
            "attach verdict sk_skb_stream_verdict id MAP",
            "attach verdict sk_skb_verdict id MAP",
            "detach verdict stream_verdict id MAP",
            "attach verdict sk id MAP",
            "attach verdict stream_v id MAP",
            "detach verdict skb_verdict id MAP",
            "detach parser stream id MAP",
            "attach parser s id MAP",
            "attach msg sk_skb_verdict id MAP",
            "attach filter sk_msg_verdict id MAP",
            "attach msg msg_verdict id MAP",
            "attach verdict flow_dissector",
        ],
    )

    msg, parser = ([client.id_of("prog", programs[name])] for name in ("msg", "parser"))
    untold = dict.fromkeys(TYPES, "EINVAL")
    assert left in ({MSG_VERDICT: msg, PARSER: parser, VERDICT: [], SKB_VERDICT: []}, untold)


WRONG = [
    "",
    "id",
    "id 1",
    "id PROG sk_msg_verdict",
    "id PROG sk_msg_verdict id",
    "id PROG msg_v id",
    "id 4294967295 sk_msg_verdict id MAP",
    "id PROG sk_msg_verdict id 4294967295",
    "id PROG sk_msg_verdict foo MAP",
    "id PROG sk_msg_verdict pinned /sys/fs/bpf/not/there",
    "id PROG sk_msg_verdict name not_there_",
    "id PROG sk_msg_ver id MAP",
    "id PROG flow_diss id MAP",
    "id PROG cgroup_inet_ingress id MAP",
    "id PROG x id MAP",
    "foo PROG sk_msg_verdict id MAP",
    "id PROG sk_msg_verdict id ARRAY",
    "tag 00 sk_msg_verdict id MAP",
    "id x sk_msg_verdict id MAP",
]


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("verb", ["attach", "detach"])
def test_wrong_words(programs, voice, verb):
    """The same errors and exit codes; where nothing matches a name, bpftool says nothing."""
    sockmap, array = client.map_create(SOCKMAP, 4, 4, 2), client.map_create(ARRAY, 4, 4, 2)
    ids = {"PROG": client.id_of("prog", programs["msg"]), "MAP": client.id_of("map", sockmap)}
    ids["ARRAY"] = client.id_of("map", array)
    try:
        for wrong in WRONG:
            words = [*voice, "prog", verb, *(str(ids.get(word, word)) for word in wrong.split())]
            theirs, mine = told(peer.run(NEWEST, *words)), told(differences.without_hint(peer.inside(*words)))
            if "not_there_" in wrong:
                assert theirs.rc == mine.rc
                assert (theirs.stdout + theirs.stderr).strip() == b""
                assert b"no map with name not_there_" in mine.stdout + mine.stderr
            else:
                assert theirs == mine, wrong
    finally:
        os.close(sockmap)
        os.close(array)


@pytest.mark.parametrize("voice", VOICES)
def test_flow_dissectors(programs, voice):
    """They are attached to the network namespace of whoever asks, which is one of the test's own."""
    id_ = str(client.id_of("prog", programs["flow"]))
    with Place():
        namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            for verb, is_there in (("attach", True), ("detach", False), ("detach", False), ("attach", True)):
                words = [*voice, "prog", verb, "id", id_, "flow_dissector"]
                theirs = told(peer.run(NEWEST, *words))
                found = attached(namespace, [FLOW])
                if verb == "attach":
                    client.prog_detach(0, programs["flow"], FLOW)
                elif theirs.rc == 0:
                    client.prog_attach(0, programs["flow"], FLOW)
                mine = told(peer.inside(*words))
                assert theirs == mine
                assert attached(namespace, [FLOW]) == found == {FLOW: [int(id_)] if is_there else []}
            client.prog_detach(0, programs["flow"], FLOW)
        finally:
            os.close(namespace)


def test_words_behind_the_map(programs):
    """bpftool ignores them; ours attaches nothing."""
    sockmap = client.map_create(SOCKMAP, 4, 4, 2)
    try:
        words = ["prog", "attach", "id", str(client.id_of("prog", programs["msg"])), "sk_msg_verdict"]
        words += ["id", str(client.id_of("map", sockmap)), "more"]
        mine = peer.inside(*words)
        assert (mine.rc, mine.stdout, mine.stderr) == (255, b"", b"Error: what is 'more'?\n")
        assert attached(sockmap, [MSG_VERDICT])[MSG_VERDICT] in ([], "EINVAL")
        assert peer.run(NEWEST, *words) == (0, b"", b"")
    finally:
        os.close(sockmap)


def test_the_kernels_answer(programs):
    """bpftool keeps it to itself; ours tells it behind the same sentence, in JSON on stderr."""
    sockmap = client.map_create(SOCKMAP, 4, 4, 2)
    try:
        words = ["prog", "detach", "id", str(client.id_of("prog", programs["msg"])), "sk_msg_verdict"]
        words += ["id", str(client.id_of("map", sockmap))]
        why = b"No such file or directory"
        theirs, plain, compact = peer.run(NEWEST, *words), peer.inside(*words), peer.inside("-j", *words)
    finally:
        os.close(sockmap)

    assert theirs == (234, b"", b"Error: failed prog detach from map\n")
    assert plain == (234, b"", b"Error: failed prog detach from map (%s)\n" % why)
    assert (compact.rc, json.loads(compact.stdout)) == (234, {"error": "failed prog detach from map"})
    assert compact.stderr == b"Hint: %s\n" % why
