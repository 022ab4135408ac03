"""bpfctl feature beside bpftool's: every voice, with all rights, with few, and where the kernel tells less."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bpftool import differences, peer
from tests.bpftool.newest import CURRENT, NEWEST

pytestmark = CURRENT
OURS = [sys.executable, "-m", "bpfctl", "--plain"]
BPF_RIGHTS = "-sys_admin,-bpf,-net_admin,-perfmon"
# Root without the rights of BPF, so that both tools may still be read from wherever they are.
WITHOUT_RIGHTS = ["setpriv", "--bounding-set", BPF_RIGHTS, "--inh-caps", BPF_RIGHTS]
WITH_ONE_RIGHT = ["setpriv", "--bounding-set", "-sys_admin,-bpf", "--inh-caps", "-sys_admin,-bpf"]
IN_A_GUEST = Path("/run/bpfctl-vm").exists()
DISABLED = Path("/proc/sys/kernel/unprivileged_bpf_disabled")
CONFIGS = [Path("/proc/config.gz"), Path(f"/boot/config-{os.uname().release}")]


def both(*words, place=()):
    """Return the answers of bpftool and of ours, each run in the same place; here where none is given."""
    if not place:
        return peer.run(NEWEST, *words), peer.inside(*words)
    answers = []
    for tool in ([NEWEST], OURS):
        done = subprocess.run(
            [*place, *tool, *words], capture_output=True, check=False, env=peer.ENVIRONMENT, stdin=subprocess.DEVNULL
        )
        answers.append(peer.Answer(done.returncode, done.stdout, done.stderr))
    return answers


def alike(*words, place=()):
    """Return the answer that both give; the lines of long ones are compared, as their difference can be read."""
    theirs, mine = both(*words, place=place)
    assert theirs.stdout.splitlines() == mine.stdout.splitlines()
    assert theirs == differences.without_hint(mine)
    return mine


@pytest.mark.parametrize(
    "command",
    [
        "-j feature probe",
        "-p feature probe kernel",
        "f",
        "-j feature probe full macros prefix MY_",
        "feature probe macros",
        "feature probe macros prefix MY_ full",
    ],
)
def test_of_the_kernel(command):
    assert alike(*command.split()).rc == 0


def test_the_answer_is_not_empty():
    """Two empty answers would be alike."""
    answer = json.loads(alike("-j", "feature", "probe").stdout)

    assert list(answer) == ["system_config", "syscall_config", "program_types", "map_types", "helpers", "misc"]
    assert len(answer["program_types"]) == 32
    assert len(answer["map_types"]) == 35
    assert "bpf_map_lookup_elem" in answer["helpers"]["xdp_available_helpers"]
    assert answer["misc"]["have_bounded_loops"] is True


@pytest.mark.parametrize("command", ["-j feature probe dev lo", "-p f p d lo", "f p dev lo", "f p dev lo macros"])
def test_of_a_device(command):
    assert alike(*command.split(), place=("unshare", "-n")).rc == 0


@pytest.mark.parametrize("place", [(), WITHOUT_RIGHTS], ids=["rights given up", "no rights"])
@pytest.mark.parametrize("command", ["-j feature probe unprivileged", "f p u", "f p u macros full"])
def test_unprivileged(command, place):
    if DISABLED.read_text().strip() == "0" and not place:
        pytest.skip("ordinary users may use BPF here, where bpftool differs: see the test of that")
    assert alike(*command.split(), place=place).rc == 0


@pytest.mark.parametrize("voice", [[], ["-j"]], ids=["plain", "json"])
@pytest.mark.parametrize("place", [WITHOUT_RIGHTS, WITH_ONE_RIGHT], ids=["none", "some"])
def test_without_the_rights_that_it_takes(voice, place):
    answer = alike(*voice, "feature", "probe", place=place)

    assert answer.rc == 255
    assert b"missing CAP_SYS_ADMIN, CAP_BPF, " in answer.stdout + answer.stderr


@pytest.mark.skipif(not IN_A_GUEST, reason="only in a guest may ordinary users be let use BPF")
def test_where_ordinary_users_may_use_bpf():
    """bpftool takes the errno of a program before for that of one that has loaded."""
    before = DISABLED.read_text()
    try:
        DISABLED.write_text("0")
        theirs, mine = (json.loads(answer.stdout) for answer in both("-j", "feature", "probe", "unprivileged"))
    finally:
        DISABLED.write_text(before)

    assert mine["program_types"].pop("have_cgroup_skb_prog_type") is True
    assert theirs["program_types"].pop("have_cgroup_skb_prog_type") is False
    assert "bpf_map_lookup_elem" in mine["helpers"].pop("cgroup_skb_available_helpers")
    assert theirs["helpers"].pop("cgroup_skb_available_helpers") == []
    assert theirs == mine
    assert mine["program_types"]["have_socket_filter_prog_type"] is True
    assert mine["program_types"]["have_xdp_prog_type"] is False


SIGN = "#\n# Automatically generated file; DO NOT EDIT.\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("#\n", id="one line"),
        pytest.param("CONFIG_HZ=100\nCONFIG_BPF=y\n", id="without the sign"),
        pytest.param(f"{SIGN}CONFIG_HZ=\nCONFIG_HZ=100\nCONFIG_HZ=200\n", id="several values"),
        pytest.param(f"{SIGN}CONFIG_BPF=m\n# CONFIG_NET is not set\nCONFIG_TRACING=0x7\n", id="odd values"),
        pytest.param(f'{SIGN}CONFIG_XFRM="a b=c"\n CONFIG_HZ=1\nCONFIG_HZ =2\nX=y\n', id="odd lines"),
    ],
)
@pytest.mark.parametrize("command", ["-j f p u", "f p u", "f p u macros"])
def test_of_a_strange_configuration(command, text, tmp_path):
    """Where the kernel's configuration stands, something else does, in both places where bpftool looks."""
    path = tmp_path / "config"
    path.write_text(text)
    there = [str(place) for place in CONFIGS if place.exists()]
    if not there:
        pytest.skip("this kernel's configuration is nowhere")
    binds = "".join(f"mount --bind {path} {place} && " for place in there)
    theirs, mine = both(*command.split(), place=("unshare", "-m", "sh", "-c", f'{binds}exec "$@"', "sh"))

    assert theirs == mine


@pytest.mark.parametrize("command", ["-j f p u", "f p u", "f p u macros"])
def test_without_proc(command):
    hidden = 'mount -t tmpfs none /proc && exec "$@"'

    assert alike(*command.split(), place=("unshare", "-m", "sh", "-c", hidden, "sh")).rc == 0


@pytest.mark.parametrize("voice", [[], ["-j"], ["-p"]], ids=["plain", "json", "indented"])
@pytest.mark.parametrize("group", ["prog_types", "map_types", "attach_types", "link_types", "helpers", "h", "", "m x"])
def test_list_builtins(voice, group):
    answer = alike(*voice, "feature", "list_builtins", *(group.split() or [""]))

    assert answer.rc == 0
    assert answer.stdout


@pytest.mark.parametrize("voice", [[], ["-j"]], ids=["plain", "json"])
@pytest.mark.parametrize(
    "words",
    [
        "probe dev",
        "probe dev nonesuch",
        "probe dev aninterfacewithalongname",
        "probe kernel dev lo",
        "probe dev lo kernel",
        "probe dev lo dev lo",
        "probe kernel kernel",
        "probe nonsense",
        "probe prefix X",
        "probe macros prefix",
        "probe macros prefix A prefix B",
        "probe macros macros",
        "list_builtins nonsense",
    ],
)
def test_wrong_words(voice, words):
    assert alike(*voice, "feature", *words.split()).rc == 255


def test_list_builtins_of_nothing():
    """bpftool tells its usage."""
    theirs, mine = both("-j", "feature", "list_builtins")

    assert (theirs.rc, theirs.stdout) == (255, b"null\n")
    assert (mine.rc, [*json.loads(mine.stdout)]) == (255, ["error"])


#: What bpftool denies where it is: see the documented differences.
DENIED = {"have_struct_ops_map_type", "have_tracing_prog_type"}
ATTACHED = {"tracing", "ext", "lsm", "struct_ops"}  # of whose helpers bpftool tells none


def test_the_full_report_says_the_same():
    """What cannot be told aside, and what is there although bpftool denies it."""
    theirs = json.loads(peer.run(NEWEST, "-j", "feature", "probe").stdout)
    report = json.loads(peer.inside("-j", "feature", "probe", "--full-report", "--fresh").stdout)
    types = theirs["program_types"] | theirs["map_types"]
    mine = {
        f"have_{row['name']}_{kind}_type": row["available"]
        for kind, group in (("prog", "program_types"), ("map", "map_types"))
        for row in report[group]
        if row["available"] is not None
    }
    others = {name for name, answer in mine.items() if types[name] is not answer}
    helpers = {row["program_type"]: row["available"] for row in report["helpers"] if not row["cannot_be_told"]}

    assert others <= DENIED
    assert all(mine[name] for name in others)
    assert [*theirs["misc"].values()] == [row["available"] for row in report["limits"][: len(theirs["misc"])]]
    for name, found in theirs["helpers"].items():
        word = name.removesuffix("_available_helpers")
        if word not in ATTACHED and word in helpers:
            assert helpers[word] == found, word
