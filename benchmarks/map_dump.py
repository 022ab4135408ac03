"""How long dumps of a million entries take from start to end, beside bpftool, into nothing and into a pipe.

Run as root, where the package is installed (not in editable mode, whose import hook alone costs 20 ms):
python benchmarks/map_dump.py [ENTRIES [RUNS]]
"""

from __future__ import annotations

import random
import struct
import sys
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import clock

from bpfctl._sys import maps, programs
from btf import types
from btf.write import Builder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfctl._sys.fd import FD

HASH = 1
AT_ONCE = 20_000
BARS = {"bytes": 0.4, "BTF": 0.5}
MOST_MEMORY = 64  # MiB


class Voice(NamedTuple):
    """How a dump is asked for."""

    name: str
    options: list[str]
    barred: bool = True  # whether there is a time that it must keep


VOICES = [Voice("-j", ["-j"]), Voice("plain", []), Voice("-p", ["-p"], barred=False)]


def of_bytes(entries: int) -> FD:
    """Keys of 8 bytes and values of 16, without types."""
    rng = random.Random(1)
    fd = maps.create(HASH, 8, 16, entries, name=b"bench_bytes")
    _fill(fd, _keys(entries), (rng.randbytes(16) for _ in range(entries)))
    return fd


def of_structs(entries: int) -> FD:
    """Values that are structs of eight numbers by the map's BTF."""
    b = Builder(byteorder=sys.byteorder)
    u32, u64 = b.add_int("unsigned int", 4), b.add_int("unsigned long long", 8)
    s64 = b.add_int("long long", 8, encoding=types.SIGNED)
    words = [(name, u32, 32 * at) for at, name in enumerate(("pid", "uid", "cpu", "flags"))]
    longs = [("count", u64, 128), ("bytes", u64, 192), ("started", u64, 256), ("delta", s64, 320)]
    value = b.add_struct("value", 48, [*words, *longs])
    with programs.btf_load(b.build()).fd as btf:
        told = {"btf_fd": btf.fileno(), "btf_key_type_id": u64, "btf_value_type_id": value}
        fd = maps.create(HASH, 8, 48, entries, name=b"bench_btf", **told)
    _fill(fd, _keys(entries), _structs(entries))
    return fd


def _keys(entries: int) -> Iterator[bytes]:
    return (struct.pack("=Q", number * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF) for number in range(entries))


def _structs(entries: int) -> Iterator[bytes]:
    """Numbers of the sizes that such fields have."""
    rng = random.Random(1)
    pack = struct.Struct("=IIIIQQQq").pack
    below = rng.randrange
    for _ in range(entries):
        words = below(1 << 22), below(1 << 16), below(64), below(1 << 32)
        yield pack(*words, below(10**6), below(10**9), below(10**15), below(-(10**9), 10**9))


def _fill(fd: FD, keys: Iterable[bytes], values: Iterable[bytes]) -> None:
    pairs = zip(keys, values, strict=True)
    while some := list(islice(pairs, AT_ONCE)):
        packed_keys, packed_values = (b"".join(column) for column in zip(*some, strict=True))
        maps.update_batch(fd.fileno(), packed_keys, packed_values, len(some))


def compare(id_: int, voice: Voice, bar: float, *, runs: int, pipe: bool) -> None:
    """Print what a dump takes, and whether that is good enough."""
    words = [*voice.options, "map", "dump", "id", str(id_)]
    commands = {name: [file, *words] for name, file in {"bpfctl": clock.BPFCTL, **clock.bpftools()}.items()}
    results = clock.measure(commands, runs, pipe=pipe)
    base = list(commands)[-1]
    ratio, peak = results["bpfctl"].median / results[base].median, results["bpfctl"].peak / 1024
    verdict = f", at most {bar}" if voice.barred else ""
    good = (ratio <= bar or not voice.barred) and peak < MOST_MEMORY
    print(f"{voice.name} into {'a pipe' if pipe else '/dev/null'}")
    print(clock.table(results, base))
    print(f"{'good' if good else 'TOO SLOW OR TOO LARGE'}: {ratio:.2f} of {base}'s time{verdict}; {peak:.0f} MiB\n")


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    for name, make in (("bytes", of_bytes), ("BTF", of_structs)):
        with make(entries) as fd:
            print(f"map dump of {entries} entries: {make.__doc__}\n")
            for voice in VOICES:
                for pipe in (False, True):
                    compare(_id(fd), voice, BARS[name], runs=runs, pipe=pipe)


def _id(fd: FD) -> int:
    with open(f"/proc/self/fdinfo/{fd.fileno()}") as facts:
        return next(int(line.split()[1]) for line in facts if line.startswith("map_id:"))


if __name__ == "__main__":
    main()
