"""``python -m release.zipapp WHEEL...``: one file with bpfctl and all that it needs, for machines with bare Python.

It holds the wheels' own contents, what they depend on as pip finds it, and per machine and version of Python the one
module of machine code that cffi has for it. How it runs, release/pyz/_bpfctl_boot.py tells. With --here it is for this
machine and this Python alone, with what is installed in this environment, and needs no network.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError, distribution
from itertools import product
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BOOT = Path(__file__).parent / "pyz"
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
MACHINES = ("x86_64", "aarch64")
#: What rich has for source code and Markdown, which we do not show, and what cffi needs to make bindings.
UNUSED = {"cffi", "markdown_it", "mdurl", "pycparser", "pygments"}
_RECORDS = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
_SHEBANG = b"#!/usr/bin/env python3\n"
_DATE = (1980, 1, 1, 0, 0, 0)  # the same contents are the same file


def main() -> int:
    """Write the file and tell its path."""
    parser = argparse.ArgumentParser(prog="python -m release.zipapp", description=__doc__)
    parser.add_argument("wheels", nargs="+", type=Path, metavar="WHEEL", help="of bpfctl, for one machine each")
    parser.add_argument("--out", type=Path, default=Path("dist/bpfctl.pyz"), metavar="FILE")
    parser.add_argument("--here", action="store_true", help="for this machine and this Python alone")
    options = parser.parse_args()
    if len({wheel.name.split("-")[1] for wheel in options.wheels}) > 1:
        parser.error("these wheels are of several versions")
    files = dict(file for wheel in options.wheels for file in _wheel(wheel))
    if options.here:
        files |= dict(file for name in needed("bpfctl") for file in _installed(name))
    else:
        with tempfile.TemporaryDirectory(prefix="bpfctl-zipapp-") as work:
            files |= dict(file for wheel in _fetched(options.wheels, Path(work)) for file in _wheel(wheel))
    write(options.out, files)
    print(options.out)
    return 0


def write(out: Path, files: Mapping[str, bytes]) -> None:
    """Write the FILES of packages as an archive that Python runs; machine code lies in the folder ``native``."""
    names = sorted(name for name in files if name.startswith("native/"))
    contents = {**files, "native.txt": "\n".join(names).encode()}
    for part in sorted(BOOT.glob("*.py")):
        contents[part.name] = part.read_bytes()
    digest = hashlib.sha256()
    for name, data in sorted(contents.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    boot = contents["_bpfctl_boot.py"]
    contents["_bpfctl_boot.py"] = boot.replace(b"@BUILD@", digest.hexdigest()[:32].encode())
    with out.open("wb") as file:
        file.write(_SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, data in sorted(contents.items()):
                archive.writestr(_entry(name), data)
    out.chmod(0o755)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def needed(name: str) -> set[str]:
    """Return the names of all installed distributions that one needs, without its own."""
    found: set[str] = set()
    left = [name]
    while left:
        try:
            requirements = distribution(left.pop()).requires or ()
        except PackageNotFoundError:  # only on other systems, or with other Pythons
            continue
        names = {re.split(r"[^\w.-]", line)[0] for line in requirements if "extra ==" not in line}
        left += names - found
        found |= names
    return found


def _installed(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an installed distribution by their place in the archive; none of one that is not there."""
    try:
        files = distribution(name).files or ()
    except PackageNotFoundError:
        return
    for file in files:
        if place := _place(str(file), EXTENSION_SUFFIXES[0].split("-", 2)[2].removesuffix(".so")):
            yield place, Path(str(file.locate())).read_bytes()


def _fetched(wheels: Sequence[Path], into: Path) -> Iterator[Path]:
    """Fetch what wheels of bpfctl need, and of the same release of cffi what each machine and Python runs."""
    _download(into, _machine(wheels[0]), PYTHONS[0], str(wheels[0]))
    others = [each for each in into.iterdir() if each.name != wheels[0].name]
    yield from others
    (release,) = [each.name.split("-")[1] for each in others if each.name.startswith("cffi-")]
    for at, (wheel, python) in enumerate(product(wheels, PYTHONS)):
        _download(into / str(at), _machine(wheel), python, "--no-deps", f"cffi=={release}")
        yield from (into / str(at)).iterdir()


def _download(into: Path, machine: str, python: str, *words: str) -> None:
    platforms = (f"manylinux2014_{machine}", f"manylinux_2_17_{machine}", f"linux_{machine}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--dest", str(into)]
    command += [f"--platform={platform}" for platform in platforms]
    subprocess.run([*command, "--python-version", python, *words], check=True)


def _wheel(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a wheel by their place in the archive."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if place := _place(name, f"{_machine(path)}-linux-gnu"):
                yield place, archive.read(name)


def _machine(wheel: Path) -> str:
    """Return the machine that a wheel is for; "any" for one without machine code."""
    return next((machine for machine in MACHINES if wheel.stem.endswith(machine)), "any")


def _place(name: str, platform: str) -> str | None:
    """Return where a file of a distribution goes; None for what is not needed."""
    path = PurePosixPath(name)
    top = path.parts[0]
    if top in UNUSED or top == ".." or top.endswith(".data") or path.name in _RECORDS or "__pycache__" in path.parts:
        return None
    if path.suffix != ".so":
        return name
    version = path.name.split(".")[1]  # such as abi3, or cpython-313-x86_64-linux-gnu
    return f"native/{platform if version == 'abi3' else version}/{name}"


if __name__ == "__main__":
    sys.exit(main())
