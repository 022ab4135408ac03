"""Reading apt's own configuration, and choosing among a suite's packages."""

from __future__ import annotations

import re

import pytest

from tests.vm import apt
from tests.vm.cache import VMError

TARGETS = [
    "https://vendor.test/repo/|stable|main|Vendor|/etc/apt/sources.list.d/vendor.list:1",
    "https://mirror.test/debian/|bookworm|contrib|Debian|/etc/apt/sources.list:3",
    "https://mirror.test/debian/|bookworm|main|Debian|/etc/apt/sources.list:3",
    "https://mirror.test/debian-security/|bookworm-security|main|Debian|/etc/apt/sources.list:4",
]


@pytest.mark.parametrize(
    ("suite", "expected"),
    [
        ("sid", ("https://mirror.test/debian/", "/etc/apt/sources.list:3")),
        ("bullseye-security", ("https://mirror.test/debian-security/", "/etc/apt/sources.list:4")),
    ],
)
def test_security_updates_come_from_their_own_mirror(suite, expected):
    """A suite of this machine stands for all suites of the same mirror."""
    assert expected == apt.choose(TARGETS, suite)


def test_before_the_first_update_the_folder_tells_debian_from_others():
    """Without an index apt does not know the origin."""
    targets = [
        "https://vendor.test/repo/|stable|main|$(ORIGIN)|a:1",
        "https://mirror.test/debian/|bookworm|main|$(ORIGIN)|b:1",
    ]

    assert apt.choose(targets, "sid") == ("https://mirror.test/debian/", "b:1")


@pytest.mark.parametrize(("suite", "missing"), [("sid", "Debian itself"), ("sid-security", "security updates")])
def test_a_machine_without_debian_sources_is_told_so(suite, missing):
    """The message says which source is missing."""
    with pytest.raises(VMError, match=f"apt has no source for .*{missing}"):
        apt.choose(TARGETS[:1], suite)


@pytest.mark.parametrize(("suite", "mirror"), [("sid", "debian"), ("bullseye-security", "debian-security")])
def test_other_machines_ask_debians_archive(tmp_path, monkeypatch, suite, mirror):
    """Ubuntu has a package of Debian's keys; without them nothing could be verified."""
    monkeypatch.setattr(apt, "KEYS", tmp_path / "keys")
    with pytest.raises(VMError, match="apt-get install debian-archive-keyring"):
        apt.source(TARGETS[:1], suite)
    apt.KEYS.touch()

    assert (f"http://deb.debian.org/{mirror}", str(apt.KEYS)) == apt.source(TARGETS[:1], suite)


def test_keys_of_a_deb822_stanza(tmp_path):
    """The number counts stanzas; comments between them are not stanzas."""
    path = tmp_path / "debian.sources"
    path.write_text(
        "# one\n\n# two\nTypes: deb\nSuites: a\nSigned-By: /first.gpg\n\n\n"
        "# three\nTypes: deb\nsigned-by:\n BEGIN\n .\n END\nURIs: u\n"
    )

    assert apt.signed_by(f"{path}:1") == "/first.gpg"
    assert apt.signed_by(f"{path}:2") == "\n BEGIN\n .\n END"


def test_keys_of_a_one_line_entry(tmp_path):
    """The number counts lines, and the option may be one of several."""
    path = tmp_path / "sources.list"
    path.write_text(
        "# comment\n"
        "deb [arch=amd64 signed-by=/a.gpg,/b.gpg] https://x.test/debian sid main\n"
        "deb https://y.test/debian sid main\n"
    )

    assert apt.signed_by(f"{path}:2") == "/a.gpg /b.gpg"
    assert apt.signed_by(f"{path}:3") == ""


def test_sources_name_the_suite_and_keep_the_keys():
    """Embedded keys keep their continuation lines; no keys means apt's own."""
    signed = apt.sources("https://x.test/debian/", "\n BEGIN\n END", "sid", "arm64")

    assert signed.endswith("Suites: sid\nComponents: main\nArchitectures: arm64\nSigned-By: \n BEGIN\n END\n")
    assert "Signed-By" not in apt.sources("https://x.test/debian/", "", "sid", "arm64")


def test_newest_compares_numbers_not_text():
    """Revision 46 is newer than 9, and a name that only begins right does not count."""
    names = ["linux-image-5.10.0-9-amd64", "linux-image-5.10.0-46-amd64", "linux-image-5.10.0-99-cloud-amd64"]
    pattern = re.compile(r"linux-image-5\.10\.0-\d+-amd64")

    assert apt.newest(names, pattern) == "linux-image-5.10.0-46-amd64"
    assert apt.newest(names[2:], pattern) is None


def test_a_failing_tool_is_quoted():
    """Its last line on stderr is the reason, but for apt; without one the exit code must do."""
    with pytest.raises(VMError, match=r"^sh failed: no such mirror$"):
        apt._run(["sh", "-c", "echo warning >&2; echo no such mirror >&2; exit 100"])
    with pytest.raises(VMError, match=r"^sh failed: cannot connect$"):
        apt._run(["/bin/sh", "-c", "echo W: old >&2; echo E: cannot connect >&2; echo E: some failed >&2; exit 100"])
    with pytest.raises(VMError, match=r"^sh failed: exit code 3$"):
        apt._run(["sh", "-c", "exit 3"])
