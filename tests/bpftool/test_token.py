"""bpfctl token beside bpftool's, on BPF file systems that delegate."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.bpftool import peer
from tests.bpftool.newest import CURRENT, NEWEST, VOICES
from tests.kernel.place import Place

pytestmark = CURRENT
OPTIONS = [
    "delegate_cmds=any",
    "delegate_attachs=0x5,delegate_maps=0x2ffe",
    "delegate_progs=0x2,mode=0700",
    "mode=0700",
]


@pytest.fixture(scope="module")
def place():
    """BPF file systems with all kinds of options, one under a name with a blank in it."""
    with Place() as place:
        for at, options in enumerate(OPTIONS):
            folder = place.root / f"bpf {at}"
            folder.mkdir()
            done = subprocess.run(
                ["mount", "-t", "bpf", "-o", options, "bpf", folder], check=False, capture_output=True
            )
            if done.returncode and "delegate" in options:
                pytest.skip("BPF file systems delegate nothing before Linux 6.9")
        yield place


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.usefixtures("place")
def test_show(voice):
    for words in (["show"], ["list"], [], ["s"], ["show", "more"]):
        theirs, mine = peer.run(NEWEST, *voice, "token", *words), peer.inside(*voice, "token", *words)

        assert theirs == mine, words


def test_what_is_told(place):
    told = json.loads(peer.inside("-j", "token", "show").stdout)
    rows = [row for row in told if row["token_info"].startswith(f"{place.root}/")]  # the machine may have others

    assert [row["token_info"] for row in rows] == [f"{place.root}/bpf {at}" for at in range(3)]
    assert rows[0]["allowed_cmds"] == ["any"]
    assert len(rows[1]["allowed_maps"]) > 5 or rows[1]["allowed_maps"] == ["0x2ffe"]
