"""The table of kernels, and the cache that they lie in."""

from __future__ import annotations

import lzma
import threading

import pytest

from tests.vm import cache, kernels, tools
from tests.vm.cache import VMError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Each test has a cache of its own."""
    monkeypatch.setenv("BPFCTL_VM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("5.10", "5.10.0-46-amd64"),
        ("6.1", "6.1.0-56-amd64"),
        ("6.12", "6.12.117+deb12-amd64"),
        ("newest", "7.2.13+deb14-amd64"),
        ("newest", "8.0+deb15+1-amd64"),
        ("arm64", "6.12.107+deb13-arm64"),
    ],
)
def test_the_table_knows_debian_s_names(name, release):
    """Each pattern takes the spelling of its suite."""
    assert kernels.TABLE[name].release.fullmatch(release)


@pytest.mark.parametrize(
    "release", ["6.12.117+deb12-cloud-amd64", "6.12.117+deb12-rt-amd64", "6.12.117+deb12-amd64-unsigned"]
)
def test_other_flavours_are_not_meant(release):
    """The cloud flavour has no 9p, and unsigned packages hold the same kernel again."""
    assert not any(kernel.release.fullmatch(release) for kernel in kernels.TABLE.values())


def test_the_elf_image_is_found_behind_boot_code():
    """A magic number in the boot code is no payload, and what follows the payload does no harm."""
    image = b"MZ boot \xfd7zXZ\0 code" + lzma.compress(b"\x7fELF kernel") + b"\0\0\x12\x34"

    assert kernels.elf_image(image) == b"\x7fELF kernel"


def test_an_unknown_packer_is_named_as_such():
    """No ELF image comes out of it."""
    with pytest.raises(VMError, match="no kernel that is packed"):
        kernels.elf_image(b"MZ nothing here")


def test_a_fetched_kernel_needs_no_network(home, monkeypatch):
    """The second fetch must not even look for tools."""
    folder = home / "kernels" / "6.1"
    folder.mkdir(parents=True)
    (folder / "release").write_text("6.1.0-1-amd64\n")
    monkeypatch.setenv("PATH", "")

    assert folder == kernels.fetch(kernels.TABLE["6.1"])
    assert kernels.TABLE["6.1"].fetched == "6.1.0-1-amd64"


def test_a_failed_stage_leaves_nothing(home):
    """Neither the target nor a half of it."""
    with pytest.raises(FileNotFoundError), cache.staged(home / "x") as stage:
        (stage / "file").write_bytes((stage / "missing").read_bytes())

    assert list(home.iterdir()) == []


def test_a_newer_release_replaces_the_older_unless_it_is_in_use(home):
    """A running guest keeps its modules."""
    folders = [home / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir(parents=True)
    cache.point(home / "link", folders[0])
    cache.point(home / "link", folders[1])
    with cache.lock(folders[1], shared=True):
        cache.point(home / "link", folders[2])

    assert {"b", "c", "link"} == {path.name for path in home.iterdir()}
    assert folders[2] == (home / "link").resolve()


def test_one_fetcher_waits_for_the_other():
    """The lock excludes threads of one process, too, as each opens the folder anew."""
    order = []

    def second() -> None:
        with cache.fetching():
            order.append("second")

    with cache.fetching():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()

    assert order == ["first", "second"]


def test_missing_programs_are_named_with_their_packages(monkeypatch):
    """One sentence that can be copied into a shell, each package once."""
    monkeypatch.setattr(tools, "_find", lambda _: None)

    with pytest.raises(VMError, match=r"busybox, setpriv\. To get it: apt-get install busybox-static util-linux$"):
        tools.need("busybox", "setpriv")


def test_the_cache_follows_the_environment(tmp_path, monkeypatch):
    """Our own variable first, then XDG's, then the home."""
    assert tmp_path / "cache" == cache.root()
    monkeypatch.delenv("BPFCTL_VM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tmp_path / "bpfctl-vm" == cache.root()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert tmp_path / "me/.cache/bpfctl-vm" == cache.root()
