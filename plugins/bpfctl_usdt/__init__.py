"""usdt:FILE:PROVIDER:NAME fires where the authors of a program have put a static probe."""

from __future__ import annotations

import re
from contextlib import nullcontext, suppress
from fnmatch import translate
from functools import cached_property, partial
from typing import TYPE_CHECKING

from bpfctl.plugin import (
    API,
    Binary,
    NotFound,
    ObjectError,
    ProbePoint,
    UprobePlace,
    UsageError,
    chosen,
    is_pattern,
    known,
    process_files,
    process_groups,
    registers,
)
from bpfctl_usdt.field import Around, fields, strings, unreadable
from bpfctl_usdt.note import sites
from bpfctl_usdt.operand import Constant, InMemory, arguments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import ExitStack
    from typing import Any, Self

    from bpfctl.plugin import Field, Group, Process
    from bpfctl_usdt.note import Site
    from bpfctl_usdt.operand import Argument

#: What is no register may be the name of a variable: only then the table of symbols has to be read.
_MAY_NAME = re.compile(r"(?:^|[@$:\s+])(?![xw]\d|[xw]zr|sp|wsp|fp|lr|[us]xt[wx]|lsl)[A-Za-z_.]")


class File:
    """The static probes of a file."""

    def __init__(self, word: str, process: Process | None = None) -> None:
        self.binary = Binary.find(word, process)

    @cached_property
    def probes(self) -> dict[str, list[Site]]:
        """The places of each probe, by PROVIDER:NAME in their order."""
        found: dict[str, list[Site]] = {}
        for site in sites(self.binary):
            found.setdefault(f"{site.provider}:{site.name}", []).append(site)
        return dict(sorted(found.items()))

    @cached_property
    def _symbols(self) -> dict[str, int]:
        return self.binary.variables

    def chosen(self, names: str) -> list[str]:
        """Return the probes that a PROVIDER:NAME means; NotFound says what is close."""
        path = self.binary.name
        provider, _, name = names.partition(":")
        if provider == "*" and not is_pattern(name):
            bare = {each.partition(":")[2] for each in self.probes}
            (name,) = chosen(sorted(bare), name, f"probe of {path} named")
            return [each for each in self.probes if each.partition(":")[2] == name]
        return chosen(self.probes, names, f"probe of {path}" + ("" if is_pattern(names) else " named"))

    def _around(self, site: Site) -> Around:
        return Around(site.address, self._symbols if _MAY_NAME.search(site.arguments) else {})

    def arguments(self, site: Site) -> tuple[Argument, ...]:
        """Return the arguments at a site."""
        return arguments(site.arguments, registers(), self._around(site).symbols)

    def fields(self, site: Site) -> tuple[Field, ...]:
        """Return what can be read at a site."""
        return fields(self.arguments(site), self._around(site))

    def strings(self, site: Site) -> tuple[Field, ...]:
        """Return the strings that can be read at a site."""
        return tuple(strings(self.arguments(site), self._around(site), size=self.binary.image.bits // 8))

    def likeness(self, site: Site) -> tuple[object, ...]:
        """Return what is the same at sites that one program can read: also the site where it counts from there."""
        found = self.arguments(site)
        relative = any(isinstance(one.operand, (Constant, InMemory)) and one.operand.symbol for one in found)
        return (self.binary.image.bits, found, (self.binary.path, site.address) if relative else None)

    def place(self, site: Site) -> UprobePlace:
        """Return where to attach to a site, and where in the file the semaphore is."""
        binary = self.binary
        counter = binary.image.file_offset(site.semaphore) if site.semaphore else 0
        return UprobePlace(binary.path, binary.code_at(site.address), counter, identity=binary.identity)

    def location(self, site: Site) -> dict[str, int | str]:
        """Return what people want to know of a site."""
        found: dict[str, int | str] = {"file": self.binary.path, "address": site.address}
        found["offset"] = self.place(site).offset
        if site.semaphore:
            found["semaphore"] = site.semaphore
        if site.arguments:
            found["arguments"] = site.arguments
        return found


#: Why one of many files has no probe of a name, or is not looked at.
_NOTHING_THERE = (NotFound, ObjectError)


class UsdtSource:
    """Static probes of executables and libraries."""

    api = API
    kind = "usdt"
    summary = "static probes of processes, by FILE:PROVIDER:NAME"

    def __init__(self, process: Process | None = None) -> None:
        self._process = process
        self._files: dict[str, File] = {}

    def within(self, process: Process) -> Self:
        """Return such a source for one process, with the files that it sees."""
        return type(self)(process)

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the probes of a FILE:PATTERN, or of all files of a process; without both there are none to tell."""
        word, names = _split(pattern)
        if self._process is None and (not word or is_pattern(word)):
            return
        match = re.compile(translate(names)).match
        for each in process_files(word or "*", self._process):
            with nullcontext() if each == word else suppress(*_NOTHING_THERE):
                file = self._file(each)
                for name in file.probes:
                    if match(name):
                        yield ProbePoint(self.kind, f"{file.binary.name}:{name}")

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the probes of a FILE:PROVIDER:NAME, FILE:NAME of any provider, or those that a pattern matches."""
        word, names = _split(target)
        if not word or not names.replace(":", ""):
            form = f"{self.kind}:FILE:PROVIDER:NAME, such as {self.kind}:python3.11:python:function__entry"
            raise UsageError(f"'{self.kind}:{target}' should be {form}")
        files = process_files(word, self._process)
        if files == [word]:
            return self._of_file(word, names)
        points: list[ProbePoint] = []
        for each in files:
            with suppress(*_NOTHING_THERE):
                points += self._of_file(each, names)
        if not points:
            raise NotFound(f"the process has mapped no file '{word}' with a probe '{names.removeprefix('*:')}'")
        return points

    def _of_file(self, word: str, names: str) -> list[ProbePoint]:
        file = self._file(word)
        return [ProbePoint(self.kind, f"{file.binary.name}:{name}") for name in file.chosen(names)]

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return the arguments as they are at the site with most; where they point to strings there is ``str0``."""
        file, found = self._sites(point)
        return max((file.fields(site) for site in found), key=len)

    def locations(self, point: ProbePoint) -> Sequence[Mapping[str, int | str]]:
        """Return each place of the probe with its semaphore, addresses as the linker knows them, and its arguments."""
        file, found = self._sites(point)
        return [file.location(site) for site in found]

    def groups(self, points: Sequence[ProbePoint], names: frozenset[str], held: ExitStack) -> Iterator[Group]:
        """Yield a group for all sites where one program can read the arguments, or for all if nobody wants them."""
        del held
        alike: dict[tuple[object, ...], dict[ProbePoint, list[Site]]] = {}
        for point in points:
            file, found = self._sites(point)
            most = len(self.fields(point)) if names else 0
            for site in found:
                key = (*file.likeness(site), most) if names else ()
                alike.setdefault(key, {}).setdefault(point, []).append(site)
        for of in alike.values():
            first = next(iter(of))
            field = partial(self._field, first, of[first][0])
            yield from process_groups([*of], partial(self._places, of), field, process=self._process)

    def _places(self, of: dict[ProbePoint, list[Site]], point: ProbePoint) -> list[UprobePlace]:
        file, _ = self._sites(point)
        return [file.place(site) for site in of[point]]

    def described(self, point: ProbePoint) -> list[tuple[UprobePlace, dict[str, Any]]]:
        """Return each place of a probe, and its arguments as programs with libbpf's usdt.bpf.h read them.

        NotSupported where these cannot be told where an argument is.
        """
        from bpfctl_usdt.libbpf import description  # noqa: PLC0415 - for objects that others have compiled

        file, found = self._sites(point)
        return [(file.place(site), description(file.arguments(site))) for site in found]

    def _field(self, point: ProbePoint, site: Site, name: str) -> Field:
        file, _ = self._sites(point)
        here, everywhere = file.fields(site), self.fields(point)
        lacking = (unreadable(field.name) for field in everywhere[len(here) :])  # which another site has
        return known((*here, *lacking, *file.strings(site)), name, str(point))

    def _sites(self, point: ProbePoint) -> tuple[File, list[Site]]:
        word, name = _split(point.target)
        file = self._file(word)
        return file, file.probes[name]

    def _file(self, word: str) -> File:
        if word not in self._files:
            found = File(word, self._process)
            self._files[word] = self._files.setdefault(found.binary.name, found)
        return self._files[word]


def _split(target: str) -> tuple[str, str]:
    """Return the file of a target, and PROVIDER:NAME; what has no provider is of any."""
    word, _, name = target.rpartition(":")
    path, colon, provider = word.rpartition(":")
    return (path, f"{provider}:{name}") if colon else (word, f"*:{name}")
