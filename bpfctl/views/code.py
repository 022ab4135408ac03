"""A program's code, as bpftool's src/xlated_dumper.c shows it, and in colours with arrows for jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.asm.disasm import text as words
from bpfctl.asm.insn import LD_IMM64, SLOT_SIZE, Insn
from bpfctl.views.view import Listing
from btf.errors import BTFError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfctl.kernel.code import Code, References
    from btf.ext import LineInfo
    from btf.read import BTF

_BLANKS = " \t\n\v\f\r"  # of C's isspace()
_PIECE = 1000  # lines that are written at once


class Source(NamedTuple):
    """A line of the program's source."""

    text: str | None  # None: the types do not have it
    file: str | None
    line: int
    column: int


class Line(NamedTuple):
    """An instruction, and what is told before it."""

    slot: int
    raw: bytes
    text: str
    prototype: str  # of the function that starts here; empty where none does
    source: Source | None


class Options(NamedTuple):
    """What is shown besides the text of instructions."""

    opcodes: bool = False
    linum: bool = False


class CodeText:
    """The lines of a program's code."""

    def __init__(self, code: Code, names: References, types: BTF | None, options: Options) -> None:
        self.code = code
        self.types = types
        self.options = options
        self._names = names
        self._texts: dict[bytes, str] = {}

    def listing(self, head: dict[str, Any], title: str) -> Listing:
        """Return what shows the code in every voice, of a program with this head."""
        return Listing(head, title, "insns", self._json, self._plain)

    def lines(self) -> Iterator[Line]:
        """Yield an instruction after the other."""
        protos, sources = _Protos(self), _Sources(self)
        raw, slot, end = self.code.insns, 0, len(self.code.insns) // SLOT_SIZE
        while slot < end:
            size = 2 if raw[slot * SLOT_SIZE] == LD_IMM64 else 1
            word = raw[slot * SLOT_SIZE : (slot + size) * SLOT_SIZE]
            yield Line(slot, word, self.text(word), protos.at(slot), sources.at(slot))
            slot += size

    def text(self, word: bytes) -> str:
        """Return the text of an instruction; most programs have each of theirs many times."""
        text = self._texts.get(word)
        if text is None:
            text = self._texts[word] = words(Insn.decode(word), self._names)
        return text

    def prototype(self, type_id: int) -> str:
        """Return the prototype of a function; empty when there is none."""
        from btf.prototype import prototype  # noqa: PLC0415 - only programs with types have any

        try:
            return prototype(self.types, type_id) if self.types else ""
        except BTFError:
            return ""

    def source(self, info: LineInfo) -> Source:
        """Return a line of source."""
        line = self._string(info.line_off)
        return Source(line and line.lstrip(_BLANKS), self._string(info.file_name_off), info.line, info.column)

    def _string(self, offset: int) -> str | None:
        try:
            return self.types.string(offset) if self.types else None
        except BTFError:
            return None

    def _plain(self, safe: Callable[[str], str]) -> Iterator[str]:
        lines: list[str] = []
        for line in self.lines():
            if line.prototype:
                lines.append(f"{safe(line.prototype)}:\n")
            if line.source and line.source.text is not None:
                lines.append(f"; {_harmless(line.source.text, safe)}{self._place(line.source, safe)}\n")
            lines.append(f"{line.slot:4}: {safe(line.text)}\n")
            if self.options.opcodes:
                lines.append(f"       {line.raw.hex(' ')}\n")
            if len(lines) > _PIECE:
                yield "".join(lines)
                lines.clear()
        yield "".join(lines)

    def _place(self, source: Source, safe: Callable[[str], str]) -> str:
        if not self.options.linum:
            return ""
        return f" [file:{safe(source.file or '')} line_num:{source.line} line_col:{source.column}]"

    def _json(self, depth: int | None, spell: Callable[[Any], str]) -> Iterator[bytes]:
        form = _Form(depth, spell, self.options)
        bare: dict[bytes, str] = {}  # instructions that nothing is told about
        items: list[str] = []
        for line in self.lines():
            if line.prototype or line.source:
                items.append(form.item(line))
            else:
                item = bare.get(line.raw)
                if item is None:
                    item = bare[line.raw] = form.item(line)
                items.append(item)
            if len(items) > _PIECE:
                yield ",".join(items).encode()
                items.clear()
        if items:
            yield ",".join(items).encode()


class _Form:
    """How an instruction is written in JSON."""

    def __init__(self, depth: int | None, spell: Callable[[Any], str], options: Options) -> None:
        self._indents = None if depth is None else ["\n" + "    " * (depth + more) for more in range(3)]
        self._spell = spell
        self._options = options

    def item(self, line: Line) -> str:
        spell, members = self._spell, {}
        if line.prototype:
            members["proto"] = spell(line.prototype)
        if line.source:
            members |= self._source(line.source)
        members["disasm"] = spell(line.text)
        if self._options.opcodes:
            members["opcodes"] = self._opcodes(line.raw)
        return self._object(members, 0)

    def _source(self, source: Source) -> dict[str, str]:
        told = {} if source.text is None else {"src": self._spell(source.text)}
        if not self._options.linum:
            return told
        if source.file is not None:
            told["file"] = self._spell(source.file)
        if source.line:
            told["line_num"] = str(source.line)
        if source.column:
            told["line_col"] = str(source.column)
        return told

    def _opcodes(self, raw: bytes) -> str:
        insn = Insn.decode(raw)
        members = {"code": f'"0x{raw[0]:02x}"', "src_reg": f'"{insn.src:#x}"', "dst_reg": f'"{insn.dst:#x}"'}
        # Of a wide instruction, bpftool takes all of the second slot for a part of the immediate.
        return self._object(members | {"off": self._bytes(raw[2:4]), "imm": self._bytes(raw[4:])}, 1)

    def _object(self, members: dict[str, str], deeper: int) -> str:
        if self._indents is None:
            return "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"
        start, end = self._indents[deeper + 1], self._indents[deeper]
        return "{" + ",".join(f'{start}"{name}": {value}' for name, value in members.items()) + end + "}"

    def _bytes(self, raw: bytes) -> str:
        return "[" + ",".join(f'"0x{byte:02x}"' for byte in raw) + (self._indents[2] if self._indents else "") + "]"


class _Protos:
    """Which functions start where; records are in the order of their places."""

    def __init__(self, of: CodeText) -> None:
        self._of = of
        self._left = iter(of.code.func_info if of.types else ())
        self._next = next(self._left, None)

    def at(self, slot: int) -> str:
        """Return the prototype of the function that starts at a slot, each of which is asked for once, by address."""
        if self._next is None or self._next.insn_off != slot:
            return ""
        type_id, self._next = self._next.type_id, next(self._left, None)
        return self._of.prototype(type_id)


class _Sources:
    """Which lines of source start where: libbpf's search (bpf_prog_linfo__lfind), each time with one record less."""

    def __init__(self, of: CodeText) -> None:
        self._of = of
        self._records = of.code.line_info
        self._skip = 0

    def at(self, slot: int) -> Source | None:
        """Return the line of source that starts at a slot, each of which is asked for once, by address."""
        records, at = self._records, self._skip
        if at >= len(records) or slot < records[at].insn_off:
            return None
        self._skip += 1
        while at + 1 < len(records) and records[at + 1].insn_off <= slot:
            at += 1
        return self._of.source(records[at])


def _harmless(text: str, safe: Callable[[str], str]) -> str:
    """Make a line of source harmless; tabs are part of it."""
    return text if text.isprintable() else "\t".join(map(safe, text.split("\t")))
