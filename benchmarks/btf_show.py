"""How long questions about the types of vmlinux take from start to end, beside bare Python and pahole.

Run where the package is installed (not in editable mode, whose import hook alone costs 20 ms):
python benchmarks/btf_show.py
"""

from __future__ import annotations

import shutil
import sys

import clock

VMLINUX = "/sys/kernel/btf/vmlinux"


def main() -> None:
    """Print the times."""
    commands = {
        "bare python": [sys.executable, "-c", "pass"],
        "btf show list_head": [clock.BPFCTL, "btf", "show", "list_head"],
        "btf show task_struct": [clock.BPFCTL, "btf", "show", "task_struct"],
        "btf find lru": [clock.BPFCTL, "btf", "find", "lru"],
        "btf find --embeds mutex": [clock.BPFCTL, "btf", "find", "--embeds", "struct mutex"],
        "btf diff vmlinux": [clock.BPFCTL, "btf", "diff", VMLINUX],
    }
    pahole = shutil.which("pahole")
    if pahole:
        commands["pahole -C task_struct"] = [pahole, "-F", "btf", "-C", "task_struct", VMLINUX]
    print(clock.table(clock.measure(commands, 11), "bare python"))


if __name__ == "__main__":
    main()
