"""Hypothesis for all unit tests: a busy machine is no failure, and CI tries the same examples each time."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("bpfctl", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("bpfctl")
