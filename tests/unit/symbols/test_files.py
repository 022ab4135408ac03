"""Files that processes have mapped: which they are, and how many are kept."""

from __future__ import annotations

import os
import shutil

import pytest

from bpfctl.symbols import files
from bpfctl.symbols.files import Files
from bpfctl.symbols.space import Mapping
from tests.build.called import built

#: One that is no process.
NOBODY = 1 << 22


@pytest.fixture
def known():
    with Files() as made:
        yield made


@pytest.fixture(scope="module")
def library():
    return built("libsmall.so", "int small(void) { return 1; }", "-shared", "-fPIC")


def mapping(file, **changes):
    """What a process that has mapped a file tells of it."""
    status = os.stat(file)
    where = os.major(status.st_dev) << 20 | os.minor(status.st_dev)
    return Mapping(0x1000, 0x2000, 0, where, status.st_ino, str(file))._replace(**changes)


def test_file_that_is_there(known, library):
    """Also where the process is no more: its path leads to the same file."""
    table = known.table(mapping(library), (NOBODY, 0))

    assert table.size
    assert known.table(mapping(library), ()) is table


@pytest.mark.parametrize("changes", [{"inode": 1}, {"device": 8 << 20 | 1}, {"path": "/nowhere"}, {"path": "/a\0b"}])
def test_another_file(known, library, changes):
    """One of the same path that is not the mapped one is not taken for it."""
    assert known.table(mapping(library, **changes), (NOBODY, 0)) is None


@pytest.mark.parametrize("major", [0, 1])
def test_file_systems_with_devices_of_their_own(known, library, major):
    """For those (btrfs, overlayfs) the kernel and stat(2) tell different devices; the inode has to do."""
    changed = mapping(library, device=major << 20 | 0x2B)

    assert (known.table(changed, (0,)) is not None) == (major == 0)


def test_one_table_for_all(known, library, tmp_path):
    """However often it is mapped, and under whichever name."""
    other = tmp_path / "other"
    os.link(library, other) if os.stat(library).st_dev == os.stat(tmp_path).st_dev else other.symlink_to(library)

    assert known.table(mapping(library), (0,)) is known.table(mapping(other), (0,))
    assert len(known._files) == 1


def test_few_are_kept(known, library, tmp_path, monkeypatch):
    """The one used last stays, and no descriptor of the others does."""
    monkeypatch.setattr(files, "_MOST", 3)
    for number in range(10):
        copy = tmp_path / str(number)
        shutil.copy(library, copy)
        known.hold(mapping(copy), NOBODY)
        assert known.table(mapping(copy), (0,)).size

    assert len(known._files) == 3
    links = (os.path.join("/proc/self/fd", fd) for fd in os.listdir("/proc/self/fd"))
    assert sum(os.path.realpath(link).startswith(str(tmp_path)) for link in links) == 3


def test_room(known, library, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_ROOM", 1)
    for number in range(4):
        copy = tmp_path / str(number)
        shutil.copy(library, copy)
        assert known.table(mapping(copy), (0,)).size

    assert len(known._files) == 1


def test_look_again(known, library, tmp_path):
    """A file that was not there may be at the next turn."""
    late = tmp_path / "late"
    shutil.copy(library, late)
    told = mapping(late)
    late.rename(tmp_path / "aside")
    assert known.table(told, (0,)) is None
    (tmp_path / "aside").rename(late)
    assert known.table(told, (0,)) is None
    known.turn()

    assert known.table(told, (0,)).size


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF", os.urandom(1000)])
def test_no_elf_file(known, tmp_path, data):
    path = tmp_path / "other"
    path.write_bytes(data)

    assert known.table(mapping(path), (0,)) is None


def test_no_file(known, tmp_path):
    """Nothing that is not a file is opened: a pipe would wait for somebody."""
    os.mkfifo(tmp_path / "pipe")

    assert known.table(mapping(tmp_path / "pipe"), (0,)) is None
    assert known.table(mapping(tmp_path), (0,)) is None


def test_a_file_that_is_replaced_when_it_is_opened(known, library, tmp_path, monkeypatch):
    """Who may write in its folder chooses the moment."""
    path = tmp_path / "library"
    shutil.copy(library, path)
    told, opened = mapping(path), os.open

    def replace(what, *options):
        if what == str(path):
            shutil.copy(library, tmp_path / "new")
            (tmp_path / "new").rename(path)
        return opened(what, *options)

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "open", replace)

    assert known.table(told, (0,)) is None
    assert len(os.listdir("/proc/self/fd")) == before
