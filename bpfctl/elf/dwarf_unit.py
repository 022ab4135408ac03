"""Units of DWARF, and the entries in them.

Format: DWARF 5, 7.5.1, 7.5.2 and 7.28. Entries of functions refer to what they are an instance of, or complete: what
they do not say themselves, that one says.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.elf.dwarf_form import Reading, Unreadable
from bpfctl.errors import ObjectError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfctl.elf.dwarf import Dwarf, Shape
    from bpfctl.elf.dwarf_form import Value

NAME, LOW_PC, HIGH_PC, INLINE, DECLARATION = 0x03, 0x11, 0x12, 0x20, 0x3C
_RANGES, _ORIGIN, _SPECIFICATION, _ENTRY_PC, _SIBLING = 0x55, 0x31, 0x47, 0x52, 0x01
_STR_OFFSETS_BASE, _ADDR_BASE, _RNGLISTS_BASE = 0x72, 0x73, 0x74
SUBPROGRAM, _NAMESPACE, _MODULE = 0x2E, 0x39, 0x1E
_COMPILED = 1  # DW_UT_compile
_LARGEST = 64 << 20  # bytes of a unit
_MOST_ENTRIES = 1 << 22  # that are read of a unit
_MOST_STEPS = 16  # from an entry to what says a thing of it


class Die(NamedTuple):
    """An entry: what it is, and its attributes; ``after`` is the offset of the next one in the unit."""

    unit: Unit
    offset: int
    tag: int
    has_children: bool
    attributes: dict[int, Value]
    after: int

    def value(self, attribute: int) -> Value | None:
        """Return an attribute, also of what this entry is an instance of, or completes."""
        die = self._with(attribute)
        return die.attributes[attribute] if die is not None else None

    def _with(self, attribute: int) -> Die | None:
        die: Die | None = self
        for _ in range(_MOST_STEPS):
            if die is None or attribute in die.attributes:
                return die
            die = die.origin()
        return None

    def at(self, attribute: int) -> Die | None:
        """Return the entry that an attribute of this very one refers to."""
        value = self.attributes.get(attribute)
        return self.unit.referred(value) if value is not None else None

    def refers(self, attribute: int) -> Die | None:
        """Return the entry that an attribute refers to."""
        die = self._with(attribute)
        return die.at(attribute) if die is not None else None

    def origin(self) -> Die | None:
        """Return what this is an instance of, or completes."""
        return self.at(_ORIGIN) or self.at(_SPECIFICATION)

    def name(self) -> str:
        """Return its name, empty where it has none."""
        die = self._with(NAME)
        return die.unit.text(die.attributes[NAME]) if die is not None else ""

    def number(self, attribute: int) -> int | None:
        """Return a constant."""
        value = self.value(attribute)
        return value.number if value is not None and isinstance(value.number, int) else None

    def children(self) -> Iterator[Die]:
        """Yield the entries right below."""
        if not self.has_children:
            return
        at = self.after
        while (die := self.unit.die(at)) is not None:
            yield die
            at = die.end()

    def end(self) -> int:
        """Return where the next entry on the same level is."""
        if not self.has_children:
            return self.after
        sibling = self.attributes.get(_SIBLING)
        if sibling is not None and isinstance(sibling.number, int) and sibling.number > self.after:
            return sibling.number
        at, depth = self.after, 1
        while depth:
            die = self.unit.die(at)
            if die is None:
                depth -= 1
                at += 1
            else:
                depth += die.has_children
                at = die.after
        return at

    def entry(self) -> int | None:
        """Return the address where a function begins; None where it has no code of its own."""
        for attribute in (_ENTRY_PC, LOW_PC):
            value = self.attributes.get(attribute)
            if value is not None and value.form.is_address:
                return self.unit.address(value)
        if _RANGES in self.attributes:
            return next((begin for begin, _ in self.ranges()), None)
        return None

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield the beginning and end of each part of its code."""
        low, high = self.attributes.get(LOW_PC), self.attributes.get(HIGH_PC)
        begin = self.unit.address(low) if low is not None else 0
        if high is not None and low is not None and isinstance(high.number, int):
            yield begin, self.unit.address(high) if high.form.is_address else begin + high.number
        ranges = self.attributes.get(_RANGES)
        if ranges is not None and isinstance(ranges.number, int):
            yield from self.unit.ranges(ranges)


class Unit:
    """One compilation, or what several share: its header, and its entries by their offset in it."""

    def __init__(self, dwarf: Dwarf, offset: int) -> None:
        self.dwarf, self.offset = dwarf, offset
        self._sign = dwarf.image.sign
        head = dwarf.part(".debug_info", offset, 48)
        read = Reading(head, self._sign)
        size = read.fixed(4)
        self.width: int = 4  # of an offset in a section
        if size == 0xFFFFFFFF:
            self.width, size = 8, read.fixed(8)
        self.end = offset + read.at + size
        self.version: int = read.fixed(2)
        self.address_size: int
        if not 2 <= self.version <= 5 or not 0 < size:
            raise dwarf.damaged()
        kind = _COMPILED
        if self.version == 5:
            kind, self.address_size = read.fixed(1), read.fixed(1)
            abbrevs = read.fixed(self.width)
            read.at += {4: 8, 5: 8, 2: 8 + self.width, 6: 8 + self.width}.get(kind, 0)
        else:
            abbrevs, self.address_size = read.fixed(self.width), read.fixed(1)
        if self.address_size not in (4, 8):
            raise dwarf.damaged()
        self._first, self._abbrevs_at = read.at, abbrevs
        self.is_code = kind == _COMPILED
        self._patience = min(8 * size, _MOST_ENTRIES)

    @cached_property
    def data(self) -> bytes:
        """All of it."""
        if self.end - self.offset > _LARGEST:
            raise ObjectError(f"{self.dwarf.image.name}: a unit of its debugging information is too large")
        return self.dwarf.part(".debug_info", self.offset, self.end - self.offset)

    @cached_property
    def _abbrevs(self) -> dict[int, Shape]:
        return self.dwarf.abbrevs(self._abbrevs_at)

    @cached_property
    def top(self) -> Die | None:
        """The entry of the unit itself."""
        return self.die(self._first)

    def _base(self, attribute: int) -> int:
        value = self.top.attributes.get(attribute) if self.top is not None else None
        return value.number if value is not None and isinstance(value.number, int) else 0

    def die(self, at: int) -> Die | None:
        """Return the entry at an offset; None where a list of them ends."""
        read = Reading(self.data, self._sign, at)
        self._patience -= 1
        if self._patience < 0:  # entries that lead in circles, or more than anybody wants to wait for
            raise self.dwarf.damaged()
        try:
            code = read.uleb()
            if not code:
                return None
            shape = self._abbrevs[code]
            attributes = {name: form.read(read, self) for name, form in shape.forms}
        except (Unreadable, KeyError):
            raise self.dwarf.damaged() from None
        return Die(self, at, shape.tag, shape.has_children, attributes, read.at)

    def text(self, value: Value) -> str:
        """Return the string that a value is."""
        form, number = value
        if isinstance(number, bytes):
            return number.decode("utf-8", "replace")
        dwarf, section = self.dwarf, form.section
        if form.is_shared:
            shared = dwarf.shared
            return shared.string(".debug_str", number) if shared is not None else ""
        if form.is_index:
            # Without a base it is the first after the header: that is how a file with one unit may be.
            base = self._base(_STR_OFFSETS_BASE) or (2 * self.width if self.version == 5 else 0)
            entry = dwarf.part(".debug_str_offsets", base + number * self.width, self.width)
            number = Reading(entry, self._sign).fixed(self.width)
            section = ".debug_str"
        return dwarf.string(section or ".debug_str", number)

    def address(self, value: Value) -> int:
        """Return the address that a value is."""
        number = value.number if isinstance(value.number, int) else 0
        return self._indexed(number) if value.form.is_index else number

    def _indexed(self, index: int) -> int:
        at = (self._base(_ADDR_BASE) or 8) + index * self.address_size
        return Reading(self.dwarf.part(".debug_addr", at, self.address_size), self._sign).fixed(self.address_size)

    def referred(self, value: Value) -> Die | None:
        """Return the entry that a value refers to; None for one that is in no file that we have."""
        form, number = value
        if not form.is_reference or not isinstance(number, int):
            return None
        if form.is_shared:
            return self.dwarf.shared.die(number) if self.dwarf.shared is not None else None
        if form.is_global:
            return self.dwarf.die(number)
        return self.die(number)

    def ranges(self, value: Value) -> Iterator[tuple[int, int]]:
        """Yield the beginnings and ends of a list of ranges."""
        top = self.top
        low = top.attributes.get(LOW_PC) if top is not None else None
        base = self.address(low) if low is not None else 0
        at = value.number if isinstance(value.number, int) else 0
        yield from self._ranges(value, at, base) if self.version >= 5 else self._old_ranges(at, base)

    def _ranges(self, value: Value, at: int, base: int) -> Iterator[tuple[int, int]]:
        if value.form.is_index:
            start = self._base(_RNGLISTS_BASE)
            entry = self.dwarf.part(".debug_rnglists", start + at * self.width, self.width)
            at = start + Reading(entry, self._sign).fixed(self.width)
        read, size = Reading(self.dwarf.whole(".debug_rnglists"), self._sign, at), self.address_size
        while kind := read.fixed(1):
            match kind:
                case 1:
                    base = self._indexed(read.uleb())
                case 2:
                    yield self._indexed(read.uleb()), self._indexed(read.uleb())
                case 3:
                    begin = self._indexed(read.uleb())
                    yield begin, begin + read.uleb()
                case 4:
                    yield base + read.uleb(), base + read.uleb()
                case 5:
                    base = read.fixed(size)
                case 6:
                    yield read.fixed(size), read.fixed(size)
                case 7:
                    begin = read.fixed(size)
                    yield begin, begin + read.uleb()
                case _:
                    raise self.dwarf.damaged()

    def _old_ranges(self, at: int, base: int) -> Iterator[tuple[int, int]]:
        read, size = Reading(self.dwarf.whole(".debug_ranges"), self._sign, at), self.address_size
        while True:
            begin, end = read.fixed(size), read.fixed(size)
            if not begin and not end:
                return
            if begin == (1 << 8 * size) - 1:
                base = end
            else:
                yield base + begin, base + end

    @cached_property
    def functions(self) -> dict[int, int]:
        """The offsets of the entries of functions that have code, by the address where that begins."""
        found: dict[int, int] = {}
        for die in self.subprograms():
            address = die.entry()
            if address:
                found.setdefault(address, die.offset)
        return found

    def subprograms(self) -> Iterator[Die]:
        """Yield the entries of functions, those in namespaces too."""
        left = [self.top] if self.top is not None else []
        while left:
            for die in left.pop().children():
                if die.tag == SUBPROGRAM:
                    yield die
                elif die.tag in (_NAMESPACE, _MODULE):
                    left.append(die)
