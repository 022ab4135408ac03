"""Events of tracefs on kernels without them."""

from __future__ import annotations

import pytest

from bpfctl.attach import kprobe, tracefs
from bpfctl.errors import NotSupported
from bpfctl.host import pmu


def test_a_kernel_without_kprobes(monkeypatch):
    """It says why there are none, and what does without; by whichever way it is found out."""
    monkeypatch.setattr(pmu, "number", lambda _: None)
    with pytest.raises(NotSupported) as of_perf:
        kprobe.attach(None, [kprobe.Place("vfs_read")])
    of_tracefs = tracefs.lacking(tracefs.KERNEL)

    told = "this kernel has no kprobes, as it was built without CONFIG_KPROBE_EVENTS"
    assert [told, told] == [str(of_perf.value), str(of_tracefs)]
    assert of_perf.value.hint == of_tracefs.hint
    assert "'bpfctl probe list NAME' tells which there are" in of_tracefs.hint


def test_a_kernel_without_uprobes():
    """Nothing does without these."""
    error = tracefs.lacking(tracefs.PROCESSES)

    assert str(error) == "this kernel has no uprobes, as it was built without CONFIG_UPROBE_EVENTS"
    assert not error.hint
