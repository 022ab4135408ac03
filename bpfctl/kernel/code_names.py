"""Names of what instructions refer to that are the same each time a program is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfctl.asm import insn as insns
from bpfctl.asm.disasm import text
from bpfctl.errors import KernelError
from bpfctl.kernel.code import References
from bpfctl.kernel.map import Map
from bpfctl.kernel.names import map_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfctl.asm.insn import Insn
    from bpfctl.host.kallsyms import Symbols
    from bpfctl.kernel.code import Code

# Where 64-bit kernels have memory and modules; what is further up are small negative numbers.
_MEMORY = range(0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FF00_0000)
_CALL = insns.BPF_JMP | insns.BPF_CALL


class LastingNames(References):
    """Names without ids and addresses: of maps, subprograms and kernel functions.

    ``functions`` are the names of subprograms by the slots where they start, as far as they have names.
    """

    def __init__(self, code: Code, symbols: Symbols, functions: Mapping[int, str]) -> None:
        super().__init__(code, symbols)
        self.functions = functions
        self._maps: dict[int, str] = {}

    def text(self, slot: int, insn: Insn) -> str:
        """Return the text of an instruction at a slot, without what only this load of the program has."""
        to = called(slot, insn)
        if to is not None:
            name = self.functions.get(to)
            distance = f"{to - slot - 1:+d}"
            start = f"({insn.opcode:02x}) " + (f"r{insn.dst} = " if insn.wide else "call ")
            return start + (name or (f"subprog[{distance}]" if insn.wide else f"pc{distance}"))
        line = text(insn, self)
        return line.rpartition("#")[0] or line if insn.opcode == _CALL else line

    def constant(self, insn: Insn) -> str:
        """Tell which map is meant, by its name; a symbol of the kernel; that it is an address; or the number."""
        if insn.src == insns.BPF_PSEUDO_MAP_FD:
            return f"map[{self._map(insn.imm & 0xFFFF_FFFF)}]"
        if insn.src == insns.BPF_PSEUDO_MAP_VALUE:
            return f"map[{self._map(insn.imm & 0xFFFF_FFFF)}][0]+{insn.imm >> 32}"
        if not insn.src and insn.imm in _MEMORY and insn.imm & 0xFFFF_FFFF:
            found = self._symbols.at(insn.imm)
            return found.name if found else "address"
        return super().constant(insn)

    def _map(self, id_: int) -> str:
        """Return the name of a map, or what it is made for where it has none; its id where the map is kept from us."""
        name = self._maps.get(id_)
        if name is None:
            name = self._maps[id_] = _map_name(id_)
        return name


def _map_name(id_: int) -> str:
    try:
        with Map.by_id(id_) as map_:
            info = map_.info()
    except KernelError:
        return f"id:{id_}"
    if info.name:
        return info.name
    return f"{map_type(info.type) or int(info.type)} {info.key_size}B:{info.value_size}B:{info.max_entries}"


def called(slot: int, insn: Insn) -> int | None:
    """Return the slot of the subprogram that a loaded program's instruction calls or has the address of, if any."""
    if insn.opcode == _CALL and insn.src == insns.BPF_PSEUDO_CALL:
        return slot + 1 + insn.off
    if insn.wide and insn.src == insns.BPF_PSEUDO_FUNC:
        low = insn.imm & 0xFFFF_FFFF
        return slot + 1 + (low - (1 << 32) if low > 0x7FFF_FFFF else low)
    return None
