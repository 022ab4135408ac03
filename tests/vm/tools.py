"""The programs of this machine that the harness uses, and the Debian packages that they come from."""

from __future__ import annotations

import shutil

from tests.vm.cache import VMError

PACKAGES = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "apt-get": "apt",
    "busybox": "busybox-static",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "tar": "tar",
    "zstd": "zstd",
}


def need(*programs: str) -> None:
    """Raise VMError, with the Debian packages to install, unless each of PROGRAMS is there."""
    missing = [program for program in programs if _find(program) is None]
    if missing:
        packages = " ".join(dict.fromkeys(PACKAGES[program] for program in missing))
        raise VMError(f"Not on this machine: {', '.join(missing)}. To get it: apt-get install {packages}")


def tool(program: str) -> str:
    """Return the path of PROGRAM; VMError if it is not there."""
    need(program)
    return str(_find(program))


def _find(program: str) -> str | None:
    # An ordinary user's PATH does not have the folders of root's programs.
    return shutil.which(program) or shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin")
