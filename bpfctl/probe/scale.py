"""Which bucket of a histogram a number belongs to, found out by the program that counts it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from bpfctl.asm.insn import R1, R2
from bpfctl.probe.code import MORE, OURS

if TYPE_CHECKING:
    from bpfctl.probe.code import Code

_BITS = 64
_MASK = (1 << _BITS) - 1
#: The numbers from the first to below the second; None where there is no end.
Bounds = tuple[int | None, int | None]


class Scale(ABC):
    """How numbers are put into buckets, in the order of the numbers."""

    buckets: int

    @abstractmethod
    def emit(self, code: Code) -> None:
        """Put the bucket of the number in r8 into r9; r1 and r2 are used."""

    @abstractmethod
    def bounds(self, bucket: int) -> Bounds:
        """Return which numbers are in a bucket."""


class Powers(Scale):
    """A bucket for negative numbers, one for 0, and one from each power of 2 to the next."""

    buckets = _BITS + 2

    def __init__(self, *, signed: bool) -> None:
        self._signed = signed

    def emit(self, code: Code) -> None:
        """Count how often the number can be halved."""
        done = code.fresh()
        code.mov(MORE, 0)
        if self._signed:
            code.jump("jslt", OURS, 0, done)
        code.mov(MORE, 1).jump("jeq", OURS, 0, done)
        code.mov(MORE, 2).mov(R1, OURS)
        for bits in (32, 16, 8, 4, 2, 1):
            small = code.fresh()
            code.mov(R2, R1).rsh(R2, bits).jump("jeq", R2, 0, small)
            code.mov(R1, R2).add(MORE, bits).label(small)
        code.label(done)

    def bounds(self, bucket: int) -> Bounds:
        """Return which numbers are in a bucket."""
        if bucket < 2:
            return (0, 1) if bucket else (None, 0)
        return 1 << bucket - 2, 1 << bucket - 1


class Steps(Scale):
    """Buckets of the same size from ``low`` to below ``high``, one for what is below and one for what is not."""

    def __init__(self, low: int, high: int, step: int, *, signed: bool) -> None:
        self._low, self._high, self._step, self._signed = low, high, step, signed
        self.buckets = -(-(high - low) // step) + 2

    def emit(self, code: Code) -> None:
        """Divide how far the number is from the lowest."""
        done, sign = code.fresh(), "s" if self._signed else ""
        code.mov(MORE, 0).ld_imm64(R1, self._low & _MASK).jump(f"j{sign}lt", OURS, R1, done)
        code.mov(MORE, self.buckets - 1).ld_imm64(R2, self._high & _MASK).jump(f"j{sign}ge", OURS, R2, done)
        code.mov(MORE, OURS).sub(MORE, R1).ld_imm64(R1, self._step).alu("div", MORE, R1).add(MORE, 1)
        code.label(done)

    def bounds(self, bucket: int) -> Bounds:
        """Return which numbers are in a bucket."""
        if not bucket:
            return None, self._low
        begin = self._low + (bucket - 1) * self._step
        return (self._high, None) if bucket == self.buckets - 1 else (begin, min(begin + self._step, self._high))
