"""How long it takes to find that a kernel's types, given twice, are the same, from start to end, beside bpftool.

python benchmarks/btf_merge.py [FILE]

bpftool links two objects that have these types and nothing else. Variables and their sections are left
out: a linker wants to see them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import clock

from btf import kind
from btf.read import BTF
from btf.subset import subset

CHECKOUT = Path(__file__).parents[1]
PROGRAM = """
from btf.merge import merge
from btf.read import BTF
with open({!r}, "rb") as file:
    raw = file.read()
merge([BTF.from_bytes(raw), BTF.from_bytes(raw)])
"""


def main() -> None:
    sys.path.append(str(CHECKOUT))  # behind what is installed
    from tests.build.bpf_object import PROGBITS, STRTAB, SYMTAB, elf  # noqa: PLC0415

    path = sys.argv[1] if len(sys.argv) > 1 else "/sys/kernel/btf/vmlinux"
    whole = BTF.from_bytes(Path(path).read_bytes())
    with tempfile.TemporaryDirectory() as directory:
        blob = Path(directory, "types")
        blob.write_bytes(
            subset(whole, [each for each in whole.ids if whole.kind(each) not in (kind.VAR, kind.DATASEC)])
        )
        commands = {"btf": [sys.executable, "-Pc", PROGRAM.format(str(blob))]}
        symbols, strings = (".symtab", SYMTAB, 0, bytes(24), 2, 1, 24), (".strtab", STRTAB, 0, b"\0", 0, 0, 0)
        types = (".BTF", PROGBITS, 0, blob.read_bytes(), 0, 0, 0)
        objects = [Path(directory, name) for name in ("a.o", "b.o")]
        for each in objects:
            each.write_bytes(elf([symbols, strings, types]))
        words = ["gen", "object", f"{directory}/out.o", *map(str, objects)]
        commands |= {name: [file, *words] for name, file in clock.bpftools().items()}
        print(clock.table(clock.measure(commands, 3), "btf"))


if __name__ == "__main__":
    main()
