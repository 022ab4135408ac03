"""DWARF, as far as it takes to find a function by its address, or by its name, and what it says of its parameters.

Format: DWARF 5, chapters 2, 6.1.2 and 7, and with it versions 2 to 4; GNU's extensions for a file that several share.
Units are read one by one, when somebody asks for something in them: files may have hundreds of megabytes of this.
Whatever is wrong with a file is an ObjectError.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from contextlib import suppress
from functools import cached_property
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.elf.dwarf_form import IMPLICIT, Form, Reading, Unreadable
from bpfctl.elf.dwarf_unit import INLINE, Unit
from bpfctl.elf.image import Image
from bpfctl.errors import BpfctlError, ObjectError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.elf.dwarf_unit import Die

_INLINED = (1, 3)  # DW_INL_inlined, DW_INL_declared_inlined
_LARGEST_SEARCH = 256 << 20  # bytes
_MOST_NEEDLES = 100
_MOST_UNITS = 1 << 18


class Shape(NamedTuple):
    """What entries of a kind look like: what they are, and the form of each attribute."""

    tag: int
    has_children: bool
    forms: tuple[tuple[int, Form], ...]


class Dwarf:
    """What a file tells of its functions."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self._units: dict[int, Unit] = {}
        self._tables: dict[int, dict[int, Shape]] = {}
        self._wholes: dict[str, bytes] = {}

    def damaged(self) -> ObjectError:
        """Return what is wrong with it."""
        return ObjectError(f"{self.image.name}: its debugging information is damaged")

    def whole(self, name: str) -> bytes:
        """Return a section, unpacked; nothing where it is not there."""
        if name not in self._wholes:
            section = self.image.section(name)
            self._wholes[name] = self.image.unpacked(section) if section is not None else b""
        return self._wholes[name]

    def part(self, name: str, at: int, size: int) -> bytes:
        """Return some bytes of a section, or fewer where it ends."""
        section = self.image.section(name)
        if section is None:
            return b""
        if section.is_compressed:
            return self.whole(name)[at : at + size]
        return self.image.part(section, at, size)

    def string(self, name: str, at: int) -> str:
        """Return a string that lies in a section."""
        found, step = b"", 64
        while b"\0" not in found:
            more = self.part(name, at + len(found), step)
            if not more or len(found) > 1 << 16:
                break
            found, step = found + more, step * 2
        return found.partition(b"\0")[0].decode("utf-8", "replace")

    def abbrevs(self, at: int) -> dict[int, Shape]:
        """Return what entries look like, by the code with which each begins: its tag and attributes."""
        if at not in self._tables:
            try:
                self._tables[at] = dict(self._abbrevs(Reading(self.whole(".debug_abbrev"), self.image.sign, at)))
            except Unreadable:
                raise self.damaged() from None
        return self._tables[at]

    @staticmethod
    def _abbrevs(read: Reading) -> Iterator[tuple[int, Shape]]:
        while code := read.uleb():
            tag, has_children = read.uleb(), bool(read.fixed(1))
            forms = []
            while True:
                attribute, form = read.uleb(), read.uleb()
                constant = read.sleb() if form == IMPLICIT else 0
                if not attribute:
                    break
                forms.append((attribute, Form(form, constant)))
            yield code, Shape(tag, has_children, tuple(forms))

    def unit(self, offset: int) -> Unit:
        """Return the unit that begins at an offset."""
        if offset not in self._units:
            try:
                self._units[offset] = Unit(self, offset)
            except Unreadable:
                raise self.damaged() from None
        return self._units[offset]

    @cached_property
    def _offsets(self) -> list[int]:
        """Where units begin."""
        section = self.image.section(".debug_info")
        size = len(self.whole(".debug_info")) if section is not None and section.is_compressed else 0
        end, at = size or (section.size if section is not None else 0), 0
        found: list[int] = []
        while at < end and len(found) < _MOST_UNITS:
            found.append(at)
            at = self.unit(at).end
        return found

    def die(self, offset: int) -> Die | None:
        """Return the entry at an offset of the section."""
        at = bisect_right(self._offsets, offset)
        if not at:
            return None
        unit = self.unit(self._offsets[at - 1])
        return unit.die(offset - unit.offset)

    @cached_property
    def shared(self) -> Dwarf | None:
        """What this file shares with others (dwz -m); None where it is not there, or another build's."""
        section = self.image.section(".gnu_debugaltlink")
        if section is None:
            return None
        name, _, build = self.image.contents(section).partition(b"\0")
        path = os.path.join(os.path.dirname(self.image.name), os.fsdecode(name))
        with suppress(BpfctlError):
            image = Image.open(path)
            if image.build_id == build.hex():
                return Dwarf(image)
        return None

    def function(self, address: int) -> Die | None:
        """Return the entry of the function that begins at an address."""
        return self._function(self._listed, address) or self._function(self._of_units, address)

    def _function(self, ranges: list[tuple[int, int, int]], address: int) -> Die | None:
        at = bisect_right(ranges, (address, 1 << 64, 0)) - 1
        if at < 0 or not ranges[at][0] <= address < ranges[at][1]:
            return None
        unit = self.unit(ranges[at][2])
        return unit.die(unit.functions[address]) if address in unit.functions else None

    @cached_property
    def _listed(self) -> list[tuple[int, int, int]]:
        """The ranges that the file lists, each with its end and its unit."""
        read, found = Reading(self.whole(".debug_aranges"), self.image.sign), []
        try:
            while read.at < len(read.data):
                start, width, size = read.at, 4, read.fixed(4)
                if size == 0xFFFFFFFF:
                    width, size = 8, read.fixed(8)
                end = read.at + size
                read.fixed(2)
                unit, address_size = read.fixed(width), read.fixed(1)
                read.fixed(1)
                row = Struct(self.image.sign + {4: "II", 8: "QQ"}.get(address_size, "QQ"))
                first = start + -(-(read.at - start) // row.size) * row.size
                rows = read.data[first:end]
                whole = rows[: len(rows) // row.size * row.size]
                found += [(begin, begin + length, unit) for begin, length in row.iter_unpack(whole) if length]
                read.at = max(end, read.at)
        except Unreadable:  # what is cut off is looked up by the units themselves
            pass
        return sorted(found)

    @cached_property
    def _of_units(self) -> list[tuple[int, int, int]]:
        """The ranges that units tell of themselves, each with its end and its unit."""
        found = []
        for offset in self._offsets:
            unit = self.unit(offset)
            if unit.is_code and unit.top is not None:
                found += [(begin, end, offset) for begin, end in unit.top.ranges() if begin]
        return sorted(found)

    def is_inlined(self, name: str) -> bool:
        """Return whether there is a function of this name that the compiler has put into those that call it.

        All units are looked through for the name, which nobody wants to wait for where they are very large.
        """
        sections = filter(None, map(self.image.section, (".debug_info", ".debug_str")))
        if sum(section.size for section in sections) > _LARGEST_SEARCH:
            return False
        functions = (die for unit in self._naming(name) for die in unit.subprograms())
        return any(die.number(INLINE) in _INLINED and die.name() == name for die in functions)

    def _naming(self, name: str) -> Iterator[Unit]:
        """Yield the units in which a name may be: each says it as text, or where the text lies."""
        spelled = name.encode("utf-8", "surrogateescape") + b"\0"
        needles = [spelled]
        strings, at = self.whole(".debug_str"), -1
        while (at := strings.find(spelled, at + 1)) >= 0 and len(needles) < _MOST_NEEDLES:
            needles.append(Struct(self.image.sign + "I").pack(at & 0xFFFFFFFF))
        has_indices = bool(self.image.section(".debug_str_offsets"))
        for offset in self._offsets:
            unit = self.unit(offset)
            if has_indices or any(needle in self.part(".debug_info", offset, unit.end - offset) for needle in needles):
                yield unit
