"""Registers of both kinds of machines."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bpfctl.asm.insn import R0, Insn
from bpfctl.errors import NotSupported
from bpfctl.probe import registers
from bpfctl.probe.code import Code


@pytest.fixture(autouse=True)
def _forgotten():
    registers.registers.cache_clear()
    yield
    registers.registers.cache_clear()


def offsets(fields):
    """Return where in struct pt_regs numbers are loaded from."""
    found = {}
    for field in fields:
        code = Code()
        field.load(code, R0)
        found[field.name] = next(iter(Insn.decode_all(code.end()))).off
    return found


@pytest.mark.parametrize(
    ("machine", "arguments", "returned"),
    [
        ("x86_64", [112, 104, 96, 88, 72, 64], 80),
        ("aarch64", [0, 8, 16, 24, 32, 40, 48, 56], 0),
    ],
)
def test_arguments_and_what_is_returned(monkeypatch, machine, arguments, returned):
    """At the places that arch/*/include/asm/ptrace.h gives them."""
    monkeypatch.setattr(registers.os, "uname", lambda: SimpleNamespace(machine=machine))

    assert offsets(registers.argument_fields()) == {f"arg{at}": place for at, place in enumerate(arguments)}
    assert [field.name for field in registers.argument_strings(user=True)] == [
        f"str{at}" for at in range(len(arguments))
    ]
    assert offsets(registers.returned_fields(user=True)[:1]) == {"retval": returned}


def test_other_places():
    assert registers.X86_64.at["rip"] == 128
    assert registers.X86_64.at["rsp"] == 152
    assert registers.ARM64.at["sp"] == 248
    assert registers.ARM64.at["pc"] == 256


def test_other_machines(monkeypatch):
    monkeypatch.setattr(registers.os, "uname", lambda: SimpleNamespace(machine="riscv64"))

    with pytest.raises(NotSupported, match="arguments cannot be read on riscv64"):
        registers.argument_fields()
