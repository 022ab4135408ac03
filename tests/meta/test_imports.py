"""What is loaded when: imports are a budget, and rooms have doors."""

from __future__ import annotations

import ast
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "typer",
    "click",
    "capstone",
    "rich",
    "elftools",
    "importlib.metadata",
    "pydantic",
    "dataclasses",
    "inspect",
    "ctypes",
}


def loaded_by(*words: str, stdout: int = subprocess.PIPE, codes: tuple[int, ...] = (0,)) -> set[str]:
    """Return the modules that a run of the command has loaded at its end."""
    code = (
        "import sys, bpfctl.__main__ as program\n"
        f"sys.argv = ['bpfctl', *{words!r}]\n"
        "code = program.main()\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    # -S: an editable install's import hook would load half of the standard library first.
    site = f"import sys; sys.path[1:1] = {[path for path in sys.path if path]!r}\n"
    done = subprocess.run(
        [sys.executable, "-S", "-c", site + code],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode in codes, done.stderr
    return set(done.stderr.split())


def test_types_of_processes_are_read_where_somebody_asks_for_them():
    code = (
        "import sys; from bpfctl.elf.binary import Binary\n"
        "assert Binary(sys.executable).functions\n"
        "sys.exit('elftools' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    "words", [("-j", "prog", "list"), ("prog", "list"), ("-j", "map", "list"), ("-j", "link", "list")]
)
def test_a_listing_loads_nothing_heavy(words):
    assert HEAVY & loaded_by(*words) == set()


@pytest.mark.parametrize("words", [("version",), ("map", "help"), ("map", "nonsense"), ("prog", "show", "id", "0")])
def test_a_terminal_that_sees_no_table_loads_no_rich(words):
    """Help, texts and errors are what people wait for most often."""
    ours, its = pty.openpty()
    try:
        assert "rich" not in loaded_by(*words, stdout=its, codes=(0, 255))
    finally:
        os.close(ours)
        os.close(its)


def test_the_package_itself_loads_nothing():
    code = "import sys; before = set(sys.modules); import bpfctl; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert {name.split(".")[0] for name in done.stdout.split()} & HEAVY == set()
    assert {name for name in done.stdout.split() if name.startswith("bpfctl")} == {"bpfctl"}


def imports(file: Path) -> set[str]:
    """Return the modules that a file names in import statements, wherever they stand."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_cffi_stops_at_the_door():
    """Only bpfctl/_sys names cffi or the compiled module."""
    outside = {
        str(file.relative_to(ROOT))
        for folder in ("bpfctl", "btf", "plugins")
        for file in (ROOT / folder).rglob("*.py")
        if file.parent != ROOT / "bpfctl" / "_sys"
        and file != ROOT / "bpfctl" / "_tools" / "gen_ffi.py"
        and any(name.split(".")[0] in {"cffi", "_cffi_backend"} or "_ffi" in name for name in imports(file))
    }

    assert outside == set()


def test_every_public_name_is_there():
    import bpfctl

    assert sorted(bpfctl.__all__) == bpfctl.__all__ == dir(bpfctl)
    for name in bpfctl.__all__:
        assert getattr(bpfctl, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bpfctl.nothing
