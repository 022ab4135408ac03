"""A program's code, as bpftool's src/xlated_dumper.c shows it, and in colours with arrows for jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.asm.disasm import text as words
from bpfctl.asm.insn import LD_IMM64, SLOT_SIZE, Insn
from bpfctl.views.source import Source, Sources, Told
from bpfctl.views.view import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfctl.kernel.code import Code, References
    from bpfctl.views.source import Options
    from btf.read import BTF

_PIECE = 1000  # lines that are written at once
_BYTES = [f'"0x{byte:02x}"' for byte in range(256)]


class Line(NamedTuple):
    """An instruction, and what is told before it."""

    slot: int
    insn: Insn
    raw: bytes
    text: str
    prototype: str  # of the function that starts here; empty where none does
    source: Source | None


class CodeText(Told):
    """The lines of a program's code."""

    def __init__(self, code: Code, names: References, types: BTF | None, options: Options) -> None:
        super().__init__(types, options)
        self.code = code
        self._names = names
        self._texts: dict[bytes, str] = {}

    def listing(self, head: dict[str, Any], title: str) -> Listing:
        """Return what shows the code in every voice, of a program with this head."""
        return Listing(head, title, "insns", self._json, self._plain, self._toned)

    def lines(self) -> Iterator[Line]:
        """Yield an instruction after the other."""
        protos, sources = _Protos(self), Sources(self, self.code.line_info)
        raw, start, slot = self.code.insns, 0, 0
        names, texts = self._names, self._texts
        for insn in Insn.decode_all(raw):
            end = start + (2 * SLOT_SIZE if insn.opcode == LD_IMM64 else SLOT_SIZE)
            word = raw[start:end]
            text = texts.get(word)
            if text is None:  # most programs have each of their instructions many times
                text = texts[word] = words(insn, names)
            yield Line(slot, insn, word, text, protos.at(slot), sources.at(slot))
            start, slot = end, end // SLOT_SIZE

    def _plain(self, safe: Callable[[str], str]) -> Iterator[str]:
        lines: list[str] = []
        for slot, _, raw, text, prototype, source in self.lines():
            if prototype:
                lines.append(f"{safe(prototype)}:\n")
            if source:
                lines.append(self.source_plain(source, safe))
            lines.append(f"{slot:4}: {text if text.isprintable() else safe(text)}\n")
            if self.options.opcodes:
                lines.append(f"       {raw.hex(' ')}\n")
            if len(lines) > _PIECE:
                yield "".join(lines)
                lines.clear()
        yield "".join(lines)

    def _toned(self, unicode: bool) -> Iterator[list[tuple[str, str]]]:
        from bpfctl.views import code_lines  # noqa: PLC0415 - only a terminal shows them

        return code_lines.toned(self, unicode)

    def _json(self, depth: int | None, spell: Callable[[Any], str]) -> Iterator[bytes]:
        form = _Form(depth, spell, self)
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

    def __init__(self, depth: int | None, spell: Callable[[Any], str], of: CodeText) -> None:
        self._indents = ("", "", "") if depth is None else tuple("\n" + "    " * (depth + more) for more in range(3))
        self._colon = ":" if depth is None else ": "
        self._spell = spell
        self._of = of
        self._insn = self._member("disasm", "%s")
        if of.options.opcodes:
            self._insn += "," + self._member("opcodes", self._opcodes())

    def item(self, line: Line) -> str:
        """Write an instruction and what is told about it."""
        told = [self._member("proto", self._spell(line.prototype))] if line.prototype else []
        if line.source:
            told += [self._member(name, value) for name, value in self._of.source_json(line.source, self._spell)]
        # Only the names of functions come from outside.
        text = self._spell(line.text) if "call" in line.text else f'"{line.text}"'
        return "{" + ",".join([*told, self._insn % (text, *self._bytes(line))]) + self._indents[0] + "}"

    def _opcodes(self) -> str:
        """Return the form of an instruction's bytes."""
        end = self._indents[2]
        members = {"code": '"0x%02x"', "src_reg": '"%#x"', "dst_reg": '"%#x"'}
        members |= {"off": f'["0x%02x","0x%02x"{end}]', "imm": f"[%s{end}]"}
        return "{" + ",".join(self._member(*member, 2) for member in members.items()) + self._indents[1] + "}"

    def _bytes(self, line: Line) -> tuple[Any, ...]:
        """Return what goes into that form; of a wide instruction, all of its second slot is a part of the immediate."""
        if not self._of.options.opcodes:
            return ()
        insn, raw = line.insn, line.raw
        return insn.opcode, insn.src, insn.dst, *raw[2:4], ",".join(map(_BYTES.__getitem__, raw[4:]))

    def _member(self, name: str, value: str, deep: int = 1) -> str:
        return f'{self._indents[deep]}"{name}"{self._colon}{value}'


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
