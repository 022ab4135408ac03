"""The functions of a file by the names that users write."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING

from bpfctl.plugin import (
    NotFound,
    UsageError,
    chosen,
    cxx_name,
    is_pattern,
    is_probeable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bpfctl.plugin import Binary, Function

NUMBER = re.compile(r"0x[0-9a-fA-F]{1,16}|0|[1-9]\d{0,18}", re.ASCII)
_LONGEST = 15  # bytes of an instruction of x86
_CHANGED = re.compile(r"\.(?:isra|constprop|part)\.")


class Functions:
    """The functions of a binary."""

    def __init__(self, binary: Binary) -> None:
        self.binary = binary
        self.path = binary.name

    @cached_property
    def _by_name(self) -> dict[str, list[Function]]:
        """The functions that a name means: without a version those that it has by default, if it has some."""
        found: dict[str, list[Function]] = {}
        for one in self.binary.functions:
            found.setdefault(one.name, []).append(one)
        for one in self.binary.functions:
            name = cxx_name(one.name)
            if name and (name not in found or found[name][0].name != name):  # a function of C has its name for itself
                found.setdefault(name, []).append(one)
        for name, several in found.items():
            found[name] = [one for one in several if one.is_default] or several
        for one in self.binary.functions:
            if one.version:
                found.setdefault(f"{one.name}@{one.version}", []).append(one)
        return found

    def is_changed(self, address: int) -> bool:
        """Return whether the compiler has made a function out of another one, which may take something else."""
        return address in self._changed

    @cached_property
    def _changed(self) -> frozenset[int]:
        return frozenset(one.address for one in self.binary.functions if _CHANGED.search(one.name))

    def matching(self, pattern: str) -> list[str]:
        """Return the names that a pattern matches, those with a version only where the pattern has one too."""
        begin = re.split(r"[*?\[@]", pattern, maxsplit=1)[0]
        found = list(self.binary.functions_beginning(begin))
        if "@" in pattern:
            return _matching({f"{one.name}@{one.version}" for one in found if one.version}, pattern)
        return _matching({name for one in found for name in (one.name, cxx_name(one.name)) if name}, pattern)

    def chosen(self, pattern: str, offset: int) -> dict[str, Sequence[int]]:
        """Return the addresses of the functions that a name or pattern means, by name; an address means itself.

        Functions of one name that are in the file several times are one; names of one function that a pattern matches
        are one, the shortest; those that the kernel cannot probe are no match. NotFound, and UsageError for an offset
        behind a function's end.
        """
        if NUMBER.fullmatch(pattern):
            return {f"{int(pattern, 0):#x}": (int(pattern, 0),)}
        pattern = pattern.replace("@@", "@")
        if not self.binary.functions:
            raise NotFound(f"{self._stripped()}: name an address, as in :0x1234")
        if not is_pattern(pattern):
            return {pattern: self._addresses(pattern, self._exactly(pattern), offset)}
        names = _matching(self._by_name, pattern)
        if not names:
            raise NotFound(f"no function of {self.path} matches '{pattern}'")
        usable = {name: [one for one in self._by_name[name] if not one.is_indirect] for name in names}
        if not any(usable.values()):
            raise _indirect(names[0], self.path, self.binary.functions)
        usable = {name: [one for one in several if self._is_probeable(one, offset)] for name, several in usable.items()}
        if not any(usable.values()):
            raise NotFound(f"the kernel can probe no function of {self.path} that matches '{pattern}'")
        taken: set[int] = set()
        found = {}
        for name in sorted(usable, key=lambda name: (len(name), name)):
            addresses = [each for each in self._addresses(name, usable[name], offset) if each not in taken]
            taken.update(addresses)
            if addresses:
                found[name] = addresses
        return dict(sorted(found.items()))

    def _exactly(self, name: str) -> list[Function]:
        if name not in self._by_name:
            base = name.partition("@")[0]
            versions = [one.version for one in self._by_name.get(base, ()) if one.version]
            if "@" in name and versions:
                raise NotFound(f"{base} of {self.path} has no such version, but {', '.join(versions)}")
            raise self._absent(name)
        found = [one for one in self._by_name[name] if not one.is_indirect]
        if not found:
            raise _indirect(name, self.path, self.binary.functions)
        return found

    def _absent(self, name: str) -> NotFound:
        """Return why there is no function of a name, and what is close."""
        made = sorted(each for each in self._by_name if each.startswith(f"{name}."))
        if made:
            return NotFound(f"the compiler has made something else of '{name}' in {self.path}: {', '.join(made)}")
        if self.binary.is_inlined(name.rpartition("::")[2]):
            return NotFound(f"'{name}' has no code of its own in {self.path}: it is inlined wherever it is called")
        try:
            chosen(self._by_name, name, f"function of {self.path} named")
        except NotFound as error:
            return NotFound(f"{error} ({self._stripped()})") if self.binary.is_stripped else error
        return NotFound(name)

    def _stripped(self) -> str:
        places = self.binary.debug_files
        where = f"its debug file is not there, such as {places[0]}" if places else "it does not tell of a debug file"
        return f"{self.path} is stripped, and {where}"

    def _is_probeable(self, one: Function, offset: int) -> bool:
        """Return whether the kernel can probe a function; the few that it cannot spoil no pattern."""
        image = self.binary.image
        return is_probeable(image.code(one.address + offset, _LONGEST), image.machine)

    def _addresses(self, name: str, functions: Iterable[Function], offset: int) -> Sequence[int]:
        found = {one.address: one.size for one in functions}
        for address, size in found.items():
            if offset and size:
                self._check(f"{name}+{offset:#x}", address, size, offset)
        return list(found)

    def _check(self, word: str, address: int, size: int, offset: int) -> None:
        """Raise UsageError where no instruction begins: a process would run into the middle of a breakpoint."""
        if offset >= size:
            raise UsageError(f"'{word}' lies behind the function's end, which has {size:#x} bytes")
        beginnings = self.binary.beginnings(address, min(size, offset + _LONGEST + 1))  # and one that begins behind it
        if beginnings and offset not in beginnings:
            before = max(at for at in beginnings if at < offset)
            behind = min((at for at in beginnings if at > offset), default=before)
            near = " and ".join(f"+{at:#x}" for at in sorted({before, behind}))
            raise UsageError(f"'{word}' is in the middle of an instruction: they begin at {near}")


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    match = re.compile(translate(pattern)).match
    return [name for name in sorted(names) if match(name) and ("@" in name) == ("@" in pattern)]


def _indirect(name: str, path: str, functions: Iterable[Function]) -> NotFound:
    """Return why an indirect function is no place for a probe, and what may be."""
    base = name.partition("@")[0].lstrip("_")
    near = sorted({one.name for one in functions if f"{base}_" in one.name and not one.is_indirect})
    instead = f", such as {', '.join(near[:5])}" if near else "; their names are in its debug file"
    return NotFound(
        f"'{name}' in {path} is no function itself: each process chooses one for its CPU when it starts (IFUNC). "
        f"Probe those that it chooses from{instead}"
    )
