"""How long the types of a kernel take to write, from start to end, beside bpftool: a C header, text, JSON.

Besides bpfctl itself: the library alone, and the library without its loops in C.

python benchmarks/btf_dump.py [FILE]
"""

from __future__ import annotations

import sys

import clock

FORMS = {
    "C": (["btf", "dump", "file", "{}", "format", "c"], "from btf.dump_c import header as dump"),
    "text": (["btf", "dump", "file", "{}"], "from btf.dump_raw import text as dump"),
    "JSON": (["-j", "btf", "dump", "file", "{}"], "from btf.dump_raw import json as dump"),
}
PROGRAM = """
import os
from btf.read import BTF
{}
with open({!r}, "rb") as file:
    btf = BTF.from_bytes(file.read())
for piece in dump(btf):
    os.write(1, piece.encode(errors="surrogateescape"))
"""


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else "/sys/kernel/btf/vmlinux"
    for form, (template, statement) in FORMS.items():
        words = [word.format(path) for word in template]
        library = [sys.executable, "-Pc", PROGRAM.format(statement, path)]
        commands = {
            "bpfctl": [clock.BPFCTL, *words],
            "library": library,
            "library, BTF_PURE=1": ["env", "BTF_PURE=1", *library],
        }
        commands |= {name: [file, *words] for name, file in clock.bpftools().items()}
        print(f"{form} of {path}")
        print(clock.table(clock.measure(commands, runs=11), list(commands)[-1]), end="\n\n")


if __name__ == "__main__":
    main()
