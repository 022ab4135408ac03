"""Machine code for a terminal: each kind of word in its tone, source set off, arrows for jumps in the margin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfctl.views.code_arrows import ASCII, LINES, Arrows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfctl.views.jited import Line, MachineText

    Toned = list[tuple[str, str]]

_MARGIN = " " * 6  # as wide as the place of an instruction
_MNEMONIC = 8  # columns
_CONTROL = re.compile(r"(?:\w+ )*(?:j|call|loop|ret|bl?\b|blr|br|b\.|cbn?z|tbn?z)")
_WORDS = re.compile(
    r"""(?P<register>%\w+|\b(?:[a-z]{1,2}\d{1,2}|sp|wsp|fp|lr|ra|xzr|wzr|zero)\b)
    |(?P<number>[$#]?-?\b(?:0x[0-9a-f]+|\d+)\b)
    """,
    re.VERBOSE,
)
_NEGATIVE = re.compile(r"([$#]?)-(\d+)")


def toned(of: MachineText, unicode: bool) -> Iterator[Toned]:
    """Yield lines, each of which is pieces of text with their tones."""
    first = True
    for block, function in zip(of.blocks(), of.machine.functions, strict=True):
        if not first:
            yield [("", "")]
        first = False
        if block.prototype:
            yield [(f"{block.prototype}:", "name")]
        if block.name:
            yield [(f"{block.name}:", "quiet" if block.prototype else "name")]
        yield from _block(of, list(block.lines), function.address or 0, unicode=unicode)


def _block(of: MachineText, lines: Sequence[Line], start: int, *, unicode: bool) -> Iterator[Toned]:
    places = {line.insn.offset: at for at, line in enumerate(lines)}
    leads = [
        places.get(line.insn.address - start) if line.insn.jumps and line.insn.address is not None else None
        for line in lines
    ]
    arrows = Arrows(((at, to) for at, to in enumerate(leads) if to is not None), LINES if unicode else ASCII)
    for at, (line, to) in enumerate(zip(lines, leads, strict=True)):
        told = of.source_toned(line.source) if line.source else []
        if told:
            yield [(_MARGIN, ""), (arrows.before(at), "quiet"), *told]
        shown: Toned = [
            (f"{line.insn.offset:4x}: ", "quiet"),
            (arrows.at(at), "quiet"),
            *_words(line, inside=to is not None),
        ]
        if to is not None:
            shown.append((f"  {'→' if unicode else '->'} {lines[to].insn.offset:x}", "quiet"))
        yield shown
        if of.options.opcodes:
            yield [(_MARGIN, ""), (arrows.before(at + 1), "quiet"), (f"  {line.insn.raw.hex(' ')}", "quiet")]


def _words(line: Line, *, inside: bool) -> Toned:
    """Return the pieces of an instruction, and the symbol that it leads to; where is quiet if the margin tells it."""
    mnemonic, operands = line.insn.mnemonic, line.insn.operands
    control = _CONTROL.match(mnemonic)
    pieces: Toned = [(f"{mnemonic:<{_MNEMONIC - 1}} " if operands else mnemonic, "word" if control else "")]
    at = 0
    for found in _WORDS.finditer(operands):
        if found.start() > at:
            pieces.append((operands[at : found.start()], ""))
        at = found.end()
        tone = found.lastgroup or ""
        pieces.append((_readable(found[0]), "quiet" if inside and at == len(operands) else tone))
    if at < len(operands):
        pieces.append((operands[at:], ""))
    return [*pieces, (f"  {line.symbol}", "symbol")] if line.symbol else pieces


def _readable(word: str) -> str:
    """Spell an address that stands there as a negative number as an address."""
    negative = _NEGATIVE.fullmatch(word)
    value = int(negative[2]) if negative else 0
    return f"{word[: negative.start(2) - 1]}{(1 << 64) - value:#x}" if negative and value >> 32 else word
