"""What differs between two programs' code, as a unified diff: hunks of what changed with some of what did not."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.asm.cfg import functions, target
from bpfctl.asm.diff import Item, Step, diff
from bpfctl.asm.insn import BPF_CALL, BPF_JA, BPF_JMP, BPF_JMP32, LD_IMM64
from bpfctl.kernel.code_names import LastingNames, called
from bpfctl.views import items
from bpfctl.views.code import CodeText
from bpfctl.views.source import Options
from bpfctl.views.view import Listing
from btf import kind
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfctl.host.kallsyms import Symbols
    from bpfctl.kernel.code import Code
    from bpfctl.views.code import Line
    from btf.read import BTF

    Toned = list[tuple[str, str]]

_CONTEXT = 3
_CLASS = 0x07
_JUMPS = (BPF_JMP, BPF_JMP32)
_NAMED = (BPF_JMP | BPF_CALL, LD_IMM64)  # what they refer to has a name
_SIGNS = {"same": " ", "removed": "-", "added": "+"}
_TONES = {"same": "", "removed": "alarm", "added": "source"}


class _Row(NamedTuple):
    """An instruction of one program, or of both."""

    first: Line | None
    second: Line | None
    text: str

    @property
    def change(self) -> str:
        """Whether the instruction is the same, removed or added."""
        if self.first and self.second:
            return "same"
        return "removed" if self.first else "added"

    @property
    def line(self) -> Line:
        """The line of the first program that has it."""
        line = self.first or self.second
        if line is None:
            raise ValueError("an instruction of neither program")
        return line


class Hunk(NamedTuple):
    """Changes that are next to each other, with what is around them; starts are slots."""

    first: int
    second: int
    function: str
    rows: list[_Row]

    def counts(self) -> tuple[int, int]:
        """Return how many instructions of each program are in it."""
        return sum(row.first is not None for row in self.rows), sum(row.second is not None for row in self.rows)


class Side:
    """One of two programs."""

    def __init__(self, title: str, code: Code, symbols: Symbols, types: BTF | None) -> None:
        self.title = title
        prototypes = {info.insn_off: info.type_id for info in code.func_info} if types else {}
        named = {slot: name for slot, type_id in prototypes.items() if (name := _name(types, type_id))}
        names = LastingNames(code, symbols, named)
        told = CodeText(code, names, types, Options())
        self.lines = list(told.lines())
        self._slots = [line.slot for line in self.lines]
        self.texts = [
            names.text(line.slot, line.insn) if line.insn.opcode in _NAMED else line.text for line in self.lines
        ]
        self.items = [self._item(line, text, names) for line, text in zip(self.lines, self.texts, strict=True)]
        found = functions([line.insn for line in self.lines], prototypes)
        self._starts = [function.start for function in found]
        heads = {line.slot: line.prototype for line in self.lines if line.prototype}
        self._heads = [heads.get(start, f"subprogram at {start}" if start else "") for start in self._starts]

    def head(self, slot: int) -> str:
        """Return which function a slot is in; empty for the main function of a program without types."""
        return self._heads[bisect_right(self._starts, slot) - 1]

    def _item(self, line: Line, text: str, names: LastingNames) -> Item:
        insn = line.insn
        if insn.opcode & _CLASS not in _JUMPS and insn.opcode not in _NAMED:
            return Item(text)
        to = called(line.slot, insn)
        if to in names.functions:
            return Item(text)
        place = self._place(target(line.slot, insn) if to is None else to)
        if place is None:
            return Item(text)
        field = "imm" if insn.opcode == BPF_JMP32 | BPF_JA else "off"
        return Item(insn._replace(off=0, imm=0) if to is not None else insn._replace(**{field: 0}), place)

    def _place(self, slot: int | None) -> int | None:
        at = bisect_right(self._slots, slot) - 1 if slot is not None else -1
        return at if at >= 0 and self._slots[at] == slot else None


def _name(types: BTF | None, type_id: int) -> str:
    try:
        return types.name(type_id) if types and types.kind(type_id) == kind.FUNC else ""
    except BTFError:
        return ""


class CodeDiff:
    """What differs between two programs."""

    def __init__(self, first: Side, second: Side) -> None:
        self._first = first
        self._second = second
        self.hunks = list(self._hunks(diff(first.items, second.items)))

    def listing(self) -> Listing:
        """Return what shows the hunks in every voice."""
        return Listing({}, "", "hunks", self._json, self._plain, self._toned)

    def _hunks(self, steps: Sequence[Step]) -> Iterator[Hunk]:
        changed = [at for at, step in enumerate(steps) if step.first is None or step.second is None]
        begin = 0
        for index, at in enumerate(changed):
            if index + 1 < len(changed) and changed[index + 1] - at <= 2 * _CONTEXT + 1:
                continue
            low, high = max(changed[begin] - _CONTEXT, 0), at + 1 + _CONTEXT
            yield self._hunk(steps, low, high, changed[begin])
            begin = index + 1

    def _hunk(self, steps: Sequence[Step], low: int, high: int, change: int) -> Hunk:
        rows = [self._row(step) for step in steps[low:high]]
        starts = self._before(steps, low)
        at = self._row(steps[change])
        side = self._first if at.first else self._second
        return Hunk(*starts, side.head(at.line.slot), rows)

    def _before(self, steps: Sequence[Step], low: int) -> tuple[int, int]:
        """Return the slots at which both programs are before a step."""
        after = steps[low:]  # they begin with what both have, or with the first of all, so that both have some there
        first = next(step.first for step in after if step.first is not None)
        second = next(step.second for step in after if step.second is not None)
        return self._first.lines[first].slot, self._second.lines[second].slot

    def _row(self, step: Step) -> _Row:
        first = self._first.lines[step.first] if step.first is not None else None
        second = self._second.lines[step.second] if step.second is not None else None
        if step.first is not None:
            return _Row(first, second, self._first.texts[step.first])
        return _Row(None, second, self._second.texts[step.second or 0])

    def _json(self, depth: int | None, spell: Callable[[Any], str]) -> Iterator[bytes]:
        yield from items.pieces(map(_hunk_json, self.hunks), depth, spell)

    def _plain(self, safe: Callable[[str], str]) -> Iterator[str]:
        if self.hunks:
            yield f"--- {safe(self._first.title)}\n+++ {safe(self._second.title)}\n"
        for hunk in self.hunks:
            lines = [f"{safe(_head(hunk))}\n"]
            lines += [f"{_SIGNS[row.change]}{row.line.slot:4}: {safe(row.text)}\n" for row in hunk.rows]
            yield "".join(lines)

    def _toned(self, unicode: bool) -> Iterator[Toned]:
        if not self.hunks:
            yield [("the same code", "quiet")]
            return
        yield [("- ", "alarm"), (self._first.title, "name")]
        yield [("+ ", "source"), (self._second.title, "name")]
        for hunk in self.hunks:
            yield []
            yield [(_head(hunk), "quiet")]
            for row in hunk.rows:
                source = row.line.source
                if source and source.text:
                    yield [(f"{'':14}; {source.text.expandtabs(4)}", "quiet")]
                yield list(self._row_toned(row, unicode=unicode))

    def _row_toned(self, row: _Row, *, unicode: bool) -> Iterator[tuple[str, str]]:
        tone = _TONES[row.change]
        for line in (row.first, row.second):
            yield f"{line.slot:5} " if line else " " * 6, "quiet"
        yield f"{_SIGNS[row.change]} ", tone
        yield row.text, tone
        ways = [target(line.slot, line.insn) for line in (row.first, row.second) if line]
        if None not in ways:
            led = ", ".join(map(str, dict.fromkeys(ways)))
            yield f"  {'→' if unicode else '->'} {led}", "quiet"


def _head(hunk: Hunk) -> str:
    """Return the line over a hunk; starts are slots, as dumps have them, and counts are lines."""
    first, second = hunk.counts()
    return f"@@ -{hunk.first},{first} +{hunk.second},{second} @@ {hunk.function}".rstrip()


def _hunk_json(hunk: Hunk) -> dict[str, Any]:
    return {
        "function": hunk.function,
        "first": hunk.first,
        "second": hunk.second,
        "lines": [_row_json(row) for row in hunk.rows],
    }


def _row_json(row: _Row) -> dict[str, Any]:
    out: dict[str, Any] = {"change": row.change}
    if row.first:
        out["first"] = row.first.slot
    if row.second:
        out["second"] = row.second.slot
    return {**out, "disasm": row.text}
