"""BPF objects compiled for tests from small sources, each once in a run."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

OBJECTS = Path(__file__).parents[1] / "bpftool" / "objects"
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
        subprocess.run([*_CLANG, *options, "-I", OBJECTS, "-c", path, "-o", f"{folder}/test.o"], check=True)
        return Path(folder, "test.o").read_bytes()
