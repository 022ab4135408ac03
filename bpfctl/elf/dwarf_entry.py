"""Entries of DWARF, which pyelftools reads, and how one leads to others.

Entries of functions refer to what they are an instance of, or complete: what they do not say themselves, that one says.
They are read when somebody asks for them, and not kept: units may have millions.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from elftools.dwarf.die import DIE

from bpfctl.errors import ObjectError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from elftools.dwarf.compileunit import CompileUnit
    from elftools.dwarf.die import AttributeValue
    from elftools.dwarf.typeunit import TypeUnit

    from bpfctl.elf.dwarf import Dwarf

    Unit = CompileUnit | TypeUnit

_NAMED = frozenset({"DW_TAG_namespace", "DW_TAG_module"})
_ORIGINS = ("DW_AT_abstract_origin", "DW_AT_specification")
_MOST_STEPS = 16  # from an entry to what says a thing of it


class Entry:
    """An entry: what it is (``tag``), and what it says; ``die`` is pyelftools' own."""

    __slots__ = ("die", "dwarf")

    def __init__(self, dwarf: Dwarf, die: DIE) -> None:
        self.dwarf, self.die = dwarf, die

    @classmethod
    def read(cls, dwarf: Dwarf, unit: Unit, offset: int) -> Self:
        """Return the entry at an offset of the section, which is in a unit."""
        top = unit.get_top_DIE()
        if not unit.cu_die_offset <= offset < unit.cu_offset + unit.size:
            raise ObjectError(f"{dwarf.image.name}: its debugging information leads nowhere")
        return cls(dwarf, DIE(unit, top.stream, offset))

    @property
    def tag(self) -> str | int | None:
        """What it is, such as DW_TAG_subprogram."""
        return self.die.tag

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from all others."""
        return id(self.die.stream), self.die.offset

    @property
    def offset(self) -> int:
        """Where in the section it is."""
        return self.die.offset

    @property
    def top(self) -> Entry:
        """The entry of the unit that it is in."""
        return Entry(self.dwarf, self.die.cu.get_top_DIE())

    def own(self, attribute: str) -> AttributeValue | None:
        """Return what this very entry says."""
        found: AttributeValue | None = self.die.attributes.get(attribute)
        return found

    def _saying(self, attribute: str) -> Entry | None:
        entry: Entry | None = self
        for _ in range(_MOST_STEPS):
            if entry is None or attribute in entry.die.attributes:
                return entry
            entry = entry.at(_ORIGINS[0]) or entry.at(_ORIGINS[1])
        return None

    def says(self, attribute: str) -> bool:
        """Return whether it says a thing, or what it is an instance of, or completes."""
        return self._saying(attribute) is not None

    def at(self, attribute: str) -> Entry | None:
        """Return the entry that this very one refers to."""
        value = self.own(attribute)
        if value is None or not value.form.startswith(("DW_FORM_ref", "DW_FORM_GNU_ref")):
            return None
        if value.form == "DW_FORM_ref_sig8":
            return self.dwarf.signed(value.raw_value)
        with suppress(NotImplementedError, KeyError):  # it is in a file that we have not
            return Entry(self.dwarf, self.die.get_DIE_from_attribute(attribute))
        return None

    def refers(self, attribute: str) -> Entry | None:
        """Return the entry that it refers to; None for one that is in no file that we have."""
        entry = self._saying(attribute)
        return entry.at(attribute) if entry is not None else None

    def name(self) -> str:
        """Return its name, empty where it has none."""
        entry = self._saying("DW_AT_name")
        value = entry.own("DW_AT_name") if entry is not None else None
        return value.value.decode("utf-8", "replace") if value is not None and isinstance(value.value, bytes) else ""

    def number(self, attribute: str) -> int | None:
        """Return a constant."""
        entry = self._saying(attribute)
        value = entry.own(attribute) if entry is not None else None
        return value.value if value is not None and isinstance(value.value, int) else None

    def children(self) -> Iterator[Entry]:
        """Yield the entries right below."""
        if not self.die.has_children:
            return
        at = self.after
        while (entry := self._next(at)).tag is not None:
            yield entry
            at = entry.end()

    @property
    def after(self) -> int:
        """Where the next entry is, which may be one below."""
        return self.die.offset + self.die.size

    def _next(self, at: int) -> Entry:
        return Entry.read(self.dwarf, self.die.cu, at)

    def end(self) -> int:
        """Return where the next entry on the same level is."""
        at, depth = self.after, 1
        if not self.die.has_children:
            return at
        sibling = self.own("DW_AT_sibling")
        if sibling is not None and isinstance(sibling.value, int):
            base = 0 if sibling.form == "DW_FORM_ref_addr" else self.die.cu.cu_offset
            if base + sibling.value > at:
                return base + sibling.value
        while depth:
            entry = self._next(at)
            depth += bool(entry.die.has_children) - (entry.tag is None)
            at = entry.after
        return at

    def subprograms(self) -> Iterator[Entry]:
        """Yield the entries of functions below, those in namespaces too."""
        left = [self]
        while left:
            for entry in left.pop().children():
                if entry.tag == "DW_TAG_subprogram":
                    yield entry
                elif entry.tag in _NAMED:
                    left.append(entry)

    def begin(self) -> int | None:
        """Return the address where a function begins; None where it has no code of its own."""
        for attribute in ("DW_AT_entry_pc", "DW_AT_low_pc"):
            value = self.own(attribute)
            if value is not None and value.form.startswith("DW_FORM_addr") and isinstance(value.value, int):
                return value.value
        return next((begin for begin, _ in self.ranges()), None)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield the beginning and end of each part of its code."""
        low, high, others = self.own("DW_AT_low_pc"), self.own("DW_AT_high_pc"), self.own("DW_AT_ranges")
        if low is not None and high is not None:
            yield low.value, high.value + (0 if high.form.startswith("DW_FORM_addr") else low.value)
        if others is not None:
            first = self.die.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
            yield from self.dwarf.listed(self.die.cu, others.value, first.value if first is not None else 0)
