"""What tests of maps need: a place for them, and what compares; modules with a zoo of their own use that."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.bpftool import peer
from tests.bpftool.alike import Alike
from tests.bpftool.filled import Nest
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


@pytest.fixture(scope="module")
def zoo() -> Iterator[Zoo]:
    """The few inhabitants that maps of every type need."""
    with Zoo(only=WANTED) as place:
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
