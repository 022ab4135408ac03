"""uprobe:FILE:FUNCTION fires where any process enters a function, uretprobe:FILE:FUNCTION where it returns."""

from __future__ import annotations

import re
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from bpfctl.plugin import (
    API,
    Binary,
    NotFound,
    ObjectError,
    ProbePoint,
    UprobePlace,
    UsageError,
    argument_fields,
    argument_strings,
    call_frame,
    call_origin,
    is_pattern,
    known,
    process_files,
    process_groups,
    registers,
    returned_fields,
)
from bpfctl_uprobe.functions import NUMBER, Functions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import ExitStack
    from typing import Self

    from bpfctl.plugin import Field, Group, Process
    from bpfctl_uprobe.typed import Values


#: Why one of many files has no function of a name, or is not looked at.
_NOTHING_THERE = (NotFound, ObjectError)
#: Files that a source has read, for as long as it is there: a call is at two sources, where it begins and returns.
_known: WeakValueDictionary[tuple[object, ...], Functions] = WeakValueDictionary()


class UprobeSource:
    """Functions of executables and libraries."""

    api = API
    kind = "uprobe"
    summary = "functions of processes, where they are entered, by FILE:FUNCTION[+OFFSET] or FILE:0xADDRESS"
    _returns = False

    def __init__(self, process: Process | None = None) -> None:
        self._process = process
        self._files: dict[str, Functions] = {}
        self._addresses: dict[str, tuple[int, ...]] = {}

    def within(self, process: Process) -> Self:
        """Return such a source for one process, with the files that it sees."""
        return type(self)(process)

    def discover(self, pattern: str) -> Iterator[ProbePoint]:
        """Yield the functions of a FILE:PATTERN; without a file there are none to tell."""
        word, names = _split(pattern)
        if not word or (self._process is None and is_pattern(word)):
            return
        for each in process_files(word, self._process):
            with nullcontext() if each == word else suppress(*_NOTHING_THERE):
                functions = self._functions(each)
                for name in functions.matching(names):
                    yield ProbePoint(self.kind, f"{functions.path}:{name}")

    def resolve(self, target: str) -> Sequence[ProbePoint]:
        """Return the functions of a FILE:FUNCTION, or those that a pattern matches, each address once."""
        word, name = _split(target)
        if not word or not name:
            raise UsageError(
                f"'{self.kind}:{target}' should be {self.kind}:FILE:FUNCTION, such as {self.kind}:c:malloc"
            )
        name, offset = self._split(name)
        files = process_files(word, self._process)
        if files == [word]:
            return self._of_file(word, name, offset)
        points: list[ProbePoint] = []
        for each in files:
            with suppress(*_NOTHING_THERE):
                points += self._of_file(each, name, offset)
        if not points:
            raise NotFound(f"the process has mapped no file '{word}' with a function '{name}' that can be probed")
        return points

    def _of_file(self, word: str, name: str, offset: int) -> list[ProbePoint]:
        functions = self._functions(word)
        found = functions.chosen(name, offset)
        return [
            self._point(functions, f"{known_as}+{offset:#x}" if offset else known_as, addresses, offset)
            for known_as, addresses in found.items()
        ]

    def _split(self, name: str) -> tuple[str, int]:
        """Return a function's name and the offset behind it."""
        base, plus, offset = name.rpartition("+")
        if not plus or not NUMBER.fullmatch(offset):
            return name, 0
        if self._returns:
            raise UsageError(f"'{name}': a function returns as a whole, so that there is nothing at +{offset}")
        return base, int(offset, 0)

    def _point(self, functions: Functions, name: str, addresses: Sequence[int], offset: int) -> ProbePoint:
        point = ProbePoint(self.kind, f"{functions.path}:{name}")
        self._addresses[point.target] = tuple(address + offset for address in addresses)
        self._places(point)
        return point

    def _places(self, point: ProbePoint) -> list[UprobePlace]:
        """Return where a point is; NotFound where the file has no code."""
        binary = self._file(point).binary
        return [
            UprobePlace(binary.path, binary.code_at(address), identity=binary.identity) for address in self._at(point)
        ]

    def _at(self, point: ProbePoint) -> tuple[int, ...]:
        if point.target not in self._addresses:
            self.resolve(point.target)
        return self._addresses[point.target]

    def locations(self, point: ProbePoint) -> Sequence[Mapping[str, int | str]]:
        """Return each address of the function, as the linker knows it, and where in the file that is."""
        return [
            {"file": place.path, "address": address, "offset": place.offset}
            for address, place in zip(self._at(point), self._places(point), strict=True)
        ]

    def fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return the arguments by their names and types where the file or its debug file tells, or by their numbers."""
        return self._values(point).fields or self._plain_fields(point)[: self._shown]

    def _plain_fields(self, point: ProbePoint) -> Sequence[Field]:
        """Return what registers have, whatever it means; ``str0`` and so on are the strings that they may point to."""
        if not self._file(point).binary.is_native:
            return ()
        return returned_fields(user=True) if self._returns else (*argument_fields(), *argument_strings(user=True))

    @property
    def _shown(self) -> int:
        """How many of them are told to who has not asked for strings."""
        return 1 if self._returns else len(registers().arguments)

    def _values(self, point: ProbePoint) -> Values:
        from bpfctl_uprobe.typed import Values  # noqa: PLC0415 - types are read where somebody asks for them

        return Values(self._file(point), self._at(point), returns=self._returns)

    def _field(self, points: Sequence[ProbePoint], name: str) -> Field:
        there = self._plain_fields(points[0])
        if self._returns or name not in {field.name for field in there}:
            values = self._values(points[0])
            found = values.field(name)
            if found is not None:
                return found
            there = (*values.fields, *there)
        return known(there, name, str(points[0]))

    def _likeness(self, point: ProbePoint, names: frozenset[str]) -> object:
        """Return what is the same at points that one program can serve."""
        plain = {field.name for field in self._plain_fields(point)}
        if names <= (set() if self._returns else plain):
            return bool(plain)
        from bpfctl_uprobe.typed import is_path  # noqa: PLC0415

        if any(is_path(name) for name in names):
            return point
        return tuple((field.name, field.told) for field in self.fields(point))

    def groups(self, points: Sequence[ProbePoint], names: frozenset[str], held: ExitStack) -> Iterator[Group]:
        """Yield a group for all points where the fields that are read lie in the same registers."""
        del held
        yield from self._groups(points, names)

    def sessions(self, points: Sequence[ProbePoint], names: frozenset[str]) -> Iterator[Group]:
        """Yield the same for programs that are at both ends of calls (Linux 6.13)."""
        yield from self._groups(points, names, session=True)

    def _groups(self, points: Sequence[ProbePoint], names: frozenset[str], *, session: bool = False) -> Iterator[Group]:
        by_kind: dict[object, list[ProbePoint]] = {}
        for point in points:
            by_kind.setdefault(self._likeness(point, names), []).append(point)
        for alike in by_kind.values():
            yield from process_groups(
                alike,
                self._places,
                partial(self._field, alike),
                returns=self._returns,
                process=self._process,
                frame=call_frame(returns=self._returns) if self._file(alike[0]).binary.is_native else None,
                caller=call_origin() if self._are_entered(alike) else None,
                session=session,
            )

    def _are_entered(self, points: Sequence[ProbePoint]) -> bool:
        """Return whether points are where functions begin."""
        if self._returns or not self._file(points[0]).binary.is_native:
            return False
        names = [_split(point.target)[1] for point in points]
        return not any(self._split(name)[1] or NUMBER.fullmatch(name) for name in names)

    def call(self, point: ProbePoint) -> tuple[ProbePoint, ProbePoint]:
        """Return where a function is entered, and where it returns; UsageError for a place within one."""
        _, name = _split(point.target)
        if self._split(name)[1]:
            raise UsageError(f"{point} is a place within a function: calls are from where one is entered")
        return ProbePoint(UprobeSource.kind, point.target), ProbePoint(UretprobeSource.kind, point.target)

    def _file(self, point: ProbePoint) -> Functions:
        return self._functions(_split(point.target)[0])

    def _functions(self, word: str) -> Functions:
        if word not in self._files:
            binary = Binary.find(word, self._process)
            key = (binary.path, binary.name, binary.root, binary.identity)
            found = _known.get(key) or Functions(binary)
            if binary.identity is not None:
                _known[key] = found
            self._files[word] = self._files.setdefault(found.path, found)
        return self._files[word]


class UretprobeSource(UprobeSource):
    """The same, where they return."""

    kind = "uretprobe"
    summary = "functions of processes, where they return, by FILE:FUNCTION"
    _returns = True


def _split(target: str) -> tuple[str, str]:
    """Return the file and the function, which may be one of C++ with colons of its own; both empty without them."""
    match = re.fullmatch(r"(.*[^:]):([^:].*)", target, re.DOTALL)
    return (match[1], match[2]) if match else ("", "")
