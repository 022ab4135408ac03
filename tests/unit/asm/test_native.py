"""Machine code in words: as LLVM has them on x86, as binutils on arm64, and what no disassembler knows."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfctl.asm.native import Disassembler, NativeInsn
from bpfctl.errors import BpfctlError

# The words of llvm-objdump 14, where a prefix is an instruction of its own.
X86 = """
f30f1efa endbr64
0f1f440000 nopl (%rax,%rax)
55 pushq %rbp
4889e5 movq %rsp, %rbp
4883ec20 subq $32, %rsp
49c7c3fbffffff movq $-5, %r11
c645f8ff movb $-1, -8(%rbp)
66c745f8ffff movw $65535, -8(%rbp)
c745f8ffffffff movl $4294967295, -8(%rbp)
48bf0004bf028188ffff movabsq $-131387298479104, %rdi
480fb644cff7 movzbq -9(%rdi,%rcx,8), %rax
3c80 cmpb $-128, %al
3c7f cmpb $127, %al
04ff addb $-1, %al
0cff orb $-1, %al
14ff adcb $-1, %al
1cff sbbb $-1, %al
24ff andb $-1, %al
2cff subb $-1, %al
34ff xorb $-1, %al
a8ff testb $-1, %al
48c1e83f shrq $63, %rax
f0480175f8 lock addq %rsi, -8(%rbp)
f0440fb15df8 lock cmpxchgl %r11d, -8(%rbp)
ffe1 jmpq *%rcx
ff5008 callq *8(%rax)
0fc8 bswapl %eax
66c1c008 rolw $8, %ax
4899 cqto
49f7fb idivq %r11
0faee8 lfence
cc int3
c9 leave
c3 retq
"""

# The words of binutils 2.40.
ARM64 = """
40013fd6 blr x10
8a4682d2 mov x10, #0x1234
0afebfd2 mov x10, #0xfff00000
0a00d0f2 movk x10, #0x8000, lsl #32
8a468292 mov x10, #0xffffffffffffedcb
81008012 mov w1, #0xfffffffb
fd7bbfa9 stp x29, x30, [sp, #-16]!
200440f9 ldr x0, [x1, #8]
411c4092 and x1, x2, #0xff
6200e1f8 ldaddal x1, x2, [x3]
41fce0c8 casal x0, x1, [x2]
5f2403d5 bti c
3f2303d5 paciasp
bf2303d5 autiasp
c0035fd6 ret
ff0301d1 sub sp, sp, #0x40
200c028b add x0, x1, x2, lsl #3
2068a2b8 ldrsw x0, [x1, x2]
41fcdf08 ldarb w1, [x2]
41fc9fc8 stlr x1, [x2]
2010829a csel x0, x1, x2, ne
2114c193 ror x1, x1, #5
bf3b03d5 dmb ish
4108c39a udiv x1, x2, x3
4190039b msub x1, x2, x3, x4
211c4093 sxtb x1, w1
2104c05a rev16 w1, w1
003c0053 uxth w0, w0
21e87bd3 lsl x1, x1, #5
217c1f13 asr w1, w1, #31
3f1400b1 cmn x1, #0x5
3f0c7cf2 tst x1, #0xf0
201843fa ccmp x1, #0x3, #0x0, ne
81d038d5 mrs x1, tpidr_el1
0a4138d5 mrs x10, sp_el0
1f2003d5 nop
"""


def lines(text: str) -> list[tuple[bytes, str]]:
    found = (line.partition(" ") for line in text.split("\n") if line)
    return [(bytes.fromhex(raw), words) for raw, _, words in found]


def words(insn: NativeInsn) -> str:
    return f"{insn.mnemonic} {insn.operands}".rstrip()


def numbers(text: str) -> str:
    """Return a text with its numbers in one spelling: capstone and binutils differ in base and sign here and there."""
    mask = (1 << 32 if " w" in text else 1 << 64) - 1
    return re.sub(r"#(-?(?:0x[0-9a-f]+|\d+))", lambda found: f"#{int(found[1], 0) & mask}", text)


def test_x86() -> None:
    """LLVM's words, one by one and one after the other."""
    disassembler = Disassembler("x86_64")
    told = list(disassembler.decode(b"".join(raw for raw, _ in lines(X86)), 0xFFFFFFFFC0000000))

    assert [(insn.raw, words(insn)) for insn in told] == lines(X86)
    assert [insn.offset for insn in told[:4]] == [0, 4, 9, 10]


@pytest.mark.parametrize(
    ("raw", "operands", "address", "jumps"),
    [
        ("e8fbffffff", "0xffffffffc0000000", 0xFFFFFFFFC0000000, False),
        ("e9fb0f0000", "0xffffffffc0001000", 0xFFFFFFFFC0001000, True),
        ("7510", "0xffffffffc0000012", 0xFFFFFFFFC0000012, True),
        ("f2750f", "0xffffffffc0000012", 0xFFFFFFFFC0000012, True),
        ("e2fe", "0xffffffffc0000000", 0xFFFFFFFFC0000000, True),
        ("48c7c6906900c0", "$-1073714800, %rsi", 0xFFFFFFFFC0006990, False),
        ("48be9069c0c08188ffff", "$-131384110716528, %rsi", 0xFFFF8881C0C06990, False),
        ("48c7c005000000", "$5, %rax", 5, False),
        ("4883c005", "$5, %rax", None, False),
        ("ff2500000000", "*(%rip)", None, False),
    ],
)
def test_where_x86_leads(raw: str, operands: str, address: int | None, jumps: bool) -> None:
    """To an address as LLVM has it, in hexadecimal; what it makes is an address if a symbol is there."""
    (insn,) = Disassembler("x86_64").decode(bytes.fromhex(raw), 0xFFFFFFFFC0000000)

    assert (insn.operands, insn.address, insn.jumps) == (operands, address, jumps)


def test_arm64() -> None:
    """The instructions of binutils, and their words but for the spelling of numbers."""
    told = list(Disassembler("aarch64").decode(b"".join(raw for raw, _ in lines(ARM64)), 0))

    assert [insn.raw for insn in told] == [raw for raw, _ in lines(ARM64)]
    assert [numbers(words(insn)) for insn in told] == [numbers(text) for _, text in lines(ARM64)]


@pytest.mark.parametrize(
    ("raw", "leads"),
    [
        ("40000094", [(0x10100, False)]),  # bl
        ("09000014", [(0x10024, True)]),  # b
        ("80000054", [(0x10010, True)]),  # b.eq
        ("a10000b4", [(0x10014, True)]),  # cbz
        ("83002037", [(0x10010, True)]),  # tbnz
        ("0a0000b0", [(None, False)]),  # adrp
        ("00010058", [(None, False)]),  # ldr x0, an address
        # As emit_addr_mov_i64() in arch/arm64/net/bpf_jit_comp.c calls.
        ("0a349e92 6a06b0f2 0a00d0f2 40013fd6", [(None, False)] * 3 + [(0xFFFF8000_8033_0E5F, False)]),
        ("8a4682d2 0a00d0f2 40013fd6", [(None, False)] * 2 + [(0x8000_0000_1234, False)]),
        ("0a00a092 40013fd6", [(None, False)] * 2),  # movn x10, #0, lsl #16, which no compiler writes
        ("8a4682d2 0b00d0f2 40013fd6", [(None, False)] * 3),  # the other half is another register's
        ("8a4682d2 1f2003d5 40013fd6", [(None, False)] * 3),  # something in between
        ("40013fd6", [(None, False)]),
    ],
)
def test_where_arm64_leads(raw: str, leads: list[tuple[int | None, bool]]) -> None:
    """Far calls lead to an address that the instructions before have made."""
    told = Disassembler("aarch64").decode(bytes.fromhex(raw), 0x10000)

    assert [(insn.address, insn.jumps) for insn in told] == leads


def test_operands_are_whole() -> None:
    """An address is one operand."""
    told = Disassembler("x86_64").decode(bytes.fromhex("480fb644cff7 c9"), 0)
    assert [insn.parts for insn in told] == [["-9(%rdi,%rcx,8)", "%rax"], []]

    told = Disassembler("aarch64").decode(bytes.fromhex("fd7bbfa9 200c028b"), 0)
    assert [len(insn.parts) for insn in told] == [3, 4]


@pytest.mark.parametrize(
    ("machine", "raw", "expected"),
    [
        ("i386", "89e5", "movl %esp, %ebp"),
        ("i486", "89e5", "movl %esp, %ebp"),
        ("i586", "89e5", "movl %esp, %ebp"),
        ("i686", "89e5", "movl %esp, %ebp"),
        ("aarch64_be", "c0035fd6", "ret"),
        ("armv6l", "1eff2fe1", "bx lr"),
        ("armv7l", "1eff2fe1", "bx lr"),
        ("armv8l", "1eff2fe1", "bx lr"),
        ("ppc", "4e800020", "blr"),
        ("ppc64", "4e800020", "blr"),
        ("ppc64le", "2000804e", "blr"),
        ("riscv64", "8280", "c.jr ra"),
        ("riscv32", "67800000", "ret"),
        ("s390x", "07fe", "br %r14"),
        ("sparc64", "01000000", "nop"),
    ],
)
def test_other_machines(machine: str, raw: str, expected: str) -> None:
    """Each in the words of capstone."""
    assert [words(insn) for insn in Disassembler(machine).decode(bytes.fromhex(raw), 0)] == [expected]


@pytest.mark.parametrize("machine", ["mips", "mips64"])
def test_mips(machine: str) -> None:
    """It has either order of bytes under one name: that of the machine that asks."""
    raw = (0x03E00008).to_bytes(4, sys.byteorder)

    assert [words(insn) for insn in Disassembler(machine).decode(raw, 0)] == ["jr $ra"]


@pytest.mark.parametrize("machine", ["vax", "", "loongarch64"])
def test_machines_that_nobody_knows(machine: str) -> None:
    """The error says which, and what can be done."""
    with pytest.raises(BpfctlError, match="No JIT disassembly support") as caught:
        Disassembler(machine)

    assert f"does not know {machine}" in caught.value.hint
    assert "'file FILE'" in caught.value.hint


def test_a_library_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is as good as none."""

    class Broken:
        def find_spec(self, name: str, _path: object, _target: object = None) -> None:
            if name == "capstone":
                raise OSError("wrong ELF class")

    monkeypatch.delitem(sys.modules, "capstone", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(BpfctlError) as caught:
        Disassembler("x86_64")

    assert "pip install 'bpfctl[jited]'" in caught.value.hint


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "i686", "riscv64", "s390x"])
@given(raw=st.binary(max_size=64))
def test_any_bytes(machine: str, raw: bytes) -> None:
    """No byte is lost, and no word of it could end a string of JSON."""
    told = list(Disassembler(machine).decode(raw, 0xFFFFFFFFC0000000))

    assert b"".join(insn.raw for insn in told) == raw
    assert [insn.offset for insn in told] == [sum(len(i.raw) for i in told[:at]) for at in range(len(told))]
    assert all(words(insn).isprintable() and not set(words(insn)) & {'"', "\\"} for insn in told)
    assert all(", ".join(insn.parts).replace(", ", ",") == insn.operands.replace(", ", ",") for insn in told)


def test_what_is_no_instruction() -> None:
    """Is told byte by byte, and does not hide what is behind it."""
    told = Disassembler("x86_64").decode(bytes.fromhex("06 c9"), 0)

    assert [words(insn) for insn in told] == [".byte 0x06", "leave"]
