"""Histograms of a field, in the kernel: one, or one for each set of values of some other fields."""

from __future__ import annotations

from contextlib import ExitStack
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bpfctl.asm.insn import R0, R1, R3
from bpfctl.errors import KernelError, UsageError
from bpfctl.host import cpus
from bpfctl.kernel.elements import Walk
from bpfctl.kernel.map import Map
from bpfctl.probe.action import Action, common_type
from bpfctl.probe.code import MORE, OURS, OUT
from bpfctl.probe.field import Integer
from bpfctl.probe.keys import Keys, look_up, look_up_or_make
from bpfctl.probe.scale import Powers, Steps
from bpfctl.uapi.enums import MapType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfctl.probe.action import Part
    from bpfctl.probe.code import Code
    from bpfctl.probe.field import Field
    from bpfctl.probe.scale import Scale
    from bpfctl.probe.source import ProbePoint

_HITS, _SUM, _BUCKETS = 0, 8, 16  # offsets in a value
_MOST_BUCKETS = 1000
_BITS = 64


class Linear(NamedTuple):
    """Buckets of the same size, from the lowest number to below the highest."""

    low: int
    high: int
    step: int


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


class Hist(Action):
    """Puts a number into buckets: those of powers of 2, or ``linear`` ones.

    ``max_entries`` sets of values are told apart; hits with more than that are lost, and counted as such.
    """

    def __init__(
        self, of: str, by: Sequence[str] = (), *, linear: Linear | None = None, max_entries: int = 1000
    ) -> None:
        if linear is not None:
            _check(linear)
        self.of = of
        self._keys = Keys(by)
        self._linear = linear
        self._max_entries = max_entries
        self._held = ExitStack()

    @property
    def by(self) -> tuple[str, ...]:
        """The fields by which hits are told apart."""
        return self._keys.by

    def names(self, points: Sequence[ProbePoint], own: Callable[[ProbePoint], Sequence[Field]]) -> frozenset[str]:
        """Return the fields that are read."""
        del points, own
        return self._keys.names | {self.of}

    def open(self, parts: Sequence[Part]) -> None:
        """Make the maps: an array where nothing is told apart, else a hash table; UsageError for what is no number."""
        fields = [part.field(self.of) for part in parts]
        if not all(field.load for field in fields):
            raise UsageError(f"{self.of} is no number")
        type_ = common_type(self.of, [field.type for field in fields])
        self._signed = isinstance(type_, Integer) and type_.signed
        self._scale = self._chosen()
        self._keys.settle(parts)
        size = _BUCKETS + 8 * self._scale.buckets
        kind, count = (MapType.PERCPU_HASH, self._max_entries) if self.by else (MapType.PERCPU_ARRAY, 1)
        self._hists = self._held.enter_context(Map.create(kind, self._keys.size, size, count, name="hists"))
        self._empty = self._held.enter_context(Map.create(MapType.ARRAY, 4, size, 1, name="empty"))
        self._lost = self._held.enter_context(Map.create(MapType.PERCPU_ARRAY, 4, 8, 1, name="lost"))

    def _chosen(self) -> Scale:
        if self._linear is None:
            return Powers(signed=self._signed)
        if self._linear.low < 0 and not self._signed:
            raise UsageError(f"{self.of} is never negative, so that nothing can be below 0")
        return Steps(*self._linear, signed=self._signed)

    def emit(self, code: Code, part: Part) -> None:
        """Add the number to the histogram of these values."""
        load = part.field(self.of).load
        if load is None:
            raise UsageError(f"{self.of} is no number")
        load(code, R0)
        code.mov(OURS, R0)
        key = self._keys.store(code, part)
        if self.by:
            look_up_or_make(code, self._hists, key, self._nothing, self._lost)
        else:
            look_up(code, self._hists, key)
            code.jump("jeq", R0, 0, OUT)
        code.mov(R1, 1).atomic_add(8, R0, _HITS, R1).atomic_add(8, R0, _SUM, OURS)
        self._scale.emit(code)
        code.jump("jgt", MORE, self._scale.buckets - 1, OUT)  # which the verifier cannot know
        code.lsh(MORE, 3).add(R0, MORE).mov(R1, 1).atomic_add(8, R0, _BUCKETS, R1)

    def _nothing(self, code: Code) -> None:
        look_up(code, self._empty, code.cleared(8))
        code.jump("jeq", R0, 0, OUT).mov(R3, R0)

    def lost(self) -> int:
        """Return how many hits were not counted, because there was no room for their values."""
        return sum(Struct(f"={cpus.possible()}Q").unpack(self._lost.lookup(bytes(4))))

    def rows(self) -> list[Histogram]:
        """Return the histograms, the one with most hits first."""
        width = 2 + self._scale.buckets
        unpack = Struct(f"={width * cpus.possible()}Q").unpack
        added: dict[tuple[Any, ...], list[int]] = {}
        try:
            for key, value in Walk(self._hists, self._hists.facts).pairs():
                numbers = unpack(value)
                sums = added.setdefault(self._keys.values(key), [0] * width)
                for at in range(width):
                    sums[at] += sum(numbers[at::width])
        except KernelError as error:
            raise KernelError("can't read the histograms", error.errno or 0) from None
        rows = [self._histogram(values, sums) for values, sums in added.items() if sums[0]]
        return sorted(rows, key=lambda row: -row.hits)

    def _histogram(self, values: tuple[Any, ...], sums: Sequence[int]) -> Histogram:
        hits, total, counts = sums[0], sums[1] & (1 << _BITS) - 1, sums[2:]
        if self._signed and total >> _BITS - 1:
            total -= 1 << _BITS
        met = [at for at, count in enumerate(counts) if count]
        buckets = [Bucket(*self._scale.bounds(at), counts[at]) for at in range(met[0], met[-1] + 1)] if met else []
        return Histogram(values, hits, total / hits, tuple(buckets))

    def spelled(self, row: Histogram) -> list[str]:
        """Return the values of a row as people read them."""
        return self._keys.spelled(row.values)

    def close(self) -> None:
        """Give the maps back."""
        self._held.close()


def _check(linear: Linear) -> None:
    limit = 1 << _BITS - 1
    if not -limit <= linear.low < linear.high < limit or linear.step <= 0:
        raise UsageError(f"a scale from {linear.low} to {linear.high} in steps of {linear.step} has no buckets")
    if -(-(linear.high - linear.low) // linear.step) > _MOST_BUCKETS:
        raise UsageError(f"a scale has at most {_MOST_BUCKETS} buckets: make the steps larger")
