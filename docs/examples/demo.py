"""Shows what this kernel runs; where it runs nothing, makes a small tracing program and a map to look at.

The program counts the system calls of the machine in an array map. Its instructions are assembled here, and it is
gone when the demo ends. Run as root.
"""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import bpfctl
from bpfctl.asm.build import Program as Code
from bpfctl.asm.insn import R0, R1, R2, R10
from bpfctl.attach import raw_tracepoint

BPF_FUNC_map_lookup_elem = 1


def counter(counts: bpfctl.Map) -> bytes:
    """Return the instructions of a program that adds 1 to the first value of an array map at each hit."""
    code = Code()
    code.st(4, R10, -4, 0)
    code.mov(R2, R10).add(R2, -4)
    code.ld_map_fd(R1, counts.fileno())
    code.call(BPF_FUNC_map_lookup_elem)
    code.jump("jeq", R0, 0, "out")
    code.mov(R1, 1)
    code.atomic_add(8, R0, 0, R1)
    code.label("out").mov(R0, 0).exit_()
    return code.assemble()


def show(*words: str) -> None:
    """Run a command of bpfctl as a user would."""
    print("$ bpfctl", *words, flush=True)
    subprocess.run([Path(sys.executable).parent / "bpfctl", *words], check=True)
    print(flush=True)


with ExitStack() as stack:
    if next(bpfctl.programs(), None) is None:
        print("This kernel runs no BPF program, so here is one that counts system calls:\n")
        counts = stack.enter_context(bpfctl.Map.create(bpfctl.MapType.ARRAY, 4, 8, 1, name="demo_counts"))
        insns = counter(counts)
        program = stack.enter_context(bpfctl.Program.load(bpfctl.ProgType.RAW_TRACEPOINT, insns, name="demo_syscalls"))
        stack.enter_context(raw_tracepoint.attach(program, "sys_enter"))
        time.sleep(0.2)
        print(f"system calls in 0.2 s: {counts.typed(value=int)[0]}\n")
    show("prog", "list")
    show("map", "list")
    show("link", "list")
    show("btf", "list")
    show("-p", "prog", "list")
