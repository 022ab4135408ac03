"""Instructions that came after the first kernels with BPF: one line each, and a program that has them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bpfctl._sys import maps
from bpfctl.asm.build import Program
from bpfctl.asm.insn import R0, R1, R2, R10
from bpfctl.feature.answer import NO, Answer, refused
from bpfctl.feature.ways import Probe, loads
from bpfctl.uapi.enums import MapType
from bpfctl.uapi.flags import MapFlag

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfctl._sys.fd import FD
    from bpfctl.feature.ways import Asker

_ARENA = 1  # the address space of arenas
_SOMEWHERE = 1 << 32


def _stack(program: Program) -> Program:
    return program.mov(R0, 0).stx(8, R10, -8, R0)


def _ending(program: Program) -> Callable[[Asker], Answer]:
    return loads(program.mov(R0, 0).exit_().assemble())


def _with_map(
    kind: MapType, make: Callable[[], FD], code: Callable[[int], Program], prepare: Callable[[int], None] | None = None
) -> Callable[[Asker], Answer]:
    """Ask by loading a program that needs a map of a type, which may have to be filled before."""

    def load(asker: Asker) -> Answer:
        try:
            made = make()
        except OSError as error:
            answer = refused(error.errno or 0, asker.rights)
            return Answer(NO, f"no maps of type {kind.name.lower()}") if answer.can == NO else answer
        with made:
            try:
                if prepare is not None:
                    prepare(made.fileno())
            except OSError as error:
                return refused(error.errno or 0, asker.rights)
            return _ending(code(made.fileno()))(asker)

    return load


def _arena() -> FD:
    """Make an arena of a page; the verifier wants to know where in memory it would be mapped."""
    return maps.create(MapType.ARENA, 0, 0, 1, flags=MapFlag.MMAPABLE, map_extra=_SOMEWHERE)


def _table() -> FD:
    """Make a map of one instruction (struct bpf_insn_array_value)."""
    return maps.create(MapType.INSN_ARRAY, 4, 16, 1)


def _casts(arena: int) -> Program:
    """Name the arena, as its program must, and take an address into it and out of it."""
    return Program().ld_map_fd(R1, arena).mov(R2, 0).cast(R2, R2, 0, _ARENA).cast(R2, R2, _ARENA, 0)


def _jumps(targets: int) -> Program:
    """Jump to what is behind the jump, which the first entry of the map says."""
    return Program().ld_map_value(R1, targets).ldx(8, R1, R1).jump_to(R1)


def _fill(targets: int) -> None:
    """Say where the jump leads to, and let nobody change that, as the verifier wants."""
    maps.update(targets, bytes(4), struct.pack("=IIII", len(_jumps(targets)), 0, 0, 0))
    maps.freeze(targets)


CASTS = Probe("casts between address spaces", "6.9", _with_map(MapType.ARENA, _arena, _casts))
INDIRECT_JUMPS = Probe("indirect jumps (gotox)", "6.19", _with_map(MapType.INSN_ARRAY, _table, _jumps, _fill))
INSTRUCTIONS = (
    Probe("atomic add", "3.18", _ending(_stack(Program()).atomic("add", 8, R10, -8, R0))),
    Probe("signed comparisons", "4.14", _ending(Program().mov(R0, 0).jump("jslt", R0, 1, "x").mov(R0, 1).label("x"))),
    Probe(
        "calls of functions in the program",
        "4.16",
        loads(Program().call_sub("f").exit_().label("f").mov(R0, 0).exit_().assemble()),
    ),
    Probe(
        "32-bit comparisons",
        "5.1",
        _ending(Program().mov(R0, 0).jump("jlt", R0, 1, "x", width=32).mov(R0, 1).label("x")),
    ),
    Probe("atomic fetch and add", "5.12", _ending(_stack(Program()).mov(R1, 1).atomic("fetch_add", 8, R10, -8, R1))),
    Probe("atomic exchange", "5.12", _ending(_stack(Program()).mov(R1, 1).atomic("xchg", 8, R10, -8, R1))),
    Probe(
        "atomic compare and exchange", "5.12", _ending(_stack(Program()).mov(R1, 1).atomic("cmpxchg", 8, R10, -8, R1))
    ),
    Probe("sign-extending loads", "6.6", _ending(_stack(Program()).ldx_signed(4, R1, R10, -8))),
    Probe("sign-extending moves", "6.6", _ending(Program().mov(R1, 1).alu("movsx8", R1, R1))),
    Probe("signed division", "6.6", _ending(Program().mov(R1, 4).alu("sdiv", R1, 2))),
    Probe("unconditional byte swaps", "6.6", _ending(Program().mov(R0, 1).swap("bswap", R0, 64))),
    Probe(
        "long jumps",
        "6.6",
        _ending(Program().mov(R0, 0).jump("jeq", R0, 1, "y").jmp_long("x").label("y").mov(R2, 1).label("x")),
    ),
    Probe("may_goto", "6.9", _ending(Program().may_goto("x").mov(R2, 1).label("x"))),
    CASTS,
    Probe("load-acquire", "6.15", _ending(_stack(Program()).load_acquire(8, R1, R10, -8))),
    Probe("store-release", "6.15", _ending(_stack(Program()).mov(R1, 1).store_release(8, R10, -8, R1))),
    INDIRECT_JUMPS,
)
