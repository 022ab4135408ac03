"""`btf check` says that an object fits this kernel exactly when libbpf and the verifier take it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.bpftool import peer
from tests.kernel.place import Place

SOURCE = Path(__file__).with_name("guarded.bpf.c")
PROGRAMS = range(14)
#: Those that no kernel takes.
FAILS = {1, 3, 4, 8, 11}


def compiled(number, folder):
    """The object of one program."""
    path = folder / f"guarded{number}.o"
    clang = ["clang", "-target", "bpf", "-g", "-O2", "-Wall", "-Werror", "-Wno-unused", f"-DPROGRAM={number}"]
    subprocess.run([*clang, "-c", SOURCE, "-o", path], check=True)
    return path


@pytest.mark.parametrize("number", PROGRAMS)
def test_what_fails_here_is_what_cannot_be_loaded(number, tmp_path):
    path = compiled(number, tmp_path)
    answer = peer.ours("-j", "btf", "check", str(path))
    with Place() as place:
        loaded = peer.run(peer.bpftools()[0], "prog", "load", str(path), str(place.bpffs / "guarded")).rc == 0

    assert loaded == (number not in FAILS)
    assert answer.rc == (number in FAILS)
    (check,) = json.loads(answer.stdout)["checks"]
    assert (check["failed"] > 0) == (number in FAILS)
    assert check["relocations"] == sum(check[word] for word in ("resolved", "absent", "guarded", "failed"))


def test_several_objects_and_kernels(tmp_path):
    """Files that are no objects are kernels, as a shell makes them of --against *.btf; the reason names the kernel."""
    good, bad = compiled(0, tmp_path), compiled(1, tmp_path)
    kernels = [tmp_path / name for name in ("first.btf", "second.btf")]
    for kernel in kernels:
        kernel.write_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes())
    answer = peer.ours("--plain", "btf", "check", str(good), str(bad), "--against", *map(str, kernels))

    assert answer.rc == 1
    assert answer.stdout.decode().splitlines()[:-1] == [
        f"{good} on first.btf: 2 resolved",
        f"{bad} on first.btf: 1 failed",
        f"{good} on second.btf: 2 resolved",
        f"{bad} on second.btf: 1 failed",
    ]
    last = answer.stdout.decode().splitlines()[-1]
    assert last.startswith(f"failed: {SOURCE}:")
    assert "byte offset of struct task_struct.surely_not_there: struct task_struct [" in last
    assert last.endswith("has no member surely_not_there (first.btf, second.btf)")
