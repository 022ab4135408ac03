"""Programs that together have every kind of instruction, and everything that instructions refer to."""

from __future__ import annotations

import os
import struct
from functools import partial
from typing import TYPE_CHECKING

from bpfctl.asm.build import Program
from bpfctl.asm.insn import ATOMIC_OPS, JUMP_OPS, R0, R1, R2, R3, R4, R6, R10
from tests.kernel import client
from tests.kernel.facts import Facts
from tests.kernel.typeblob import SIGNED, Blob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


SOCKET_FILTER, SCHED_CLS = 1, 3
MAP_LOOKUP, MAP_UPDATE, GET_PRANDOM, TAIL_CALL, LOOP = 1, 2, 7, 12, 181
ARRAY, PROG_ARRAY, HASH, ARENA = 2, 3, 1, 33
_MMAPABLE, _ARENA_START = 1 << 10, 1 << 44  # where user space sees it, as nobody maps it here


def arithmetic() -> bytes:
    """Assemble all operations, on both widths, with a number and with a register."""
    prog = Program().call(GET_PRANDOM).mov(R6, R0).mov(R2, 3)
    for width in (64, 32):
        for op in ("add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "mod", "xor", "mov", "arsh"):
            prog.alu(op, R6, 5, width=width).alu(op, R6, R2, width=width).call(GET_PRANDOM).mov(R6, R0).mov(R2, 3)
        prog.alu("neg", R6, 0, width=width)
    for op in ("le", "be"):
        for bits in (16, 32, 64):
            prog.swap(op, R6, bits)
    return prog.mov(R0, R6).exit_().assemble()


def arithmetic_v4() -> bytes:
    """Assemble what Linux 6.6 has more of."""
    prog = Program().call(GET_PRANDOM).mov(R6, R0).mov(R2, 3)
    for width in (64, 32):
        for op in ("sdiv", "smod"):
            prog.alu(op, R6, -5, width=width).alu(op, R6, R2, width=width)
        for op in ("movsx8", "movsx16", *(["movsx32"] if width == 64 else [])):
            prog.alu(op, R6, R6, width=width)
    for bits in (16, 32, 64):
        prog.swap("bswap", R6, bits)
    for size in (1, 2, 4):
        prog.stx(8, R10, -8, R6).ldx_signed(size, R1, R10, -8)
    prog.call(GET_PRANDOM).jump("jeq", R0, 9, "far").mov(R0, 1).jmp_long("end")
    return prog.label("far").mov(R0, 2).label("end").exit_().assemble()


def memory() -> bytes:
    """Assemble loads and stores of every size, atomic addition, and loads from packets."""
    prog = Program().mov(R6, R1).mov(R1, 7)
    for size in (1, 2, 4, 8):
        prog.st(8, R10, -16, 0).st(size, R10, -8, -1).stx(size, R10, -16, R1).ldx(size, R2, R10, -8)
    prog.stx(8, R10, -16, R1).stx(8, R10, -8, R1)
    for size in (4, 8):
        prog.atomic("add", size, R10, -8, R1)
    for size in (1, 2, 4):
        prog.ld_abs(size, 12).mov(R3, 2).ld_ind(size, R3, 4)
    return prog.mov(R0, 0).exit_().assemble()


def atomics() -> bytes:
    """Assemble all atomic operations, of which most came with Linux 5.12."""
    prog = Program().st(8, R10, -8, 1)
    for size in (4, 8):
        for op in ATOMIC_OPS:
            prog.mov(R0, 1).mov(R2, 2).atomic(op, size, R10, -8, R2)
    return prog.mov(R0, 0).exit_().assemble()


def ordered() -> bytes:
    """Assemble loads and stores with an order (Linux 6.15)."""
    prog = Program().st(8, R10, -8, 1)
    for size in (1, 2, 4, 8):
        prog.load_acquire(size, R1, R10, -8).store_release(size, R10, -8, R1)
    return prog.mov(R0, 0).exit_().assemble()


def jumps() -> bytes:
    """Assemble every condition, on both widths, with a number and with a register, and loops."""
    prog = Program().mov(R6, R1).call(GET_PRANDOM).mov(R1, R0)
    for width in (64, 32):
        for op in JUMP_OPS:
            for other in (R2, -7):
                prog.call(GET_PRANDOM).mov(R1, R0).mov(R2, 9)
                prog.jump(op, R1, other, f"{op}{width}{other!r}", width=width).mov(R0, 1)
                prog.label(f"{op}{width}{other!r}")
    return prog.mov(R0, 0).exit_().assemble()


def unbounded() -> bytes:
    """Assemble a loop that may_goto ends (Linux 6.9)."""
    prog = Program().mov(R6, 0).label("again").may_goto("out").add(R6, 1).jmp("again")
    return prog.label("out").mov(R0, R6).exit_().assemble()


def branches() -> bytes:
    """Assemble exits in the middle, a loop, and ways that meet."""
    prog = Program().call(GET_PRANDOM).jump("jgt", R0, 100, "large").mov(R0, 1).exit_()
    prog.label("large").mov(R1, 10).label("again").sub(R1, 1).jump("jne", R1, 0, "again")
    return (
        prog.jump("jset", R0, 1, "odd")
        .mov(R0, 2)
        .exit_()
        .label("odd")
        .ld_imm64(R0, 0x1122334455667788)
        .exit_()
        .assemble()
    )


def calls(maps: dict[str, int], *, callback: bool) -> Program:
    """Assemble calls of subprograms and helpers, maps and their values, and a callback, which needs types."""
    prog = Program().mov(R6, R1)
    prog.label("line:first").call_sub("sub").st(8, R10, -8, 0).mov(R2, R10).add(R2, -8)
    prog.label("line:second").ld_map_fd(R1, maps["hash"]).call(MAP_LOOKUP).mov(R1, 3)
    prog.mov(R3, R10).add(R3, -8).mov(R2, R10).add(R2, -8).ld_map_fd(R1, maps["hash"]).mov(R4, 0).call(MAP_UPDATE)
    prog.label("line:third").ld_map_value(R1, maps["array"], 4).ldx(4, R0, R1, 4)
    if callback:
        prog.mov(R1, 5).ld_func(R2, "callback").mov(R3, 0).mov(R4, 0).call(LOOP)
    prog.mov(R1, R6).ld_map_fd(R2, maps["progs"]).mov(R3, 0).call(TAIL_CALL).mov(R0, 0).exit_()
    prog.label("sub").label("line:sub").mov(R0, 1).jump("jeq", R0, 0, "past").mov(R0, 2).label("past").exit_()
    if callback:
        prog.label("callback").label("line:callback").call(GET_PRANDOM).mov(R0, 0).exit_()
    return prog


LINES = {
    "line:first": ('\tint first = sub(); /* \\ "{<|>}" */', 10, 3),
    "line:second": ("  lookup(&hash);", 11, 0),
    "line:third": ("", 12, 1),
    "line:sub": ("return 1;", 20, 7),
    "line:callback": ("\treturn\t0; // \u00fc", 0, 5),
}


class Coded:
    """The programs that this kernel takes, all or ``only`` some, by name; they are gone with ``close``."""

    def __init__(self, only: Iterable[str] = ()) -> None:
        self._only = set(only)
        self.refused: dict[str, str] = {}
        self._fds: dict[str, int] = {}
        self._others = {
            "hash": client.map_create(HASH, 8, 8, 4, name="hash"),
            "array": client.map_create(ARRAY, 4, 16, 1, name="array"),
            "progs": client.map_create(PROG_ARRAY, 4, 4, 2, name="progs"),
        }
        simple = (arithmetic, arithmetic_v4, memory, atomics, ordered, jumps, unbounded, branches)
        for make in simple:
            self._load(make.__name__, partial(client.prog_load, SOCKET_FILTER, make(), name=make.__name__))
        bare = calls(self._others, callback=False)
        self._load("calls", lambda: client.prog_load(SOCKET_FILTER, bare.assemble(), name="calls"))
        self._load("with_lines", partial(self._with_lines, callback=True))
        self._load("with_fewer_lines", partial(self._with_lines, callback=False))
        self._load("kernel_functions", self._kernel_functions)
        self._load("spaces", self._spaces)

    def close(self) -> None:
        """Let go of everything."""
        for fd in (*self._fds.values(), *self._others.values()):
            os.close(fd)

    def ids(self) -> dict[str, int]:
        """Return the ids of the programs."""
        return {name: client.id_of("prog", fd) for name, fd in self._fds.items()}

    def _load(self, name: str, load: Callable[[], int]) -> None:
        if self._only and name not in self._only:
            return
        try:
            self._fds[name] = load()
        except OSError as error:
            self.refused[name] = f"{error}: {getattr(error, 'log', '')[-300:]}"

    def _with_lines(self, *, callback: bool) -> int:
        """Load a program with its types and source; callbacks came with Linux 5.17."""
        prog = calls(self._others, callback=callback)
        blob = Blob()
        number = blob.int_("int", 4, SIGNED)
        pointer = blob.ptr(0)
        main = blob.func("main_with_a_name_that_is_too_long", number, [("ctx", pointer)])
        sub = blob.func("sub", number, [])
        file = blob.string("/a/path/of/some/length/that/leads/to/the.c")
        told = {label: line for label, line in LINES.items() if callback or label != "line:callback"}
        rows = sorted((prog.offset(label), *line) for label, line in told.items())
        lines = [(0, "\t \tentry", 1, 2), *rows]
        raw_lines = b"".join(
            struct.pack("=IIII", at, file, blob.string(text), line << 10 | column) for at, text, line, column in lines
        )
        funcs = [(0, main), (prog.offset("sub"), sub)]
        if callback:
            called = blob.func("callback", number, [("index", number), ("ctx", pointer)])
            funcs.append((prog.offset("callback"), called))
        types = self._others[f"types:{callback}"] = client.btf_load(blob.raw())
        return client.prog_load(
            SOCKET_FILTER,
            prog.assemble(),
            name="main_with_a_nam",
            prog_btf_fd=types,
            func_info=b"".join(struct.pack("=II", *func) for func in funcs),
            func_info_rec_size=8,
            func_info_cnt=len(funcs),
            line_info=raw_lines,
            line_info_rec_size=16,
            line_info_cnt=len(lines),
        )

    def _spaces(self) -> int:
        """Load a program that casts addresses between the kernel's and those of an arena (Linux 6.9)."""
        arena = self._others["arena"] = client.map_create(
            ARENA, 0, 0, 1, name="arena", map_flags=_MMAPABLE, map_extra=_ARENA_START
        )
        prog = Program().ld_map_fd(R1, arena).mov(R2, 8).cast(R2, R2, 0, 1).cast(R3, R2, 1, 0)
        for size in (1, 2, 4, 8):
            prog.st(size, R2, 8, 7).stx(size, R2, 16, R3).ldx(size, R4, R2, 8)
        return client.prog_load(SOCKET_FILTER, prog.mov(R0, 0).exit_().assemble(), name="spaces")

    @staticmethod
    def _kernel_functions() -> int:
        """Load a program that calls kernel functions by their BTF ids (kfuncs), and has an address of the kernel."""
        btf = Facts("none").btf
        ids = [btf.id("func", name) for name in ("bpf_rcu_read_lock", "bpf_rcu_read_unlock")]
        if not all(ids):
            raise OSError(0, "this kernel has not these functions")
        prog = Program().call_kfunc(ids[0]).call_kfunc(ids[1]).ld_btf_id(R1, ids[0])
        return client.prog_load(SCHED_CLS, prog.mov(R0, 0).exit_().assemble(), name="kernel_func")
