"""Programs out of Debian's archive: the newest bpftool, and a root for guests of another architecture."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vm import cache
from tests.vm.apt import Suite
from tests.vm.cache import VMError
from tests.vm.tools import need, tool

ROOM = Path(__file__).resolve().parents[2] / "bpfctl" / "_sys"

if TYPE_CHECKING:
    from collections.abc import Sequence

# dpkg would insist on these; apt, which only unpacks here, must be told.
ROOT = ("base-files", "bash", "coreutils", "dash", "grep", "mount", "sed", "util-linux")
ARM64_TOOLS = ("bpftool", "busybox-static", "iproute2", "kmod", "libpython3-stdlib", "linux-perf", "openssl")
ARM64_PYTHON = ("libpython3-dev", "python3-cffi-backend")  # what our extension is built with, and needs
ARM64_CODE = ("binutils", "libcapstone5")  # what takes machine code apart
ARM64_COMPILERS = ("gcc", "g++", "libc6-dev")  # of programs that are probed


def bpftool(*, refresh: bool = False) -> Path:
    """Return the path of a script that runs Debian's newest bpftool, on this machine and in its guests alike."""
    return _program("bpftool", "usr/sbin/bpftool", refresh=refresh)


def bpftrace(*, refresh: bool = False) -> Path:
    """Return the path of a script that runs Debian's newest bpftrace, likewise."""
    return _program("bpftrace", "usr/bin/bpftrace", refresh=refresh)


def _program(package: str, path: str, *, refresh: bool) -> Path:
    """Unpack a program that brings its own C library, so that it does not mind how old this machine's is."""
    folder = _fetch(package, "sid", "amd64", [package], refresh=refresh)
    script = folder / package
    if not script.exists():
        root = folder / "root"
        loader = next(path for path in root.glob("**/ld-linux-x86-64.so.2") if not path.is_symlink())
        libraries = sorted({str(file.parent) for file in (root / "usr/lib").glob("**/lib*.so.[0-9]*")}, key=len)
        command = [str(loader), "--library-path", ":".join(libraries), str(root / path)]
        fresh = folder / f".{package}"
        fresh.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        fresh.chmod(0o755)
        fresh.replace(script)
    return script


def fetched_bpftool() -> Path | None:
    """Return what bpftool() does if it has been fetched already."""
    script = cache.root() / "bpftool" / "bpftool"
    return script if script.exists() else None


def foreign(arch: str) -> tuple[Path, Path]:
    """Return the root for guests of ARCH and the busybox to start them with."""
    packages = [*ROOT, *ARM64_TOOLS, *ARM64_PYTHON, *ARM64_CODE, *ARM64_COMPILERS]
    root = _fetch(f"root-{arch}", "trixie", arch, packages) / "root"
    return root, next(path for path in (root / "usr/bin/busybox", root / "bin/busybox") if path.exists())


def bare(suite: str, *packages: str) -> Path:
    """Return a root of a Debian suite with nothing but PACKAGES, such as one version of Python."""
    return _fetch("-".join(["root", suite, *packages]), suite, "amd64", [*ROOT, *packages]) / "root"


def extension(arch: str, into: Path) -> Path:
    """Compile our extension module on this machine for guests of ARCH, into the folder INTO."""
    root, _ = foreign(arch)
    need("aarch64-linux-gnu-gcc")
    headers = next(root.glob("usr/include/python3.*"))
    built = into / "_ffi.abi3.so"
    command = [tool("aarch64-linux-gnu-gcc"), "-shared", "-fPIC", "-O2", "-std=c11", "-DPy_LIMITED_API=0x030b0000"]
    command += [f"--sysroot={root}", f"-I{headers}", f"-I{ROOM}", "-o", str(built)]
    command += [str(ROOM / "_ffi.c"), str(ROOM / "core.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VMError(f"our extension cannot be built for {arch}: {done.stderr.strip()}")
    return built


def _fetch(name: str, suite: str, arch: str, packages: Sequence[str], *, refresh: bool = False) -> Path:
    target = cache.root() / name
    told = target / "packages"

    def fresh() -> bool:
        return not refresh and told.exists() and told.read_text().split() == list(packages)

    if fresh():
        return target
    need("apt-get", "dpkg-deb", "tar")
    with cache.fetching():
        if fresh():  # while we waited for the lock
            return target
        source = Suite(suite, arch, cache.root() / "apt")
        source.update()
        with cache.staged(target) as stage:
            (stage / "root").mkdir()
            source.unpack_with_dependencies(packages, stage / "root")
            (stage / told.name).write_text("\n".join(packages))
    return target
