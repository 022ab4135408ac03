"""How long a probe of all features takes from start to end, beside bpftool 7.8 (BPFCTL_BPFTOOL=FILE).

The full report, with and without what is remembered since the machine was booted, and a check of each object that is
named, stand beside it.

Run as root where the package is installed (not in editable mode, whose import hook alone costs 20 ms):
python benchmarks/feature.py [OBJECT...]
"""

from __future__ import annotations

import sys
from pathlib import Path

import clock


def main() -> None:
    """Print the times; the ratio of the two JSON voices must stay below 2.5, and a check of an object below 300 ms."""
    bpftools = list(clock.bpftools().values())
    if not bpftools:
        sys.exit("bpftool is not installed; on Debian: apt-get install bpftool")
    bpftool = bpftools[-1]
    commands = {
        "bare python": [sys.executable, "-c", "pass"],
        "bpftool -j feature probe": [bpftool, "-j", "feature", "probe"],
        "bpfctl -j feature probe": [clock.BPFCTL, "-j", "feature", "probe"],
        "bpfctl feature probe": [clock.BPFCTL, "--plain", "feature", "probe"],
        "bpftool feature probe macros": [bpftool, "feature", "probe", "macros"],
        "bpfctl feature probe macros": [clock.BPFCTL, "feature", "probe", "macros"],
        "--full-report": [clock.BPFCTL, "-j", "feature", "probe", "--full-report"],
        "--full-report --fresh": [clock.BPFCTL, "-j", "feature", "probe", "--full-report", "--fresh"],
    }
    commands |= {
        f"check {Path(name).name}": [clock.BPFCTL, "feature", "check", "--unmet", name] for name in sys.argv[1:]
    }
    print(clock.table(clock.measure(commands, 11), "bpftool -j feature probe"))


if __name__ == "__main__":
    main()
