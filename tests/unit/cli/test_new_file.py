"""Files are there as a whole, or as they were."""

from __future__ import annotations

import os
import stat

import pytest

from bpfctl.cli.new_file import NewFile
from bpfctl.errors import BpfctlError, KernelError


def test_a_file_is_there_when_all_of_it_is(tmp_path):
    path = tmp_path / "file"
    with NewFile(str(path)) as file:
        assert not path.exists()
        file.write([b"one", b"two"])
        assert path.read_bytes() == b"onetwo"

    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_is_never_written_stays_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), NewFile(str(path)):
        raise ZeroDivisionError

    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]


def test_what_fails_half_way(tmp_path):
    def pieces():
        yield b"half"
        raise ZeroDivisionError

    path = tmp_path / "file"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), NewFile(str(path)) as file:
        file.write(pieces())

    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file"]


def test_what_others_may_not_read_they_never_may(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    path.chmod(0o600)
    with NewFile(str(path)) as file:
        assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
        file.write([b"after"])

    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"after", 0o600)


def test_a_link_stays_one(tmp_path):
    link, path = tmp_path / "link", tmp_path / "file"
    link.symlink_to(path)
    for text in (b"new", b"newer"):
        with NewFile(str(link)) as file:
            file.write([text])

        assert link.is_symlink()
        assert path.read_bytes() == text


def test_what_is_no_file_is_written_as_it_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with NewFile(str(pipe)) as file:
        file.write([b"through"])

    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_disk():
    with pytest.raises(BpfctlError, match="can't write '/dev/full': No space left"), NewFile("/dev/full") as file:
        file.write([b"a"])


def test_no_folder(tmp_path):
    with pytest.raises(KernelError, match=r"can't write '.*/file': No such file"):
        NewFile(str(tmp_path / "nowhere" / "file"))


def test_a_folder(tmp_path):
    with pytest.raises(KernelError, match="can't write"):
        NewFile(str(tmp_path))
