"""Units and their events, from a folder such as sysfs has."""

from __future__ import annotations

import pytest

from bpfctl.host import pmu
from tests.unit.units import CPU, made

FILES = {
    "software/type": "1\n",
    "msr/type": "10\n",
    "msr/format/event": "config:0-63\n",
    "msr/events/smi": "event=0x04\n",
    "msr/events/tsc": "event=0x00\n",
    **CPU,
    "cpu/events/filled-in": "event=?\n",
    "cpu/events/odd": "colour=blue\n",
    "cpu/events/raw": "config=0x77\n",
}


@pytest.fixture(autouse=True)
def devices(tmp_path, monkeypatch):
    return made(FILES, tmp_path, monkeypatch)


def test_a_unit_by_its_number(devices):
    """The kernel's two clocks are in no file, unless some kernel shows another unit under their number."""
    assert [pmu.name(number) for number in (1, 4, 6, 7, 8, 10)] == [
        "software",
        "cpu",
        "cpu_clock",
        "task_clock",
        None,
        "msr",
    ]
    (devices / "other").mkdir()
    (devices / "other/type").write_text("6\n")
    assert pmu.name(6) == "other"


def test_an_event_by_its_configuration():
    """Fields are put together bit by bit, as the format says."""
    assert pmu.event("msr", 4) == "smi"
    assert pmu.event("msr", 0) == "tsc"
    assert pmu.event("msr", 1) is None
    assert pmu.event("cpu", 0x3C | 0x02 << 8 | 1 << 18 | 1 << 32) == "cycles"
    assert pmu.event("cpu", 0x77) == "raw"


def test_what_the_kernel_cannot_have_told():
    """Events with a second word, with a blank to fill in, or with a field that has no format have no number."""
    assert pmu.event("cpu", 0xCD | 0x1 << 8) is None
    assert pmu.event("cpu", 0) is None
    assert pmu.event("cpu_clock", 0) is None


def test_no_sysfs(monkeypatch):
    """A container may have none."""
    monkeypatch.setattr(pmu, "DEVICES", "/nowhere")

    assert pmu.name(10) is None
    assert pmu.name(6) == "cpu_clock"
    assert pmu.event("msr", 0) is None
