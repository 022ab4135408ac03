"""Binaries by the names that people have for them."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.errors import NotFound
from bpfctl.host import binary


def cache(libraries, *, before=b""):
    """Return an ld.so.cache; ``libraries`` have flags, name and path."""
    strings, rows = b"", []
    start = 48 + 24 * len(libraries)
    for flags, name, path in libraries:
        rows.append(struct.pack("=iIIIQ", flags, start + len(strings), start + len(strings) + len(name) + 1, 0, 0))
        strings += name.encode() + b"\0" + path.encode() + b"\0"
    head = b"glibc-ld.so.cache1.1" + struct.pack("=II", len(rows), len(strings)) + bytes(20)
    return before + head + b"".join(rows) + strings


LIBRARIES = [
    (0x0303, "libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"),
    (0x0003, "libc.so.6", "/lib/i386-linux-gnu/libc.so.6"),
    (0x0303, "libcrypt.so.1", "/lib/x86_64-linux-gnu/libcrypt.so.1"),
]


@pytest.fixture
def on_x86(monkeypatch):
    monkeypatch.setattr(binary.os, "uname", lambda: SimpleNamespace(machine="x86_64"))


@pytest.mark.usefixtures("on_x86")
@pytest.mark.parametrize("before", [b"", b"ld.so-1.7.0" + bytes(37)])
def test_the_cache_tells_libraries_of_this_machine(before):
    assert list(binary.entries(cache(LIBRARIES, before=before))) == [
        ("libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6"),
        ("libcrypt.so.1", "/lib/x86_64-linux-gnu/libcrypt.so.1"),
    ]


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_caches(noise, at):
    whole = cache(LIBRARIES)
    for data in (whole[:at], whole[: at % 100] + noise, binary._MAGIC + noise):
        assert all(isinstance(path, str) for _, path in binary.entries(data))


@pytest.mark.usefixtures("on_x86")
@pytest.mark.parametrize("word", ["made", "libmade", "libmade.so", "libmade.so.3", "made.so.3"])
def test_names_of_a_library(tmp_path, monkeypatch, word):
    library = tmp_path / "libmade.so.3"
    library.touch()
    (tmp_path / "libmade.so").symlink_to(library)
    found = [(0x0303, name, str(tmp_path / name)) for name in ("libmadeup.so.1", "libmade.so.3", "libmade.so")]
    (tmp_path / "cache").write_bytes(cache(found))
    monkeypatch.setattr(binary, "CACHE", str(tmp_path / "cache"))

    assert os.path.samefile(binary.find(word), library)


def test_executables_come_before_libraries(tmp_path, monkeypatch):
    program = tmp_path / "made"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert binary.find("made") == str(program)


def test_paths(tmp_path, monkeypatch):
    (tmp_path / "made").touch()
    monkeypatch.chdir(tmp_path)

    assert binary.find("./made") == str(tmp_path / "made")
    with pytest.raises(NotFound, match=r"no executable and no library 'made'; a file in this folder is \./made"):
        binary.find("made")
    with pytest.raises(NotFound, match="is a folder"):
        binary.find("/")
    with pytest.raises(NotFound, match="'/nonexistent/x' is not there"):
        binary.find("/nonexistent/x")


@pytest.fixture
def container(tmp_path):
    """Return the root folder of a container, whose links are as those inside see them."""
    folder = tmp_path / "root"
    for made in ("usr/lib/new", "usr/bin", "etc"):
        (folder / made).mkdir(parents=True)
    (folder / "usr/lib/new/libmade.so.3").touch()
    (folder / "usr/bin/there").touch(mode=0o755)
    (folder / "lib").symlink_to("/usr/lib")
    (folder / "usr/lib/old").symlink_to("../../../../../lib/new")
    (folder / "usr/lib/round").symlink_to("/usr/lib/round")
    return folder


def test_links_in_a_container_stay_inside(container):
    root = str(container)

    assert binary.real("/lib/old/libmade.so.3", root) == "/usr/lib/new/libmade.so.3"
    assert binary.real("/../lib/./old/../nothing/x", root) == "/usr/lib/nothing/x"
    assert binary.real("/", root) == "/"
    assert binary.outside("/lib/x", root) == f"{root}/usr/lib/x"
    assert binary.find("/lib/old/libmade.so.3", root) == "/lib/old/libmade.so.3"
    with pytest.raises(NotFound, match="'/lib/round' is a link that leads nowhere"):
        binary.find("/lib/round", root)
    with pytest.raises(NotFound, match="'/etc/passwd' is not there"):
        binary.find("/etc/passwd", root)


@pytest.mark.usefixtures("on_x86")
def test_names_in_a_container(container, monkeypatch):
    (container / "etc/ld.so.cache").write_bytes(cache([(0x0303, "libmade.so.3", "/lib/old/libmade.so.3")]))
    monkeypatch.setenv("PATH", "/nonexistent:/usr/bin")
    root = str(container)

    assert binary.find("made", root) == "/lib/old/libmade.so.3"
    assert binary.find("there", root) == "/usr/bin/there"
    with pytest.raises(NotFound, match="no executable and no library 'sh'"):
        binary.find("sh", root)


def test_without_a_cache_a_library_is_not_the_text_for_linkers(container):
    (container / "usr/lib/libmade.so").write_text("GROUP ( /usr/lib/libmade.so.3 )")
    (container / "usr/lib/libmade.so.3").touch()

    assert binary.find("made", str(container)) == "/lib/libmade.so.3"


def test_debug_files_of_a_container(container):
    found = [*binary.debug_files("/lib/old/libmade.so.3", "abcdef", "made.debug", str(container))]

    assert found[:2] == [f"{container}/usr/lib/debug/.build-id/ab/cdef.debug", "/usr/lib/debug/.build-id/ab/cdef.debug"]
    assert all(path.startswith(str(container)) for path in found[2:])
    assert f"{container}/usr/lib/new/.debug/made.debug" in found


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "long"])
def test_whatever_a_container_has_for_a_cache(container, kind):
    """A pipe has nobody at its other end, and a device no end: in a process of its own, that neither is waited for."""
    place = container / "etc/ld.so.cache"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    elif kind == "folder":
        place.mkdir()
    else:
        place.touch()
        os.truncate(place, 1 << 40)
    (container / "usr/lib/libmade.so.3").touch()
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30));"
        "from bpfctl.host import binary; print(binary.find('made', sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, container]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("/lib/libmade.so.3\n", "")
