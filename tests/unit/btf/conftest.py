"""Loops in C and in Python, which say the same."""

from __future__ import annotations

import pytest

from btf import _loops


@pytest.fixture(params=["c", "python"])
def loops(request, monkeypatch):
    """Run a test with the loops in C, and again with those in Python."""
    assert _loops.fast, "btf._fast is not built, or BTF_PURE is set"
    if request.param == "python":
        monkeypatch.setattr(_loops, "fast", None)
