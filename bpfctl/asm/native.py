"""Machine code in words, as a JIT compiler has made it: capstone decodes, here it learns to speak as LLVM does.

capstone is no requirement of this package; it is only imported where machine code is decoded.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.errors import BpfctlError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ENDIAN = f"{sys.byteorder.upper()}_ENDIAN"

# What uname(2) calls a machine, with capstone's names for it: an architecture, and the sum of its modes. Those that
# the kernel has a JIT compiler for (arch/*/net/bpf_jit_comp*.c).
_MACHINES: dict[str, tuple[str, Sequence[str]]] = {
    "x86_64": ("X86", ("64",)),
    "i386": ("X86", ("32",)),
    "i486": ("X86", ("32",)),
    "i586": ("X86", ("32",)),
    "i686": ("X86", ("32",)),
    "aarch64": ("ARM64", ("LITTLE_ENDIAN",)),
    "aarch64_be": ("ARM64", ("LITTLE_ENDIAN",)),  # of either kind instructions are little-endian
    "armv6l": ("ARM", ("ARM",)),
    "armv7l": ("ARM", ("ARM",)),
    "armv8l": ("ARM", ("ARM",)),
    "loongarch64": ("LOONGARCH", ("LOONGARCH64",)),
    "mips": ("MIPS", ("MIPS32", _ENDIAN)),
    "mips64": ("MIPS", ("MIPS64", _ENDIAN)),
    "ppc": ("PPC", ("32", "BIG_ENDIAN")),
    "ppc64": ("PPC", ("64", "BIG_ENDIAN")),
    "ppc64le": ("PPC", ("64", "LITTLE_ENDIAN")),
    "riscv32": ("RISCV", ("RISCV32", "RISCVC")),
    "riscv64": ("RISCV", ("RISCV64", "RISCVC")),
    "s390x": ("SYSZ", ("BIG_ENDIAN",)),
    "sparc64": ("SPARC", ("V9", "BIG_ENDIAN")),
}

_U64 = 0xFFFF_FFFF_FFFF_FFFF
_NUMBER = re.compile(r"\b(?:0x[0-9a-f]+|\d+)\b")
_BETWEEN = re.compile(r",\s*(?![^(\[{]*[)\]}])")  # operands, not the parts of one
_X86_MEMORY = re.compile(r"\([^)]*\)")
_X86_BYTES = frozenset({"movb", "addb", "orb", "adcb", "sbbb", "andb", "subb", "xorb", "cmpb", "testb"})
_X86_BYTE = re.compile(r"\$(1(?:2[89]|[3-9]\d)|2\d\d)\b")  # 128 and more
_X86_IMMEDIATE = re.compile(r"\$(-?(?:0x[0-9a-f]+|\d+)),")
_ARM64_BRANCH = re.compile(r"b|bl|b\.\w+|bc\.\w+|cbn?z|tbn?z")
_ARM64_TARGET = re.compile(r"#(0x[0-9a-f]+|\d+)$")
_ARM64_MOV = re.compile(r"(x\d+), #(-?)(0x[0-9a-f]+|\d+)(?:, lsl #(0x[0-9a-f]+|\d+))?")


class NativeInsn(NamedTuple):
    """An instruction of a machine."""

    offset: int  # from the start of the code
    raw: bytes
    mnemonic: str  # with its prefixes; .byte for what is no instruction
    operands: str
    address: int | None = None  # the one that it leads to or makes, on x86 and arm64
    jumps: bool = False  # it may go on at that address, and does not come back

    @property
    def parts(self) -> list[str]:
        """The operands one by one."""
        return _BETWEEN.split(self.operands) if self.operands else []


class Disassembler:
    """Decodes the code of one kind of machine, as uname(2) calls it; BpfctlError when that cannot be."""

    def __init__(self, machine: str) -> None:
        try:
            import capstone  # noqa: PLC0415 - an optional package that takes long to load
        except (ImportError, OSError):  # the package, or the library it brings, is not there
            raise _unable("it needs capstone: pip install 'bpfctl[jited]'") from None
        arch, modes = _MACHINES.get(machine, ("", ()))
        try:
            names = [getattr(capstone, f"CS_MODE_{mode}") for mode in modes]
            self._engine: Any = capstone.Cs(getattr(capstone, f"CS_ARCH_{arch}"), sum(names))
        except (AttributeError, capstone.CsError):
            raise _unable(f"capstone {capstone.__version__} does not know {machine}") from None
        self._engine.skipdata = True  # what is no instruction must not hide those behind it
        self._arch = arch
        if arch == "X86":
            self._engine.syntax = capstone.CS_OPT_SYNTAX_ATT

    def decode(self, code: bytes, address: int) -> Iterator[NativeInsn]:
        """Yield the instructions of code that begins at an address."""
        make = {"X86": _X86().insn, "ARM64": _Arm64().insn}.get(self._arch, NativeInsn)
        end = 0
        for at, size, mnemonic, operands in self._engine.disasm_lite(code, address):
            start, end = at - address, at - address + size
            raw = code[start:end]
            if mnemonic == ".byte":
                yield NativeInsn(start, raw, mnemonic, operands)
            else:
                yield make(start, raw, mnemonic.rstrip(), operands)  # capstone leaves a blank behind some
        if rest := code[end:]:  # too short for an instruction
            yield NativeInsn(end, rest, ".byte", ", ".join(f"{byte:#04x}" for byte in rest))


def _unable(why: str) -> BpfctlError:
    error = BpfctlError("No JIT disassembly support")
    error.hint = f"{why}; 'file FILE' writes the bytes without it"
    return error


class _X86:
    """Makes instructions of x86 as LLVM spells them; most programs have each of their instructions many times."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], tuple[str, int | None, bool]] = {}

    def insn(self, start: int, raw: bytes, mnemonic: str, operands: str) -> NativeInsn:
        """Return the next instruction, which may have prefixes before its mnemonic."""
        told = self._told.get((mnemonic, operands))
        if told is None:
            told = self._told[mnemonic, operands] = _x86_told(mnemonic.rpartition(" ")[2], operands)
        return NativeInsn(start, raw, mnemonic, *told)


def _x86_told(name: str, operands: str) -> tuple[str, int | None, bool]:
    """Return operands as LLVM has them, the address that the instruction leads to or makes, and whether it jumps."""
    if name.startswith(("j", "call", "loop")):
        if operands.startswith("0x") or operands.isdecimal():
            return operands, int(operands, 0), not name.startswith("call")
        return _x86_spelled(operands), None, False
    made = name.startswith("mov") and _X86_IMMEDIATE.match(operands)
    operands = _x86_spelled(operands)
    if name in _X86_BYTES and (byte := _X86_BYTE.match(operands)):
        operands = f"${int(byte[1]) - 0x100}{operands[byte.end() :]}"
    return operands, int(made[1], 0) & _U64 if made else None, False


def _x86_spelled(operands: str) -> str:
    """Spell numbers in decimal, of 64 bits signed, and memory without blanks."""
    return _X86_MEMORY.sub(lambda found: found[0].replace(" ", ""), _NUMBER.sub(_decimal, operands))


def _decimal(found: re.Match[str]) -> str:
    value = int(found[0], 0)
    return str(value - (_U64 + 1) if value >> 63 else value)


class _Arm64:
    """Makes instructions of arm64, where far calls lead to what the instructions just before have put together."""

    def __init__(self) -> None:
        self._register = ""
        self._value = 0

    def insn(self, start: int, raw: bytes, mnemonic: str, operands: str) -> NativeInsn:
        """Return the next instruction."""
        register, self._register = self._register, ""
        address, jumps = None, False
        if mnemonic in {"blr", "br"}:
            address = self._value if operands == register else None
        elif _ARM64_BRANCH.fullmatch(mnemonic):
            found = _ARM64_TARGET.search(operands)
            address, jumps = int(found[1], 0) if found else None, mnemonic != "bl"
        elif mnemonic in {"mov", "movk"} and (wide := _ARM64_MOV.fullmatch(operands)):
            self._put(mnemonic, wide, register)
        return NativeInsn(start, raw, mnemonic, operands, address, jumps)

    def _put(self, mnemonic: str, wide: re.Match[str], register: str) -> None:
        value = int(wide[3], 0)
        if mnemonic == "movk":
            if wide[1] != register:
                return  # of what it changes the rest is unknown
            shift = int(wide[4] or "0", 0)
            self._value = self._value & ~(0xFFFF << shift) | value << shift
        else:
            self._value = (-value if wide[2] else value) & _U64
        self._register = wide[1]
