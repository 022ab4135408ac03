"""Histograms in the kernel: one for each set of values of some fields, or a single one."""

from __future__ import annotations

from contextlib import ExitStack
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl._sys.fd import Closing
from bpfctl.asm.insn import R0, R1, R3
from bpfctl.errors import KernelError, UsageError
from bpfctl.host import cpus
from bpfctl.kernel.elements import Walk
from bpfctl.kernel.map import Map
from bpfctl.probe.code import MORE, OURS, OUT
from bpfctl.probe.keys import added, look_up, look_up_or_make
from bpfctl.probe.scale import Powers, Steps
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfctl.probe.code import Code
    from bpfctl.probe.keys import Keys
    from bpfctl.probe.scale import Scale

_HITS, _SUM, _BUCKETS = 0, 8, 16  # offsets in a value
_MOST_BUCKETS = 1000
_BITS = 64


class Linear(NamedTuple):
    """Buckets of the same size, from the lowest number to below the highest."""

    low: int
    high: int
    step: int

    def check(self) -> None:
        """Raise UsageError where such buckets make no scale."""
        limit = 1 << _BITS - 1
        if not -limit <= self.low < self.high < limit or self.step <= 0:
            raise UsageError(f"a scale from {self.low} to {self.high} in steps of {self.step} has no buckets")
        if -(-(self.high - self.low) // self.step) > _MOST_BUCKETS:
            raise UsageError(f"a scale has at most {_MOST_BUCKETS} buckets: make the steps larger")


class Bucket(NamedTuple):
    """Numbers from ``low`` to below ``below``, None where there is no end, and how often they were met."""

    low: int | None
    below: int | None
    hits: int


class Histogram(NamedTuple):
    """The hits that had the same values of some fields."""

    values: tuple[Any, ...]
    hits: int
    mean: float  # off by what was more than 64 bits
    buckets: tuple[Bucket, ...]  # from the first to the last that was met

    def below(self, percent: float) -> int | None:
        """Return the end of the bucket in which so much of all has been met; None where there is none."""
        left = self.hits * percent / 100
        for bucket in self.buckets:
            left -= bucket.hits
            if left <= 0:
                return bucket.below
        return None


def scale(linear: Linear | None, *, signed: bool) -> Scale:
    """Return the scale that was asked for: powers of 2 without one."""
    return Powers(signed=signed) if linear is None else Steps(*linear, signed=signed)


class Histograms(Closing):
    """A histogram for each key, at most ``max_entries``; what has no room is lost, and counted as such.

    Numbers are divided by ``unit`` before they are put into buckets, and summed up as they are.
    """

    def __init__(self, keys: Keys, scale: Scale, max_entries: int, *, signed: bool, unit: int = 1) -> None:
        self._keys, self._scale, self._signed, self._unit = keys, scale, signed, unit
        size = _BUCKETS + 8 * scale.buckets
        kind, count = (MapType.PERCPU_HASH, max_entries) if keys.by else (MapType.PERCPU_ARRAY, 1)
        with ExitStack() as held:
            self._hists = held.enter_context(Map.create(kind, keys.size, size, count, name="hists"))
            self._empty = held.enter_context(Map.create(MapType.ARRAY, 4, size, 1, name="empty"))
            self._lost = held.enter_context(Map.create(MapType.PERCPU_ARRAY, 4, 8, 1, name="lost"))
            self._held = held.pop_all()

    def emit(self, code: Code, key: int) -> None:
        """Add the number in r8 to the histogram of a key on the stack; r8 and r9 are used."""
        if self._keys.by:
            look_up_or_make(code, self._hists, key, self._nothing, self._lost)
        else:
            look_up(code, self._hists, key)
            code.jump("jeq", R0, 0, OUT)
        code.mov(R1, 1).atomic_add(8, R0, _HITS, R1).atomic_add(8, R0, _SUM, OURS)
        if self._unit > 1:
            code.alu("div", OURS, self._unit)
        self._scale.emit(code)
        code.jump("jgt", MORE, self._scale.buckets - 1, OUT)  # which the verifier cannot know
        code.lsh(MORE, 3).add(R0, MORE).mov(R1, 1).atomic_add(8, R0, _BUCKETS, R1)

    def _nothing(self, code: Code) -> None:
        look_up(code, self._empty, code.cleared(8))
        code.jump("jeq", R0, 0, OUT).mov(R3, R0)

    def lost(self) -> int:
        """Return how many hits were not counted, because there was no room for their values."""
        return added(self._lost)

    def rows(self) -> list[Histogram]:
        """Return the histograms, the one with most hits first."""
        width = 2 + self._scale.buckets
        unpack = Struct(f"={width * cpus.possible()}Q").unpack
        by_values: dict[tuple[Any, ...], list[int]] = {}
        try:
            for key, value in Walk(self._hists, self._hists.facts).pairs():
                numbers = unpack(value)
                sums = by_values.setdefault(self._keys.values(key), [0] * width)
                for at in range(width):
                    sums[at] += sum(numbers[at::width])
        except KernelError as error:
            raise KernelError("can't read the histograms", error.errno or 0) from None
        rows = [self._histogram(values, sums) for values, sums in by_values.items() if sums[0]]
        return sorted(rows, key=lambda row: -row.hits)

    def _histogram(self, values: tuple[Any, ...], sums: Sequence[int]) -> Histogram:
        hits, total, counts = sums[0], sums[1] & (1 << _BITS) - 1, sums[2:]
        if self._signed and total >> _BITS - 1:
            total -= 1 << _BITS
        met = [at for at, count in enumerate(counts) if count]
        buckets = [Bucket(*self._scale.bounds(at), counts[at]) for at in range(met[0], met[-1] + 1)] if met else []
        return Histogram(values, hits, total / hits / self._unit, tuple(buckets))

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()
