"""The fuzzer of values: some of its inputs with each run of the tests, and what it does with a fault."""

from __future__ import annotations

import pytest

from bpfctl.views import value as view
from btf.value import Address
from tests.fuzz import values


def test_some_thousand_inputs():
    assert values.run(4000, seed=7) >= 4000


def test_a_fault_is_found_and_made_small(monkeypatch):
    monkeypatch.setattr(view, "json", broken(view.json))
    with pytest.raises(values.Failure) as caught:
        values.run(100_000, seed=1)

    case = caught.value.case
    assert case.shape == ("pointer",)
    assert len(case.given) <= 8
    assert any(note.startswith("--seed 1 --round ") for note in caught.value.__notes__)


def broken(json):
    """Lose the lowest bit of pointers."""

    def shown(value):
        return int(value) & ~1 if isinstance(value, Address) else json(value)

    return shown
