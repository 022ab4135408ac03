"""Fuzzes instructions: any words, beside what LLVM makes of them.

    python -m tests.fuzz.insns [WORDS] [--seed S]

A third of the words are any bytes, the others have fields that mean something more often. What must hold:

* everything has a text, blocks and edges; nothing is ever raised;
* bytes -> instruction -> bytes is the identity, but for the bits of a second slot that have no place;
* what LLVM takes means the same to us: its text is ours, and what it leaves out of the bytes has no text;
* what LLVM writes as it reads it, the assembler writes too.

The first failure ends the run. Without llvm-mc, as where the tests run in a guest, the last two are left out.
"""

from __future__ import annotations

import argparse
import sys
import time
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.asm.cfg import functions
from bpfctl.asm.disasm import text
from bpfctl.asm.insn import LD_IMM64, SLOT_SIZE, Insn, encode_all
from tests.fuzz import llvm
from tests.fuzz.assembled import assembled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.asm.insn import ByteOrder

PER_ROUND = 10_000
_PROGRAM = 50  # words that are taken for a program
_CALL, _CALLX = 0x85, 0x8D
_HIDDEN = 11  # a register that LLVM keeps to itself
_MAY_GOTO = 0xE5
_INDIRECT = (0x40, 0x48, 0x50)
_ATOMIC = (0xC3, 0xCB, 0xD3, 0xDB)
_ATOMS = (0, 1, 0x40, 0x41, 0x50, 0x51, 0xA0, 0xA1, 0xE1, 0xF1, 0x100, 0x110)
_MIDDLES = (1, 8, 16, 32, -1, 0x7FFF, -0x8000)
_NUMBERS = (0, 1, -1, 16, 32, 64, 0x7FFF_FFFF, -0x8000_0000)


class Told(NamedTuple):
    """How many words were tried, and what LLVM said of them."""

    words: int = 0
    known: int = 0  # words that are instructions to us
    taken: int = 0  # by LLVM
    alike: int = 0  # words that LLVM would write as they are, and the assembler does


def run(words: int, seed: int, program: str | None) -> Told:
    """Try some words; AssertionError with the first that is wrong."""
    told = Told()
    for number in range(-(-words // PER_ROUND)):
        rng = Random(f"{seed} {number}")
        count = min(PER_ROUND, words - told.words)
        order: ByteOrder = rng.choice(("little", "big"))
        made = [_word(rng, order) for _ in range(count)]
        known = sum(check(word, order) for word in made)
        for at in range(0, count, _PROGRAM):
            check_program(made[at : at + _PROGRAM], order)
        said = llvm.disassemble(program, made, order) if program else []
        alike = sum(agree(word, one, order) for word, one in zip(made, said, strict=True) if one) if said else 0
        taken = len(said) - said.count(None)
        told = Told(told.words + count, told.known + known, told.taken + taken, told.alike + alike)
    return told


def check(word: bytes, order: ByteOrder) -> bool:
    """Any bytes have a text, and are written as they were read; return whether they are an instruction."""
    insn = Insn.decode(word, order)
    line = text(insn)
    assert line.isprintable(), (word.hex(), line)
    written = insn.encode(order)
    if insn.wide:
        kept = (
            *range(SLOT_SIZE),
            *range(12, 16),
        )  # the second slot is the upper half of the immediate, and nothing else
        assert bytes(written[at] for at in kept) == bytes(word[at] for at in kept), (word.hex(), written.hex())
    else:
        assert written == word, (word.hex(), written.hex())
    return not line.startswith("BUG_")


def check_program(words: Sequence[bytes], order: ByteOrder) -> None:
    """Blocks cover the program once, and edges lead from block to block."""
    insns = list(Insn.decode_all(b"".join(words), order))
    assert insns == list(Insn.decode_all(encode_all(insns, order), order)), b"".join(words).hex()
    found = functions(insns)
    covered = [slot for function in found for block in function.blocks for slot in range(*block)]
    assert covered == list(range(sum(insn.slots for insn in insns))), b"".join(words).hex()
    for function in found:
        places = range(len(function.blocks))
        assert all(edge.source in places for edge in function.edges), b"".join(words).hex()
        assert all(edge.target is None or edge.target in places for edge in function.edges), b"".join(words).hex()


def agree(word: bytes, said: llvm.Said, order: ByteOrder) -> bool:
    """LLVM's text is ours; return whether the bytes are also those that LLVM and the assembler write for it."""
    if word[0] == _CALLX:
        return False  # a call of an address in a register, which no kernel has
    insn, heard = Insn.decode(word, order), Insn.decode(said.raw, order)
    if text(insn).startswith("BUG_"):
        # LLVM looks at some bits of these fields alone, and writes the others as they should be.
        assert text(insn._replace(**_kept(insn, heard))) == text(heard), (word.hex(), said.text)
        return False
    if insn.wide and insn.src:
        assert said.text == f"ld_pseudo\tr{insn.dst}, {insn.src}, {insn.imm & 0xFFFF_FFFF}", (word.hex(), said.text)
        return False
    assert llvm.ours(text(heard)) == llvm.theirs(said.text), (word.hex(), text(heard), said.text)
    if said.raw == word:
        if _HIDDEN in {insn.dst, insn.src}:
            return False
        assert assembled(insn, order) == word, (word.hex(), said.text)
        return True
    # LLVM does not show what is called, nor the number that is added to an index.
    if insn.opcode == _CALL:
        insn = insn._replace(src=0)
    elif insn.opcode in _INDIRECT:
        insn = insn._replace(imm=0)
    assert text(insn) == text(heard), (word.hex(), text(insn), said.text)
    return False


def _kept(insn: Insn, heard: Insn) -> dict[str, int]:
    """Return the fields that LLVM changes where only some of their values are known to any kernel."""
    assert insn.opcode in {*_ATOMIC, _MAY_GOTO}, insn
    return {"src": heard.src} if insn.opcode == _MAY_GOTO else {"imm": heard.imm}


def _word(rng: Random, order: ByteOrder) -> bytes:
    """Return the bytes of one instruction."""
    word = rng.randbytes(SLOT_SIZE)
    if rng.random() < 2 / 3:
        word = _likely(rng, word[0]).encode(order)[:SLOT_SIZE]
    return word + rng.randbytes(SLOT_SIZE) if word[0] == LD_IMM64 else word


def _likely(rng: Random, opcode: int) -> Insn:
    """Return an instruction of which most fields are as they should be."""
    dst, src = rng.randrange(11), rng.randrange(11)
    near = rng.randrange(-0x8000, 0x8000)
    if opcode in _ATOMIC:
        return Insn(opcode, dst, src, near, rng.choice(_ATOMS))
    number = rng.choice(_NUMBERS) if rng.random() < 0.5 else rng.randrange(-0x8000_0000, 0x8000_0000)
    offset = rng.choice((near, *_MIDDLES))
    return Insn(opcode, *(field if rng.random() < 0.6 else 0 for field in (dst, src, offset, number)))


def main(words: Sequence[str]) -> int:
    """Do what WORDS say, and tell what was done."""
    parser = argparse.ArgumentParser(description="Fuzz instructions.", prog="python -m tests.fuzz.insns")
    parser.add_argument("words", type=int, nargs="?", default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(words)
    program = llvm.found()
    started = time.monotonic()
    told = run(options.words, options.seed, program)
    seconds = time.monotonic() - started
    by = f"LLVM {llvm.version(program)}" if program else "no LLVM"
    print(
        f"{told.words:,} words, none wrong, {told.known:,} of them instructions; {by} took {told.taken:,}, "
        f"all meant the same, {told.alike:,} were assembled again; {told.words / seconds:.0f} a second"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
