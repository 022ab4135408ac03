"""A program's code for a terminal: each kind of word in its tone, source set off, arrows for jumps in the margin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfctl.asm.cfg import target
from bpfctl.views.code_arrows import ASCII, LINES, Arrows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.views.code import CodeText, Line

    Toned = list[tuple[str, str]]

_MARGIN = " " * 6  # as wide as the number of an instruction
_WORDS = re.compile(
    r"""(?P<symbol>(?<=call\ )[^#\s]+(?:\#[^\W\d]\w*)?|map\[[^]]*\](?:\[0\])?|subprog\[[^]]*\])
    |(?P<register>\b[rw]\d+\b)
    |(?P<word>\b(?:if|goto|gotol|gotox|may_goto|call|exit|lock|nospec|BUG_\w+)\b)
    |(?P<number>\bpc[+-]\d+|[+-]?\b(?:0x[0-9a-f]+|\d+)\b)
    """,
    re.VERBOSE,
)


def toned(of: CodeText, unicode: bool) -> Iterator[Toned]:
    """Yield lines, each of which is pieces of text with their tones."""
    lines = list(of.lines())
    places = {line.slot for line in lines}
    jumps = ((line.slot, target(line.slot, line.insn)) for line in lines)
    arrows = Arrows(((at, to) for at, to in jumps if to in places and to is not None), LINES if unicode else ASCII)
    for line in lines:
        yield from _above(of, line, arrows.before(line.slot))
        yield [(f"{line.slot:4}: ", "quiet"), (arrows.at(line.slot), "quiet"), *_words(line, unicode=unicode)]
        if of.options.opcodes:
            below = arrows.before(line.slot + line.insn.slots)
            yield [(_MARGIN, ""), (below, "quiet"), (f"     {line.raw.hex(' ')}", "quiet")]


def _above(of: CodeText, line: Line, margin: str) -> Iterator[Toned]:
    if line.prototype:
        if line.slot:
            yield [("", "")]
        yield [(f"{line.prototype}:", "name")]
    told = of.source_toned(line.source) if line.source else []
    if told:
        yield [(_MARGIN, ""), (margin, "quiet"), *told]


def _words(line: Line, *, unicode: bool) -> Toned:
    """Return the pieces of an instruction, and where it leads."""
    opcode, _, text = line.text.partition(" ")
    pieces: Toned = [(f"{opcode} ", "quiet")] if text else []
    text, at = text or opcode, 0
    for found in _WORDS.finditer(text):
        if found.start() > at:
            pieces.append((text[at : found.start()], ""))
        pieces.append((found[0], found.lastgroup or ""))
        at = found.end()
    if at < len(text):
        pieces.append((text[at:], ""))
    to = target(line.slot, line.insn)
    return pieces if to is None else [*pieces, (f"  {'→' if unicode else '->'} {to}", "quiet")]
