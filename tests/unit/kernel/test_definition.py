"""bpfctl.kernel.definition: what a map is made with."""

from __future__ import annotations

import pytest

from bpfctl.errors import KernelError
from bpfctl.kernel import definition
from bpfctl.kernel.definition import Definition
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag

NEW = 1 << 30  # a flag of a kernel that is newer than our tables


def test_flags_that_nobody_knows_stay(monkeypatch):
    """A map without one of its flags would be another one: who does not know it is the kernel, and says so."""
    asked = []

    def create(*_, flags, **__):
        asked.append(flags)
        raise OSError(22, "refused")

    monkeypatch.setattr(definition.maps, "create", create)
    with pytest.raises(KernelError):
        Definition(MapType.HASH, 4, 4, 1, NEW | MapFlag.NUMA_NODE | MapFlag.NO_PREALLOC).create()

    assert asked == [NEW | MapFlag.NO_PREALLOC]
