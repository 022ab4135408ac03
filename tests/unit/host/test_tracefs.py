"""Tracepoints, from a folder such as tracefs has."""

from __future__ import annotations

import pytest

from bpfctl.host import bpffs, tracefs
from bpfctl.host.bpffs import Mount


@pytest.fixture
def events(tmp_path, monkeypatch):
    for name in ("sched/sched_switch", "sched/sched_waking", "irq/softirq_entry", "one/twin", "two/twin"):
        (tmp_path / "events" / name).mkdir(parents=True)
    (tmp_path / "events/sched/enable").write_text("0\n")
    (tmp_path / "events/header_page").write_text("")
    mounts = [Mount(1, "/sys", "sysfs", "rw"), Mount(2, str(tmp_path), "tracefs", "rw")]
    monkeypatch.setattr(bpffs, "mounts", lambda: mounts)
    return tmp_path / "events"


@pytest.mark.usefixtures("events")
def test_category():
    """Known by name where the name says enough."""
    assert tracefs.category("sched_switch") == "sched"
    assert tracefs.category("softirq_entry") == "irq"
    assert tracefs.category("twin") is None
    assert tracefs.category("sched_nothing") is None
    assert tracefs.category("enable") is None


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("name", ["", ".", "..", "../irq", "sched/sched_switch"])
def test_a_name_is_no_path(name):
    """Nothing outside the categories is looked at."""
    assert tracefs.category(name) is None


def test_tracepoints(events):
    """In the order of the alphabet, files left out; a category that vanishes is no error."""
    found = tracefs.tracepoints()
    assert next(found) == ("irq", "softirq_entry")
    for name in ("sched/sched_switch", "sched/sched_waking"):
        (events / name).rmdir()
    (events / "sched/enable").unlink()
    (events / "sched").rmdir()
    assert list(found) == [("one", "twin"), ("two", "twin")]


def test_no_tracefs(monkeypatch):
    """None is not the same as no tracepoints."""
    monkeypatch.setattr(bpffs, "mounts", list)

    assert tracefs.events_folder() is None
    assert tracefs.tracepoints() is None
    assert tracefs.category("sched_switch") is None
