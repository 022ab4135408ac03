"""How programs for probes end."""

from __future__ import annotations

import pytest

from bpfctl.asm.disasm import text
from bpfctl.asm.insn import R0, Insn
from bpfctl.errors import UsageError
from bpfctl.probe.code import OUT, Code


def lines(raw):
    return [text(insn).partition(") ")[2] for insn in Insn.decode_all(raw)]


def test_an_end():
    assert lines(Code().end()) == ["r0 = 0", "exit"]


def test_a_program_that_no_jump_goes_over():
    code = Code()
    code.jmp(OUT)
    for _ in range(33_000):
        code.mov(R0, 0)

    with pytest.raises(UsageError, match="more than 32000 instructions"):
        code.end()


def test_a_program_that_others_come_between_has_a_stack_of_its_own():
    """Which a tail call sees to, though nothing leads there."""
    assert lines(Code().end(interrupted=True)) == [
        "r0 = 0",
        "if r0 != 0x0 goto pc+1",
        "exit",
        "call bpf_tail_call#12",
        "exit",
    ]
