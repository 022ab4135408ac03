"""The code of a loaded program as the kernel runs it, and what its instructions refer to."""

from __future__ import annotations

import struct
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys import calls
from bpfctl.asm import insn as insns
from bpfctl.asm.disasm import Names
from bpfctl.errors import KernelError, NotPermitted
from bpfctl.uapi.layouts import PROG_INFO
from btf.ext import FuncInfo, LineInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.asm.insn import Insn
    from bpfctl.host.kallsyms import Symbols
    from bpfctl.kernel.prog import Program

_U64 = 0xFFFF_FFFF_FFFF_FFFF


class Code(NamedTuple):
    """A program's instructions after the verifier, and where its functions and lines of source start."""

    insns: bytes
    nr_jited_ksyms: int  # functions; 0 for a program that is interpreted
    jited_ksyms: tuple[int, ...]  # their addresses, unless the kernel keeps them to itself
    func_info: tuple[FuncInfo, ...]  # places are slots, here and in lines
    line_info: tuple[LineInfo, ...]


def read(program: Program) -> Code:
    """Read the code of a program; KernelError when the kernel does not give it away."""
    offsets = PROG_INFO.offsets
    try:
        raw, _ = calls.obj_info(program.fileno(), PROG_INFO.size)
        f = PROG_INFO.unpack(raw)
        words = [(offsets[name], f[name]) for name in ("func_info_rec_size", "line_info_rec_size") if f[name]]
        arrays = (
            array(f, "xlated_prog_insns", "xlated_prog_len", 1),
            array(f, "jited_ksyms", "nr_jited_ksyms", 8),
            array(f, "func_info", "nr_func_info", f["func_info_rec_size"]),
            array(f, "line_info", "nr_line_info", f["line_info_rec_size"]),
        )
        raw, (code, ksyms, funcs, lines) = calls.obj_info(program.fileno(), PROG_INFO.size, arrays, words)
    except OSError as error:
        raise KernelError("can't get prog info", error.errno or 0) from None
    f = PROG_INFO.unpack(raw)
    if not code or not f["xlated_prog_insns"]:
        raise _hidden()
    return Code(
        code,
        f["nr_jited_ksyms"] or 0,
        struct.unpack(f"={len(ksyms) // 8}Q", ksyms) if f["jited_ksyms"] else (),
        tuple(FuncInfo(*record) for record in records(funcs, f["func_info_rec_size"], "II")),
        tuple(LineInfo(*record) for record in records(lines, f["line_info_rec_size"], "IIII")),
    )


def array(fields: dict[str, Any], pointer: str, length: str, width: int | None) -> calls.Array:
    """Describe an array as large as the kernel says it is; one that an older kernel does not know has no room."""
    offsets = PROG_INFO.offsets
    return calls.Array(offsets[pointer], offsets[length], fields[length] or 0 if width else 0, width or 1)


def records(raw: bytes, size: int | None, form: str) -> Iterator[tuple[int, ...]]:
    """Yield records of which newer kernels may tell more than we know."""
    known = struct.calcsize("=" + form)
    return struct.iter_unpack(f"={form}{size - known}x", raw) if raw and size and size >= known else iter(())


def _hidden() -> NotPermitted:
    from bpfctl.kernel.refusal import lacking  # noqa: PLC0415 - most may see it

    error = NotPermitted("error retrieving insn dump: kernel.kptr_restrict set?")
    error.hint = (
        lacking("CAP_BPF") or "of a program with blinded constants, code is only for those who may see kernel addresses"
    )
    return error


class References(Names):
    """What the instructions of a loaded program refer to: kernel functions and subprograms by symbol, maps by id."""

    def __init__(self, code: Code, symbols: Symbols) -> None:
        self._code = code
        self._symbols = symbols

    @cached_property
    def _base(self) -> int:
        """Where calls are counted from; 0 when the kernel keeps addresses to itself."""
        return self._symbols.address("__bpf_call_base") or 0

    def _symbol(self, address: int) -> str:
        found = self._symbols.at(address) if self._base else None
        return found.name if found else f"{address:#x}"

    def function(self, insn: Insn) -> str:
        """Name the kernel function at the distance that the call has."""
        return self._symbol(self._base + insn.imm & _U64)

    def subprogram(self, insn: Insn) -> str:
        """Tell the distance to a subprogram, and the symbol of its machine code where there is any."""
        if not self._code.nr_jited_ksyms:
            return f"{insn.off:+d}"
        ksyms = self._code.jited_ksyms
        address = ksyms[insn.imm] if 0 <= insn.imm < len(ksyms) else self._base + insn.imm & _U64
        return f"{insn.off:+d}#{self._symbol(address)}"

    def constant(self, insn: Insn) -> str:
        """Tell which map is meant, and where in its value; the distance to a callback; or the number."""
        low, high = _signed(insn.imm), _signed(insn.imm >> 32)
        match insn.src:
            case insns.BPF_PSEUDO_MAP_FD:
                return f"map[id:{low}]"
            case insns.BPF_PSEUDO_MAP_VALUE:
                return f"map[id:{low}][0]+{high}"
            case insns.BPF_PSEUDO_MAP_IDX_VALUE:
                return f"map[idx:{low}]+{high}"
            case insns.BPF_PSEUDO_FUNC:
                return f"subprog[{low:+d}]"
        return f"{insn.imm:#x}"


def _signed(word: int) -> int:
    return (word & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
