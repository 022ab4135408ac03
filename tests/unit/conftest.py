"""Hypothesis for all unit tests: a busy machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("bpfctl", deadline=None)
settings.load_profile("bpfctl")
