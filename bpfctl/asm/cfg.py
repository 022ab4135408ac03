"""
The control flow of a program: its functions, their basic blocks, and where each block leads.

    for function in functions(insns):
        function.blocks      # slots from start to end, by address
        function.edges       # from block to block; None where the function ends

All places are slots, as the kernel counts. Whatever the instructions are, there is an answer: a jump that leads
out of its function, or into the middle of a wide instruction, has no edge.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.asm.insn import (
    BPF_CALL,
    BPF_EXIT,
    BPF_JA,
    BPF_JMP,
    BPF_JMP32,
    BPF_PSEUDO_CALL,
    BPF_PSEUDO_FUNC,
    BPF_X,
    Insn,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_CLASS, _OP = 0x07, 0xF0


class Block(NamedTuple):
    """Instructions that run one after the other: slots from ``start`` up to but not including ``end``."""

    start: int
    end: int


class Edge(NamedTuple):
    """A way from one block to another, by their places in ``Function.blocks``; to None: the function is left."""

    source: int
    target: int | None


class Function(NamedTuple):
    """The main function or a subprogram; ``number`` counts in the order in which they are heard of."""

    number: int
    start: int
    end: int
    blocks: tuple[Block, ...]
    edges: tuple[Edge, ...]


def functions(insns: Sequence[Insn], starts: Iterable[int] = ()) -> list[Function]:
    """Return the functions of a program by address; ``starts`` are further places where one is known to start.

    A function starts where a program does, and where a call or a callback's address leads.
    """
    slots: dict[int, Insn] = {}
    end = 0
    for insn in insns:
        slots[end] = insn
        end += insn.slots
    numbers: dict[int, int] = {}
    for start in (0, *_called(slots), *starts):
        if start in slots:
            numbers.setdefault(start, len(numbers))
    places, ordered = list(slots), sorted(numbers)
    return [
        _function(numbers[start], places[bisect_left(places, start) : bisect_left(places, after)], after, slots)
        for start, after in pairwise([*ordered, end])
    ]


def _called(slots: dict[int, Insn]) -> Iterator[int]:
    """Yield where calls and addresses of callbacks lead; a loaded program's calls keep the distance in ``off``."""
    for at, insn in slots.items():
        if insn.opcode == BPF_JMP | BPF_CALL and insn.src == BPF_PSEUDO_CALL:
            yield at + 1 + (insn.off or insn.imm)
        elif insn.wide and insn.src == BPF_PSEUDO_FUNC:
            low = insn.imm & 0xFFFF_FFFF
            yield at + 1 + (low - (1 << 32) if low > 0x7FFF_FFFF else low)


def target(at: int, insn: Insn) -> int | None:
    """Return where a jump at a slot leads if it is taken; None for what is no jump, or has its target in a register."""
    if insn.opcode & _CLASS not in {BPF_JMP, BPF_JMP32} or insn.opcode & _OP in {BPF_CALL, BPF_EXIT}:
        return None
    if insn.opcode == BPF_JMP | BPF_JA | BPF_X:
        return None
    return at + 1 + (insn.imm if insn.opcode == BPF_JMP32 | BPF_JA else insn.off)


def _ends(insn: Insn) -> bool:
    """Return whether what follows an instruction is another block: it jumps, or leaves."""
    return insn.opcode & _CLASS in {BPF_JMP, BPF_JMP32} and insn.opcode & _OP != BPF_CALL


def _continues(insn: Insn) -> bool:
    """Return whether what follows an instruction may run after it."""
    return not _ends(insn) or insn.opcode & _OP not in {BPF_JA, BPF_EXIT}


def _function(number: int, places: list[int], end: int, slots: dict[int, Insn]) -> Function:
    """Return the function of the instructions at these places."""
    start, inside = places[0], set(places)
    heads = {start}
    for at in places:
        if _ends(slots[at]):
            heads |= inside.intersection((at + 1, target(at, slots[at])))
    ordered = sorted(heads)
    blocks = tuple(Block(head, after) for head, after in pairwise([*ordered, end]))
    lasts = [places[bisect_left(places, block.end) - 1] for block in blocks]
    indices = {head: index for index, head in enumerate(ordered)}
    edges = tuple(edge for source, at in enumerate(lasts) for edge in _edges(source, at, slots[at], indices))
    return Function(number, start, end, blocks, edges)


def _edges(source: int, at: int, insn: Insn, blocks: dict[int, int]) -> Iterator[Edge]:
    """Yield where a block leads whose last instruction this is: on, and then elsewhere."""
    if insn.opcode & _CLASS in {BPF_JMP, BPF_JMP32} and insn.opcode & _OP == BPF_EXIT:
        yield Edge(source, None)
        return
    if _continues(insn):
        yield Edge(source, source + 1 if source + 1 < len(blocks) else None)
    there = target(at, insn)
    if there in blocks:
        yield Edge(source, blocks[there])
