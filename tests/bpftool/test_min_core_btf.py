"""bpfctl gen min_core_btf beside bpftool's: the same types, with which objects load the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.bpftool import peer
from tests.bpftool.newest import CURRENT, NEWEST
from tests.kernel import client
from tests.kernel.place import Place

pytestmark = CURRENT
VMLINUX = "/sys/kernel/btf/vmlinux"
SOURCE = Path(__file__).with_name("core_relo.bpf.c")
#: The bytes of a header, bpftool's and ours.
THEIRS, OURS = 32, 24


@pytest.fixture(scope="module")
def objects(compiled, tmp_path_factory):
    """Objects with relocations of all kinds, and one with none."""
    path = tmp_path_factory.mktemp("core") / "core_relo.o"
    subprocess.run(["clang", "-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-c", SOURCE, "-o", path], check=True)
    return [path, compiled["load_core"], compiled["core"], compiled["core_missing"], compiled["socket"]]


def made(tool, folder, *objects):
    out = folder / "out.btf"
    out.unlink(missing_ok=True)
    answer = tool("gen", "min_core_btf", VMLINUX, str(out), *map(str, objects))
    assert answer == (0, b"", b"")
    return out.read_bytes()


def test_the_same_types(objects, tmp_path):
    for some in (*([one] for one in objects), objects, objects[::-1]):
        theirs = made(lambda *words: peer.run(NEWEST, *words), tmp_path, *some)
        mine = made(peer.inside, tmp_path, *some)

        assert (theirs[4], mine[4]) == (THEIRS, OURS)
        assert theirs[THEIRS:] == mine[OURS:]


def test_objects_load_with_them(objects, tmp_path):
    """The programs are the same as with all of the kernel's types."""
    made(peer.inside, tmp_path, objects[1])
    with Place() as place:
        tags = []
        for more in ([], ["kernel_btf", str(tmp_path / "out.btf")]):
            path = place.bpffs / "here"
            assert peer.inside("prog", "load", str(objects[1]), str(path), *more) == (0, b"", b"")
            fd = client.obj_get(str(path))
            tags.append(client.info(fd)[8:16])
            os.close(fd)
            path.unlink()

    assert tags[0] == tags[1]


WORDS = [
    "",
    "a b",
    "/no/such/file HERE OBJ",
    f"{VMLINUX} HERE /no/such/file",
    f"{VMLINUX} HERE OBJ /no/such/file",
    f"{VMLINUX} /no/folder/out OBJ",
    "/etc/passwd HERE OBJ",
    f"{VMLINUX} HERE /etc/passwd",
]


def test_words(objects, tmp_path):
    """Exit codes are the same but for those of damaged files; nothing is written then."""
    out = tmp_path / "out.btf"
    known = {"HERE": str(out), "OBJ": str(objects[1])}
    for words in WORDS:
        told = [known.get(word, word) for word in words.split()]
        theirs, mine = peer.run(NEWEST, "gen", "min_core_btf", *told), peer.inside("gen", "min_core_btf", *told)

        assert mine.rc == (255 if "passwd" in words else theirs.rc) != 0, words
        assert mine.stderr.startswith(b"Error: ")
        assert mine.stderr.count(b"\n") == 1
        assert not out.exists()
    told = ["-j", "gen", "min_core_btf", VMLINUX, str(out), str(objects[1])]
    assert peer.inside(*told) == (0, b"null\n", b"")
    assert peer.run(NEWEST, *told) == (0, b"\n", b"")
