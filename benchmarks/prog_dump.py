"""How long the code of a program takes to dump, from start to end, beside bpftool: a small program and a large one.

Run as root, where the package is installed: python benchmarks/prog_dump.py [INSTRUCTIONS]
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

import clock

from bpfctl import Program, ProgType
from bpfctl._sys import programs
from bpfctl.asm.build import Program as Code
from bpfctl.asm.insn import R0, R6, R10

LARGE, SMALL = 100_000, 20
GET_PRANDOM = 7
WORDS = [["-j", "prog", "dump", "xlated"], ["prog", "dump", "xlated"]]
if find_spec("capstone"):
    WORDS.append(["prog", "dump", "jited"])


def main() -> None:
    """Print the times."""
    tools = {"bpfctl": clock.BPFCTL} | clock.bpftools()
    for size in (SMALL, int(sys.argv[1]) if len(sys.argv) > 1 else LARGE):
        with Program(programs.load(ProgType.SOCKET_FILTER, code(size), name=b"dumped").fd) as program:
            id_ = str(program.info().id)
            for words in WORDS:
                commands = {"bare python": [sys.executable, "-c", "pass"]} if size == SMALL else {}
                commands |= {
                    name: [tool, *words, "id", id_]
                    for name, tool in tools.items()
                    if words[-1] == "xlated" or name == "bpfctl"  # Debian's bpftools have no disassembler
                }
                print(f"{' '.join(words)} of {size} instructions")
                print(clock.table(clock.measure(commands, 11), list(commands)[-1]), end="\n\n")


def code(size: int) -> bytes:
    """Assemble so many instructions, of which some are alike as in any program."""
    program = Code().call(GET_PRANDOM).mov(R6, R0)
    for number in range((size - 4) // 5):
        program.alu("add", R6, number % 1000, width=64).stx(8, R10, -8 * (number % 60 + 1), R6)
        program.alu("xor", R6, number, width=32).ldx(8, R0, R10, -8 * (number % 60 + 1)).add(R6, R0)
    return program.mov(R0, 0).exit_().assemble()


if __name__ == "__main__":
    main()
