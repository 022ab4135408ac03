"""The machine code that a JIT compiler has made of a program, function by function."""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys import calls
from bpfctl.errors import BpfctlError, KernelError
from bpfctl.host import sysctl
from bpfctl.kernel.code import array, records
from bpfctl.uapi.layouts import PROG_INFO
from btf.ext import FuncInfo, LineInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.host.kallsyms import Symbols
    from bpfctl.kernel.prog import Program

#: The kernel wants to see how long it may make these records, as it has told before.
_SIZES = ("func_info_rec_size", "line_info_rec_size", "jited_line_info_rec_size")
_ADDRESS = 8  # bytes of an address, on every machine


class Function(NamedTuple):
    """A function of a program."""

    code: bytes
    address: int | None  # None where the kernel does not tell it
    type_id: int | None  # of its BTF
    line_info: tuple[LineInfo, ...]  # places are bytes from its start


class Machine(NamedTuple):
    """A program's machine code."""

    code: bytes
    functions: tuple[Function, ...]  # one after the other in ``code``
    divided: bool  # False where the kernel does not tell functions apart (before Linux 4.18)
    offloaded: bool  # it runs on a network device


def read(program: Program) -> Machine:
    """Read the machine code of a program.

    BpfctlError when there is none or the kernel keeps it to itself, and its hint says why; KernelError when the kernel
    does not answer.
    """
    offsets = PROG_INFO.offsets
    try:
        raw, _ = calls.obj_info(program.fileno(), PROG_INFO.size)
        f = PROG_INFO.unpack(raw)
        arrays = (
            array(f, "jited_prog_insns", "jited_prog_len", 1),
            array(f, "jited_ksyms", "nr_jited_ksyms", _ADDRESS),
            array(f, "jited_func_lens", "nr_jited_func_lens", 4),
            array(f, "func_info", "nr_func_info", f["func_info_rec_size"]),
            array(f, "line_info", "nr_line_info", f["line_info_rec_size"]),
            array(f, "jited_line_info", "nr_jited_line_info", f["jited_line_info_rec_size"]),
        )
        words = [(offsets[name], f[name]) for name in _SIZES if f[name]]
        raw, (code, ksyms, lens, funcs, lines, places) = calls.obj_info(program.fileno(), PROG_INFO.size, arrays, words)
    except OSError as error:
        raise KernelError("can't get prog info", error.errno or 0) from None
    f = PROG_INFO.unpack(raw)
    if not code or not f["jited_prog_insns"]:
        raise _missing(f)
    infos = [FuncInfo(*record) for record in records(funcs, f["func_info_rec_size"], "II")]
    sources: list[tuple[int, LineInfo]] = []
    if f["jited_line_info"]:
        starts = (place for (place,) in records(places, f["jited_line_info_rec_size"], "Q"))
        known = (LineInfo(*record) for record in records(lines, f["line_info_rec_size"], "IIII"))
        sources = list(zip(starts, known, strict=False))
    lengths = struct.unpack(f"={len(lens) // 4}I", lens) if f["jited_func_lens"] else ()
    addresses = struct.unpack(f"={len(ksyms) // _ADDRESS}Q", ksyms) if f["jited_ksyms"] else ()
    functions = tuple(_functions(code, lengths or (len(code),), addresses if lengths else (), infos, sources))
    return Machine(code, functions, bool(lengths), bool(f["ifindex"]))


def _functions(
    code: bytes,
    lengths: Sequence[int],
    addresses: Sequence[int],
    infos: Sequence[FuncInfo],
    sources: Sequence[tuple[int, LineInfo]],
) -> Iterator[Function]:
    """Cut code into functions, and give each its own lines of source, which are in the order of their addresses."""
    end = 0
    starts = sorted(addresses)
    of: dict[int, list[LineInfo]] = {address: [] for address in addresses}
    for place, line in sources:
        start = starts[max(bisect_right(starts, place) - 1, 0)] if starts else 0
        if start <= place and start in of:
            of[start].append(line._replace(insn_off=place - start))
    for at, length in enumerate(lengths):
        start, end = end, end + length
        address = addresses[at] if at < len(addresses) else None
        type_id = infos[at].type_id if at < len(infos) else None
        lines = () if address is None else tuple(of[address])
        yield Function(code[start:end], address, type_id, lines)


def _missing(f: dict[str, Any]) -> BpfctlError:
    error = BpfctlError("error retrieving jit dump: no instructions returned or kernel.kptr_restrict set?")
    error.hint = _why(f)
    return error


def _why(f: dict[str, Any]) -> str:
    """Return why there is no machine code (bpf_prog_get_info_by_fd() in kernel/bpf/syscall.c), and what to do."""
    if not f["xlated_prog_len"]:
        return "code is only shown to those with CAP_BPF: run it as root"
    if not f["jited_prog_len"]:
        return f"the program is interpreted: {_interpreted()}"
    # kallsyms_show_value() in kernel/kallsyms.c decides, and has the program's opener in mind.
    restrict = sysctl.number("kernel.kptr_restrict") or 0
    if restrict > 1:
        return f"kernel.kptr_restrict is {restrict}, which hides machine code from everybody: set it to 1 or 0"
    if restrict == 1:
        return "kernel.kptr_restrict is 1, which hides machine code from those without CAP_SYSLOG"
    return "machine code is only shown to those with CAP_SYSLOG, or with kernel.perf_event_paranoid at 1 or less"


def _interpreted() -> str:
    enabled = sysctl.number("net.core.bpf_jit_enable")
    if enabled == 0:
        return "net.core.bpf_jit_enable is 0: set it to 1, and load the program anew"
    if enabled is None:  # network namespaces other than the first do not have the setting
        return "this kernel has no JIT compiler, or net.core.bpf_jit_enable was 0 when it was loaded"
    return "net.core.bpf_jit_enable was 0 when it was loaded, or the JIT compiler could not translate it"


class Names:
    """The names of what machine code refers to: the program's functions, and symbols of the kernel."""

    def __init__(self, machine: Machine, symbols: Symbols) -> None:
        self._symbols = symbols
        self._functions = [
            (function.address, len(function.code)) for function in machine.functions if function.address is not None
        ]

    def function(self, function: Function) -> str:
        """Return the symbol of a function, or what bpftool calls it where there is none."""
        if function.address is None:
            return "unknown"
        found = self._symbols.at(function.address)
        return found.name if found else f"0x{function.address:016x}"

    def place(self, address: int) -> str | None:
        """Return the symbol that is at an address, or the function of the program and the place in it; else None."""
        found = self._symbols.at(address)
        if found:
            return found.name
        for start, length in self._functions:
            if start < address < start + length and (inside := self._symbols.at(start)):
                return f"{inside.name}+{address - start:#x}"
        return None
