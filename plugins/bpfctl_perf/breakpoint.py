"""breakpoint:PLACE[:LENGTH]:MODE fires when a CPU reads, writes or executes an address.

Kernel: include/uapi/linux/hw_breakpoint.h, arch_build_bp_info() of each architecture.
"""

from __future__ import annotations

import re
from errno import EINVAL, EOPNOTSUPP

from bpfctl.plugin import KernelSymbols, NotFound, NotPermitted, PerfEvent, PerfType, UsageError
from bpfctl_perf.source import CountedSource

_MODES = {"r": 1, "w": 2, "x": 4}
_LENGTHS = (1, 2, 4, 8)
_USUAL = {4: 8}  # an execution breakpoint is as long as a word; the kernel wants that told
_KERNEL = 1 << 63
_PLACE = re.compile(r"(?P<name>[^\W\d][\w.$]*)(?:\+(?P<offset>0x[0-9a-fA-F]{1,16}|\d{1,18}))?", re.ASCII)


class BreakpointSource(CountedSource):
    """Breakpoints of the CPUs' debug registers, of which there are few."""

    kind = "breakpoint"
    summary = "reads, writes or execution of an address, by ADDRESS or SYMBOL[:LENGTH]:MODE, with r, w, rw or x"

    def __init__(self) -> None:
        self._symbols = KernelSymbols()

    def has_address(self, event: PerfEvent) -> bool:
        """Return True: it is about one."""
        del event
        return True

    def event(self, target: str) -> tuple[str, PerfEvent]:
        """Read ``PLACE[:LENGTH]:MODE``."""
        place, *rest = target.split(":")
        if len(rest) not in (1, 2):
            raise UsageError(f"'{self.kind}:{target}' should be {self.kind}:ADDRESS[:LENGTH]:MODE")
        kind = self._mode(target, rest[-1])
        length = self._length(target, rest[0]) if len(rest) == 2 else _USUAL.get(kind, 4)
        address = self._address(place)
        if kind != _MODES["x"] and address % length:
            raise UsageError(f"'{self.kind}:{target}': {address:#x} is no multiple of {length}, as the CPU wants it")
        mode = "".join(letter for letter, bit in _MODES.items() if kind & bit)
        name = f"{place}:{length}:{mode}" if length != _USUAL.get(kind, 4) else f"{place}:{mode}"
        return name, PerfEvent(PerfType.BREAKPOINT, 0, 1, config1=address, config2=length, bp_type=kind)

    def _mode(self, target: str, word: str) -> int:
        kind = sum(_MODES.get(letter, 0) for letter in {*word})
        if not word or {*word} - {*_MODES} or kind > _MODES["x"]:
            raise UsageError(f"'{self.kind}:{target}': '{word}' should be r, w, rw or x")
        return kind

    def _length(self, target: str, word: str) -> int:
        if word not in map(str, _LENGTHS):
            raise UsageError(f"'{self.kind}:{target}': {word or 'nothing'} is no length: there are 1, 2, 4 and 8")
        return int(word)

    def _address(self, place: str) -> int:
        try:
            address = int(place, 0) if place[:1].isdecimal() else self._of_symbol(place)
        except ValueError:
            address = -1
        if not 0 <= address < 1 << 64:
            raise UsageError(f"'{place[:40]}' is no address")
        return address

    def _of_symbol(self, place: str) -> int:
        match = _PLACE.fullmatch(place)
        if match is None:
            raise UsageError(f"'{place[:40]}' is neither an address nor a symbol, nor a symbol with +OFFSET")
        start = self._symbols.address(match["name"])
        if start is not None:
            return start + int(match["offset"] or "0", 0)
        if not self._symbols.readable:
            raise NotPermitted("the kernel keeps the addresses of its symbols to itself (kernel.kptr_restrict)")
        raise NotFound(
            f"the kernel proper names no symbol '{match['name']}' (those of variables only with CONFIG_KALLSYMS_ALL)"
        )

    def absent(self, event: PerfEvent, errno: int) -> str:
        """Ask for what is close."""
        if errno not in (EINVAL, EOPNOTSUPP):
            return "this machine has no breakpoints"
        if event.bp_type == _MODES["r"] and event._replace(bp_type=3).refusal() == 0:
            return "its CPUs cannot tell reads from writes, rw can be had"
        if event.bp_type == _MODES["x"] and event.config1 & _KERNEL:
            return "the kernel can be stopped only where kprobes can, and not at all without CONFIG_KPROBES"
        return "its CPUs have no such breakpoint"
