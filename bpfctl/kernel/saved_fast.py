"""Entries of which each has text of the same length, read many at once: the way back from bpfctl.views.form.

One entry that was read in full shows where the digits of all others stand. The digits of a block of entries are
gathered by stepped slices, one digit of all entries at a time, and replaced by zeros; what is left must then be the
text of the first entry over and over. So nothing is believed that was not seen, and no entry costs Python code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.kernel.elements import Chunk

if TYPE_CHECKING:
    from bpfctl.kernel.saved_entry import Entries

_MOST_BYTES = 512  # of an entry, beyond which stepping through a block costs more than it saves
_ITEM = re.compile(rb'"0x([0-9a-fA-F]{2})"')


class _Digit(NamedTuple):
    """Where a digit stands: in the text of an entry, and in what its stream has of the entry."""

    place: int
    stream: int
    at: int


class Template:
    """The text of an entry and what follows it, up to the begin of the next one."""

    def __init__(self, text: bytes, digits: list[_Digit], strides: tuple[int, int]) -> None:
        zeros = bytearray(text)
        for digit in digits:
            zeros[digit.place] = 0x30
        self._text = bytes(zeros)
        self._digits = digits
        self._strides = strides
        self.length = len(text)

    def take(self, text: memoryview, most: int) -> Chunk | None:
        """Return the entries at the begin of some text as far as all are alike; None for none."""
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


def learn(text: bytes, entry: Any, entries: Entries) -> Template | None:
    """Return the template of an entry that has bytes alone; None for any other, which has no fixed length."""
    if entries.key_size + entries.value_size * entries.cpus > _MOST_BYTES or not entries.key_size:
        return None
    if list(entry) != ["key", "values" if entries.per_cpu else "value"] or not _is_list(entry["key"], entries.key_size):
        return None
    items = entry["values"] if entries.per_cpu else [{"cpu": 0, "value": entry["value"]}]
    if [list(item.items())[:1] for item in items] != [[("cpu", cpu)] for cpu in range(entries.cpus)]:
        return None
    if not all(len(item) == 2 and _is_list(item["value"], entries.value_size) for item in items):
        return None
    places = [match.start(1) for match in _ITEM.finditer(text)]
    if len(places) != entries.key_size + entries.value_size * entries.cpus:
        return None
    digits: list[_Digit] = []
    for number, place in enumerate(places):
        stream, at = 0, number
        if number >= entries.key_size:
            cpu, byte = divmod(number - entries.key_size, entries.value_size)
            stream, at = 1, cpu * entries.step + byte
        digits += _Digit(place, stream, 2 * at), _Digit(place + 1, stream, 2 * at + 1)
    return Template(text, digits, (entries.key_size, entries.room))


def _is_list(told: Any, size: int) -> bool:
    return type(told) is list and len(told) == size
