"""Functions of executables and libraries, out of their tables of symbols.

Format: the System V ABI's chapter 4, and for versions the section "Symbol Versioning" of the Linux Standard Base.
"""

from __future__ import annotations

import re
from contextlib import suppress
from struct import Struct, error
from typing import TYPE_CHECKING, NamedTuple

from bpfctl.errors import ObjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bpfctl.elf.image import Image, Section

_SYMTAB, _DYNSYM = 2, 11
_VERDEF, _VERSYM = 0x6FFFFFFD, 0x6FFFFFFF
_OBJECT, _FUNC, _IFUNC = 1, 2, 10  # STT_OBJECT, STT_FUNC, STT_GNU_IFUNC
_HIDDEN = 0x8000
_UNDEFINED, _RESERVED = 0, 0xFF00  # SHN_UNDEF, SHN_LORESERVE
_MOST_VERSIONS = 1 << 15
_LONGEST = 1 << 14  # bytes of a name; those of C++ are long
_MOST_LETTERS = 1 << 29  # bytes of all names of a table, which may share their ends
_MANGLED = b"_Z"
_VERSION = re.compile(r"(.+?)(@@?)(.+)", re.DOTALL)


class Function(NamedTuple):
    """A function; ``version`` is empty where it has none, ``is_default`` whether its bare name means it."""

    name: str
    version: str
    is_default: bool
    address: int
    size: int
    is_indirect: bool  # its address is that of what chooses the function when the program starts (STT_GNU_IFUNC)


def functions(image: Image, begin: str = "") -> list[Function]:
    """Return the functions that a file defines; ObjectError where its tables are damaged.

    With ``begin`` just those whose names may begin so, as they are or as people write them (`bpfctl.elf.cxx`).
    """
    return list(_symbols(image, frozenset({_FUNC, _IFUNC}), begin.encode("utf-8", "surrogateescape")))


def merged(found: Iterable[Function]) -> list[Function]:
    """Return each function of several tables once, by address; a version that one table knows holds for all."""
    by_place: dict[tuple[int, str, str], Function] = {}
    for one in found:
        known = by_place.setdefault((one.address, one.name, one.version), one)
        if one.size > known.size:
            by_place[one.address, one.name, one.version] = one
    for address, name, version in [*by_place]:
        if version:
            by_place.pop((address, name, ""), None)
    return [by_place[key] for key in sorted(by_place)]


def variables(image: Image) -> dict[str, int]:
    """Return the addresses of variables by name, of those of a name the first."""
    found: dict[str, int] = {}
    for one in _symbols(image, frozenset({_OBJECT})):
        found.setdefault(one.name, one.address)
    return found


def _symbols(image: Image, types: frozenset[int], begin: bytes = b"") -> Iterator[Function]:
    tables: dict[int, Section] = {}
    for section in image.sections:
        if section.type in (_SYMTAB, _DYNSYM):
            tables.setdefault(section.type, section)  # a file that has several of a type is not honest
    for section in tables.values():
        yield from _table(image, section, types, begin)


def _table(image: Image, section: Section, types: frozenset[int], begin: bytes) -> Iterator[Function]:
    rows = image.contents(section)
    if not 0 < section.link < len(image.sections):
        raise ObjectError(f"{image.name}: the symbols in {section.name} have no names")
    names = image.contents(image.sections[section.link])
    version_of = _versions(image) if section.type == _DYNSYM else None
    row = Struct(image.sign + ("IBBHQQ" if image.bits == 64 else "IIIBBH"))
    count, letters = len(rows) // row.size, 0
    for index, fields in enumerate(row.iter_unpack(rows[: count * row.size])):
        if image.bits == 64:
            at, info, _, where, address, size = fields
        else:
            at, address, size, info, _, where = fields
        if info & 15 not in types or not address or where == _UNDEFINED or where >= _RESERVED:
            continue
        if begin and not names.startswith((begin, _MANGLED), at):
            continue
        end = names.find(b"\0", at, at + _LONGEST)
        if end <= at:
            continue
        letters += end - at
        if letters > _MOST_LETTERS:
            raise ObjectError(f"{image.name}: the names in {section.name} claim more than {_MOST_LETTERS} bytes")
        name, version, is_default = names[at:end].decode("utf-8", "surrogateescape"), "", True
        if version_of is not None:
            version, is_default = version_of(index)
        elif "@" in name and (match := _VERSION.fullmatch(name)):
            name, version, is_default = match[1], match[3], match[2] == "@@"
        yield Function(name, version, is_default, address, size, info & 15 == _IFUNC)


def _versions(image: Image) -> Callable[[int], tuple[str, bool]] | None:
    """Return what tells the version of a symbol by its place in the table; None where there are none."""
    by_type = {section.type: section for section in image.sections if section.type in (_VERDEF, _VERSYM)}
    if len(by_type) < 2 or not 0 < by_type[_VERDEF].link < len(image.sections):
        return None
    numbers = image.contents(by_type[_VERSYM])
    names = _version_names(image, by_type[_VERDEF])
    number = Struct(image.sign + "H")

    def of(index: int) -> tuple[str, bool]:
        if (index + 1) * number.size > len(numbers):
            return "", True
        (value,) = number.unpack_from(numbers, index * number.size)
        name = names.get(value & ~_HIDDEN, "")
        return name, not (name and value & _HIDDEN)

    return of


def _version_names(image: Image, section: Section) -> dict[int, str]:
    """Return the names of versions by number; the first, which is the file's own name, is none."""
    data, strings = image.contents(section), image.contents(image.sections[section.link])
    definition, auxiliary = Struct(image.sign + "HHHHIII"), Struct(image.sign + "I")
    found: dict[int, str] = {}
    at = 0
    with suppress(error):  # what is cut off ends the list
        for _ in range(_MOST_VERSIONS):
            _, flags, number, _, _, first, distance = definition.unpack_from(data, at)
            (name,) = auxiliary.unpack_from(data, at + first)
            end = strings.find(b"\0", name)
            if not flags & 1 and end >= 0:  # VER_FLG_BASE
                found[number & ~_HIDDEN] = strings[name:end].decode("utf-8", "surrogateescape")
            if not distance:
                break
            at += distance
    return found
