"""The one file for machines with bare Python: it runs in an empty environment, and trusts no folder of others."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = EXTENSION_SUFFIXES[0].strip(".").removesuffix(".so")
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="session")
def file(wheel, tmp_path_factory):
    """Build it for this Python, of what is installed."""
    out = tmp_path_factory.mktemp("zipapp") / "bpfctl.pyz"
    command = [sys.executable, "-m", "release.zipapp", "--here", "--out", out, wheel]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return out


@pytest.fixture
def home(tmp_path):
    """A home in which nobody else can write, as they are."""
    folder = tmp_path / "home"
    folder.mkdir(0o700)
    return folder


def run(file, *words, wrapper=(), **environment):
    """Run it as a machine would that has Python and no packages."""
    command = [*wrapper, sys.executable, "-I", "-S", file, *words]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def unpacked(folder):
    """Return what has been unpacked below a folder."""
    return sorted(path for path in folder.rglob("*") if path.name.endswith(PLATFORM))


def test_it_unpacks_itself_once(file, home):
    """For us alone, with the machine code of this Python."""
    first = run(file, "version", HOME=home)
    (folder,) = unpacked(home)
    assert home / ".cache" / "bpfctl-pyz" == folder.parent
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert [folder] == list(folder.parent.iterdir())  # nothing of the unpacking is left
    (folder / "bpfctl" / "cli" / "version.py").write_text("def show(session): session.out.lines(['unpacked'], {})\n")

    again = run(file, "version", HOME=home)

    assert first.startswith("bpfctl v")
    assert "unpacked\n" == again
    assert {"_ffi.abi3.so", "_fast.abi3.so", f"_cffi_backend.{PLATFORM}.so"} == {
        path.name for path in folder.rglob("*.so")
    }


def test_without_a_folder_it_writes_nothing(file, home):
    """All works out of the archive: code, data, plugins and what tells their versions."""
    before = sorted(home.rglob("*"))

    answers = [
        run(file, *words, HOME=home, BPFCTL_PYZ_CACHE="")
        for words in (["version"], ["completion", "bash"], ["plugin", "list"], ["explain", "ringbuf", "--help"])
    ]

    for expected, answer in zip(("bpfctl v", "_bpfctl()", "\nusdt ", "Usage: bpfctl explain"), answers, strict=True):
        assert expected in answer
    assert before == sorted(home.rglob("*"))


def test_no_home_is_made(file, tmp_path):
    assert run(file, "version", HOME=tmp_path / "nowhere").startswith("bpfctl v")

    assert [] == list(tmp_path.iterdir())


def _shared(home):
    home.chmod(0o777)


def _of_another(home):
    os.chown(home, NOBODY, NOBODY)


def _link(home):
    """A folder that others own, by way of a link of ours."""
    other = home.parent / "other"
    other.mkdir()
    os.chown(other, NOBODY, NOBODY)
    (home / ".cache").symlink_to(other)


def _planted(home):
    """The place is taken by a folder of somebody who was faster."""
    home.chmod(0o1777)
    (home / ".cache").mkdir()
    os.chown(home / ".cache", NOBODY, NOBODY)


@needs_root
@pytest.mark.parametrize("hostile", [_shared, _of_another, _link, _planted])
def test_a_folder_that_others_can_write_is_as_good_as_none(file, home, hostile):
    hostile(home)

    assert run(file, "version", HOME=home).startswith("bpfctl v")

    assert [] == unpacked(home.parent)
    assert [] == list(home.parent.rglob(".unpacking-*"))


@needs_root
def test_what_others_have_unpacked_is_not_run(file, home):
    run(file, "version", HOME=home)
    (folder,) = unpacked(home)
    (folder / "bpfctl" / "cli" / "version.py").write_text("def show(session): session.out.lines(['theirs'], {})\n")
    os.chown(folder, NOBODY, NOBODY)

    assert run(file, "version", HOME=home).startswith("bpfctl v")


@needs_root
@pytest.mark.parametrize("options", ["noexec", "ro", "size=64k"])
def test_a_home_that_is_of_no_use(file, home, options):
    """No programs may run there, nothing can be written, or it is full."""
    script = f'mount -t tmpfs -o mode=700,{options} none "$0" && exec "$@"'
    wrapper = ["unshare", "--mount", "sh", "-c", script, home]

    told = run(file, "version", wrapper=wrapper, HOME=home, PATH=os.environ["PATH"])

    assert told.startswith("bpfctl v")


def test_starts_at_the_same_time_do_not_hurt_each_other(file, home):
    command = [sys.executable, "-I", "-S", file, "version"]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, env={"HOME": home}, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]

    answers = {(*process.communicate(), process.returncode) for process in started}

    (answer,) = answers
    assert ("", 0) == answer[1:]
    assert 1 == len(unpacked(home))
    assert [] == list(home.rglob(".unpacking-*"))


def test_a_python_that_it_is_not_for(file, home, tmp_path):
    """The sentence says which Pythons it is for."""
    other = tmp_path / "other.pyz"
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(other, "w") as changed:
        for name in archive.namelist():
            changed.writestr(
                name,
                archive.read(name).replace(b"cpython-3", b"cpython-9") if name == "native.txt" else archive.read(name),
            )

    done = subprocess.run(
        [sys.executable, "-I", "-S", other, "version"], env={"HOME": home}, capture_output=True, text=True, check=False
    )

    assert 255 == done.returncode
    assert f"Error: bpfctl.pyz has no machine code for {PLATFORM} (it has: cpython-9" in done.stderr


def test_the_same_contents_are_the_same_file(wheel, file, tmp_path):
    again = tmp_path / "again.pyz"
    command = [sys.executable, "-m", "release.zipapp", "--here", "--out", again, wheel]

    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    assert file.read_bytes() == again.read_bytes()
