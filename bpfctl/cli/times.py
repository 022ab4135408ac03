"""Times as people write them."""

from __future__ import annotations

import re

from bpfctl.errors import UsageError

_TIME = re.compile(r"(\d{1,99}(?:\.\d{1,99})?)(ns|us|ms|s)", re.ASCII)
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_MOST = 1 << 63


def nanoseconds(word: str, option: str) -> int:
    """Return a time such as ``10ms``; UsageError names the option for whatever else."""
    found = _TIME.fullmatch(word)
    if found is None:
        raise UsageError(f"{option}: '{word}' should be a time, such as 10ms, 250us or 1.5s")
    whole, _, part = found[1].partition(".")
    unit = _UNITS[found[2]]
    time = int(whole) * unit + (int(part) * unit // 10 ** len(part) if part else 0)
    if time >= _MOST:
        raise UsageError(f"{option}: '{word}' is longer than anybody can wait")
    return time
