"""The kernels that the tests run on, and how each gets from Debian's archive into the cache, ready to boot.

A kernel in the cache is a folder with one layout, whatever its package looked like:

    release     what uname -r says
    image       what QEMU starts: on x86 the ELF image itself, which boots 0.5 to 3.5 s sooner than the packed
    modules/    what belongs into /lib/modules/<release>, with modules.dep and the kernel's config
"""

from __future__ import annotations

import lzma
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.vm import cache
from tests.vm.apt import Suite, newest
from tests.vm.cache import VMError
from tests.vm.tools import need, tool

# Drivers of hardware that no guest has; without them a kernel takes a third of the room.
LEFT_OUT = (
    "./usr/share",
    "*/kernel/sound",
    *(
        f"*/kernel/drivers/{name}"
        for name in ("gpu", "iio", "infiniband", "media", "mmc", "mtd", "scsi", "staging", "usb", "video")
    ),
    *(f"*/kernel/drivers/net/{name}" for name in ("can", "dsa", "ethernet", "phy", "usb", "wireless", "wwan")),
)

# How Debian's packed kernels begin (Kernel: Documentation/arch/x86/boot.rst, payload).
XZ, ZSTD = b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel of the table: what to call it and which package of which suite it is."""

    name: str
    suite: str
    release: re.Pattern[str]  # of the package linux-image-<release>; the newest that matches is meant
    arch: str = "amd64"
    arguments: str = ""

    @property
    def foreign(self) -> bool:
        """Whether guests need a root of their own, for they cannot run this machine's programs."""
        return self.arch != "amd64"

    @property
    def folder(self) -> Path:
        """Where the kernel lies in the cache, once it is fetched."""
        return cache.root() / "kernels" / self.name

    @property
    def fetched(self) -> str | None:
        """The release that lies in the cache; None if there is none."""
        try:
            return (self.folder / "release").read_text().strip()
        except FileNotFoundError:
            return None


TABLE = {
    kernel.name: kernel
    for kernel in (
        # Bullseye leaves "bpf" out of its active LSMs, so that LSM programs load, attach and never run.
        Kernel(
            "5.10",
            "bullseye-security",
            re.compile(r"5\.10\.0-\d+-amd64"),
            arguments="lsm=lockdown,yama,apparmor,bpf",
        ),
        Kernel("6.1", "bookworm-security", re.compile(r"6\.1\.0-\d+-amd64")),
        Kernel("6.12", "bookworm-security", re.compile(r"6\.12\.\d+\+deb\d+(\+\d+)?-amd64")),
        Kernel("newest", "sid", re.compile(r"\d+\.\d+(\.\d+)?\+deb\d+(\+\d+)?-amd64")),
        Kernel("arm64", "trixie", re.compile(r"6\.12\.\d+\+deb\d+(\+\d+)?-arm64"), arch="arm64"),
    )
}
NATIVE = tuple(kernel for kernel in TABLE.values() if not kernel.foreign)


def fetch(kernel: Kernel, *, refresh: bool = False) -> Path:
    """Return the folder of KERNEL in the cache, fetching it if need be; REFRESH looks for a newer release."""
    if kernel.fetched and not refresh:
        return kernel.folder
    need("apt-get", "dpkg-deb", "tar", "depmod", "zstd")
    home = kernel.folder.parent
    home.mkdir(parents=True, exist_ok=True)
    with cache.fetching():
        if kernel.fetched and not refresh:  # while we waited for the lock
            return kernel.folder
        suite = Suite(kernel.suite, kernel.arch, cache.root() / "apt")
        suite.update()
        names = suite.names("linux-")
        image = newest(names, re.compile(f"linux-image-(?:{kernel.release.pattern})"))
        if image is None:
            raise VMError(f"{kernel.suite} has no kernel that matches {kernel.release.pattern!r}.")
        release = image.removeprefix("linux-image-")
        folder = home / f"{kernel.name}-{release}"
        if not folder.exists():
            # Since 7.x the image package is empty and leans on the other three.
            parts = (f"linux-{part}-{release}" for part in ("image", "base", "binary", "modules"))
            packages = [part for part in parts if part in names]
            unpacked = tempfile.TemporaryDirectory(dir=home, prefix=".unpacked.")
            with unpacked as tree, cache.staged(folder) as stage:
                suite.unpack(packages, Path(tree), leave_out=LEFT_OUT)
                arrange(Path(tree), release, stage, packed=not kernel.foreign)
        cache.point(kernel.folder, folder)
    return kernel.folder


def arrange(tree: Path, release: str, into: Path, *, packed: bool) -> None:
    """Bring the kernel RELEASE, unpacked in TREE, into the cache's layout."""
    modules = _first(tree / "usr/lib/modules" / release, tree / "lib/modules" / release)
    image = _first(tree / f"boot/vmlinuz-{release}", modules / "vmlinuz")
    (into / "image").write_bytes(elf_image(image.read_bytes()) if packed else image.read_bytes())
    config = _first(tree / f"boot/config-{release}", modules / "config").read_bytes()
    modules = modules.rename(into / "modules")
    (modules / "config").write_bytes(config)
    for name in ("vmlinuz", "System.map"):
        (modules / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as base:  # depmod wants to find BASE/lib/modules/RELEASE
        place = Path(base, "lib/modules", release)
        place.parent.mkdir(parents=True)
        place.symlink_to(modules)
        subprocess.run([tool("depmod"), "-b", base, release], check=True, stderr=subprocess.DEVNULL)
    (into / "release").write_text(release + "\n")


def elf_image(boot_image: bytes) -> bytes:
    """Return the ELF kernel packed in an x86 BOOT_IMAGE; VMError if there is none that we can unpack."""
    # Boot code may hold a packer's magic by chance, and more follows the payload: only the result tells.
    for magic, unpack in ((XZ, _unpack_xz), (ZSTD, _unpack_zstd)):
        start = boot_image.find(magic)
        while start >= 0:
            if (unpacked := unpack(boot_image[start:])).startswith(b"\x7fELF"):
                return unpacked
            start = boot_image.find(magic, start + 1)
    raise VMError("The kernel's image holds no kernel that is packed with xz or zstd.")


def _unpack_xz(data: bytes) -> bytes:
    try:
        return lzma.LZMADecompressor().decompress(data)
    except lzma.LZMAError:
        return b""


def _unpack_zstd(data: bytes) -> bytes:
    command = [tool("zstd"), "--decompress", "--stdout"]
    return subprocess.run(command, input=data, capture_output=True, check=False).stdout


def _first(*candidates: Path) -> Path:
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise VMError(f"The kernel's package has none of {', '.join(str(path) for path in candidates)}.")
