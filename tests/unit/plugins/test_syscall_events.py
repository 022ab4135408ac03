"""How one program for many system calls finds the number of the one that was hit."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from bpfctl_tracepoint import syscalls
from bpfctl_tracepoint.names import EXIT

from bpfctl.asm.disasm import text
from bpfctl.probe.code import OUT, Code
from btf.read import BTF
from btf.write import Builder

ORIG_X0, SYSCALLNO, PMR = 272, 280, 284


@pytest.fixture
def arm64(monkeypatch):
    """The types of a kernel of arm64, as far as they matter."""
    b = Builder()
    s32, u32, u64 = b.add_int("int", 4, encoding=1), b.add_int("unsigned int", 4), b.add_int("unsigned long", 8)
    members = [("orig_x0", u64, 8 * ORIG_X0), ("syscallno", s32, 8 * SYSCALLNO), ("pmr", u32, 8 * PMR)]
    b.add_struct("pt_regs", 336, members)
    b.add_struct("task_struct", 64, [("thread_info", b.add_struct("thread_info", 32, [("flags", u64)]))])
    types = BTF.from_bytes(b.build())
    monkeypatch.setattr(syscalls, "kernel_types", lambda: types)


@pytest.mark.usefixtures("arm64")
def test_what_lies_behind_the_number_is_no_part_of_it():
    """With priorities of interrupts as masks, which arm64 may have, that is one of them."""
    with ExitStack() as held:
        choose = syscalls._chooser(syscalls._MACHINES["aarch64"], EXIT, [64], held)
    code = Code()
    choose(code)
    lines = [text(insn).partition(") ")[2] for insn in code.label(OUT).insns()]
    first = lines.index("call bpf_probe_read_kernel#113")

    assert f"r3 += {SYSCALLNO}" in lines[:first]
    assert "r2 = 4" in lines[:first]
