"""BPF objects compiled for tests from small sources, each once in a run."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from tests.vm.cache import root, staged

OBJECTS = Path(__file__).parents[1] / "bpftool" / "objects"
NAMES = sorted(path.name.removesuffix(".bpf.c") for path in OBJECTS.glob("*.bpf.c"))
_CLANG = ("clang", "-target", "bpf", "-mcpu=v3", "-g", "-O2", "-Wall", "-Werror", "-Wno-unused")


def compiled(name: str, *options: str) -> bytes:
    """Return one of the objects that `feature check` is tested with."""
    return source((OBJECTS / f"{name}.bpf.c").read_text(), *options)


@cache
def source(text: str, *options: str) -> bytes:
    """Return the object of a source that may include bpf.h of the objects' folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "test.bpf.c")
        path.write_text(text)
        _compile(path, Path(folder, "test.o"), *options)
        return Path(folder, "test.o").read_bytes()


def everything() -> dict[str, Path]:
    """Return the objects' files by name.

    They are compiled once and kept in the cache that guests see too, as clang takes a minute longer there.
    """
    # Each checkout has its own sources.
    folder = root() / "objects" / hashlib.sha256(bytes(OBJECTS)).hexdigest()[:12]
    wanted = _fingerprint()
    told = folder / "fingerprint"
    if not told.exists() or told.read_text() != wanted:
        with staged(folder) as stage, ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: _compile(OBJECTS / f"{name}.bpf.c", stage / f"{name}.o"), NAMES))
            (stage / told.name).write_text(wanted)
    return {name: folder / f"{name}.o" for name in NAMES}


def _compile(path: Path, to: Path, *options: str) -> None:
    """Compile a source to the same bytes wherever it is; its lines are read where the compiler runs."""
    alike = ["-fdebug-compilation-dir=.", f"-ffile-prefix-map={OBJECTS}/="]
    subprocess.run([*_CLANG, *alike, *options, "-I", OBJECTS, "-c", path.name, "-o", to], cwd=path.parent, check=True)


def _fingerprint() -> str:
    """Return what changes with the sources and the compiler."""
    clang = shutil.which(_CLANG[0])
    found = hashlib.sha256(repr((_CLANG, clang and str(Path(clang).resolve()))).encode())
    found.update(Path(__file__).read_bytes())
    for path in sorted(OBJECTS.iterdir()):
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()
