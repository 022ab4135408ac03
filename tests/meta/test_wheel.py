"""What the wheel holds."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def names(wheel):
    assert "-cp311-abi3-" in wheel.name
    return set(zipfile.ZipFile(wheel).namelist())


def test_every_module_is_in_it(source, names):
    """A package that pyproject.toml forgets would work in the checkout alone."""
    modules = {
        str(file.relative_to(source)).removeprefix("plugins/")
        for folder in ("bpfctl", "btf", "plugins")
        for file in (source / folder).rglob("*.py")
        if "_tools" not in file.parts
    }

    assert modules - names == set()


def test_it_holds_what_it_must_and_no_more(names):
    assert {
        "bpfctl/_sys/_ffi.abi3.so",
        "bpfctl/py.typed",
        "btf/_fast.abi3.so",
        "btf/py.typed",
        "bpfctl_kprobe/py.typed",
        "bpfctl_perf/py.typed",
        "bpfctl_raw_tracepoint/py.typed",
        "bpfctl_tracepoint/py.typed",
        "bpfctl_uprobe/py.typed",
        "bpfctl_usdt/py.typed",
    } <= names
    ours = {"bpfctl", "btf", "bpfctl_kprobe", *os.listdir(ROOT / "plugins")}
    strangers = {name for name in names if name.split("/")[0] not in ours and ".dist-info/" not in name}
    assert {
        "share/bash-completion/completions/bpfctl.bash",
        "share/zsh/site-functions/_bpfctl",
        "share/fish/vendor_completions.d/bpfctl.fish",
        *(f"share/man/man1/{page.name}" for page in (ROOT / "man").iterdir()),
    } == {name.partition(".data/data/")[2] for name in strangers}
    assert {name for name in names if name.endswith((".c", ".h")) or "_tools" in name} == set()
