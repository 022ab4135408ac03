"""The functions of an ELF file by address, in little memory.

Format: the System V ABI, chapter 4, "Symbol Table". A file of debug symbols may have a million functions. So there is
no object for each: addresses, sizes and places of names stand in arrays, made from the columns of the table as it is
read piece by piece, and a name is read when somebody asks for it. Arrays of so many are sorted one by one.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from itertools import chain, compress
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import BpfctlError
from bpfctl.symbols import go

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl.elf.image import Image, Section

_SYMTAB, _DYNSYM = 2, 11  # SHT_
_CODE = 0x4  # SHF_EXECINSTR
_NOTYPE, _FUNC, _IFUNC = 0, 2, 10  # STT_
_BOUND = bytes(info >> 4 for info in range(256))
_IS_FUNCTION = bytes((info & 15) in (_FUNC, _IFUNC) or info in (1 << 4, 2 << 4) for info in range(256))
_IS_SET = bytes(bool(byte) for byte in range(256))
_IS_REAL = bytes(byte != 0xFF for byte in range(256))  # above are SHN_LORESERVE and what follows it
_PIECE = 1 << 17  # symbols of a piece of the table, and functions that are sorted together
_MOST = 1 << 21  # functions of a file
_LARGEST = 1 << 29  # bytes of a table
_BACK = 16  # functions in front of an address that may reach to it
_SHORT, _LONGEST = 128, 1 << 14  # bytes of a name
_NAMES = 1 << 15  # that are kept
_WEAK = 2  # STB_WEAK; those of a file itself have 0
_SIZELESS = 16  # a bit of ours beside those
_WIDEST = 0xFFFFFFFF
_GO_NAME = 4  # where struct _func has the place of the name
_LOW = 0x7FF00000  # what is below has an order as the upper half of a float that is one
_INDEX = 0 if sys.byteorder == "little" else 1  # its lower half
_ROW = 21  # bytes of a function in arrays
_HEAD = 400  # bytes of a section or a segment: honest files have some dozens


class Run(NamedTuple):
    """Functions: their addresses in order, which function each is of, and what is known of the functions as they come.

    ``names`` are places in the strings of the table that they come from; where there are ``records``, places in those,
    which have that of the name at their ``_GO_NAME``.
    """

    starts: array[int]
    order: array[int]
    sizes: array[int]
    names: array[int]
    bound: array[int]
    image: Image
    strings: Section
    records: Section | None = None


class Found(NamedTuple):
    """A function, and where it begins."""

    name: str
    start: int


class Table:
    """The functions of a file, and those of ``others`` that have symbols of it, by names as linkers have them."""

    def __init__(self, image: Image, others: Iterable[Image] = ()) -> None:
        self._image = image
        self._names: dict[tuple[int, int], str] = {}
        self._segments = sorted(image.segments, key=lambda one: not one.is_code)
        self._runs = list(_of_image(image))
        if not image.has_symbols:  # but only those that others may call
            for other in others:
                self._runs += _of_image(other)
            self._runs += _of_go(image)
        self._starts = [run.starts for run in self._runs]
        images = {id(one): one for one in (image, *(run.image for run in self._runs))}.values()
        heads = sum(len(one.segments) * _HEAD + sum(_HEAD + len(part.name) for part in one.sections) for one in images)
        #: How many bytes it takes.
        self.size = sum(len(starts) * _ROW for starts in self._starts) + heads

    @property
    def build_id(self) -> str:
        """What the linker calls this build of the file, in hexadecimal; empty where it says nothing."""
        try:
            return self._image.build_id
        except BpfctlError:  # its notes are damaged
            return ""

    def address(self, offset: int) -> int | None:
        """Return the address, as the linker knows it, of a place in the file; None where that is not loaded."""
        for segment in self._segments:
            if 0 <= offset - segment.offset < segment.size:
                return segment.address + offset - segment.offset
        return None

    def find(self, address: int) -> Found | None:
        """Return the function at an address; None where none is known."""
        start, number, at = -1, 0, 0  # of the last function that begins before it
        for index, starts in enumerate(self._starts):
            place = bisect_right(starts, address) - 1
            if place >= 0 and starts[place] > start:
                start, number, at = starts[place], index, place
        if start < 0:
            return None
        run = self._runs[number]
        if address - start >= run.sizes[run.order[at]]:
            start, number, at = self._around(address)
            if start < 0:
                return None
        name = self._names.get((number, at))
        if name is None:
            if len(self._names) >= _NAMES:
                self._names.clear()
            name = self._names[number, at] = _best(self._runs[number], at)
        return Found(name, start)

    def _around(self, address: int) -> tuple[int, int, int]:
        """Return the innermost of the functions that an address is in, though others begin before it."""
        best = -1, 0, 0
        for number, run in enumerate(self._runs):
            index = bisect_right(run.starts, address) - 1
            for at in range(index, max(index - _BACK, -1), -1):
                if address - run.starts[at] < run.sizes[run.order[at]]:
                    best = max(best, (run.starts[at], number, at))
                    break
        return best


def _best(run: Run, at: int) -> str:
    """Return the name that people know best of those that a function has; behind an @ is its version."""
    name = _name(run, run.names[run.order[at]]) if _is_alone(run.starts, at) else _best_of(run, at)
    return name.partition("@")[0] or name


def _is_alone(starts: array[int], at: int) -> bool:
    return not at or starts[at - 1] != starts[at]


def _best_of(run: Run, at: int) -> str:
    start, size = run.starts[at], run.sizes[run.order[at]]
    names: list[tuple[bool, bool, bool, int, str]] = []
    while at >= 0 and run.starts[at] == start and len(names) < _BACK:
        index = run.order[at]
        name = _name(run, run.names[index]) if run.sizes[index] >= size else ""  # the end of those differs
        if name:
            bound = run.bound[index]
            is_local, is_weak = not bound & ~_SIZELESS, bound & ~_SIZELESS == _WEAK
            names.append((bool(bound & _SIZELESS), is_local, is_weak, len(name) - len(name.lstrip("_")), name))
        at -= 1
    return min(names)[-1] if names else ""


def _name(run: Run, place: int) -> str:
    size = _SHORT
    if run.records is not None:
        data = run.image.part(run.records, place + _GO_NAME, 4)
        place = int.from_bytes(data, "little" if run.image.sign == "<" else "big")
    while True:
        data = run.image.part(run.strings, place, size)
        end = data.find(b"\0")
        if end >= 0 or len(data) < size or size >= _LONGEST:
            return (data[:end] if end >= 0 else data).decode("utf-8", "surrogateescape")
        size = _LONGEST


def _of_image(image: Image) -> Iterator[Run]:
    wanted = _SYMTAB if image.has_symbols else _DYNSYM
    code = sorted((one.address, one.address + one.size) for one in image.sections if one.flags & _CODE)
    for section in image.sections:
        if section.type != wanted or section.is_compressed or not 0 < section.link < len(image.sections):
            continue
        for rows in _gathered(image, section):
            yield _run(rows, code, image, image.sections[section.link])
        return  # one that has several is not honest


def _of_go(image: Image) -> Iterator[Run]:
    found = go.functions(image)
    if found is not None:
        starts, sizes, places, records, names = found
        count = len(starts)
        yield Run(starts, array("I", range(count)), sizes, places, array("B", bytes(count)), image, names, records)


def _gathered(image: Image, section: Section) -> Iterator[bytes]:
    """Yield the rows that define functions, many at a time."""
    size = 24 if image.bits == 64 else 16
    found, total = bytearray(), 0
    for at in range(0, min(section.size, _LARGEST), size * _PIECE):
        data = image.part(section, at, size * _PIECE)
        found += _of_functions(data[: len(data) // size * size], image, size)
        if len(found) >= size * _PIECE:
            yield bytes(found)
            total += len(found)
            found.clear()
        if total >= size * _MOST or len(data) < size:
            break
    if found:
        yield bytes(found)


def _of_functions(rows: bytes, image: Image, size: int) -> bytes:
    if image.bits == 64:
        info, low, high = rows[4::24], rows[6::24], rows[7::24]
    else:
        info, low, high = rows[12::16], rows[14::16], rows[15::16]
    if image.sign == ">":
        low, high = high, low
    wanted = _both(_both(info.translate(_IS_FUNCTION), _either(low, high)), high.translate(_IS_REAL))
    return b"".join(compress(chain.from_iterable(Struct(f"{size}s").iter_unpack(rows)), wanted))


def _both(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") & int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _either(one: bytes, other: bytes) -> bytes:
    found = int.from_bytes(one.translate(_IS_SET), "big") | int.from_bytes(other.translate(_IS_SET), "big")
    return found.to_bytes(len(one), "big")


def _numbers(code: str, rows: bytes, image: Image) -> array[int]:
    found = array(code, rows)
    if (image.sign == "<") != (sys.byteorder == "little"):
        found.byteswap()
    return found


def _run(rows: bytes, code: list[tuple[int, int]], image: Image, strings: Section) -> Run:
    """Return functions by their addresses."""
    narrow = _numbers("I", rows, image)
    if image.bits == 64:
        wide = _numbers("Q", rows, image)
        names, addresses, sizes, info = narrow[0::6], wide[1::3], wide[2::3], rows[4::24]
    else:
        names, addresses, sizes, info = narrow[0::4], narrow[1::4], narrow[2::4], rows[12::16]
    starts, order = _in_order(addresses)
    reach = array("I", sizes if max(sizes) <= _WIDEST else [min(size, _WIDEST) for size in sizes])
    bound = array("B", info.translate(_BOUND))
    if 0 in reach:  # those in assembler may not tell: they reach to the next, or to the end
        for at in [at for at, size in enumerate(reach) if not size]:
            following = bisect_right(starts, addresses[at])
            alike = order[max(bisect_left(starts, addresses[at]), following - _BACK) : following]
            reach[at] = min(max(sizes[other] for other in alike), _WIDEST)
            bound[at] |= _SIZELESS
            if reach[at]:
                continue
            end = starts[following] if following < len(starts) else 1 << 64
            index = bisect_right(code, (addresses[at], 1 << 64)) - 1
            reach[at] = min(max(min(end, code[index][1]) - addresses[at], 0), _WIDEST) if index >= 0 else 0
    return Run(starts, order, reach, names, bound, image, strings)


def _in_order(addresses: array[int]) -> tuple[array[int], array[int]]:
    """Return addresses in order, and which of them each was.

    Both together are put into floats where there is room, which Python sorts in half the time: those that are not
    negative are in the order of their bytes.
    """
    count = len(addresses)
    if addresses.typecode == "Q" and max(addresses) < _LOW:
        both = array("I", bytes(8 * count))
        both[_INDEX::2], both[1 - _INDEX :: 2] = array("I", range(count)), array("I", addresses)
        found = array("I", array("d", sorted(array("d", both.tobytes()))).tobytes())
        return array("Q", found[1 - _INDEX :: 2]), found[_INDEX::2]
    order = sorted(range(count), key=addresses.__getitem__)
    return array("Q", map(addresses.__getitem__, order)), array("I", order)
