"""DWARF, as far as it takes to find a function by its address, or by its name, and what it says of its parameters.

pyelftools reads it: DWARF 2 to 5, types in units of their own, and what several files share. What is
here is what it is asked: units one by one, since files may have hundreds of megabytes of this, and with limits, since
files may be hostile. Whatever is wrong with one is an ObjectError.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import islice
from struct import Struct
from typing import IO, TYPE_CHECKING, cast

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo
from elftools.dwarf.ranges import BaseAddressEntry

from bpfctl.elf.dwarf_entry import Entry
from bpfctl.elf.dwarf_stream import Patience, Stream
from bpfctl.elf.image import Image
from bpfctl.errors import BpfctlError, ObjectError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elftools.dwarf.aranges import ARanges
    from elftools.dwarf.compileunit import CompileUnit

    from bpfctl.elf.dwarf_entry import Unit

_READ = (
    "abbrev",
    "addr",
    "aranges",
    "info",
    "line_str",
    "loclists",
    "ranges",
    "rnglists",
    "str",
    "str_offsets",
    "types",
)
_UNREAD = ("debug_frame", "debug_line", "debug_loc", "debug_pubnames", "debug_pubtypes", "debug_sup", "eh_frame")
_INLINED = (1, 3)  # DW_INL_inlined, DW_INL_declared_inlined
_LARGEST_SEARCH = 256 << 20  # bytes
_MOST_NEEDLES = 100
_LARGEST_LINK = 1 << 16  # bytes of a section that names a file
_MOST_UNITS = 1 << 18
# What pyelftools raises for damage: its own errors, and all that comes of numbers that lead nowhere.
_DAMAGE = (
    DWARFError,
    ELFError,
    ConstructError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)


class Dwarf:
    """What a file tells of its functions."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self._patience = Patience()
        self._functions: dict[int, dict[int, int]] = {}  # by unit and address, where their entries are

    @contextmanager
    def question(self) -> Iterator[None]:
        """Read what one question takes; ObjectError where that is damaged, or more than anybody wants to wait for."""
        self._patience.renew()
        try:
            yield
        except _DAMAGE:
            raise ObjectError(f"{self.image.name}: its debugging information is damaged") from None

    @cached_property
    def _info(self) -> DWARFInfo:
        made, shared = self._opened(self.image), self._shared()
        made.supplementary_dwarfinfo = self._opened(shared) if shared is not None else None
        return made

    def _opened(self, image: Image) -> DWARFInfo:
        sections = {f"debug_{name}": self._section(image, f".debug_{name}") for name in _READ}
        sections |= dict.fromkeys((*_UNREAD, "gnu_debugaltlink"))
        config = DwarfConfig(image.sign == "<", "", image.bits // 8)
        return DWARFInfo(config, **{f"{name}_sec": section for name, section in sections.items()})

    def _section(self, image: Image, name: str) -> DebugSectionDescriptor | None:
        section = image.section(name)
        if section is None:
            return None
        stream = Stream(image, section, self._patience)
        return DebugSectionDescriptor(cast(IO[bytes], stream), name, section.offset, stream.size, section.address)

    def _shared(self) -> Image | None:
        """Return what this file shares with others (dwz -m); None where it is not there, or another build's."""
        section = self.image.section(".gnu_debugaltlink")
        if section is None:
            return None
        name, _, build = self.image.contents(section, _LARGEST_LINK).partition(b"\0")
        path = os.path.join(os.path.dirname(self.image.name), os.fsdecode(name))
        with suppress(BpfctlError):
            image = Image.open(path)
            if image.build_id == build.hex():
                return image
        return None

    @property
    def _units(self) -> Iterator[CompileUnit]:
        return islice(self._info.iter_CUs(), _MOST_UNITS)

    @contextmanager
    def _salvage(self) -> Iterator[None]:
        """Read as far as it is not damaged, and not a second time."""
        with suppress(ObjectError), self.question():
            yield

    def function(self, address: int) -> Entry | None:
        """Return the entry of the function that begins at an address, where what tells of it is not damaged."""
        with self.question():
            return self._in_unit(self._listing(address), address) or self._in_unit(self._telling(address), address)

    def _listing(self, address: int) -> int | None:
        """Return the unit that the file's list of ranges has for an address."""
        return self._aranges.cu_offset_at_addr(address) if self._aranges is not None else None

    @cached_property
    def _aranges(self) -> ARanges | None:
        with self._salvage():
            found = self._info.get_aranges()
            return found if found is not None and found.entries else None
        return None

    def _telling(self, address: int) -> int | None:
        """Return the unit that tells of an address in its own ranges."""
        at = bisect_right(self._ranges, (address, 1 << 64, 0)) - 1
        return self._ranges[at][2] if at >= 0 and self._ranges[at][0] <= address < self._ranges[at][1] else None

    @cached_property
    def _ranges(self) -> list[tuple[int, int, int]]:
        """The ranges that units tell of themselves, each with its end and its unit."""
        found: list[tuple[int, int, int]] = []
        with self._salvage():
            for unit in self._units:
                if unit.header.get("unit_type", "DW_UT_compile") == "DW_UT_compile":
                    ranges = Entry(self, unit.get_top_DIE()).ranges()
                    found += [(begin, end, unit.cu_offset) for begin, end in ranges if begin]
        return sorted(found)

    def _in_unit(self, offset: int | None, address: int) -> Entry | None:
        if offset is None:
            return None
        if offset not in self._functions:
            self._functions[offset] = {}
            with self._salvage():
                for entry in Entry(self, self._info.get_CU_at(offset).get_top_DIE()).subprograms():
                    begin = entry.begin()
                    if begin:
                        self._functions[offset].setdefault(begin, entry.offset)
        at = self._functions[offset].get(address)
        return Entry.read(self, self._info.get_CU_at(offset), at) if at is not None else None

    def listed(self, unit: Unit, at: int, base: int) -> Iterator[tuple[int, int]]:
        """Yield the beginnings and ends of a list of ranges, which count from a ``base``."""
        lists = self._info.range_lists()
        for one in lists.get_range_list_at_offset(at, cast("CompileUnit", unit)) if lists is not None else ():
            if isinstance(one, BaseAddressEntry):
                base = one.base_address
            else:
                start = 0 if one.is_absolute else base
                yield start + one.begin_offset, start + one.end_offset

    def signed(self, signature: int) -> Entry | None:
        """Return the type with a signature, which has a unit of its own; None where that is not there."""
        unit = self._types.get(signature)
        return Entry.read(self, unit, unit.cu_offset + unit["type_offset"]) if unit is not None else None

    @cached_property
    def _types(self) -> dict[int, Unit]:
        """Units of types, by their signatures: those of DWARF 4 have a section of their own."""
        found: dict[int, Unit] = {unit["signature"]: unit for unit in islice(self._info.iter_TUs(), _MOST_UNITS)}
        return found | {unit["type_signature"]: unit for unit in self._units if "type_signature" in unit.header}

    def is_inlined(self, name: str) -> bool:
        """Return whether there is a function of this name that the compiler has put into those that call it.

        All units are looked through for the name, which nobody wants to wait for where they are very large.
        """
        sections = filter(None, map(self.image.section, (".debug_info", ".debug_str")))
        if sum(section.size for section in sections) > _LARGEST_SEARCH:
            return False
        with self.question():
            tops = (Entry(self, unit.get_top_DIE()) for unit in self._naming(name))
            functions = (entry for top in tops for entry in top.subprograms())
            return any(entry.number("DW_AT_inline") in _INLINED and entry.name() == name for entry in functions)

    def _naming(self, name: str) -> Iterator[CompileUnit]:
        """Yield the units in which a name may be: each says it as text, or where the text lies."""
        spelled = name.encode("utf-8", "surrogateescape") + b"\0"
        needles = [spelled]
        strings, at = _whole(self._info.debug_str_sec), -1
        while (at := strings.find(spelled, at + 1)) >= 0 and len(needles) < _MOST_NEEDLES:
            needles.append(Struct(self.image.sign + "I").pack(at & 0xFFFFFFFF))
        has_indices, entries = self._info.debug_str_offsets_sec is not None, _whole(self._info.debug_info_sec)
        for unit in self._units:
            begin, end = unit.cu_offset, unit.cu_offset + unit.size
            if has_indices or any(entries.find(needle, begin, end) >= 0 for needle in needles):
                yield unit


def _whole(section: DebugSectionDescriptor | None) -> bytes:
    if section is None:
        return b""
    section.stream.seek(0)
    return section.stream.read(section.size)
