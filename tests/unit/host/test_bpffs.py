"""What is mounted, and what lies in a BPF file system, whatever those call it who made it."""

from __future__ import annotations

import os
import sys

import pytest

from bpfctl.host import bpffs
from bpfctl.host.bpffs import Mount

LINE = "36 25 0:31 / {} rw,relatime shared:9 - bpf bpf rw,mode=700\n"


@pytest.mark.parametrize("name", ["a\rb", "a\x0bb", "a\x85b", "a\u2028b", "a\udcffb"])
def test_paths_that_look_like_several_lines(tmp_path, monkeypatch, name):
    """Some users may mount something (FUSE), at a place that they give a name."""
    monkeypatch.setattr(bpffs, "_MOUNTS", str(tmp_path / "mountinfo"))
    text = LINE.format(f"/home/{name}") + LINE.format(r"/a\040b\134c\011\012")
    (tmp_path / "mountinfo").write_bytes(text.encode(errors="surrogateescape"))

    wanted = [Mount(31, path, "bpf", "rw,mode=700") for path in (f"/home/{name}", "/a b\\c\t\n")]
    assert wanted == bpffs.mounts()


def test_no_mounts(tmp_path, monkeypatch):
    monkeypatch.setattr(bpffs, "_MOUNTS", str(tmp_path / "mountinfo"))
    assert bpffs.mounts() == []
    (tmp_path / "mountinfo").touch()
    assert bpffs.mounts() == []


def test_deep_folders(tmp_path, monkeypatch):
    """Folders may be deeper than Python's calls."""
    monkeypatch.chdir(tmp_path)
    depth = sys.getrecursionlimit() + 100
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    open("pin", "wb").close()
    try:
        assert list(bpffs._files(str(tmp_path), os.stat(tmp_path).st_dev)) == [f"{tmp_path}{'/d' * depth}/pin"]
    finally:
        os.unlink("pin")
        for _ in range(depth):  # as pytest cannot
            os.chdir("..")
            os.rmdir("d")


def test_files_in_the_order_of_the_file_system(tmp_path):
    for name in ("one", "two/a", "two/three/b", "two/c", "last"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("two")

    walked = [f"{folder}/{name}" for folder, _, names in os.walk(tmp_path) for name in names if name != "link"]
    found = list(bpffs._files(str(tmp_path), os.stat(tmp_path).st_dev))
    assert sorted(found) == sorted(walked)
    inside = [path.startswith(f"{tmp_path}/two/") for path in found]
    assert inside.index(True) + 3 == len(inside) - inside[::-1].index(True)
    assert list(bpffs._files(str(tmp_path), 0)) == [path for path in found if "/two/" not in path]
