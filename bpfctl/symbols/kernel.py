"""The kernel's own functions by their addresses, with those of its modules and of BPF programs.

Source: /proc/kallsyms (kernel/kallsyms.c). The kernel's proper symbols come first and by address, as the kernel itself
looks them up by halving, so that their text is searched as it stands. Those of modules and BPF programs come behind
them in no order, and are put into one.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from bpfctl.host.kallsyms import FILE
from bpfctl.symbols.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODULES = "/proc/modules"
_LONGEST = 1 << 20  # bytes of a function: only BPF programs get that long
_MOST = 1 << 16  # frames that are kept
_OF_NO_CODE = b"aA"  # absolute symbols, which are numbers and no places


class Kernel:
    """The functions of the running kernel; nothing is read before the first address is asked for.

    Where the kernel keeps addresses to itself (kernel.kptr_restrict, CAP_SYSLOG) none has a name.
    """

    def __init__(self, file: str = FILE, modules: str = _MODULES) -> None:
        self._file, self._modules = file, modules
        self._known: dict[int, Frame] = {}
        self._text: bytes | None = None
        self._width = 0
        self._end = 0  # of the kernel proper in the text
        self._starts: list[int] = []  # of the functions of modules and BPF programs
        self._names: list[bytes] = []
        self._areas: list[tuple[int, int]] = []  # of modules
        self._unknown = 0  # addresses without a name
        self._patience = 1  # so many of those until the file is read again

    def frame(self, address: int) -> Frame:
        """Return what is at an address."""
        frame = self._known.get(address)
        if frame is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            frame = self._known[address] = self._find(address)
        return frame

    def frames(self, addresses: Sequence[int]) -> list[Frame]:
        """Return what is at the addresses of a stack, the innermost first: behind it all are where calls return to."""
        frames = [self.frame(address) for address in addresses[:1]]
        for address in addresses[1:]:
            name, offset, module = self.frame(address - 1)  # the call may have been the last of its function
            frames.append(Frame(name, offset + 1, module))
        return frames

    def _find(self, address: int) -> Frame:
        if self._text is None:
            self._read()
        found = self._look_up(address)
        if found is None:
            self._unknown += 1
            if self._unknown == self._patience:  # modules and programs come and go, but the file takes 50 ms
                self._patience *= 2
                self._read()
                found = self._look_up(address)
        return found or Frame("", address)

    def _read(self) -> None:
        try:
            with open(self._file, "rb") as file:
                text = b"\n" + file.read()
        except OSError:  # no /proc, or not ours to read
            text = b"\n"
        first = text.find(b"\t[")
        end = text.rfind(b"\n", 0, first) if first >= 0 else len(text) - 1
        self._text, self._end = text, max(end, 0)
        self._width = max(text.find(b" ") - 1, 0)
        lines = [line for line in text[end + 1 :].split(b"\n") if line]
        lines.sort(key=lambda line: line[: self._width])  # of several at an address the first stays the first
        self._starts, self._names = [], []
        for line in lines:
            start = _number(line[: self._width])
            if start and (not self._starts or start > self._starts[-1]) and line[self._width + 1] not in _OF_NO_CODE:
                self._starts.append(start)
                self._names.append(line[self._width + 3 :])
        self._areas = _areas(self._modules)

    def _look_up(self, address: int) -> Frame | None:
        index = bisect_right(self._starts, address) - 1
        if index >= 0:
            start, name = self._starts[index], self._names[index]
            function, _, module = name.partition(b"\t")
            area = next((area for area in self._areas if area[0] <= start < area[1]), None)
            if address < (area[1] if area else start + _LONGEST):
                return Frame(_text(function), address - start, _text(module))
        return self._of_kernel(address)

    def _of_kernel(self, address: int) -> Frame | None:
        """Return the first of the last symbols before an address, as the kernel itself chooses."""
        text, width = self._text or b"", self._width
        wanted = b"%0*x" % (width, address)
        if len(wanted) != width:
            return None
        low, high, at = 0, self._end, -1  # newlines, each before a line
        while low < high:
            line = text.rfind(b"\n", low, (low + high) // 2 + 1)
            if text[line + 1 : line + 1 + width] <= wanted:
                at = line
                low = text.find(b"\n", line + 1)
            else:
                high = line
        return self._line(at, address) if at >= 0 else None

    def _line(self, at: int, address: int) -> Frame | None:
        text, width = self._text or b"", self._width
        if text.find(b"\n", at + 1, self._end) < 0:  # the last one is the end of the kernel
            return None
        digits = text[at + 1 : at + 1 + width]
        start = _number(digits)
        while True:
            before = text.rfind(b"\n", 0, at)
            if before < 0 or text[before + 1 : before + 1 + width] != digits:
                break
            at = before
        if not start or address - start >= _LONGEST or text[at + 2 + width] in _OF_NO_CODE:
            return None
        end = text.find(b"\n", at + 1)
        return Frame(_text(text[at + 4 + width : end]), address - start)


def _number(digits: bytes) -> int:
    try:
        return int(digits, 16)
    except ValueError:
        return 0


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _areas(file: str) -> list[tuple[int, int]]:
    """Return where modules lie (kernel/module/procfs.c): name, size, users, by whom, state, address."""
    try:
        with open(file, "rb") as lines:
            words = [line.split() for line in lines]
    except OSError:  # a kernel without modules
        return []
    sizes = [(_number(word[5]), int(word[1])) for word in words if len(word) > 5 and word[1].isdigit()]
    return [(start, start + size) for start, size in sizes if start]
