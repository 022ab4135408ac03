"""Entries of which each has text of the same length, read many at once: the way back from bpfctl.views.form.

One entry that was read in full shows where the digits of all others stand. The digits of a block of entries are
gathered by stepped slices, one digit of all entries at a time, and replaced by zeros; what is left must then be the
text of the first entry over and over. So nothing is believed that was not seen, and no entry costs Python code.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.kernel.elements import Chunk

if TYPE_CHECKING:
    from bpfctl.kernel.saved_entry import Entries

_ALIKE = 384  # entries that are taken at once: with more the text is in no CPU's cache when the next digit is taken
_TYPED = 1 << 18  # of text with values by types, which is read by C that goes through it once
_MOST_BYTES = 512  # of an entry, beyond which stepping through a block costs more than it saves
_FORMATTED = re.compile(rb'[ \t\r\n]*,[ \t\r\n]*"formatted"[ \t\r\n]*:')
_END = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\Z")
_ITEM = re.compile(rb'"0x([0-9a-fA-F]{2})"')


class _Digit(NamedTuple):
    """Where a digit stands: in the text of an entry, and in what its stream has of the entry."""

    place: int
    stream: int
    at: int


class Template:
    """The text of an entry up to the begin of the next one. A ``block`` of text is best taken at once."""

    def __init__(self, text: bytes, digits: list[_Digit], strides: tuple[int, int]) -> None:
        zeros = bytearray(text)
        for digit in digits:
            zeros[digit.place] = 0x30
        self._text = bytes(zeros)
        self._digits = digits
        self._strides = strides
        self.length = len(text)
        self.block = _ALIKE * self.length

    def take(self, text: memoryview) -> tuple[Chunk, int] | None:
        """Return the entries at the begin of some text as far as all are alike, and their length; None for none."""
        found = self.entries(text, len(text) // self.length)
        return (found, found.entries * self.length) if found else None

    def entries(self, text: memoryview, most: int) -> Chunk | None:
        """Return as many entries as are alike; None for none."""
        length, (key, value) = self.length, self._strides
        left = bytearray(text[: most * length])
        streams = bytearray(b"0" * (2 * key * most)), bytearray(b"0" * (2 * value * most))
        steps = 2 * key, 2 * value
        zeros = b"0" * most
        for place, stream, at in self._digits:
            streams[stream][at :: steps[stream]] = left[place::length]
            left[place::length] = zeros
        count = self._alike(left, most)
        try:
            # Blanks are no error to fromhex(), and then bytes are missing.
            keys = bytes.fromhex(streams[0][: 2 * key * count].decode("ascii"))
            values = bytes.fromhex(streams[1][: 2 * value * count].decode("ascii"))
        except ValueError:
            return None
        if not count or (len(keys), len(values)) != (key * count, value * count):
            return None
        return Chunk(keys, values, count)

    def _alike(self, left: bytearray, most: int) -> int:
        """Return how many entries at the begin have this text but for their digits."""
        low, high = 0, most
        end = most
        while low < high:
            if left[low * self.length : end * self.length] == self._text * (end - low):
                low = end
            else:
                high = end - 1
            end = (low + high + 1) // 2
        return low


class Typed:
    """The text of an entry with its values by their types behind its bytes: those must be JSON, but of any length.

    They tell what the bytes tell already.
    """

    def __init__(self, head: bytes, end: bytes, digits: list[_Digit], strides: tuple[int, int]) -> None:
        self._start = digits[0].place
        self._between = end + head[: self._start]
        self._end = len(end)
        moved = [digit._replace(place=digit.place - self._start) for digit in digits]
        self._head = Template(head[self._start :], moved, strides)
        self.block = _TYPED

    def take(self, text: memoryview) -> tuple[Chunk, int] | None:
        """Return the entries at the begin of some text, if all are alike, and their length; None for none."""
        first, *parts = bytes(text).split(self._between)
        if not parts or not first.startswith(self._between[self._end :]):
            return None
        length = len(text) - len(parts.pop()) - len(self._between) + self._end
        parts.insert(0, first[self._start :])
        size = self._head.length
        heads = b"".join([part[:size] for part in parts])
        if len(heads) != size * len(parts) or not _are_values([part[size:] for part in parts]):
            return None
        found = self._head.entries(memoryview(heads), len(parts))
        return (found, length) if found and found.entries == len(parts) else None


def _are_values(texts: list[bytes]) -> bool:
    """Return whether each of some texts is one value in JSON."""
    try:
        lists = json.loads(b"[[" + b"],[".join(texts) + b"]]", strict=False)
    except (ValueError, RecursionError):
        return False
    return [len(one) for one in lists] == [1] * len(texts)


def learn(text: bytes, entry: Any, entries: Entries) -> Template | Typed | None:
    """Return the template of an entry that has bytes, and maybe its values by types behind them; None for any other."""
    if entries.key_size + entries.value_size * entries.cpus > _MOST_BYTES or not entries.key_size:
        return None
    names = ["key", "values" if entries.per_cpu else "value"]
    if list(entry) not in (names, [*names, "formatted"]) or not _is_list(entry["key"], entries.key_size):
        return None
    items = entry["values"] if entries.per_cpu else [{"cpu": 0, "value": entry["value"]}]
    if [list(item.items())[:1] for item in items] != [[("cpu", cpu)] for cpu in range(entries.cpus)]:
        return None
    if not all(len(item) == 2 and _is_list(item["value"], entries.value_size) for item in items):
        return None
    formatted, end = _FORMATTED.search(text), _END.search(text)
    head = text[: formatted.end()] if formatted and len(entry) > 2 else text
    places = [match.start(1) for match in _ITEM.finditer(head)]
    if len(places) != entries.key_size + entries.value_size * entries.cpus:
        return None
    digits: list[_Digit] = []
    for number, place in enumerate(places):
        stream, at = 0, number
        if number >= entries.key_size:
            cpu, byte = divmod(number - entries.key_size, entries.value_size)
            stream, at = 1, cpu * entries.step + byte
        digits += _Digit(place, stream, 2 * at), _Digit(place + 1, stream, 2 * at + 1)
    strides = entries.key_size, entries.room
    if len(entry) == 2:
        return Template(text, digits, strides)
    return Typed(head, end[0], digits, strides) if end else None


def _is_list(told: Any, size: int) -> bool:
    return type(told) is list and len(told) == size
