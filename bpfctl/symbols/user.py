"""Functions of processes by addresses: of files that they have mapped, of what they compile, and of the kernel's own.

What a process has mapped is known from its maps file, and from what the kernel tells of all processes as it happens:
that holds for those that have ended before anybody could look at them. An address that a process had in an earlier
program, or in a library that it has given back, is found there.
"""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from bpfctl._sys.fd import Closing
from bpfctl.symbols import jit, space
from bpfctl.symbols.demangle import Demangler
from bpfctl.symbols.files import Files
from bpfctl.symbols.follow import Born, Executed, Mapped, SideBand
from bpfctl.symbols.frame import Frame
from bpfctl.symbols.space import Space
from bpfctl.symbols.vdso import NAME as VDSO
from bpfctl.symbols.vdso import Vdso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bpfctl.symbols.follow import Event
    from bpfctl.symbols.space import Mapping
    from bpfctl.symbols.table import Table

Frames = dict[int, Frame]  # by addresses

_MOST_MAPPINGS = 1 << 18  # of all processes
_MOST_COMPILED = 1 << 21  # functions of all processes
_MOST_FRAMES = 1 << 16  # that are kept
_LARGEST = 1 << 24  # bytes of a maps file


class Users(Closing):
    """The functions of processes; with ``pid`` of that one alone.

    Numbers of processes are those that /proc has for us. Nothing is an error here: what nobody knows has no name.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._pid = pid
        self._demangle = Demangler()
        self._files = Files()
        self._vdso = Vdso()
        self._band: SideBand | None = None
        self._spaces: dict[int, Space] = {}
        self._maps: dict[int, jit.Map | None] = {}
        self._lost = 0
        self._turn = 0
        self._frames = 0
        self._unknown: list[tuple[Frames, int]] = []  # of those the ones of which nobody knows what they are in

    @property
    def follows(self) -> bool:
        """Whether the kernel tells what processes do, so that those that end are known."""
        return self._band is not None

    @property
    def lost(self) -> int:
        """How many things that processes did the kernel had no room to tell; those that run were looked at again."""
        return self._band.lost if self._band else self._lost

    def follow(self) -> None:
        """Begin to follow what processes map, fork and execute, and look at what those that run have mapped.

        Where the kernel refuses that, ``follows`` stays False, and processes that end are not known.
        """
        if self._band is None:
            with suppress(OSError):
                self._band = SideBand()
        with suppress(OSError):  # there is no /proc
            for word in os.listdir("/proc") if self._pid is None else [str(self._pid)]:
                if word.isdecimal():
                    self._look(int(word))

    def poll(self) -> None:
        """Take what the kernel has told since the last time."""
        self._turn += 1
        self._files.turn()
        for kept, address in self._unknown:  # what was not known yet may be by now
            kept.pop(address, None)
        self._unknown.clear()
        for pid, functions in self._maps.items():
            if functions is not None and functions.is_read and pid in self._spaces:  # code moves, and more is compiled
                self._spaces[pid].forget()
        if self._band is None:
            return
        before = self._band.lost
        events = self._band.take()
        for event in events:
            if self._pid is None or event.pid == self._pid:
                self._happened(event)
        if self._band.lost > before:  # what is missing is looked up where it is asked for
            for one in self._spaces.values():
                one.looked, one.ended = -1, False
        if events:
            self._make_room()

    def _happened(self, event: Event) -> None:
        known = self._spaces.get(event.pid)
        if isinstance(event, Born):
            self._keep(event.pid, Space(event.parent, self._spaces.get(event.parent)))
            self._maps.pop(event.pid, None)
            return
        if known is None:
            known = self._keep(event.pid, Space())
        if isinstance(event, Mapped):
            known.add(event.mapping)
            self._files.hold(event.mapping, event.pid)
            if not event.mapping.is_file and event.mapping.path != VDSO:
                self._compiled(event.pid)
        elif isinstance(event, Executed):
            known.execute()
        else:
            known.ended = True

    def frames(self, pid: int, addresses: Sequence[int]) -> list[Frame]:
        """Return what is at the addresses of a stack, the innermost first: behind it all are where calls return to."""
        known = self._spaces.get(pid) or self._look(pid)
        frames = [*map(known.leaves.get, addresses[:1]), *map(known.callers.get, addresses[1:])]
        if not all(frames):
            leaves, callers = self._learn([(pid, addresses)])[pid]
            for index, address in enumerate(addresses):
                frames[index] = frames[index] or (callers if index else leaves)[address]
        return cast(list[Frame], frames)

    def expect(self, stacks: Iterable[tuple[int, Sequence[int]]]) -> None:
        """Look up stacks that are asked for next, by process: for some hundred at once that takes half the time."""
        self._learn(stacks)

    def _learn(self, stacks: Iterable[tuple[int, Sequence[int]]]) -> dict[int, tuple[Frames, Frames]]:
        """Return what is not known yet, by process: at innermost addresses, and at those that calls return to."""
        if self._frames > _MOST_FRAMES:
            for one in self._spaces.values():
                one.forget()
            self._frames = 0
        wanted: defaultdict[int, tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
        for pid, addresses in stacks:
            leaves, callers = wanted[pid]
            leaves.update(addresses[:1])
            callers.update(addresses[1:])
        found: dict[int, tuple[Frames, Frames]] = {}
        for pid, (leaves, callers) in wanted.items():
            known = self._spaces.get(pid) or self._look(pid)
            # A call may be the last of its function: where it returns to is in the next one.
            found[pid] = (
                self._find(pid, known, leaves.difference(known.leaves), 0),
                self._find(pid, known, callers.difference(known.callers), 1),
            )
        self._demangle.expect([frame.name for both in found.values() for part in both for frame in part.values()])
        for pid, both in found.items():
            known = self._spaces[pid]
            for returns, (part, kept) in enumerate(zip(both, (known.leaves, known.callers), strict=True)):
                for address, (name, offset, module) in part.items():
                    part[address] = kept[address] = Frame(self._demangle(name), offset + returns, module)
                    if not module:
                        self._unknown.append((kept, address))
                self._frames += len(part)
        return found

    def build_id(self, pid: int, address: int) -> str:
        """Return what the linker calls the build of the file at an address; empty where nobody knows."""
        known = self._spaces.get(pid)
        mapping = known.at(address) if known else None
        if known is None or mapping is None or not mapping.is_file:
            return ""
        table = self._table(pid, known, mapping)
        return table.build_id if table else ""

    def _find(self, pid: int, known: Space, addresses: Iterable[int], returns: int) -> Frames:
        """Return what is at addresses, or in front of those that calls return to, by the names that linkers have."""
        found: Frames = {}
        where, table = None, None
        for place in sorted(addresses):
            address = place - returns
            mapping = known.at(address)
            if mapping is None and known.looked != self._turn:
                mapping = self._look(pid).at(address)
            if mapping is None:
                found[place] = Frame("", address)
                continue
            if mapping is not where:
                where, table = mapping, self._table(pid, known, mapping)
            frame = _named(table, mapping, address)
            if frame is None and table is None and mapping.path != VDSO:  # compilers write into files in memory, too
                frame = self._of_jit(pid, address)
            found[place] = frame or _unnamed(mapping, address)
        return found

    def _table(self, pid: int, known: Space, mapping: Mapping) -> Table | None:
        if mapping.is_file:
            return self._files.table(mapping, self._who(pid, known))
        return self._vdso.table(mapping, pid) if mapping.path == VDSO else None

    def _who(self, pid: int, known: Space) -> Iterator[int]:
        """Yield who may lead to a file that a process has mapped; the last is ourselves."""
        yield pid
        seen = {pid}
        while known.parent and known.parent not in seen:
            yield known.parent
            seen.add(known.parent)
            parent = self._spaces.get(known.parent)
            if parent is None:
                break
            known = parent
        yield 0

    def _of_jit(self, pid: int, address: int) -> Frame | None:
        functions = self._compiled(pid)
        if functions is None:
            return None
        if functions.turn != self._turn:
            functions.turn = self._turn
            functions.owner = jit.owner(pid) or functions.owner  # it may be another user's by now
            functions.grow()
            self._spare(pid)
        found = functions.find(address)
        return Frame(found[0], address - found[1], "[jit]") if found else None

    def _spare(self, pid: int) -> None:
        """Forget what others have compiled if it is too much in all; it is read again when it is asked for."""
        left = sum(functions.size for functions in self._maps.values() if functions)
        for other, functions in [*self._maps.items()]:
            if left > _MOST_COMPILED and functions is not None and other != pid:
                left -= functions.size
                self._maps[other] = jit.Map(functions.owner)

    def _compiled(self, pid: int) -> jit.Map | None:
        """Return what a process tells of the functions that it compiles; None where it has ended before."""
        if pid not in self._maps:
            of = jit.owner(pid)
            self._maps[pid] = jit.Map(of) if of else None
        return self._maps[pid]

    def _look(self, pid: int) -> Space:
        """Read what a process has mapped, which is nothing where it has ended or is not there."""
        known = self._spaces.get(pid)
        if known is None:
            known = self._keep(pid, Space())
        known.looked = self._turn
        if known.ended:
            return known
        try:
            with open(f"/proc/{pid}/maps", "rb") as file:
                text = file.read(_LARGEST)
            root = os.readlink(f"/proc/{pid}/root").rstrip("/") if text else ""
        except OSError:  # it has ended, or may not be looked at
            return known
        for mapping in space.parse(text, root):
            known.add(mapping)
            if not mapping.is_file and not mapping.path.startswith("[v"):  # [vdso], [vsyscall]
                self._compiled(pid)
        return known

    def _keep(self, pid: int, new: Space) -> Space:
        self._spaces.pop(pid, None)
        self._spaces[pid] = new
        return new

    def _make_room(self) -> None:
        size = sum(one.size + 1 for one in self._spaces.values())
        oldest = sorted(self._spaces, key=lambda pid: not self._spaces[pid].ended)
        for pid in oldest:
            if size <= _MOST_MAPPINGS:
                break
            size -= self._spaces.pop(pid).size + 1
            self._maps.pop(pid, None)

    def close(self) -> None:
        """Stop following, and close all files."""
        band, self._band = self._band, None
        if band is not None:
            self._lost = band.lost
            band.close()
        self._files.close()
        self._demangle.close()


def _named(table: Table | None, mapping: Mapping, address: int) -> Frame | None:
    at = table.address(address - mapping.start + mapping.offset) if table is not None else None
    if table is None or at is None:
        return None
    found = table.find(at)
    return Frame(found.name, at - found.start, mapping.name) if found is not None else None


def _unnamed(mapping: Mapping, address: int) -> Frame:
    if mapping.is_file or mapping.path == VDSO:
        return Frame("", address - mapping.start + mapping.offset, mapping.name)
    return Frame("", address)
