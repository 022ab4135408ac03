"""Functions of Go programs without a table of symbols: the runtime needs their names itself, to write stacks.

Format: runtime/symtab.go of Go 1.18 and later, struct pcHeader and the tables behind it, and struct moduledata. Names
are found in two steps, which are made when somebody asks for one.
"""

from __future__ import annotations

import sys
from array import array
from operator import sub
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bpfctl.elf.image import Image, Section

_MAGIC = (0xFFFFFFF0, 0xFFFFFFF1)  # of Go 1.18 and 1.20
_RELA, _NOBITS = 4, 8  # SHT_
_CODE = 0x4  # SHF_EXECINSTR
_MOST = 1 << 21  # functions
_LARGEST = 64 << 20  # bytes where something is looked for
_TEXT = 22  # words in front of the address of the code in struct moduledata
_ALIGNED = 32  # bytes
_OF_GO = (".go.", ".note.go.")
_DATA = (".go.module", ".noptrdata", ".data")


class Functions(NamedTuple):
    """Functions by address: where each begins, its size, and where in ``records`` it has the place of its name."""

    starts: array[int]
    sizes: array[int]
    places: array[int]
    records: Section
    names: Section


def functions(image: Image) -> Functions | None:
    """Return the functions of a Go program; None for what is none, or is one of a Go that is older or not known yet."""
    section = _table(image) if image.bits == 64 else None
    if section is None:
        return None
    head = Struct(f"{image.sign}IHBB8Q")
    data = image.part(section, 0, head.size)
    if len(data) < head.size:
        return None
    magic, _, _, width, count, _, text, names, _, _, _, records = head.unpack(data)
    if magic not in _MAGIC or width != 8 or not 0 < count <= _MOST:
        return None
    text = text or _text(image, section.address)
    if not any(0 <= text - one.address < one.size for one in image.sections if one.flags & _CODE):
        return None
    data = image.part(section, records, count * 8 + 4)
    if len(data) < count * 8 + 4:
        return None
    table = array("I", data)
    if (image.sign == "<") != (sys.byteorder == "little"):
        table.byteswap()
    begins = table[0::2].tolist()
    if sorted(begins) != begins:
        return None
    return Functions(
        array("Q", [text + begin for begin in begins[:-1]]),
        array("I", map(sub, begins[1:], begins)),
        table[1::2],
        _behind(section, records),
        _behind(section, names),
    )


def _table(image: Image) -> Section | None:
    """Return the section with the table; a linker that is not Go's may have put it among other constants."""
    known = {one.name: one for one in image.sections if one.type != _NOBITS and not one.is_compressed}
    section = next((one for name, one in known.items() if name.endswith(".gopclntab")), None)
    around = known.get(".data.rel.ro")
    if section is None and around is not None and any(name.startswith(_OF_GO) for name in known):
        data = image.part(around, 0, min(around.size, _LARGEST))
        for magic in _MAGIC:
            wanted = magic.to_bytes(4, "little" if image.sign == "<" else "big") + bytes(2)
            at = data.find(wanted)
            while at % _ALIGNED and at >= 0:
                at = data.find(wanted, at + 1)
            if at >= 0:
                return _behind(around, at)
    return section


def _behind(section: Section, offset: int) -> Section:
    address, size = section.address + offset, max(section.size - offset, 0)
    return section._replace(address=address, offset=section.offset + offset, size=size)


def _text(image: Image, table: int) -> int:
    """Return the address of the code, which struct moduledata has behind the address of the table; 0 for none.

    In a program that may lie anywhere both are filled in when it starts.
    """
    left = _LARGEST
    for section in image.sections:
        if section.type == _RELA:
            words = _words(image, section, left)
            places, added = words[0 : len(words) // 3 * 3 : 3], words[2::3]
            place = places[added.index(table)] + _TEXT * 8 if table in added else -1
            if place in places:
                return added[places.index(place)]
        elif section.name in _DATA and section.type != _NOBITS and not section.is_compressed:
            words = _words(image, section, left)
            at = words.index(table) + _TEXT if table in words else len(words)
            if at < len(words) and words[at]:
                return words[at]
        else:
            continue
        left -= words.itemsize * len(words)
    return 0


def _words(image: Image, section: Section, most: int) -> array[int]:
    data = image.part(section, 0, min(section.size, most))
    words = array("Q", data[: len(data) // 8 * 8])
    if (image.sign == "<") != (sys.byteorder == "little"):
        words.byteswap()
    return words
