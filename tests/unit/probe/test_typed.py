"""What is read of memory by its types."""

from __future__ import annotations

import pytest

from bpfctl.asm.disasm import text
from bpfctl.asm.insn import R0
from bpfctl.errors import NotFound
from bpfctl.probe.code import Code
from bpfctl.probe.typed import Argument, reach
from btf.read import BTF
from btf.write import Builder

#: Bitfields of a packed structure: the type, the first bit, and how many they are.
BITS = {
    "low": ("unsigned int", 0, 4),
    "within": ("unsigned int", 12, 20),
    "across": ("unsigned int", 4, 32),
    "signed": ("int", 36, 31),
    "long": ("unsigned long", 67, 61),
    "longer": ("unsigned long", 132, 64),
}


@pytest.fixture
def argument():
    b = Builder()
    b.add_int("unsigned int", 4)
    b.add_int("int", 4, encoding=1)
    b.add_int("unsigned long", 8)
    kinds = {"unsigned int": 1, "int": 2, "unsigned long": 3}
    packed = b.add_struct("packed", 26, [(name, kinds[kind], at, width) for name, (kind, at, width) in BITS.items()])
    pointer = b.add_ptr(packed)
    return Argument("p", BTF.from_bytes(b.build()), pointer, lambda code, register: code.mov(register, 0))


@pytest.mark.parametrize(
    ("name", "read", "shifts"),
    [
        ("low", {"r3 += 0", "r2 = 1"}, ["r0 <<= 60", "r0 >>= 60"]),
        ("within", {"r3 += 1", "r2 = 4"}, ["r0 <<= 40", "r0 >>= 44"]),
        ("across", {"r3 += 0", "r2 = 8"}, ["r0 <<= 28", "r0 >>= 32"]),
        ("signed", {"r3 += 4", "r2 = 8"}, ["r0 <<= 29", "r0 s>>= 33"]),
        ("long", {"r3 += 8", "r2 = 8"}, ["r0 <<= 0", "r0 >>= 3"]),
    ],
)
def test_bitfields_are_read_whole(argument, name, read, shifts):
    """Also those that lie in more bytes than their type has."""
    code = Code()
    reach(argument, f"p->{name}").load(code, R0)
    lines = [text(insn).partition(") ")[2] for insn in code.insns()]

    assert read <= {*lines}
    assert lines[-2:] == shifts


def test_a_bitfield_in_nine_bytes(argument):
    with pytest.raises(NotFound, match="unsigned long:64 lies in more bytes than a register holds"):
        reach(argument, "p->longer")
