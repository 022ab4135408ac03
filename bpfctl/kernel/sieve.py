"""Some of a map's entries: those that a condition holds for, whose key begins so, the first, the largest.

Each takes chunks and gives chunks, so that one follows the other and none holds more than a chunk, or what it is asked
to find. A condition is asked of a whole chunk at once and answers with a mask, a byte of 0 or 1 for each entry; masks
are joined as long numbers.

Of a map whose CPUs have values of their own, a condition is asked of each CPU's value, and an entry stays, whole, when
it holds for one of them: all of the condition for the same CPU.
"""

from __future__ import annotations

import operator
from functools import reduce
from heapq import heappush, heappushpop
from itertools import compress, count, repeat
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from bpfctl.errors import UsageError
from bpfctl.kernel import field as fields
from bpfctl.kernel.elements import Chunk, pieces
from bpfctl.kernel.where import All, Compare, Holds, Not, Some, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bpfctl.kernel.column import Column
    from bpfctl.kernel.field import Fields
    from bpfctl.kernel.where import Tree

    #: Answers with a mask of a chunk: for each entry, or for each CPU's value of each entry.
    Mask: TypeAlias = Callable[[Chunk], bytes]

_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Sieve:
    """Keeps the entries for which all conditions hold; UsageError when made of such that make no sense for the map.

    An entry whose value the kernel does not tell is kept only by conditions on its key.
    """

    def __init__(self, found: Fields, conditions: Sequence[str]) -> None:
        self._fields = found
        trees = tuple(map(parse, conditions))
        # Conditions on keys alone are asked once for each entry, others for each CPU.
        self._of_values = any(map(self._uses_values, trees))
        self._slots = max(found.grid.cpus, 1) if self._of_values else 1
        self._mask = self._compiled(All(trees) if len(trees) != 1 else trees[0])

    def __call__(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield what is left of chunks."""
        slots, grid = self._slots, self._fields.grid
        for chunk in chunks:
            if chunk.errno and self._of_values:
                continue
            mask = self._mask(chunk)
            if slots > 1:
                mask = _joined([mask[cpu::slots] for cpu in range(slots)], operator.or_)
            kept = chosen(chunk, mask, grid)
            if kept is not None:
                yield kept

    def _uses_values(self, tree: Tree) -> bool:
        match tree:
            case Not():
                return self._uses_values(tree.of)
            case All() | Some():
                return any(map(self._uses_values, tree.of))
        paths = [tree.path, tree.other] if isinstance(tree, Compare) and tree.other else [tree.path]
        return any(self._fields.is_cpu(path) or self._fields.find(path).stream != fields.KEY for path in paths)

    def _compiled(self, tree: Tree) -> Mask:
        match tree:
            case Not():
                return _not(self._compiled(tree.of))
            case All() | Some():
                masks = [self._compiled(each) for each in tree.of]
                join = operator.and_ if isinstance(tree, All) else operator.or_
                return lambda chunk: _joined([mask(chunk) for mask in masks], join)
            case Holds():
                if self._fields.is_cpu(tree.path):
                    return self._of_cpu(lambda cpu: cpu != 0)
                field = self._fields.find(tree.path)
                return self._asked(field.stream, field.holds())
        if tree.other:
            return self._between(tree)
        if self._fields.is_cpu(tree.path):
            return self._of_cpu(self._cpu_test(tree))
        field = self._fields.find(tree.path)
        assert tree.word is not None  # noqa: S101 - either this or other is there
        return self._asked(field.stream, field.compare(tree.sign, tree.word))

    def _asked(self, stream: int, ask: Callable[[bytes], bytes]) -> Mask:
        slots = self._slots
        if stream == fields.VALUE:
            return lambda chunk: ask(chunk.values)
        if slots == 1:
            return lambda chunk: ask(chunk.keys)

        def spread(chunk: Chunk) -> bytes:
            """Give each CPU the answer about its key."""
            mask, each = bytearray(chunk.entries * slots), ask(chunk.keys)
            for cpu in range(slots):
                mask[cpu::slots] = each
            return bytes(mask)

        return spread

    def _cpu_test(self, tree: Compare) -> Callable[[int], bool]:
        compare = _COMPARE.get(tree.sign)
        if compare is None:
            raise UsageError(f"cpu: {tree.sign} is for text")
        wanted = fields.cpu_word(tree.word, self._fields.grid.cpus)
        return lambda cpu: bool(compare(cpu, wanted))

    def _of_cpu(self, test: Callable[[int], bool]) -> Mask:
        answers = bytes(map(test, range(self._slots)))
        return lambda chunk: answers * chunk.entries

    def _between(self, tree: Compare) -> Mask:
        """Compare two fields of the same entry, and of the same CPU."""
        (left, text), (right, other) = self._column(tree.path), self._column(tree.other)
        if text is not other:
            raise UsageError(f"{tree.path} and {tree.other} cannot be compared: one is text, the other a number")
        compare = _COMPARE[tree.sign]
        return lambda chunk: bytes(map(compare, left(chunk), right(chunk)))

    def _column(self, path: str) -> tuple[Callable[[Chunk], Iterable[Any]], bool]:
        slots = self._slots
        if self._fields.is_cpu(path):
            return lambda chunk: list(range(slots)) * chunk.entries, False
        field = self._fields.find(path)
        read, text = field.comparable()
        if field.stream == fields.VALUE:
            return lambda chunk: read(chunk.values), text
        if slots == 1:
            return lambda chunk: read(chunk.keys), text
        return lambda chunk: (value for value in read(chunk.keys) for _ in range(slots)), text


def _not(of: Mask) -> Mask:
    return lambda chunk: of(chunk).translate(_OPPOSITE)


_OPPOSITE = bytes([1]) + bytes(255)


def _joined(masks: Sequence[bytes], join: Callable[[int, int], int]) -> bytes:
    return reduce(join, [int.from_bytes(mask, "little") for mask in masks]).to_bytes(len(masks[0]), "little")


def chosen(chunk: Chunk, mask: bytes, grid: fields.Grid) -> Chunk | None:
    """Return the entries of a chunk whose byte in a mask is 1; None when there are none."""
    entries = mask.count(1)
    if entries == chunk.entries:
        return chunk
    if not entries:
        return None
    room = grid.step * max(grid.cpus, 1)
    keys = b"".join(compress(pieces(chunk.keys, grid.key_size, chunk.entries), mask))
    values = b"".join(compress(pieces(chunk.values, room, chunk.entries), mask)) if chunk.values else b""
    return Chunk(keys, values, entries, chunk.errno)


class Prefix(NamedTuple):
    """What keys begin with: bytes, and how many of their bits count.

    Of a trie's keys (struct bpf_lpm_trie_key) that are the bits of the address, and the key's own length must not be
    shorter; ``at`` is where they begin.
    """

    data: bytes
    bits: int
    at: int = 0

    def sieve(self, chunks: Iterable[Chunk], grid: fields.Grid) -> Iterator[Chunk]:
        """Yield the entries whose keys begin so."""
        size = grid.key_size
        tables = [(self.at + byte, _table(value, bits)) for byte, (value, bits) in enumerate(self._bytes())]
        lengths = Struct(f"=I{size - 4}x").iter_unpack if self.at else None
        for chunk in chunks:
            masks = [chunk.keys[at::size].translate(table) for at, table in tables]
            if lengths is not None:
                masks.append(bytes([length >= self.bits for (length,) in lengths(chunk.keys)]))
            kept = chosen(chunk, _joined(masks, operator.and_), grid) if masks else chunk
            if kept is not None:
                yield kept

    def _bytes(self) -> Iterator[tuple[int, int]]:
        for at in range(0, self.bits, 8):
            yield self.data[at // 8], min(8, self.bits - at)


def _table(value: int, bits: int) -> bytes:
    """Return what maps each byte to whether its first bits are those of a value."""
    shift = 8 - bits
    return bytes(byte >> shift == value >> shift for byte in range(256))


def limited(chunks: Iterable[Chunk], most: int, grid: fields.Grid) -> Iterator[Chunk]:
    """Yield the first entries, and read no further."""
    left = most
    for chunk in chunks:
        if chunk.entries >= left:
            kept = chosen(chunk, bytes(map(left.__gt__, range(chunk.entries))), grid)
            if kept is not None:
                yield kept
            return
        left -= chunk.entries
        yield chunk


def largest(chunks: Iterable[Chunk], found: Fields, path: str, most: int) -> Iterator[Chunk]:
    """Yield the entries with the largest numbers in a field, the largest first, of equal ones those that came first.

    Of a map whose CPUs have values of their own, the numbers of all CPUs are added. No more entries than those are
    held. UsageError when there is no such field, or when it is no number.
    """
    field = found.find(path)
    return _largest(chunks, found.grid, field.stream, field.number(), most)


def _largest(chunks: Iterable[Chunk], grid: fields.Grid, stream: int, column: Column, most: int) -> Iterator[Chunk]:
    heap: list[tuple[Any, int, bytes, bytes]] = []
    order, room = count(0, -1), grid.step * max(grid.cpus, 1)
    for chunk in chunks:
        if chunk.errno and stream == fields.VALUE:
            continue
        scores: Iterable[Any] = column(chunk.values if stream == fields.VALUE else chunk.keys)
        if stream == fields.VALUE and grid.cpus:
            scores = map(sum, zip(*[iter(scores)] * grid.cpus, strict=True))
        scores = list(scores)
        # Most entries of a large map are out of the question once so many are there.
        mask = bytes(map(heap[0][0].__lt__, scores)) if len(heap) == most else bytes([1]) * chunk.entries
        if 1 not in mask:
            continue
        values = pieces(chunk.values, room, chunk.entries) if not chunk.errno else repeat(b"", chunk.entries)
        keys = pieces(chunk.keys, grid.key_size, chunk.entries)
        for score, key, value in compress(zip(scores, keys, values, strict=True), mask):
            if score != score:  # noqa: PLR0124 - a float that is no number is neither large nor small
                continue
            entry = (score, next(order), key, value)
            if len(heap) < most:
                heappush(heap, entry)
            else:
                heappushpop(heap, entry)
    found = sorted(heap, reverse=True)
    if found:
        yield Chunk(b"".join(entry[2] for entry in found), b"".join(entry[3] for entry in found), len(found))
