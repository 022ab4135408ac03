"""The kernel's own functions by their addresses, with those of its modules and of BPF programs.

Source: /proc/kallsyms (kernel/kallsyms.c). The kernel's proper symbols come first and by address; those of modules and
BPF programs come behind them in no order. Addresses have the same number of digits, so that lines are in the order of
their addresses, and are kept as they are: nothing is read of them but of those that are asked for.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from bpfctl._sys import calls
from bpfctl.host.kallsyms import FILE
from bpfctl.symbols.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODULES = "/proc/modules"
_LONGEST = 1 << 20  # bytes of a function: only BPF programs get that long
_MOST = 1 << 16  # frames that are kept
_MODULE = re.compile(rb"^\S+ (\d{1,12}) \S+ \S+ \S+ 0x([0-9a-f]{8,16})\b", re.MULTILINE)
_BPF = "[bpf]"
_WIDTHS = (8, 16)  # digits of an address
_OF_NO_CODE = b"aA"  # absolute symbols, which are numbers and no places
_MARKS = (b"$x", b"$d")  # where code and data begin in it, on arm64


class Kernel:
    """The functions of the running kernel; nothing is read before the first address is asked for.

    Where the kernel keeps addresses to itself (kernel.kptr_restrict, CAP_SYSLOG) none has a name.
    """

    def __init__(self, file: str = FILE, modules: str = _MODULES) -> None:
        self._file, self._modules = file, modules
        self._known: dict[int, Frame] = {}
        self._callers: dict[int, Frame] = {}  # by addresses that calls return to
        self._width = 0  # of an address in digits
        self._proper: list[bytes] = []  # lines, by address
        self._others: list[bytes] = []
        self._areas: list[tuple[int, int]] = []  # of modules
        self._program = 0  # the newest BPF program
        self._doubts = 0  # addresses of which something that is loaded since may tell more
        self._patience = 1  # so many of those until the file is read
        self._is_new = False  # whether what was read cannot have changed much meanwhile

    def turn(self) -> None:
        """Look again for what has no name: until this is called next, the file is read once at most."""
        self._is_new = False

    def frame(self, address: int) -> Frame:
        """Return what is at an address."""
        frame = self._known.get(address)
        return _kept(self._known, address, self._find(address)) if frame is None else frame

    def frames(self, addresses: Sequence[int]) -> list[Frame]:
        """Return what is at the addresses of a stack, the innermost first: behind it all are where calls return to."""
        frames = [*map(self._known.get, addresses[:1]), *map(self._callers.get, addresses[1:])]
        if all(frames):
            return cast(list[Frame], frames)
        return [
            frame or (self._caller(address) if index else self.frame(address))
            for index, (frame, address) in enumerate(zip(frames, addresses, strict=True))
        ]

    def _caller(self, address: int) -> Frame:
        frame = self._callers.get(address)
        if frame is None:
            name, offset, module = self._find(address - 1)  # the call may have been the last of its function
            frame = _kept(self._callers, address, Frame(name, offset + 1, module))
        return frame

    def _find(self, address: int) -> Frame:
        found = self._look_up(address)
        if self._is_new:
            return found or Frame("", address)
        # Modules and programs come and go, and nothing tells where a program ends. But the file takes 50 ms.
        if found is None or (found.module == _BPF and _newest(self._program) != self._program):
            self._doubts += 1
            if self._doubts == self._patience:
                self._patience *= 2
                self._read()
                found = self._look_up(address)
        return found or Frame("", address)

    def _read(self) -> None:
        self._program, self._is_new = _newest(0), True
        self._known.clear()
        self._callers.clear()
        try:
            with open(self._file, "rb") as file:
                text = file.read()
        except OSError:  # no /proc, or not ours to read
            text = b""
        self._width = text.find(b" ")
        if self._width not in _WIDTHS:
            text = b""
        first = text.find(b"\t[")  # of a module
        end = text.rfind(b"\n", 0, first) + 1 if first >= 0 else len(text)
        self._proper = text[:end].splitlines()
        self._others = sorted(text[end:].splitlines(), key=itemgetter(slice(self._width)))
        self._areas = _areas(self._modules)

    def _look_up(self, address: int) -> Frame | None:
        index, start = self._before(self._others, address)
        if start:
            area = next((area for area in self._areas if area[0] <= start < area[1]), None)
            if address < (area[1] if area else start + _LONGEST):
                return self._frame(self._others, index, address - start)
        index, start = self._before(self._proper, address)
        # Behind the last symbol there is no kernel any more.
        if start and index < len(self._proper) - 1 and address - start < _LONGEST:
            return self._frame(self._proper, index, address - start)
        return None

    def _before(self, lines: list[bytes], address: int) -> tuple[int, int]:
        """Return which is the last symbol that begins before an address, and where it does; 0 where there is none."""
        index = bisect_left(lines, b"%0*x" % (self._width, address + 1)) - 1
        try:
            start = int(lines[index][: self._width], 16) if index >= 0 else 0
        except ValueError:  # these are no lines of symbols
            start = 0
        return index, start if 0 < start <= address else 0

    def _frame(self, lines: list[bytes], index: int, offset: int) -> Frame | None:
        """Return the first symbol at an address, as the kernel itself chooses."""
        begin, kind = lines[index][: self._width], self._width + 1
        first = index
        while first and lines[first - 1].startswith(begin):
            first -= 1
        for line in lines[first : index + 1]:
            if line[kind : kind + 1] not in _OF_NO_CODE and not line.startswith(_MARKS, kind + 2):
                function, _, module = line[kind + 2 :].decode("utf-8", "surrogateescape").partition("\t")
                return Frame(function, offset, module)
        return None


def _kept(frames: dict[int, Frame], address: int, frame: Frame) -> Frame:
    """Keep what is known of an address, until the file is read again."""
    if len(frames) >= _MOST:
        frames.clear()
    frames[address] = frame
    return frame


def _newest(program: int) -> int:
    """Return the number of the newest BPF program, this one where there is none newer, or we may not know."""
    with suppress(OSError):
        while True:
            program = calls.next_id(calls.PROG_GET_NEXT_ID, program)
    return program


def _areas(file: str) -> list[tuple[int, int]]:
    """Return where modules lie (kernel/module/procfs.c): name, size, users, by whom, state, address."""
    try:
        with open(file, "rb") as lines:
            found = _MODULE.findall(lines.read())
    except OSError:  # a kernel without modules
        return []
    sizes = [(int(start, 16), int(size)) for size, start in found]
    return [(start, start + size) for start, size in sizes if start]
