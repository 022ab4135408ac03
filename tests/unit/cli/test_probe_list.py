"""What ``probe list`` says of kinds that cannot be listed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bpfctl.cli import probe
from bpfctl.errors import NotFound, NotSupported
from bpfctl.probe import registry
from bpfctl.probe.source import ProbePoint
from bpfctl.probe.sources import Sources


def _lacking(_):
    raise NotSupported("this kernel has no gates")


DISCOVER = {
    "gate": _lacking,
    "door": lambda pattern: iter([ProbePoint("door", "front")] if "front" in pattern else []),
    "hatch": _lacking,
}


@pytest.fixture
def notes(monkeypatch):
    """Three kinds, two of which have nothing here, and what a person is told on the side."""
    monkeypatch.setattr(registry, "plugins", lambda: [SimpleNamespace(kind=kind) for kind in DISCOVER])
    monkeypatch.setattr(registry, "load", lambda plugin: SimpleNamespace(discover=DISCOVER[plugin.kind]))
    return []


def points(notes, pattern):
    return [*probe._points(SimpleNamespace(out=SimpleNamespace(note=notes.append)), Sources(), pattern)]


def test_one_kind_hides_no_other(notes):
    assert points(notes, "front") == [ProbePoint("door", "front")]
    assert notes == ["this kernel has no gates"]


def test_nothing_found_where_not_all_can_be_listed(notes):
    with pytest.raises(NotFound, match=r"^no probe matches 'back', and nothing can be listed of gate, hatch$"):
        points(notes, "back")

    assert notes == ["this kernel has no gates"]
