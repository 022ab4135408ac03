"""What bpfctl feature probe --full-report remembers: as much as is conclusive, and nothing for who has other rights."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from tests.kernel import hardship
from tests.kernel.asked import answers

IN_A_GUEST = Path("/run/bpfctl-vm").exists()
pytestmark = pytest.mark.usefixtures("remembering")
FILE = Path("/run/bpfctl/features.json")
DISABLED = Path("/proc/sys/kernel/unprivileged_bpf_disabled")
NOBODY = 65534
CAPABILITIES = "CAP_SYS_ADMIN", "CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"


def ask(*options, place=None):
    """Return the answers of a full report."""
    outcome = hardship.bpfctl("-j", "feature", "probe", "--full-report", *options, hardship=place)
    assert (outcome.code, outcome.err) == (0, "")
    return answers(json.loads(outcome.out))


def loads(*options):
    """Return how many programs a full report takes."""
    outcome = hardship.bpfctl("-d", "-j", "feature", "probe", "--full-report", *options)
    assert outcome.code == 0
    return outcome.err.count("bpf(BPF_PROG_LOAD")


@pytest.fixture(scope="module")
def truth():
    """What is answered where nothing is remembered; afterwards something is."""
    return ask("--fresh")


def test_what_is_conclusive_is_not_asked_again(truth):
    fewer, all_ = loads(), loads("--fresh")

    assert ask() == truth
    assert 0 < fewer < all_ / 4


@pytest.mark.usefixtures("truth")
def test_whose_it_is():
    """Nobody else can read or write it: what root's kernel answers decides what is done there."""
    assert (FILE.stat().st_uid, FILE.stat().st_mode & 0o7777) == (os.geteuid(), 0o600)


HARM = {
    "empty": lambda _: FILE.write_bytes(b""),
    "no JSON": lambda text: FILE.write_bytes(text[: len(text) // 2]),
    "others may write": lambda text: (FILE.write_bytes(text.replace(b'"yes"', b'"no"')), FILE.chmod(0o666)),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_file_that_is_damaged(truth, harm):
    harm(FILE.read_bytes())

    assert ask() == truth


def without(*names):
    """Return a place without capabilities."""

    def place():
        from bpfctl._sys import task
        from bpfctl.feature.answer import CAP_NAMES

        lost = sum(1 << number for number, name in CAP_NAMES.items() if name in names)
        task.set_effective_capabilities(task.effective_capabilities() & ~lost)

    return place


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(without(*CAPABILITIES), id="no rights"),
        pytest.param(without("CAP_SYS_ADMIN", "CAP_PERFMON"), id="without CAP_PERFMON"),
        pytest.param(hardship.user_namespace, id="user namespace"),
        pytest.param(hardship.ordinary_user, id="ordinary user"),
        pytest.param(hardship.forbidden_bpf, id="seccomp"),
    ],
)
def test_answers_change_with_rights(truth, place):
    """What is remembered of one is not told to another, nor the other way round."""
    lesser = ask(place=place)

    assert lesser == ask("--fresh", place=place)
    assert sum(answer is None for answer in lesser.values()) > sum(answer is None for answer in truth.values())
    assert ask() == truth


@pytest.fixture
def runtime(monkeypatch):
    """A folder that an ordinary user has for himself while he is logged in."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def remembered(folder, told):
    """Return the file with a user's answers, of which old kernels give him none: they refuse before they look."""
    file = folder / "bpfctl" / "features.json"
    if not file.exists():
        assert [name for name, answer in told.items() if answer is not None and name[0] != "attachments"] == []
        pytest.skip("the kernel lacks answers for ordinary users")
    return file


def test_a_user_has_his_own(truth, runtime):
    told = [ask(place=hardship.ordinary_user) for _ in range(2)]
    file = remembered(runtime, told[0])

    assert told[0] == told[1]
    assert (file.stat().st_uid, file.stat().st_mode & 0o7777) == (NOBODY, 0o600)
    assert ask() == truth


def test_what_a_user_writes_is_not_believed_of_another(runtime):
    """His own file is believed, and not when it is another's."""
    told = ask(place=hardship.ordinary_user)
    file = remembered(runtime, told)
    file.write_bytes(file.read_bytes().replace(b'["yes"', b'["no"'))
    believed = ask(place=hardship.ordinary_user)
    os.chown(file, NOBODY - 1, -1)

    assert believed != told
    assert ask(place=hardship.ordinary_user) == told


@pytest.mark.skipif(not IN_A_GUEST, reason="only in a guest may ordinary users be let use BPF")
@pytest.mark.usefixtures("runtime")
def test_answers_change_with_a_setting():
    """An ordinary user is let use BPF for a while."""
    before = DISABLED.read_text()
    found = []
    try:
        for setting in ("2", "0", "0", "2"):
            DISABLED.write_text(setting)
            found.append(ask(place=hardship.ordinary_user)["socket_filter", "bpf_map_lookup_elem"])
    finally:
        DISABLED.write_text(before)

    assert found == [None, True, True, None]
