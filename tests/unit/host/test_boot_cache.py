"""bpfctl.host.boot_cache: what was written is read again, and nothing else is believed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bpfctl.host.boot_cache import BootCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY: dict[str, object] = {"boot": "1", "numbers": [1, 2]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which there is a cache."""
    there = tmp_path / "bpfctl"
    BootCache("things", str(there)).write(KEY, {"a": [1, "é"]})
    return there


def read(folder: Path, key: dict[str, object] = KEY) -> object:
    return BootCache("things", str(folder)).read(key)


def test_what_was_written(folder: Path) -> None:
    assert read(folder) == {"a": [1, "é"]}
    assert (folder.stat().st_mode & 0o777, (folder / "things.json").stat().st_mode & 0o777) == (0o700, 0o600)
    assert [file.name for file in folder.iterdir()] == ["things.json"]


def test_the_last_counts(folder: Path) -> None:
    BootCache("things", str(folder)).write({"boot": "2"}, None)

    assert read(folder) is None
    BootCache("things", str(folder)).write(KEY, [])
    assert read(folder) == []


@pytest.mark.parametrize("key", [{}, {"boot": "1"}, {**KEY, "numbers": [2, 1]}, {**KEY, "more": None}])
def test_another_key(folder: Path, key: dict[str, object]) -> None:
    assert read(folder, key) is None


def test_nothing_yet(tmp_path: Path) -> None:
    assert read(tmp_path / "none") is None
    assert read(tmp_path) is None


def _mode(path: Path, mode: int) -> None:
    path.chmod(mode)


def _symlink(path: Path) -> None:
    other = path.rename(path.with_name("elsewhere"))
    path.symlink_to(other)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


WRONG: dict[str, Callable[[Path], object]] = {
    "others may write": lambda path: _mode(path, 0o602),
    "the group may read": lambda path: _mode(path, 0o640),
    "others may write into the folder": lambda path: _mode(path.parent, 0o702),
    "a symbolic link": _symlink,
    "the folder is a symbolic link": lambda path: _symlink(path.parent),
    "a second name": lambda path: os.link(path, path.with_name("other")),
    "a pipe": _fifo,
    "a folder": _folder,
    "nothing in it": lambda path: path.write_bytes(b""),
    "no JSON": lambda path: path.write_bytes(b"{"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "without end": lambda path: path.write_bytes(b"[" * 100_000),
    "another form": lambda path: path.write_bytes(b'[{"boot":"1"},[]]'),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "too much": lambda path: path.write_bytes(path.read_bytes()[:-1] + b" " * (5 << 20) + b"}"),
}


@pytest.mark.parametrize("harm", WRONG.values(), ids=WRONG)
def test_nothing_else_is_believed(folder: Path, harm: Callable[[Path], object]) -> None:
    harm(folder / "things.json")

    assert read(folder) is None


def test_what_is_anothers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)

    assert read(folder) is None


def test_a_link_is_replaced_and_not_followed(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    (folder / "things.json").unlink()
    (folder / "things.json").symlink_to(target)
    BootCache("things", str(folder)).write(KEY, "new")

    assert (read(folder), target.read_text()) == ("new", "mine")


@pytest.mark.parametrize("mode", [0o500, 0o777])
def test_where_nothing_can_be_kept(folder: Path, mode: int) -> None:
    """A folder that is not ours alone is not written to either, nor is one that we may not write to."""
    before = (folder / "things.json").read_bytes()
    folder.chmod(mode)
    if mode == 0o500 and os.geteuid() == 0:
        folder = folder / "things.json"  # no folder at all
    BootCache("things", str(folder)).write(KEY, "new")
    folder.chmod(0o700)

    assert (folder if folder.is_file() else folder / "things.json").read_bytes() == before


def test_whose_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Root's does not depend on the environment, and who has none has no cache."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert BootCache("things")._folder == "/run/bpfctl"
    monkeypatch.setattr(os, "geteuid", lambda: me or 1000)
    assert BootCache("things")._folder == f"{tmp_path}/bpfctl"
    for elsewhere in ("", "relative"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", elsewhere)
        cache = BootCache("things")
        cache.write(KEY, 1)
        assert (cache._folder, cache.read(KEY)) == ("", None)
