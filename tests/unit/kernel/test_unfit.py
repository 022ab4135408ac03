"""Maps that are not of the kind that somebody needs: wrong words, and nothing that the kernel lacks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bpfctl.errors import UsageError, own_status
from bpfctl.kernel import events
from bpfctl.kernel.definition import Definition
from bpfctl.kernel.map import MapInfo
from bpfctl.kernel.ring_buffer import RingBuffer
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag


def info(kind, flags=0, vmlinux=0):
    made = MapInfo(7, kind, 0, 0, 4096, flags, "fake", 0, 0, 0, 0, 0, 0, 0, 0)
    return made._replace(btf_vmlinux_value_type_id=vmlinux)


def test_what_only_a_loader_makes():
    with pytest.raises(UsageError, match="map 7 implements operations of the kernel") as caught:
        Definition.of(info(MapType.STRUCT_OPS, vmlinux=5))

    assert own_status(caught.value) == 2


def test_a_ring_buffer_that_overwrites(monkeypatch):
    found = info(MapType.RINGBUF, flags=MapFlag.RB_OVERWRITE)
    monkeypatch.setattr(events, "opened", lambda *_: (SimpleNamespace(close=lambda: None), found))

    with pytest.raises(UsageError, match="map 7 is a ring buffer that overwrites its oldest records") as caught:
        RingBuffer(7)

    assert own_status(caught.value) == 2
