"""How long a probe of all features takes from start to end, beside bpftool 7.8 (BPFCTL_BPFTOOL=FILE).

The full report, with and without what is remembered since the machine was booted, and a check of each object that is
named, stand beside it.

Run as root where the package is installed (not in editable mode, whose import hook alone costs 20 ms):
python benchmarks/feature.py [OBJECT...]
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import clock

BPFCTL = str(Path(sys.executable).parent / "bpfctl")


def main() -> None:
    """Print the times; the ratio of the two JSON voices must stay below 2.5, and a check of an object below 300 ms."""
    named = os.environ.get("BPFCTL_BPFTOOL", "bpftool").split(":")
    bpftool = shutil.which(named[-1])
    if not bpftool:
        sys.exit("bpftool is not installed; on Debian: apt-get install bpftool")
    commands = {
        "bare python": [sys.executable, "-c", "pass"],
        "bpftool -j feature probe": [bpftool, "-j", "feature", "probe"],
        "bpfctl -j feature probe": [BPFCTL, "-j", "feature", "probe"],
        "bpfctl feature probe": [BPFCTL, "--plain", "feature", "probe"],
        "bpftool feature probe macros": [bpftool, "feature", "probe", "macros"],
        "bpfctl feature probe macros": [BPFCTL, "feature", "probe", "macros"],
        "--full-report": [BPFCTL, "-j", "feature", "probe", "--full-report"],
        "--full-report --fresh": [BPFCTL, "-j", "feature", "probe", "--full-report", "--fresh"],
    }
    commands |= {f"check {Path(name).name}": [BPFCTL, "feature", "check", "--unmet", name] for name in sys.argv[1:]}
    print(clock.table(clock.measure(commands, 11), "bpftool -j feature probe"))


if __name__ == "__main__":
    main()
