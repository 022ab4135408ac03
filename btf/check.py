"""Whether a BPF object fits a kernel: what becomes there of each of its CO-RE relocations.

::

    program = Object(Path("prog.o").read_bytes())
    for one in program.check(Target(vmlinux)):
        if one.status == FAILED:
            print(one.source or one.section, one.result.wanted, one.reason)

A relocation that comes to nothing does no harm where nobody gets to its instruction, because the program
has asked whether what it needs is there: that is found out as the verifier does, by following the answers
(see `btf._reach`).
"""

from __future__ import annotations

from bisect import bisect_right
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from btf import _reach, elf, relo_kind
from btf._core_compat import shape_refusal
from btf.errors import BTFError
from btf.relo import Resolver, Result, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from btf.ext import CoreRelo
    from btf.read import BTF

__all__ = ["ABSENT", "FAILED", "GUARDED", "RESOLVED", "Known", "Object", "Target", "Verdict", "misfit"]

#: It has its value; it asks for existence, and the answer is no; it comes to nothing, but is not reached; or is.
RESOLVED, ABSENT, GUARDED, FAILED = "resolved", "absent", "guarded", "failed"


class Verdict(NamedTuple):
    """What becomes of one relocation; ``source`` is the file and line of its instruction, if the object tells.

    ``reason`` says why it is not simply resolved.
    """

    section: str
    source: str
    status: str
    reason: str
    result: Result

    @property
    def insn(self) -> int:
        """The number of the instruction in its section."""
        return self.result.relo.insn_off // 8


def misfit(local: BTF, type_id: int, target: BTF, other: int) -> str:
    """Say why what an object takes for one type cannot be another one of a kernel's; empty if it can.

    Raises BTFError when either is damaged.
    """
    one, theirs = local.resolve(type_id), target.resolve(other)
    return shape_refusal(local, one, target, theirs) or ""


class Known(NamedTuple):
    """What else is known before a program runs: the values of instructions, and memory that never changes."""

    values: Mapping[tuple[str, int], int] = MappingProxyType({})
    memory: Mapping[int, bytes] = MappingProxyType({})


class Object:
    """A BPF object file, read once for any number of kernels."""

    def __init__(self, data: bytes) -> None:
        """Read an ELF file; raises BTFError if it is damaged, or has no BTF."""
        self._image = elf.read(data)
        ext = self._image.ext
        #: The relocations by section; none in an object that was compiled without debug information for them.
        self.relos: dict[str, tuple[CoreRelo, ...]] = ext.core_relos if ext is not None else {}
        functions = ext.func_infos if ext is not None else {}
        starts = {name: [info.insn_off for info in infos] for name, infos in functions.items()}
        self._code = _reach.read(data, self.relos, starts)
        self._lines = {
            name: ([line.insn_off for line in lines], lines)
            for name, lines in (ext.line_infos if ext is not None else {}).items()
        }

    def check(self, target: Target, known: Known | None = None) -> list[Verdict]:
        """Return what becomes of each relocation on a kernel, in the order of the object."""
        return self.run(target, known)[0]

    def run(self, target: Target, known: Known | None = None) -> tuple[list[Verdict], set[tuple[str, int]]]:
        """Return what `check` does, and the instructions that are reached by section and number."""
        resolver = Resolver(self._image.btf, target)
        results = [(name, resolver.resolve(relo)) for name, relos in self.relos.items() for relo in relos]
        known = known or Known()
        values = dict(known.values)
        unknown: set[tuple[str, int]] = set()
        for name, result in results:
            place = name, result.relo.insn_off // 8
            if self._is_poison(name, result):
                unknown.add(place)
            elif result.value is not None:
                values[place] = result.value
        reached = self._code.reached(values, unknown, known.memory)
        return [self._verdict(name, result, reached) for name, result in results], reached

    def _verdict(self, name: str, result: Result, reached: set[tuple[str, int]]) -> Verdict:
        status = self._status(name, result, reached)
        reason = result.reason
        if not reason and status in (FAILED, GUARDED):
            reason = f"the instruction moves {result.local_size} bytes, and there are {result.size}"
        return Verdict(name, self.source(name, result.relo.insn_off), status, reason, result)

    def _is_poison(self, name: str, result: Result) -> bool:
        """Whether a loader puts in an instruction that no verifier accepts."""
        at, rows = result.relo.insn_off // 8, self._code.insns.get(name, [])
        moves = at < len(rows) and rows[at].moves
        return result.poison or (moves and result.size != result.local_size and not result.resizable)

    def _status(self, name: str, result: Result, reached: set[tuple[str, int]]) -> str:
        if result.error is not None:
            return FAILED  # no loader goes on, whether anybody gets there or not
        if self._is_poison(name, result):
            return FAILED if (name, result.relo.insn_off // 8) in reached else GUARDED
        return ABSENT if result.reason and result.relo.kind not in _NUMBERS else RESOLVED

    @property
    def sections(self) -> frozenset[str]:
        """The sections whose instructions are followed."""
        return frozenset(self._code.insns)

    def source(self, name: str, offset: int) -> str:
        """Return the file and the line of the instruction at so many bytes of a section; empty if nothing tells."""
        starts, lines = self._lines.get(name, ([], ()))
        at = bisect_right(starts, offset) - 1
        if at < 0:
            return ""
        try:
            return f"{self._image.btf.string(lines[at].file_name_off)}:{lines[at].line}"
        except BTFError:
            return ""


_NUMBERS = relo_kind.FIELD - {relo_kind.FIELD_EXISTS} | {relo_kind.ENUMVAL_VALUE}
