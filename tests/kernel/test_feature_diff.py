"""`feature diff` against the running kernel: it is what it has just said of itself."""

from __future__ import annotations

import json

import pytest

from bpfctl.feature import rights
from tests.bpftool import peer


@pytest.fixture(params=[(), ("--full-report",)], ids=["bpftool", "full"])
def saved(request, tmp_path):
    """What this kernel says, in a file, as a document."""
    path = tmp_path / "host.json"
    path.write_bytes(peer.inside("-j", "feature", "probe", *request.param).stdout)
    return path


def test_this_kernel_is_as_it_was(saved):
    for words in ((), ("--fresh",)):
        answer = peer.inside("feature", "diff", str(saved), *words)

        assert (answer.rc, answer.stdout) == (0, b"")


def test_nothing_is_asked_about_two_reports(saved):
    answer = peer.inside("feature", "diff", str(saved), str(saved), "--fresh")

    assert answer.rc != 0
    assert b"--fresh is for the kernel that runs" in answer.stderr


def test_what_was_missing_then_is_gained(saved):
    """In either form, a type that the report denies is there now; an unknown one is told too."""
    document = json.loads(saved.read_bytes())
    if "format" in document:
        (row,) = [row for row in document["map_types"] if row["name"] == "hash"]
        row["available"] = False
        (row,) = [row for row in document["program_types"] if row["name"] == "socket_filter"]
        row |= {"available": None, "reason": "nobody knew"}
    else:
        document["map_types"]["have_hash_map_type"] = False
        document["system_config"]["bpf_jit_harden"] = -1
    saved.write_text(json.dumps(document))
    answer = peer.inside("-j", "feature", "diff", str(saved))
    found = json.loads(answer.stdout)
    (unknown,) = found["cannot_be_told"]

    assert answer.rc == 1
    assert found["gained"] == [{"kind": "map type", "name": "hash", "first": False, "second": True}]
    assert (found["lost"], found["changed"], found["not_compared"]) == ([], [], [])
    assert unknown["first"] is None
    assert unknown["name"] in {"socket_filter", "net.core.bpf_jit_harden"}
    assert unknown["second"] is True or unknown["second"].isdecimal()


def test_who_may_not_ask_knows_less(tmp_path):
    """Without capabilities the kernel tells little: that is neither gained nor lost, and says why."""
    path = tmp_path / "host.json"
    path.write_bytes(peer.inside("-j", "feature", "probe", "--full-report").stdout)
    with rights.without_capabilities():
        answer = peer.inside("-j", "feature", "diff", str(path))
    found = json.loads(answer.stdout)
    program_types = [one for one in found["cannot_be_told"] if one["kind"] == "program type"]

    assert answer.rc == 1
    assert (found["gained"], found["lost"]) == ([], [])
    assert {one["second"] for one in program_types} == {None}
    assert all("a capability is missing" in one["reason"] for one in program_types)
    assert "xdp" in {one["name"] for one in program_types}


def test_who_may_not_ask_as_bpftool_does(tmp_path):
    path = tmp_path / "host.json"
    path.write_bytes(peer.inside("-j", "feature", "probe").stdout)
    with rights.without_capabilities():
        answer = peer.inside("feature", "diff", str(path))

    assert (answer.rc, answer.stdout) == (4, b"")
    assert b"required for full feature probing" in answer.stderr
