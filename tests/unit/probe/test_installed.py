"""What installed distributions offer, beside what importlib.metadata says of the same places."""

from __future__ import annotations

import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from bpfctl.probe.installed import Offer, offers

GROUP = "tests.offers"


def distribution(place, folder, entries, head="Metadata-Version: 2.1\nName: some-name\nVersion: 1.5\n\nName: text\n"):
    made = place / folder
    made.mkdir(parents=True)
    (made / "entry_points.txt").write_bytes(entries)
    (made / ("METADATA" if folder.endswith("dist-info") else "PKG-INFO")).write_text(head)


@pytest.fixture
def path(monkeypatch, tmp_path):
    """A folder that is all of sys.path, where modules of ours cannot be found."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def test_the_same_as_importlib():
    """Our own plugins are among them."""
    for group in ("bpfctl.plugins", "console_scripts"):
        ours = {(offer.name, offer.value) for offer in offers(group)}
        theirs = {(entry.name, entry.value) for entry in entry_points(group=group)}

        assert ours == theirs
        assert ours


def test_whose_they_are(path):
    distribution(path, "some_name-1.5.dist-info", b"[console_scripts]\nx = y:z\n[tests.offers]\none = a.b:C\n")
    distribution(path, "other-2.egg-info", b"[tests.offers]\ntwo=c:d.e [extra]\n", head="")

    assert list(offers(GROUP)) == [
        Offer("two", "c:d.e [extra]", "other", "2"),
        Offer("one", "a.b:C", "some-name", "1.5"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"one = a:b\n",
        b"[tests.offers\none = a:b\n",
        b"[tests.offers]\n\n# one = a:b\n; one = a:b\none\n[other]\none = a:b",
        b"\xff\xfe[tests.offers]\none = a:b",
    ],
)
def test_nothing_is_offered(path, text):
    distribution(path, "some_name-1.5.dist-info", text)

    assert list(offers(GROUP)) == []


def test_the_first_of_two_counts(monkeypatch, path):
    """A checkout before the one that is installed, say."""
    for place, value in ((path / "first", b"a:b"), (path / "second", b"c:d")):
        distribution(place, "some_name-1.5.dist-info", b"[tests.offers]\none = " + value)
    monkeypatch.setattr(sys, "path", [str(path / "missing"), str(path / "first"), str(path / "second")])

    assert [offer.value for offer in offers(GROUP)] == ["a:b"]


def test_in_a_zip_file(monkeypatch, path):
    file = path / "all.zip"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("some_name-1.5.dist-info/METADATA", "Metadata-Version: 2.1\nName: some-name\nVersion: 1.5\n")
        made.writestr("some_name-1.5.dist-info/entry_points.txt", "[tests.offers]\none = a:b\n")
    monkeypatch.setattr(sys, "path", [str(file)])

    assert list(offers(GROUP)) == [Offer("one", "a:b", "some-name", "1.5")]


@pytest.mark.parametrize("value", ["os.path:join", "os:path.join", "os : path.join [extra]"])
def test_load(value):
    assert Offer("one", value, "", "").load() is __import__("os").path.join
    assert Offer("one", "os", "", "").load() is __import__("os")


@pytest.mark.parametrize(("value", "error"), [("os:there.is.none", AttributeError), ("no.such:x", ModuleNotFoundError)])
def test_what_is_not_there(value, error):
    with pytest.raises(error):
        Offer("one", value, "", "").load()


def test_folders_of_others(path):
    """What may not be read, or is no folder, offers nothing."""
    Path(path, "file.dist-info").write_text("")
    Path(path, "empty.dist-info").mkdir()

    assert list(offers(GROUP)) == []
