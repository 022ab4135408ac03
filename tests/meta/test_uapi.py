"""The generated tables of bpfctl.uapi are fresh, and the running kernel agrees with them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from bpfctl._tools import gen_uapi
from bpfctl.uapi import layouts
from btf.errors import BTFError
from btf.read import BTF

ROOT = Path(__file__).parents[2]
VMLINUX = Path("/sys/kernel/btf/vmlinux")


@pytest.fixture(scope="module")
def kernel():
    """The types of the running kernel."""
    if not VMLINUX.exists():
        pytest.skip("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
    return BTF.from_bytes(VMLINUX.read_bytes())


def test_tables_are_fresh():
    """Nobody edited a generated file, and nobody forgot to generate."""
    command = [sys.executable, "-m", "bpfctl._tools.gen_uapi", "--check"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_check_tells_what_is_stale(tmp_path, monkeypatch, capsys):
    """A file that differs, or is missing, is named."""
    monkeypatch.setattr(gen_uapi, "ROOM", tmp_path)
    monkeypatch.setattr(sys, "argv", ["gen_uapi", "--check"])
    (tmp_path / "enums.py").write_text("old")

    assert gen_uapi.main() == 1
    assert "enums.py is stale" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["enums.py"]

    monkeypatch.setattr(sys, "argv", ["gen_uapi"])
    assert gen_uapi.main() == 0
    monkeypatch.setattr(sys, "argv", ["gen_uapi", "--check"])
    assert gen_uapi.main() == 0


def test_numbers_are_the_running_kernels(kernel):
    """A number never changes its meaning; a kernel may know more or fewer of them."""
    compared = 0
    for module in gen_uapi.MODULES:
        ours = import_module(f"bpfctl.uapi.{module.file.removesuffix('.py')}")
        for table in module.tables:
            try:
                theirs = dict(gen_uapi.rows(gen_uapi.find_enum(kernel, table), table))
            except BTFError:
                continue  # older than this enum
            known = {name: int(value) for name, value in getattr(ours, table.name).__members__.items()}
            shared = theirs.keys() & known.keys()
            compared += len(shared)
            assert {name: known[name] for name in shared} == {name: theirs[name] for name in shared}

    assert compared > 400


def test_layouts_are_the_running_kernels(kernel):
    """Structures only grow: each field that this kernel has lies where our layout says."""
    compared = set()
    for name, (struct, paths) in gen_uapi.LAYOUTS.items():
        try:
            of = gen_uapi.find_struct(kernel, struct)
            theirs = {label: at for label, at, _ in gen_uapi.fields(kernel, of.id, paths)}
        except (BTFError, KeyError):
            continue  # older than this structure, or than a part of it
        ours = getattr(layouts, name).offsets
        shared = theirs.keys() & ours.keys()
        compared.add(name)
        assert "id" in shared
        assert {label: ours[label] for label in shared} == {label: theirs[label] for label in shared}, name

    assert {"PROG_INFO", "MAP_INFO", "LINK_INFO", "BTF_INFO"} <= compared
