"""How long ``for key, value in m.items()`` takes over a million entries, and what that costs in memory.

Beside it: the same loop over bytes that are in memory already, cut by slicing, and a walk key by key with a lookup for
each, as most Python bindings do it. Run as root: python benchmarks/map_items.py [ENTRIES [RUNS]]
"""

from __future__ import annotations

import random
import resource
import statistics
import struct
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bpfctl import Btf, Map, MapType
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BAR = 0.5  # seconds for a million raw entries
MOST_MEMORY = 64  # MiB above what the process had before


@dataclass(frozen=True, slots=True)
class Flow:
    """A value of 16 bytes."""

    packets: int
    state: int
    port: int


def flows(entries: int) -> Map:
    """Make a map of 8-byte keys and 16-byte values, with types."""
    b = Builder(byteorder=sys.byteorder)
    u32, u64 = b.add_int("u32", 4), b.add_int("u64", 8)
    flow = b.add_struct("flow", 16, [("packets", u64), ("state", u32, 64), ("port", u32, 96)])
    with Btf.load(b.build()) as types:
        m = Map.create(MapType.HASH, 8, 16, entries, name="items", btf=types, key_type=u64, value_type=flow)
    rng = random.Random(1)
    pack = struct.Struct("=Q").pack
    m.raw.update((pack(n * 0x9E3779B97F4A7C15 & (1 << 64) - 1), rng.randbytes(16)) for n in range(entries))
    return m


def loop(pairs: Iterable[tuple[object, object]]) -> int:
    """Do next to nothing with each pair."""
    count = 0
    for _key, _value in pairs:
        count += 1
    return count


def sliced(keys: bytes, values: bytes) -> int:
    """Cut entries that are in memory already."""
    count = 0
    for at in range(len(keys) // 8):
        _key, _value = keys[8 * at : 8 * at + 8], values[16 * at : 16 * at + 16]
        count += 1
    return count


def key_by_key(m: Map, entries: int) -> int:
    """Ask for each key, and for its value."""
    key = None
    count = 0
    for _ in range(entries):
        key = m.next_key(key)
        m.lookup(key)
        count += 1
    return count


def timed(run: Callable[[], int], entries: int) -> float:
    """Return how many seconds a run would take for a million entries."""
    start = time.perf_counter()
    if run() != entries:
        raise SystemExit("not all entries were there")
    return (time.perf_counter() - start) * 1e6 / entries


def peak() -> float:
    """Return the largest resident set so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(entries: int = 1_000_000, runs: int = 5) -> None:
    """Measure all in turn, and say whether the bars are kept."""
    with flows(entries) as m:
        few = max(entries // 20, 1)
        Path("/proc/self/clear_refs").write_text("5")  # what it took to make the map does not count
        before = peak()
        loop(m.raw.items())
        grown = peak() - before
        packed = b"".join(islice(m.raw.keys(), entries)), b"".join(islice(m.raw.values(), entries))
        ways: dict[str, tuple[Callable[[], int], int]] = {
            "raw items()": (lambda: loop(m.raw.items()), entries),
            "slices of bytes in memory": (lambda: sliced(*packed), entries),
            "items() of int and bytes": (lambda: loop(m.typed(key=int, value=bytes).items()), entries),
            "items() of dataclasses": (lambda: loop(islice(m.typed(value=Flow).items(), few)), few),
            "items() of records": (lambda: loop(islice(m.items(), few)), few),
            "items() of dicts": (lambda: loop(islice(m.typed(value=dict).items(), few)), few),
            "key by key": (lambda: key_by_key(m, few), few),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(runs):
            for name, (run, number) in ways.items():
                seconds[name].append(timed(run, number))
    unit = statistics.median(seconds["raw items()"])
    print(f"{'seconds for a million entries':30} {'median':>8} {'best':>8} {'x raw':>7}")
    for name, each in seconds.items():
        median = statistics.median(each)
        print(f"{name:30} {median:8.3f} {min(each):8.3f} {median / unit:7.2f}")
    print(f"raw items() took {grown:.1f} MiB more at its peak")
    if min(seconds["raw items()"]) > BAR or grown > MOST_MEMORY:
        raise SystemExit(f"the bars are {BAR} s and {MOST_MEMORY} MiB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
