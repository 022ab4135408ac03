"""A program's control flow as a graph in DOT, as bpftool's src/cfg.c draws it: a cluster for each function."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from bpfctl.asm.cfg import functions
from bpfctl.asm.insn import Insn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfctl.asm.cfg import Block, Function
    from bpfctl.views.code import CodeText, Line
    from bpfctl.views.source import Source

_ENTRY, _EXIT, _FIRST = 0, 1, 2  # the numbers of nodes
_EDGE = 'style="solid,bold", color=black, weight=10, constraint=true'
_LONGEST_PATH = 32

# What has a meaning in the label of a record.
_LABEL = str.maketrans({character: f"\\{character}" for character in '\\"{}<>| '})
_INSTRUCTION = str.maketrans({character: f"\\{character}" for character in "<>|&"})


class Graph:
    """Draws the functions of a program."""

    def __init__(self, of: CodeText) -> None:
        self._of = of
        self._lines = {line.slot: line for line in of.lines()}
        self._starts = [info.insn_off for info in of.code.line_info]

    def text(self, safe: Callable[[str], str]) -> Iterator[str]:
        """Yield the graph."""
        code = self._of.code
        yield 'digraph "DOT graph for eBPF program" {\n'
        for function in functions(list(Insn.decode_all(code.insns)), [info.insn_off for info in code.func_info]):
            yield from self._function(function, safe)
        yield "}\n"

    def _function(self, function: Function, safe: Callable[[str], str]) -> Iterator[str]:
        number = function.number

        def edge(source: int, target: int, how: str) -> str:
            return f"\tfn_{number}_bb_{source}:s -> fn_{number}_bb_{target}:n [{how}];\n"

        def node(at: int, shape: str, label: str) -> str:
            return f'\tfn_{number}_bb_{at} [shape={shape},style=filled,label="{label}"];\n\n'

        yield f'subgraph "cluster_{number}" {{\n\tstyle="dashed";\n\tcolor="black";\n\tlabel="func_{number} ()";\n'
        yield node(_ENTRY, "Mdiamond", "ENTRY")
        for at, block in enumerate(function.blocks, _FIRST):
            yield node(at, "record", "{\\\n" + "".join(self._block(block, safe)) + "}")
        yield node(_EXIT, "Mdiamond", "EXIT")
        yield edge(_ENTRY, _FIRST, _EDGE)
        for source, target in function.edges:
            yield edge(source + _FIRST, _EXIT if target is None else target + _FIRST, _EDGE)
        # It is not seen, but lets Graphviz put the entry at the top and the exit at the bottom.
        yield edge(_ENTRY, _EXIT, 'style="invis", constraint=true')
        yield "}\n"

    def _block(self, block: Block, safe: Callable[[str], str]) -> Iterator[str]:
        told = None
        for slot in range(block.start, block.end):
            line = self._lines.get(slot)
            if line is None:  # the second half of a wide instruction
                continue
            if line.prototype:
                yield f"; {safe(line.prototype)}:\\l\\\n"
            at = bisect_right(self._starts, slot) - 1
            if at >= 0 and at != told:
                yield from self._source(self._of.source(self._of.code.line_info[at]), safe)
                told = at
            yield self._instruction(line)
            if slot + 1 != block.end:
                yield "| "

    def _instruction(self, line: Line) -> str:
        told = f"{line.slot}: {line.text.translate(_INSTRUCTION)}\\l\\\n"
        return told + f"\\ \\ \\ \\ {line.raw.hex(' ')}\\l\\\n" if self._of.options.opcodes else told

    def _source(self, source: Source, safe: Callable[[str], str]) -> Iterator[str]:
        if not source.text:
            return
        if self._of.options.linum:
            path = _shortened(source.file or "")
            yield f"; [{_label(path, safe)} line:{source.line} col:{source.column}]\\l\\\n"
        yield f"; {_label(source.text, safe)}\\l\\\n"


def _label(text: str, safe: Callable[[str], str]) -> str:
    return "\t".join(map(safe, text.split("\t"))).translate(_LABEL)


def _shortened(path: str) -> str:
    """Return the end of a path, from a slash on, behind an ellipsis if that makes it shorter."""
    if len(path) <= _LONGEST_PATH:
        return path
    at = path.find("/", len(path) - _LONGEST_PATH)
    if at < 0:
        at = max(path.rfind("/"), 0)
    elif at < len("..."):
        at = 0
    return f"...{path[at:]}" if at else path
