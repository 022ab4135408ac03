"""What tests of maps need: a place for them, and what compares; modules with a zoo of their own use that."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.bpftool import peer
from tests.bpftool.alike import Alike
from tests.bpftool.filled import Nest
from tests.build.compiled import NAMES, everything
from tests.kernel.zoo import Zoo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What maps hold, and those that are the zoo's own.
WANTED = (
    *(f"prog:{name}" for name in ("socket_filter", "xdp_devmap", "xdp_cpumap")),
    *(f"map:{kind}" for kind in ("sk_storage", "inode_storage", "task_storage", "cgrp_storage", "arena")),
    *(f"map:{kind}" for kind in ("struct_ops", "struct_ops_link")),
)
#: What libbpf says once an object is loaded, of a program of it that is loaded only when asked for.
_NOT_PINNED = "can't pin program that wasn't loaded"
_LOAD = 'name=$(basename "$4" .o); "$1" prog loadall "$4" "$2/$name" >"$3/$name" 2>&1 && rm "$3/$name"; true'
_LOAD_ALL = f"""
mount -t bpf bpf "$2" || exit 1
tool=$1; pins=$2; said=$3; shift 3
printf '%s\\0' "$@" | xargs -0 -n 1 -P "$(nproc)" sh -c '{_LOAD}' sh "$tool" "$pins" "$said"
"""


@pytest.fixture(scope="module")
def zoo(request: pytest.FixtureRequest) -> Iterator[Zoo]:
    """The inhabitants that a module names as ZOO, None for all; else the few that maps of every type need."""
    with Zoo(only=getattr(request.module, "ZOO", WANTED)) as place:
        peer.listed.cache_clear()  # what was asked of another zoo's kernel is no answer
        yield place


@pytest.fixture
def nest(zoo: Zoo) -> Iterator[Nest]:
    """What makes maps, which end with the test."""
    with ExitStack() as held:
        yield Nest(zoo, held)


@pytest.fixture
def alike(tmp_path: Path) -> Iterator[Alike]:
    """What compares the newest bpftool and ours; pytest -rP shows how many answers."""
    comparing = Alike(tmp_path, peer.bpftools()[0])
    yield comparing
    print(comparing.compared, "answers compared")


@pytest.fixture(scope="session")
def compiled() -> dict[str, Path]:
    """The objects by their names."""
    return everything()


@pytest.fixture(scope="session")
def refused(compiled: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What bpftool says of those that it does not load, in a mount namespace that ends with the pins of the others."""
    pins, said = tmp_path_factory.mktemp("bpffs"), tmp_path_factory.mktemp("said")
    shell = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _LOAD_ALL, "sh"]
    subprocess.run([*shell, peer.bpftools()[0], pins, said, *compiled.values()], check=True)
    complaints = {path.name: path.read_text(errors="replace") for path in said.iterdir()}
    return {name: complaint for name, complaint in complaints.items() if _NOT_PINNED not in complaint}


@pytest.fixture(scope="session")
def loaded(refused: dict[str, str]) -> set[str]:
    """The names of those that bpftool loads."""
    return set(NAMES) - refused.keys()
