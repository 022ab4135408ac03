"""A program's machine code, as bpftool's src/jit_disasm.c shows it with LLVM, and in colours with arrows for jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.views.source import Source, Sources, Told
from bpfctl.views.view import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bpfctl.asm.native import Disassembler, NativeInsn
    from bpfctl.kernel.jited import Function, Machine, Names
    from bpfctl.views.source import Options
    from btf.read import BTF

_PIECE = 1000  # instructions that are written at once
_FIRST_SYMBOL = 1 << 16  # no kernel has any below


class Line(NamedTuple):
    """An instruction, and what is told of it."""

    insn: NativeInsn
    source: Source | None
    symbol: str | None  # of what it leads to outside of the function


class Block(NamedTuple):
    """A function, or all code where the kernel does not tell functions apart: then it has no name."""

    prototype: str
    name: str
    lines: Iterator[Line]


class MachineText(Told):
    """The lines of a program's machine code; ``extra`` tells in JSON what bpftool does not."""

    def __init__(
        self,
        machine: Machine,
        names: Names,
        disassembler: Disassembler,
        types: BTF | None,
        options: Options,
        *,
        extra: bool = False,
    ) -> None:
        super().__init__(types, options)
        self.machine = machine
        self.extra = extra
        self._names = names
        self._disassembler = disassembler
        self._symbols: dict[int, str | None] = {}

    def listing(self, head: dict[str, Any], title: str) -> Listing:
        """Return what shows the code in every voice, of a program with this head."""
        return Listing(head, title, "insns", self._json, self._plain, self._toned)

    def blocks(self) -> Iterator[Block]:
        """Yield a function after the other."""
        for function in self.machine.functions:
            prototype, name = "", ""
            if self.machine.divided:
                prototype = self.prototype(function.type_id) if function.type_id else ""
                name = self._names.function(function)
            yield Block(prototype, name, self._lines(function))

    def _lines(self, function: Function) -> Iterator[Line]:
        sources = Sources(self, function.line_info) if function.line_info else None
        for insn in self._disassembler.decode(function.code, function.address or 0):
            symbol = None if insn.address is None else self._symbol(insn.address, insn.jumps, function)
            yield Line(insn, sources.at(insn.offset) if sources else None, symbol)

    def _symbol(self, to: int, jumps: bool, function: Function) -> str | None:
        start = function.address
        if to < _FIRST_SYMBOL or start is None:
            return None
        if jumps and start <= to < start + len(function.code):
            return None
        if to not in self._symbols:
            self._symbols[to] = self._names.place(to)
        return self._symbols[to]

    def _plain(self, safe: Callable[[str], str]) -> Iterator[str]:
        for block in self.blocks():
            yield "".join(f"{safe(name)}:\n" for name in (block.prototype, block.name) if name)
            for lines in _pieces(block.lines):
                yield "".join(self._line(line, safe) for line in lines)
            if block.name:
                yield "\n"

    def _line(self, line: Line, safe: Callable[[str], str]) -> str:
        insn = line.insn
        told = self.source_plain(line.source, safe) if line.source else ""
        operands = f"\t{insn.operands}" if insn.operands else ""
        symbol = f" <{safe(line.symbol)}>" if line.symbol else ""
        opcodes = f"\t{insn.raw.hex(' ')} \n" if self.options.opcodes else ""
        return f"{told}{insn.offset:4x}:\t{insn.mnemonic}{operands}{symbol}\n{opcodes}"

    def _json(self, depth: int | None, spell: Callable[[Any], str]) -> Iterator[bytes]:
        if not self.machine.divided:
            form = _Form(self, depth, spell)
            for block in self.blocks():
                for lines in _pieces(block.lines):
                    yield ",".join(map(form.item, lines)).encode()
            return
        end, member = _lines(depth, 2)
        form = _Form(self, None if depth is None else depth + 2, spell)
        for block in self.blocks():
            items = ",".join(map(form.item, block.lines))
            told = {"proto": spell(block.prototype)} if block.prototype else {}
            told |= {"name": spell(block.name), "insns": f"[{items}{member if items else ''}]"}
            yield f"{{{_members(told, member)}{end}}}".encode()

    def _toned(self, unicode: bool) -> Iterator[list[tuple[str, str]]]:
        from bpfctl.views import jited_lines  # noqa: PLC0415 - only a terminal shows them

        return jited_lines.toned(self, unicode)


class _Form:
    """How an instruction is written in JSON; its own words come from the disassembler, and need no care."""

    def __init__(self, of: MachineText, depth: int | None, spell: Callable[[Any], str]) -> None:
        self._of = of
        self._spell = spell
        self._end, self._member = _lines(depth, 2)
        self._pc = '"pc": "' if self._member else '"pc":"'
        self._rests: dict[tuple[bytes, str], str] = {}

    def item(self, line: Line) -> str:
        """Write an instruction and what is told about it."""
        insn = line.insn
        rest = self._rests.get((insn.raw, insn.operands)) if line.symbol is None else None
        if rest is None:
            rest = self._rest(insn, line.symbol)
            if line.symbol is None:
                self._rests[insn.raw, insn.operands] = rest
        told = ""
        if line.source:
            members = dict(self._of.source_json(line.source, self._spell))
            told = _members(members, self._member) + "," if members else ""
        return f'{{{told}{self._member}{self._pc}{insn.offset:#x}",{rest}'

    def _rest(self, insn: NativeInsn, symbol: str | None) -> str:
        """Write what does not depend on where the instruction is; most programs have the same ones many times."""
        members = {"operation": f'"{insn.mnemonic}"'}
        members["operands"] = self._array([f'"{part}"' for part in insn.parts] or ["null"])
        if self._of.options.opcodes:
            members["opcodes"] = self._array([f'"0x{byte:02x}"' for byte in insn.raw])
        if self._of.extra and symbol:
            members["symbol"] = self._spell(symbol)
        return f"{_members(members, self._member)}{self._end}}}"

    def _array(self, items: list[str]) -> str:
        return f"[{','.join(items)}{self._member}]"


def _lines(depth: int | None, count: int) -> tuple[str, ...]:
    """Return what begins lines of so many depths; nothing where nothing is indented."""
    return tuple("" if depth is None else "\n" + "    " * (depth + more) for more in range(count))


def _members(members: dict[str, str], begin: str) -> str:
    colon = ": " if begin else ":"
    return ",".join(f'{begin}"{name}"{colon}{text}' for name, text in members.items())


def _pieces(lines: Iterable[Line]) -> Iterator[list[Line]]:
    piece: list[Line] = []
    for line in lines:
        piece.append(line)
        if len(piece) == _PIECE:
            yield piece
            piece = []
    if piece:
        yield piece
