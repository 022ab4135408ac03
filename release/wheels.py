"""``python -m release.wheels``: the source distribution, and from it a wheel for x86-64 and one for arm64, in dist/.

The C compiler is zig's, which brings the C library of every machine in every version: so both wheels are made on any
machine, and run with glibc 2.17 and newer. What cibuildwheel makes on a release (pyproject.toml) is the same, built
natively.

The headers of Python are those of the Python that runs this. The limited API takes nothing from them that differs from
machine to machine, but for the sizes of C's types, and those are the same on all Linux machines of 64 bits.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
GLIBC = "2.17"  # the oldest that any Python 3.11 wheel on PyPI is made for: CentOS 7's
PLATFORM = "manylinux2014_{machine}.manylinux_2_17_{machine}"
MACHINES = ("x86_64", "aarch64")
LIMITED_API = "0x030b0000"  # Python 3.11


def main() -> int:
    """Build everything and have it looked at; CalledProcessError when a tool refuses."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--into", type=Path, default=ROOT / "dist", metavar="FOLDER")
    into: Path = arguments.parse_args().into
    with tempfile.TemporaryDirectory(prefix="bpfctl-wheels-") as work:
        _python("-m", "build", "--outdir", work, str(ROOT))
        (source,) = Path(work).glob("*.tar.gz")
        (native,) = Path(work).glob("*.whl")
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, into)
        for machine in MACHINES:
            wheel = Path(shutil.copy(cross(native, machine, Path(work, machine)), into))
            examine(wheel)
            print(wheel)
    return 0


def cross(native: Path, machine: str, work: Path) -> Path:
    """Return a wheel for MACHINE, written in the folder WORK: NATIVE with its extensions compiled anew."""
    work.mkdir()
    _python("-m", "wheel", "unpack", "--dest", str(work), str(native))
    (tree,) = work.iterdir()
    headers = _headers(work)
    for extension in _extensions():
        compile_one(extension, machine, headers, tree / f"{extension['name'].replace('.', '/')}.abi3.so")
    _python("-m", "wheel", "pack", "--dest-dir", str(work), str(tree))
    (packed,) = work.glob("*.whl")
    _python("-m", "wheel", "tags", "--remove", "--platform-tag", PLATFORM.format(machine=machine), str(packed))
    (wheel,) = work.glob("*.whl")
    return wheel


def compile_one(extension: dict[str, Any], machine: str, headers: Path, into: Path) -> None:
    """Compile one of pyproject.toml's extensions for MACHINE."""
    includes = [f"-I{ROOT / folder}" for folder in extension.get("include-dirs", [])]
    _python(
        *("-m", "ziglang", "cc", "-target", f"{machine}-linux-gnu.{GLIBC}", "-shared", "-fPIC", "-s"),
        *(*extension["extra-compile-args"], f"-DPy_LIMITED_API={LIMITED_API}", f"-I{headers}", *includes),
        *("-o", str(into), *(str(ROOT / source) for source in extension["sources"])),
    )


def examine(wheel: Path) -> None:
    """Let auditwheel and abi3audit look at WHEEL; CalledProcessError where it is not what its name says."""
    told = _python("-m", "auditwheel", "show", str(wheel))
    words = " ".join(told.split())
    machine = wheel.stem.rpartition("_2_17_")[2]
    if f'platform tag: "manylinux_2_17_{machine}"' not in words:
        raise SystemExit(f"{wheel.name} is not what its name says: {words}")
    _python("-m", "abi3audit", "--strict", str(wheel))


def _extensions() -> list[dict[str, Any]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = project["tool"]["setuptools"]["ext-modules"]
    return found


def _headers(work: Path) -> Path:
    """Copy Python's headers, with the configuration itself where Debian has one that chooses by machine."""
    headers = work / "include"
    shutil.copytree(sysconfig.get_path("include"), headers)
    shutil.copy(sysconfig.get_config_h_filename(), headers / "pyconfig.h")
    return headers


def _python(*words: str) -> str:
    done = subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
